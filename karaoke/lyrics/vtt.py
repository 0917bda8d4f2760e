"""WebVTT: subtitles with times of words within them, such as ``<00:01.500>``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import takewhile

from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.reading import Piece, Reading, clock_seconds
from karaoke.lyrics.srt import cues

TAG = re.compile(r"<([^<>]*)>")
INNER = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})\.(\d{1,3})")
VOICE = re.compile(r"v(?:\.\S*)?\s+(.*)")
#: Blocks that are not shown.
NOT_SHOWN = re.compile(r"(?:NOTE|STYLE|REGION)\b")


def read_vtt(text: str, called: str) -> Lyrics:
    """Read subtitles; a voice, ``<v Anna>``, is the singer of a line of its own."""
    reading = Reading(called)
    rows = list(shown(text.split("\n")))
    expected = "two times, such as 00:01.500 --> 00:04.000"
    for number, start, end, said in cues(rows, reading, expected):
        _Cue(reading, number, start, end).read(" ".join(takewhile(str.strip, said)))
    return reading.finish("vtt")


def shown(rows: Iterable[str]) -> Iterator[str]:
    """Replace the rows of blocks that are not shown by empty ones."""
    before, hidden = "", False
    for row in rows:
        starts = not before.strip() and NOT_SHOWN.match(row) is not None
        hidden = starts or (hidden and row.strip() != "")
        yield "" if hidden else row
        before = row


class _Cue:
    """Reads one subtitle."""

    def __init__(self, reading: Reading, number: int, start: float, end: float) -> None:
        self.reading = reading
        self.number = number
        self.start, self.end = start, end
        self.singer = ""
        #: Texts, and the times before them, if any.
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
            elif tag[1] == "rt":  # the pronunciation of what precedes it
                spoken = False
            elif tag[1] in ("/rt", "/ruby"):
                spoken = True
        if spoken:
            self.pieces[-1][0].append(text[position:])
        self.finish(None)

    def finish(self, change: float | None) -> None:
        """End the line, because another singer continues or at the end."""
        timed = any(time is not None for _, time in self.pieces)
        end = self.end if change is None else max(change, self.start)
        times = [self.start if time is None else time for _, time in self.pieces]
        pieces = []
        for (texts, _), start, stop in zip(self.pieces, times, [*times[1:], end], strict=True):
            text = unescape("".join(texts))
            pieces.append(Piece(text, start, stop) if timed else Piece(text))
        self.reading.add_line(pieces, self.number, self.start, end, self.singer)
        self.start = end if change is not None else self.start
