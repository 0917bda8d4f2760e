"""SubRip's ``.srt``: a number, two times, and rows of text, which make one line here."""

from __future__ import annotations

import re

from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.placing import place
from karaoke.lyrics.reading import GUARD, Piece, Reading, clock_seconds
from karaoke.lyrics.timeline import Timeline

MOMENT = r"(-?)(?:(\d{1,3}):)?(\d{1,4}):(\d{1,2})(?:[,.](\d{1,3}))?"
TIMES = re.compile(rf"\s*{MOMENT}\s*-->\s*{MOMENT}(?:\s.*)?")
MARKUP = re.compile(r"</?(?:b|i|u|s|font)(?:\s[^<>]*)?>|\{\\[^{}]*\}", re.IGNORECASE)
#: What a text may not hold lest it be read as a time or as markup.
LIKE_MARKUP = re.compile(r"(<)(?=/?(?:b|i|u|s|font)\b)|(\{)(?=\\)|(--)(?=>)", re.IGNORECASE)


def moment(groups: tuple[str | None, ...]) -> float:
    """Give the seconds of a time that :data:`MOMENT` matched."""
    sign, hours, minutes, seconds, fraction = groups
    value = clock_seconds(hours, minutes or "0", seconds or "0", fraction)
    return -value if sign else value


def read_srt(text: str, called: str) -> Lyrics:
    """Read subtitles, of which each is a line; markup is left out.

    Parameters
    ----------
    text
        Of the file, with line feeds.
    called
        What messages call the file.

    Raises
    ------
    LyricsError
        There are none.
    """
    reading = Reading(called)
    rows = text.split("\n")
    times = [(number, TIMES.fullmatch(row)) for number, row in enumerate(rows) if "-->" in row]
    begun: tuple[int, float, float] | None = None
    body = 0
    for number, found in [*times, (len(rows), None)]:
        if found is None and number < len(rows):
            reading.skip(number + 1, 1, "two times, such as 00:01:02,500 --> 00:01:04,000")
        if begun is not None:
            # The row before the next times is their number.
            numbered = number < len(rows) and rows[number - 1].strip().isdecimal()
            said = rows[body : max(body, number - 1) if numbered else number]
            line, start, end = begun
            reading.add_line([Piece(plain(" ".join(said)))], line, start, end)
        begun = None
        if found is not None:
            start = reading.check_time(moment(found.groups()[:5]), number + 1)
            end = reading.check_time(moment(found.groups()[5:]), number + 1)
            begun, body = (number + 1, start, end), number + 1
    return reading.finish("srt")


def plain(text: str) -> str:
    """Leave markup out, and take back what :func:`guarded` put in."""
    text = MARKUP.sub("", text)
    return text.replace(f"<{GUARD}", "<").replace(f"{{{GUARD}", "{").replace(f"--{GUARD}", "--")


def guarded(text: str) -> str:
    """Keep text from being read as markup or as times."""
    return LIKE_MARKUP.sub(lambda found: found[0] + GUARD, text)


def timestamp(milliseconds: int) -> str:
    """Write a time: ``01:02:03,004``."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{rest:03d}"


def write_srt(lyrics: Lyrics, timeline: Timeline) -> bytes:
    """Write each line as a subtitle.

    Parameters
    ----------
    lyrics
        With times; a line without an end lasts until the next, or 8 s.
    timeline
        Of the film that they are to run with.

    Raises
    ------
    LyricsError
        The lyrics have no times.
    """
    cues = []
    for number, line in enumerate(place(lyrics, timeline, ends=True), 1):
        start, end = (round(1000 * (t or 0.0)) for t in (line.start_seconds, line.end_seconds))
        times = f"{timestamp(start)} --> {timestamp(end)}"
        cues.append(f"{number}\n{times}\n{guarded(line.text)}\n")
    return "\n".join(cues).encode()
