"""WebVTT: subtitles whose times within, ``<00:01.500>``, are those of words."""

from __future__ import annotations

import re
from html import unescape

from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.reading import Piece, Reading, clock_seconds
from karaoke.lyrics.srt import TIMES, moment

TAG = re.compile(r"<([^<>]*)>")
INNER = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})\.(\d{1,3})")
VOICE = re.compile(r"v(?:\.\S*)?\s+(.*)")
#: Blocks that are not shown.
NOT_SHOWN = re.compile(r"(?:NOTE|STYLE|REGION)\b")


def read_vtt(text: str, called: str) -> Lyrics:
    """Read subtitles; a voice, ``<v Anna>``, is the singer of a line of its own.

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
    number = 0
    while number < len(rows):
        row = rows[number]
        found = TIMES.fullmatch(row) if "-->" in row else None
        number += 1
        if NOT_SHOWN.match(row):
            while number < len(rows) and rows[number].strip():
                number += 1
        elif found:
            first = number
            while number < len(rows) and rows[number].strip() and "-->" not in rows[number]:
                number += 1
            start = reading.check_time(moment(found.groups()[:5]), first)
            end = reading.check_time(moment(found.groups()[5:]), first)
            _Cue(reading, first, start, end).read(" ".join(rows[first:number]))
        elif "-->" in row:
            reading.skip(number, 1, "two times, such as 00:01.500 --> 00:04.000")
    return reading.finish("vtt")


class _Cue:
    """One subtitle while it is read."""

    def __init__(self, reading: Reading, number: int, start: float, end: float) -> None:
        self.reading = reading
        self.number = number
        self.start, self.end = start, end
        self.singer = ""
        #: Text, and when it is sung if a time stands before it.
        self.pieces: list[tuple[list[str], float | None]] = [([], None)]

    def read(self, text: str) -> None:
        """Read its text."""
        position, spoken = 0, True
        for tag in TAG.finditer(text):
            if spoken:
                self.pieces[-1][0].append(text[position : tag.start()])
            position = tag.end()
            if inner := INNER.fullmatch(tag[1]):
                seconds = clock_seconds(inner[1], inner[2], inner[3], inner[4])
                self.pieces.append(([], self.reading.check_time(seconds, self.number)))
            elif voice := VOICE.fullmatch(tag[1]):
                now = self.pieces[-1][1]
                self.finish(now)
                self.pieces = [([], now)]
                self.singer = unescape(voice[1])
            elif tag[1] == "rt":  # how to pronounce what stands before
                spoken = False
            elif tag[1] in ("/rt", "/ruby"):
                spoken = True
        if spoken:
            self.pieces[-1][0].append(text[position:])
        self.finish(None)

    def finish(self, change: float | None) -> None:
        """End the line, where another singer goes on or at the end."""
        timed = any(time is not None for _, time in self.pieces)
        end = self.end if change is None else max(change, self.start)
        times = [self.start if time is None else time for _, time in self.pieces]
        pieces = []
        for (texts, _), start, stop in zip(self.pieces, times, [*times[1:], end], strict=True):
            text = unescape("".join(texts))
            pieces.append(Piece(text, start, stop) if timed else Piece(text))
        self.reading.add_line(pieces, self.number, self.start, end, self.singer)
        self.start = end if change is not None else self.start
