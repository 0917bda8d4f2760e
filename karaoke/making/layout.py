"""Words laid out: which line stands in which row of the screen, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from karaoke.lyrics.model import Line, Lyrics
from karaoke.lyrics.timeline import Timeline
from karaoke.making.font import Font
from karaoke.making.styles import Style

#: A rest after which the next line stands at the top again.
GROUP_SECONDS = 2.5
#: How long a line is seen before it is sung, at least where there is room, and at most.
READ_SECONDS, EARLY_SECONDS = 1.0, 2.5
#: How long it stays when it is over.
LINGER_SECONDS = 0.4
#: Of a line whose end nobody knows.
LONGEST_LINE_SECONDS = 8.0
#: The room for chords' names between lines, in heights of the words.
CHORD_ROOM = 0.42


@dataclass(frozen=True)
class Row:
    """What stands in one row, with its times in the output.

    Parameters
    ----------
    pieces
        Text, start and end in seconds, in their order; spaces belong to the text.
    start, end
        Of all of it.
    singer
        Number of the singer.
    """

    pieces: tuple[tuple[str, float, float], ...]
    start: float
    end: float
    singer: int = 0

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(piece for piece, _, _ in self.pieces)


@dataclass
class Shown:
    """A row in its place, and when it is seen."""

    row: Row
    slot: int
    since: float
    until: float
    leads: bool = False


def timed_pieces(line: Line, end: float, timeline: Timeline) -> list[tuple[str, float, float]]:
    """List the syllables of a line with their times in the output; spaces end words."""
    syllables = [
        (syllable, syllable.text + (" " if last and word is not line.words[-1] else ""))
        for word in line.words
        for syllable, last in zip(
            word.syllables, [False] * (len(word.syllables) - 1) + [True], strict=True
        )
    ]
    starts: list[float] = []
    at = line.start_seconds or 0.0
    for syllable, _ in syllables:
        at = at if syllable.start_seconds is None else syllable.start_seconds
        starts.append(at)
    pieces = []
    for number, (syllable, text) in enumerate(syllables):
        after = starts[number + 1] if number + 1 < len(starts) else end
        over = after if syllable.end_seconds is None else min(syllable.end_seconds, after)
        start = timeline.to_output(starts[number])
        pieces.append((text, start, max(timeline.to_output(over), start)))
    return pieces


def wrap(pieces: Sequence[tuple[str, float, float]], font: Font, size: float, width: float
         ) -> Iterator[list[tuple[str, float, float]]]:  # fmt: skip
    """Break a line into rows that fit, at words, as evenly as they come."""
    words: list[list[tuple[str, float, float]]] = [[]]
    for piece in pieces:
        words[-1].append(piece)
        if piece[0].endswith(" "):
            words.append([])
    words = [word for word in words if word]
    lengths = [font.width("".join(p[0] for p in word), size) for word in words]
    count = 1
    while count <= len(words):
        target = sum(lengths) / count
        rows: list[list[tuple[str, float, float]]] = [[]]
        filled, widths = 0.0, [0.0]
        for word, length in zip(words, lengths, strict=True):
            over = filled + length / 2 > target * len(rows) and rows[-1]
            if over and len(rows) < count:
                rows.append([])
                widths.append(0.0)
            rows[-1] += word
            widths[-1] += length
            filled += length
        if max(widths) <= width or count == len(words):
            break
        count += 1
    for row in rows:
        yield from split_long(row, font, size, width)


def split_long(
    row: list[tuple[str, float, float]], font: Font, size: float, width: float
) -> Iterator[list[tuple[str, float, float]]]:
    """Break a word that is wider than the screen between its letters."""
    if font.width("".join(piece for piece, _, _ in row), size) <= width:
        yield row
        return
    part: list[tuple[str, float, float]] = []
    used = 0.0
    for text, start, end in row:
        for index, letter in enumerate(text):
            length = font.width(letter, size)
            if used + length > width and part:
                yield part
                part, used = [], 0.0
            begin, stop = (start + (end - start) * i / len(text) for i in (index, index + 1))
            part.append((letter, begin, stop))
            used += length
    if part:
        yield part


def rows_of(
    lyrics: Lyrics, timeline: Timeline, font: Font, style: Style, size: float, width: float
) -> list[Row]:
    """Lay all lines that have times into rows, in the order of their starts."""
    lines = [line for line in lyrics.lines if line.timing != "none" and line.words]
    singers = list(dict.fromkeys(line.singer for line in lines))
    rows = []
    for number, line in enumerate(lines):
        starts = [s.start_seconds for s in line.syllables if s.start_seconds is not None]
        start = line.start_seconds if line.start_seconds is not None else min(starts)
        later = [n.start_seconds for n in lines[number + 1 :] if n.start_seconds is not None]
        end = line.end_seconds or line.syllables[-1].end_seconds
        if end is None:
            end = min([start + LONGEST_LINE_SECONDS, *(t for t in later[:1] if t > start)])
        if not timeline.holds(start, end):
            continue
        for below, part in enumerate(wrap(timed_pieces(line, end, timeline), font, size, width)):
            whole = line.timing == "lines" or style.sweep == "line"
            begin = timeline.to_output(start) if whole else part[0][1]
            stop = max(part[-1][2], begin)
            pieces = tuple(part)
            if whole:
                at = begin + (below - 0.5) * style.line_seconds
                pieces = (("".join(p[0] for p in part), at, at + style.line_seconds),)
            rows.append(Row(pieces, begin, stop, singers.index(line.singer)))
    return sorted(rows, key=lambda row: row.start)


def place(rows: Sequence[Row], count: int) -> list[Shown]:
    """Give every row a place and a time, so that none meets another in its place."""
    shown: list[Shown] = []
    taken: dict[int, Shown] = {}
    slot, group_start = 0, 0.0
    for row in rows:
        ended = max((one.row.end for one in shown[-1:]), default=0.0)
        leads = not shown or row.start - ended >= GROUP_SECONDS
        slot = 0 if leads else (slot + 1) % count
        if leads:
            free = ended + LINGER_SECONDS if shown else 0.0
            group_start = max(row.start - EARLY_SECONDS, free)
        since = max(group_start, 0.0)
        if slot in taken:
            before = taken[slot]
            # It goes when the next one has to come to be read, but not while it is sung.
            before.until = max(
                before.row.end,
                min(before.until, row.start - READ_SECONDS),
            )
            since = max(since, before.until)
        one = Shown(row, slot, min(since, row.start), row.end + LINGER_SECONDS, leads)
        taken[slot] = one
        shown.append(one)
    return shown


@dataclass(frozen=True)
class Layout:
    """Where and when the rows of a song are seen.

    Parameters
    ----------
    shown
        The rows.
    letters, step, top
        Height of the letters, distance of the rows, and middle of the highest one, in pixels.
    """

    shown: list[Shown]
    letters: float
    step: float
    top: float

    def middle_of(self, one: Shown) -> float:
        """Give the middle of a row, in pixels from the top."""
        return self.top + self.step * one.slot


def lay_out(
    lyrics: Lyrics,
    timeline: Timeline,
    *,
    size: tuple[int, int],
    font: Font,
    style: Style,
    chords: bool = False,
) -> Layout:
    """Lay the words of a song out; parameters are those of :func:`karaoke.making.screens.draw`."""
    wide, high = size
    letters = style.size * min(high, wide * 0.75)
    rows = rows_of(lyrics, timeline, font, style, letters, wide * (1 - 2 * style.margin))
    # Chords stand between the lines.
    step = (style.spacing + (CHORD_ROOM if chords else 0.0)) * letters
    top = style.middle * high - step * (style.rows - 1) / 2
    return Layout(place(rows, style.rows), letters, step, top)
