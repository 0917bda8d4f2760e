"""What all readers share: building lines, repairing times, reporting problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from karaoke.errors import LyricsError
from karaoke.lyrics.languages import language_code
from karaoke.lyrics.model import Kind, Line, Lyrics, Syllable, Word

#: Limits: larger files are not the lyrics of a song, and would take long to read.
MOST_LINES = 20_000
MOST_SYLLABLES = 50_000
MOST_CHARACTERS = 1_000_000
#: Limits for a whole file, which may have embedded fonts.
MOST_ROWS = 100_000
LONGEST_LINE = 100_000
#: Later times are typing errors.
LATEST_SECONDS = 360_000.0
LISTED = 8
#: An invisible character; written after a character that would otherwise begin a code.
GUARD = "\u2060"
INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff\ud800-\udfff]")
HINT = "Correct the file, or give another."
BACKWARDS = "times that go backwards were repaired"


class Piece(NamedTuple):
    """Text with one time, which may be several words or part of one.

    Its spaces show where words end. If ``held`` is true, the previous syllable is held.
    """

    text: str
    start: float | None = None
    end: float | None = None
    pitch: int | None = None
    kind: Kind = "normal"
    held: bool = False


def clean(text: str) -> str:
    """Remove characters that are invisible or cannot be written, except spaces."""
    return INVISIBLE.sub("", text)


def one_line(text: str) -> str:
    """Clean a text, and reduce white space to single spaces."""
    return " ".join(clean(text).split())


def clock_seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    """Convert a written time to seconds; the fraction is a string of decimals."""
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + (int(fraction) / 10 ** len(fraction) if fraction else 0.0)


def words_of(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    """Join pieces into words, which end at spaces."""
    words: list[list[Syllable]] = []
    unfinished = False
    for piece in pieces:
        text = clean(piece.text)
        parts = text.split()
        if piece.held and words:
            words[-1].append(Syllable("", *piece[1:5]))
            unfinished = unfinished and not text[-1:].isspace()
            continue
        if not parts:
            unfinished = unfinished and not text
            continue
        joined = unfinished and not text[0].isspace()
        for number, part in enumerate(parts):
            start = piece.start if number == 0 else None
            end = piece.end if number == len(parts) - 1 else None
            syllable = Syllable(part, start, end, piece.pitch, piece.kind)
            if number == 0 and joined:
                words[-1].append(syllable)
            else:
                words.append([syllable])
        unfinished = not text[-1].isspace()
    return tuple(Word(tuple(syllables)) for syllables in words)


class Reading:
    """Lyrics that are being read from a file.

    Parameters
    ----------
    called
        What messages should call the file.
    """

    def __init__(self, called: str) -> None:
        self.called = called
        self.lines: list[tuple[int, Line]] = []
        self._syllables = 0
        self._characters = 0
        self._warnings: dict[str, list[int]] = {}
        self._problem = ""

    def warn(self, message: str, number: int) -> None:
        """Warn of a line of the file; equal warnings are combined."""
        self._warnings.setdefault(message, []).append(number)

    def skip(self, number: int, column: int, expected: str) -> None:
        """Leave out a line of the file that is not understood."""
        self._problem = self._problem or f"line {number}, column {column}: expected {expected}"
        self.warn("not understood and left out", number)

    def fail(self, number: int, column: int, expected: str) -> LyricsError:
        """Make an error for a place in the file."""
        where = f"{self.called}, line {number}, column {column}"
        return LyricsError(f"{where}: expected {expected}", hint=HINT)

    def check_time(self, seconds: float, number: int) -> float:
        """Limit a time to the possible range, with a warning."""
        if seconds < 0:
            self.warn("times before the song were set to its start", number)
        elif seconds > LATEST_SECONDS:
            self.warn("times of more than 100 hours were set to that", number)
        return min(max(seconds, 0.0), LATEST_SECONDS)

    def add_line(
        self,
        pieces: Sequence[Piece],
        number: int,
        start: float | None = None,
        end: float | None = None,
        singer: str = "",
        starts_stanza: bool = False,
    ) -> None:
        """Add a line, unless it has no words.

        Parameters
        ----------
        pieces
            Its text; times may go backwards.
        number
            Number of the line in the file.
        start, end
            Times of the whole line, if the file states them.
        singer, starts_stanza
            As in :class:`~karaoke.lyrics.model.Line`.

        Raises
        ------
        LyricsError
            There are too many lines, syllables or characters.
        """
        self._characters += sum(len(piece.text) for piece in pieces)
        self.check_size(number)
        repaired, latest = self._in_order(pieces, start, number)
        words = words_of(repaired)
        if not words:
            return
        self._syllables += sum(len(word.syllables) for word in words)
        self.check_size(number, lines=1)
        if start is None:
            start = words[0].start_seconds
        if end is not None and start is not None and end < start:
            self.warn(BACKWARDS, number)
            end = None
        if end is None:
            end = words[-1].end_seconds
        elif latest is not None:
            end = max(end, latest)
        line = Line(words, start, end, one_line(singer), starts_stanza)
        self.lines.append((number, line))

    def check_size(self, number: int, lines: int = 0, pieces: int = 0) -> None:
        """Raise LyricsError if a number of lines and pieces would be too many for a song."""
        if (
            len(self.lines) + lines > MOST_LINES
            or self._syllables + pieces > MOST_SYLLABLES
            or self._characters > MOST_CHARACTERS
        ):
            most = f"{MOST_LINES} lines, {MOST_SYLLABLES} syllables"
            most += f" and {MOST_CHARACTERS} characters"
            raise self.fail(number, 1, f"the end, since lyrics have at most {most}")

    def _in_order(
        self, pieces: Sequence[Piece], start: float | None, number: int
    ) -> tuple[list[Piece], float | None]:
        """Repair times within a line, and return the latest of them."""
        earliest, latest = start or 0.0, None
        repaired = []
        for piece in pieces:
            begin, end = piece.start, piece.end
            if begin is not None:
                if begin < earliest:
                    self.warn(BACKWARDS, number)
                    begin = earliest
                earliest = latest = begin
            if end is not None:
                if end < earliest:
                    end = earliest
                latest = max(latest or 0.0, end)
            repaired.append(piece._replace(start=begin, end=end))
        return repaired, latest

    def finish(
        self,
        format: str,
        metadata: Mapping[str, str] | None = None,
        *,
        in_order: bool = True,
    ) -> Lyrics:
        """Return the lyrics.

        Parameters
        ----------
        format
            As in :class:`~karaoke.lyrics.model.Lyrics`.
        metadata
            Values by name, including title, artist, album and language.
        in_order
            Whether lines should be in the order of their starts.

        Raises
        ------
        LyricsError
            There are no lines.
        """
        if not self.lines:
            problem = self._problem or "line 1, column 1: expected words that are sung"
            where = f"{self.called}, {problem}"
            raise LyricsError(where, hint=HINT)
        keys, start, latest = [], 0.0, 0.0
        for number, line in self.lines:
            # A line without a time stays after the previous line.
            start = start if line.start_seconds is None else line.start_seconds
            if start < latest and in_order and line.start_seconds is not None:
                self.warn("lines out of order were sorted by their times", number)
            latest = max(latest, start)
            keys.append(start)
        order = sorted(range(len(keys)), key=keys.__getitem__)
        values = {name: one_line(value) for name, value in (metadata or {}).items()}
        values = {name: value for name, value in values.items() if value}
        return Lyrics(
            lines=tuple(self.lines[index][1] for index in order),
            title=values.pop("title", ""),
            artist=values.pop("artist", ""),
            album=values.pop("album", ""),
            language=language_code(values.pop("language", "")),
            metadata=values,
            format=format,
            warnings=tuple(self.warnings()),
        )

    def warnings(self) -> list[str]:
        """List the warnings, each with its line numbers."""
        return [f"{message} ({listed(numbers)})" for message, numbers in self._warnings.items()]

    def set_ends(self, ends: Mapping[int, float]) -> None:
        """Set the ends of lines, by their index here, unless a syllable starts later."""
        for index, end in ends.items():
            number, line = self.lines[index]
            known = [line.start_seconds, line.end_seconds]
            known += [s.start_seconds for s in line.syllables]
            if all(seconds is None or seconds <= end for seconds in known):
                self.lines[index] = number, replace(line, end_seconds=end)


def listed(numbers: Sequence[int]) -> str:
    """Format line numbers: ``line 3``; ``lines 3, 5 and 9``."""
    numbers = sorted(set(numbers))
    shown = [str(number) for number in numbers[:LISTED]]
    if len(numbers) > LISTED:
        shown.append(f"{len(numbers) - LISTED} more")
    if len(shown) == 1:
        return f"line {shown[0]}"
    return f"lines {', '.join(shown[:-1])} and {shown[-1]}"
