"""SubRip's ``.srt``: a number, two times, and rows of text, which become one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.placing import place
from karaoke.lyrics.reading import GUARD, Piece, Reading, clock_seconds
from karaoke.lyrics.timeline import Timeline

MOMENT = r"(-?)(?:(\d{1,3}):)?(\d{1,4}):(\d{1,2})(?:[,.](\d{1,3}))?"
TIMES = re.compile(rf"\s*{MOMENT}\s*-->\s*{MOMENT}(?:\s.*)?")
MARKUP = re.compile(r"</?(?:b|i|u|s|font)(?:\s[^<>]*)?>|\{\\[^{}]*\}", re.IGNORECASE)
#: Text that would be read as a time or as markup.
LIKE_MARKUP = re.compile(r"(<)(?=/?(?:b|i|u|s|font)\b)|(\{)(?=\\)|(--)(?=>)", re.IGNORECASE)


def moment(groups: tuple[str | None, ...]) -> float:
    """Return the seconds of a time that :data:`MOMENT` matched."""
    sign, hours, minutes, seconds, fraction = groups
    value = clock_seconds(hours, minutes or "0", seconds or "0", fraction)
    return -value if sign else value


def cues(
    rows: Sequence[str], reading: Reading, expected: str
) -> Iterator[tuple[int, float, float, Sequence[str]]]:
    """Yield the number of the first row, start, end and rows of each subtitle.

    The rows are all up to the next times, and so may end with the number of the next subtitle.
    """
    places = [number for number, row in enumerate(rows) if "-->" in row]
    for at, following in pairwise([*places, len(rows)]):
        if found := TIMES.fullmatch(rows[at]):
            groups = found.groups()
            start, end = (
                reading.check_time(moment(one), at + 1) for one in (groups[:5], groups[5:])
            )
            yield at + 1, start, end, rows[at + 1 : following]
        else:
            reading.skip(at + 1, 1, expected)


def read_srt(text: str, called: str) -> Lyrics:
    """Read subtitles, each as a line; markup is left out."""
    reading = Reading(called)
    rows = text.split("\n")
    expected = "two times, such as 00:01:02,500 --> 00:01:04,000"
    for number, start, end, said in cues(rows, reading, expected):
        is_last = number + len(said) == len(rows)
        if said and not is_last and said[-1].strip().isdecimal():
            said = said[:-1]  # the number of the next subtitle
        reading.add_line([Piece(plain(" ".join(said)))], number, start, end)
    return reading.finish("srt")


def plain(text: str) -> str:
    """Remove markup, and undo :func:`guarded`."""
    text = MARKUP.sub("", text)
    return text.replace(f"<{GUARD}", "<").replace(f"{{{GUARD}", "{").replace(f"--{GUARD}", "--")


def guarded(text: str) -> str:
    """Keep text from being read as markup or as times."""
    return LIKE_MARKUP.sub(lambda found: found[0] + GUARD, text)


def timestamp(milliseconds: int) -> str:
    """Format a time: ``01:02:03,004``."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{rest:03d}"


def write_srt(lyrics: Lyrics, timeline: Timeline) -> bytes:
    """Write each line as a subtitle; one without an end lasts until the next, or 8 s."""
    cues = []
    for number, line in enumerate(place(lyrics, timeline, ends=True), 1):
        start, end = (round(1000 * (t or 0.0)) for t in (line.start_seconds, line.end_seconds))
        times = f"{timestamp(start)} --> {timestamp(end)}"
        cues.append(f"{number}\n{times}\n{guarded(line.text)}\n")
    return "\n".join(cues).encode()
