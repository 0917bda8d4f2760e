"""LRC: ``[mm:ss.xx]line``; enhanced: ``[mm:ss.xx]<mm:ss.xx>some<mm:ss.xx>thing``.

Times within a line may be in either kind of brackets; each also ends what precedes it. A line with
several times is sung several times. A time without text ends the previous line. ``[offset:]`` is in
milliseconds; as in players, positive ones make words appear earlier.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from karaoke.lyrics.model import Line, Lyrics
from karaoke.lyrics.placing import place, without_holds
from karaoke.lyrics.plain import LEFT_OUT, is_heading
from karaoke.lyrics.reading import (
    GUARD,
    LATEST_SECONDS,
    Piece,
    Reading,
    clock_seconds,
    one_line,
)
from karaoke.lyrics.timeline import Timeline

STAMP = re.compile(
    r"[\[<]\s{0,8}(-?)(\d{1,4}):(\d{1,2})(?::(\d{1,2}))?(?:[.,](\d{1,3}))?\s{0,8}[\]>]"
)
IDENTIFIER = re.compile(r"\s*\[([A-Za-z#][\w#-]{0,30})\s*:(.*)\]\s*")
BROKEN = re.compile(r"\s*\[[\s\d]")
#: Text that would be read as a time.
LIKE_A_STAMP = re.compile(r"([\[<])(?=\s*-?\d)")
NAMES = {
    "ti": "title",
    "ar": "artist",
    "al": "album",
    "la": "language",
    "lang": "language",
    "by": "creator",
    "au": "author",
    "re": "tool",
    "ve": "version",
}
WRITTEN = {"title": "ti", "artist": "ar", "album": "al", "language": "la"}
ALSO_WRITTEN = {"creator": "by", "author": "au"}


def read_lrc(text: str, called: str) -> Lyrics:
    """Read LRC or enhanced LRC."""
    reading = Reading(called)
    metadata: dict[str, str] = {}
    timed: list[tuple[int, str]] = []
    offset = 0.0
    for number, row in enumerate(text.split("\n"), 1):
        found = IDENTIFIER.fullmatch(row)
        if not found or STAMP.match(row.lstrip()):
            timed.append((number, row))
        elif found[1].lower() != "offset":
            metadata[NAMES.get(found[1].lower(), found[1].lower())] = found[2]
        elif re.fullmatch(r"\s*[+-]?\d{1,9}(?:\.\d{0,9})?\s*", found[2]):
            offset = float(found[2]) / 1000
        else:
            reading.skip(number, found.start(2) + 1, "milliseconds, such as [offset:-250]")
    reader = _Rows(reading, offset)
    for number, row in timed:
        reader.read(number, row)
    reader.end_lines()
    return reading.finish(
        "elrc" if reader.enhanced else "lrc", metadata, in_order=not reader.repeated
    )


class _Rows:
    """Reads the rows of an LRC file."""

    def __init__(self, reading: Reading, offset: float) -> None:
        self.reading = reading
        self.offset = offset
        self.enhanced = False
        self.repeated = False
        self._blanks: list[float] = []

    def seconds(self, stamp: re.Match[str], number: int) -> float:
        """Return the time of a stamp."""
        sign, first, second, third, fraction = stamp.groups()
        if third and fraction:
            seconds = clock_seconds(first, second, third, fraction)
        else:
            if third:
                self.reading.warn("read as minutes:seconds:hundredths", number)
            seconds = clock_seconds(None, first, second, third or fraction)
        return self.reading.check_time((-seconds if sign else seconds) - self.offset, number)

    def read(self, number: int, row: str) -> None:
        """Read one row."""
        row = row.replace("\0", "").strip("\ufeff \t")
        if not row:
            return
        starts, position = [], 0
        while (stamp := STAMP.match(row, position)) and stamp[0][0] == "[":
            starts.append(self.seconds(stamp, number))
            position = stamp.end()
            while row[position : position + 1] == " " and row[position + 1 : position + 2] == "[":
                position += 1
        if not starts:
            self.read_untimed(number, row)
            return
        pieces = self.pieces(number, row[position:], starts[0])
        if not any(piece.text.strip() for piece in pieces):
            self._blanks += starts
            return
        self.repeated = self.repeated or len(starts) > 1
        for start in starts:
            # Times within a line apply to the first time it is sung.
            later = start - starts[0]
            repeated = [
                piece._replace(
                    start=None if piece.start is None else max(0.0, piece.start + later),
                    end=None if piece.end is None else max(0.0, piece.end + later),
                )
                for piece in pieces
            ]
            self.reading.add_line(repeated, number, min(start, LATEST_SECONDS))

    def read_untimed(self, number: int, row: str) -> None:
        """Read a row that does not begin with a time."""
        if row[0] == "<" and (stamp := STAMP.match(row)):
            self.reading.add_line(self.pieces(number, row, self.seconds(stamp, number)), number)
        elif is_heading(row):
            self.reading.warn(LEFT_OUT, number)
        elif BROKEN.match(row):
            self.reading.skip(number, 1, "a time, such as [01:23.45]")
        else:
            self.reading.warn("lines without a time", number)
            self.reading.add_line([Piece(unguarded(row))], number)

    def pieces(self, number: int, text: str, start: float) -> list[Piece]:
        """Split a line at the times within it."""
        stamps = list(STAMP.finditer(text))
        if not stamps:
            return [Piece(unguarded(text))]
        self.enhanced = True
        times = [start, *(self.seconds(stamp, number) for stamp in stamps)]
        edges = [0, *(edge for stamp in stamps for edge in stamp.span()), len(text)]
        pieces = []
        for index, time in enumerate(times):
            said = unguarded(text[edges[2 * index] : edges[2 * index + 1]])
            end = times[index + 1] if index + 1 < len(times) else None
            pieces.append(Piece(said, time, end))
        return pieces

    def end_lines(self) -> None:
        """End lines at the times without text."""
        lines = self.reading.lines
        order = sorted(
            (line.start_seconds, index)
            for index, (_, line) in enumerate(lines)
            if line.start_seconds is not None
        )
        starts = [start for start, _ in order]
        ends: dict[int, float] = {}
        for blank in sorted(self._blanks, reverse=True):
            if place := bisect_left(starts, blank):
                ends[order[place - 1][1]] = blank
        self.reading.set_ends(ends)


def unguarded(text: str) -> str:
    """Undo :func:`guarded`."""
    return text.replace(f"[{GUARD}", "[").replace(f"<{GUARD}", "<")


def guarded(text: str) -> str:
    """Keep text from being read as a time."""
    return LIKE_A_STAMP.sub(rf"\1{GUARD}", text)


def stamp(hundredths: int) -> str:
    """Format a time: ``01:23.45``."""
    seconds, rest = divmod(hundredths, 100)
    return f"{seconds // 60:02d}:{seconds % 60:02d}.{rest:02d}"


def hundredths(seconds: float) -> int:
    """Round to the resolution of LRC and ASS."""
    return round(seconds * 100)


def write_lrc(lyrics: Lyrics, timeline: Timeline) -> bytes:
    """Write the times of lines."""
    return _write(lyrics, timeline, enhanced=False)


def write_enhanced_lrc(lyrics: Lyrics, timeline: Timeline) -> bytes:
    """Write the times of lines and, if known, of words and syllables."""
    return _write(lyrics, timeline, enhanced=True)


def _write(lyrics: Lyrics, timeline: Timeline, enhanced: bool) -> bytes:
    """Write LRC of either kind."""
    values = {**lyrics.metadata, "title": lyrics.title, "artist": lyrics.artist}
    values |= {"album": lyrics.album, "language": lyrics.language}
    rows = [
        f"[{tag}:{one_line(values[name])}]"
        for name, tag in (WRITTEN | ALSO_WRITTEN).items()
        if values.get(name)
    ]
    lines = place(lyrics, timeline)
    for index, line in enumerate(lines):
        start = hundredths(line.start_seconds or 0.0)
        text, latest = enhanced_text(line) if enhanced else (guarded(line.text), start)
        rows.append(f"[{stamp(start)}]{text}")
        following = hundredths(lines[index + 1].start_seconds or 0) if lines[index + 1 :] else None
        end = None if line.end_seconds is None else hundredths(line.end_seconds)
        # If the next line follows at once, its time ends this one.
        if end is not None and end > latest and (following is None or end < following):
            rows.append(f"[{stamp(end)}]")
    return "".join(f"{row}\n" for row in rows).encode()


def enhanced_text(line: Line) -> tuple[str, int]:
    """Format a line with times within it; also return the latest of them, in hundredths."""
    latest = hundredths(line.start_seconds or 0.0)
    if line.timing in ("none", "lines"):
        return guarded(line.text), latest
    text, pending = "", None
    for number, word in enumerate(line.words):
        for index, syllable in enumerate(without_holds(word)):
            begin = None
            if syllable.start_seconds is not None:
                begin = latest = max(latest, hundredths(syllable.start_seconds))
            # The start of the next syllable also ends the previous one.
            if pending is not None and pending != begin:
                text += f"<{stamp(pending)}>"
            text += " " if number and index == 0 else ""
            text += f"<{stamp(begin)}>" if begin is not None else ""
            text += guarded(syllable.text)
            pending = None
            if syllable.end_seconds is not None:
                pending = latest = max(latest, hundredths(syllable.end_seconds))
    return text + (f"<{stamp(pending)}>" if pending is not None else ""), latest
