"""The words that notes carry, laid into rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from karaoke.analysis.melody import Note
from karaoke.analysis.song import SongFacts
from karaoke.making.font import Font
from karaoke.making.layout import Row, wrap

#: A row may end where a sentence or a part of it does, or where nobody sings for so long; rows
#: with fewer letters go on.
ENDS, REST_SECONDS, FEWEST_LETTERS = ".,;:!?…", 0.35, 14

Piece = tuple[str, float, float]


def rows_of(facts: SongFacts, font: Font, size: float, width: float) -> list[Row]:
    """Lay the words that are sung into rows that fit, phrase by phrase."""
    return [
        Row(tuple(row), row[0][1], row[-1][2])
        for phrase in facts.phrases
        for line in lines_of(pieces_of(phrase))
        for row in wrap(line, font, size, width)
    ]


def pieces_of(notes: Sequence[Note]) -> list[Piece]:
    """List the syllables of notes with their times; spaces end words."""
    pieces: list[Piece] = []
    for note in notes:
        if note.text:
            text = note.text + ("" if note.goes_on else " ")
            pieces.append((text, note.start_seconds, note.end_seconds))
        elif pieces:
            pieces[-1] = (*pieces[-1][:2], note.end_seconds)
    return pieces


def lines_of(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Part a phrase where one would draw breath."""
    line: list[Piece] = []
    for number, piece in enumerate(pieces):
        line.append(piece)
        text, _, end = piece
        following = pieces[number + 1][1] if number + 1 < len(pieces) else end
        ends = text.rstrip().endswith(tuple(ENDS)) or following - end >= REST_SECONDS
        letters = sum(len(said) for said, _, _ in line)
        if text.endswith(" ") and ends and letters >= FEWEST_LETTERS:
            yield line
            line = []
    if line:
        yield line
