"""What ffmpeg says about a file that it opens: its duration, its streams, what went wrong."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass, field

DURATION = re.compile(
    r"\[info\]   Duration: (?:N/A|(\d+):(\d\d):(\d\d(?:\.\d+)?))(?:, start: (-?\d+\.\d+))?"
)
STREAM = re.compile(
    r"\[info\]   Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\((\w+)\))?: (Audio|Video): (.*)"
)
START = re.compile(r", start (-?\d+\.\d+)")
LAYOUT = re.compile(r" Hz, ([^,]+), ")
#: Where a file names no layout, ffmpeg guesses one from the number of channels alone.
GUESSED_LAYOUT = re.compile(r"#0[:.](\d+).*Guessed Channel Layout|Guessed .* #0[:.](\d+)")
PROBLEM = re.compile(r"\[(?:error|fatal|panic)\] (.*)")
#: The rate or channels of a stream changed during decoding.
CHANGED = re.compile(r"audio parameters changed to (\d+ Hz, [^,]+)")
#: Problems after which ffmpeg skips the rest of a file and still exits with 0.
GAVE_UP = ("Error during demuxing", "Error retrieving a packet from demuxer")
#: A duration that ffmpeg estimates from the file size and the first bit rate means little.
GUESSED = "Estimating duration from bitrate"


@dataclass(frozen=True)
class StreamFacts:
    """What a file says about one of its streams.

    Parameters
    ----------
    index
        Index among all streams of the file, from 0.
    kind
        ``Audio`` or ``Video``.
    language
        Language code; empty if unknown.
    is_default
        Whether players should choose it.
    is_picture
        Whether it is a cover, not a film.
    layout
        Channel layout in ffmpeg's words, such as ``5.1(side)``; empty for pictures.
    start_seconds
        Start time, on the same clock as the file's; None where ffmpeg does not say.
    description
        Codec, rate and so on, in ffmpeg's words.
    """

    index: int
    kind: str
    language: str
    is_default: bool
    is_picture: bool
    layout: str
    start_seconds: float | None
    description: str = ""

    @property
    def is_film(self) -> bool:
        """Whether it is a moving picture."""
        return self.kind == "Video" and not self.is_picture


@dataclass
class SourceFacts:
    """What ffmpeg has said so far; a separate thread passes its lines to :meth:`hear`.

    Attributes
    ----------
    duration_seconds
        Duration that the container declares, or None.
    duration_is_guess
        Whether ffmpeg guessed it from the size of the file.
    start_seconds
        Time of the file's first sample or picture.
    streams
        Streams of sound and pictures, in the order of the file.
    problems
        The last errors.
    changes
        What the format of the decoded stream changed to, in ffmpeg's words.
    gave_up
        Why ffmpeg skipped the rest of the file; empty if it did not.
    described
        Set when the file's description is complete.
    """

    duration_seconds: float | None = None
    duration_is_guess: bool = False
    start_seconds: float = 0.0
    streams: list[StreamFacts] = field(default_factory=list)
    problems: deque[str] = field(default_factory=lambda: deque(maxlen=5))
    changes: list[str] = field(default_factory=list)
    gave_up: str = ""
    described: threading.Event = field(default_factory=threading.Event)
    _nameless: set[int] = field(default_factory=set)

    def hear(self, line: str) -> None:
        """Take a line of ffmpeg's output, as printed with ``-v level+info``."""
        if not self.described.is_set() and self._hear_description(line):
            return
        if found := PROBLEM.search(line):
            self.problems.append(found[1])
            if found[1].startswith(GAVE_UP):
                self.gave_up = found[1]
        elif found := CHANGED.search(line):
            self.changes.append(found[1])

    def _hear_description(self, line: str) -> bool:
        """Take a line and return whether it was about the input."""
        if GUESSED in line:
            self.duration_is_guess = True
        elif found := GUESSED_LAYOUT.search(line):
            self._nameless.add(int(found[1] or found[2]))
        elif line.startswith(("[info] Stream mapping:", "[info] Output #0")):
            self.described.set()
        elif found := DURATION.match(line):
            hours, minutes, seconds, start = found.groups()
            if seconds is not None:
                self.duration_seconds = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
            self.start_seconds = float(start or 0)
        elif found := STREAM.match(line):
            index, language, kind, rest = found.groups()
            start, layout = START.search(rest), LAYOUT.search(rest)
            is_audio = kind == "Audio"
            self.streams.append(
                StreamFacts(
                    index=int(index),
                    kind=kind,
                    language="" if language in (None, "und") else language,
                    is_default="(default)" in rest,
                    is_picture="(attached pic)" in rest,
                    layout=self._layout(int(index), layout[1]) if is_audio and layout else "",
                    start_seconds=float(start[1]) if start else None,
                    description=rest,
                )
            )
        else:
            return False
        return True

    def _layout(self, index: int, layout: str) -> str:
        """Return the layout of a stream if the file itself names it, else nothing."""
        return "" if index in self._nameless else layout

    @property
    def sounds(self) -> list[StreamFacts]:
        """The audio streams."""
        return [stream for stream in self.streams if stream.kind == "Audio"]

    @property
    def is_film(self) -> bool:
        """Whether the file has moving pictures."""
        return any(stream.is_film for stream in self.streams)
