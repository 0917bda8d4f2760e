"""The words of a song and when they are sung, in one form for all formats.

Lines consist of words, and words of syllables. Times are seconds of the song; None if unknown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Timing = Literal["none", "lines", "words", "syllables"]
Kind = Literal["normal", "golden", "rap", "golden-rap", "freestyle"]

#: Not allowed in syllables: spaces, which end words, and what is invisible or cannot be written.
UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")


def check_span(start_seconds: float | None, end_seconds: float | None) -> None:
    """Raise ValueError for times that are negative, not finite or in the wrong order."""
    for seconds in (start_seconds, end_seconds):
        if seconds is not None and not 0 <= seconds < math.inf:
            raise ValueError(f"{seconds} is not a time of a song")
    if start_seconds is not None and end_seconds is not None and end_seconds < start_seconds:
        raise ValueError(f"ends at {end_seconds}, before it starts at {start_seconds}")


@dataclass(frozen=True)
class Syllable:
    """What is sung on one note.

    Parameters
    ----------
    text
        Without spaces. Empty if the previous syllable is held on another note.
    start_seconds, end_seconds
        In the song; None if unknown.
    pitch
        MIDI note; 60 is middle C, None is unknown or spoken.
    kind
        How singing games score it.
    """

    text: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    pitch: int | None = None
    kind: Kind = "normal"

    def __post_init__(self) -> None:
        if UNFIT.search(self.text):
            raise ValueError(f"{self.text!r} contains spaces or control characters")
        check_span(self.start_seconds, self.end_seconds)


@dataclass(frozen=True)
class Word:
    """Syllables that are written without a space."""

    syllables: tuple[Syllable, ...]

    @property
    def text(self) -> str:
        """The whole word."""
        return "".join(syllable.text for syllable in self.syllables)

    @property
    def start_seconds(self) -> float | None:
        """When it begins, if known."""
        return self.syllables[0].start_seconds

    @property
    def end_seconds(self) -> float | None:
        """When it ends, if known."""
        return self.syllables[-1].end_seconds


@dataclass(frozen=True)
class Line:
    """Words that are shown on one line.

    Parameters
    ----------
    words
        At least one.
    start_seconds, end_seconds
        In the song; None if unknown. All syllables are within.
    singer
        Who sings it; empty if unknown.
    starts_stanza
        Whether there is a gap between it and the previous line.
    """

    words: tuple[Word, ...]
    start_seconds: float | None = None
    end_seconds: float | None = None
    singer: str = ""
    starts_stanza: bool = False

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)

    @property
    def text(self) -> str:
        """The whole line, with single spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def syllables(self) -> tuple[Syllable, ...]:
        """The syllables of all its words."""
        return tuple(syllable for word in self.words for syllable in word.syllables)

    @property
    def timing(self) -> Timing:
        """The finest kind of times that it has."""
        if all(syllable.start_seconds is None for syllable in self.syllables):
            return "none" if self.start_seconds is None else "lines"
        inner = (syllable for word in self.words for syllable in word.syllables[1:])
        known = any(s.text and s.start_seconds is not None for s in inner)
        return "syllables" if known else "words"


@dataclass(frozen=True)
class Lyrics:
    """The words of a song.

    Parameters
    ----------
    lines
        In the order of their starts.
    title, artist, album
        Those of the song; empty if unknown.
    language
        Two-letter code of ISO 639-1 if known, else as it was written; may be empty.
    metadata
        Other facts in the file, by name in lower case: ``creator``, ``year``, ``video``.
    format
        What they were read from: ``lrc``, ``elrc``, ``ultrastar``, ``srt``, ``vtt``, ``ass``,
        ``plain``.
    encoding
        Encoding of the file.
    warnings
        Warnings for the user, with line numbers.
    """

    lines: tuple[Line, ...]
    title: str = ""
    artist: str = ""
    album: str = ""
    language: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    format: str = field(default="", compare=False)
    encoding: str = field(default="", compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """All lines, with an empty one between stanzas."""
        rows = [
            ("\n" if line.starts_stanza and number else "") + line.text
            for number, line in enumerate(self.lines)
        ]
        return "\n".join(rows)

    @property
    def timing(self) -> Timing:
        """The finest kind of times that any line has."""
        order: tuple[Timing, ...] = ("none", "lines", "words", "syllables")
        return max((line.timing for line in self.lines), key=order.index, default="none")

    def syllables(self) -> Iterator[Syllable]:
        """Iterate over the syllables of all lines."""
        for line in self.lines:
            yield from line.syllables


#: Of a song of whose words nothing is known.
NO_LYRICS = Lyrics(())
