"""The only clock: converts seconds of the song to seconds of the output, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Timeline:
    """How times in an output relate to times in the song.

    ``output = (song + offset - start) / tempo + lead_in``

    Parameters
    ----------
    start_seconds
        Where in the song the output begins.
    tempo
        Speed of the output: 2 is twice as fast.
    lead_in_seconds
        Duration, in the output, of what precedes the song, such as a count-in.
    offset_seconds
        How much later than their times all words are sung, in the song.
    end_seconds
        Where in the song the output ends; None for its end.

    Raises
    ------
    ValueError
        The tempo is not above 0, or a number is not finite.
    """

    start_seconds: float = 0.0
    tempo: float = 1.0
    lead_in_seconds: float = 0.0
    offset_seconds: float = 0.0
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.start_seconds, self.tempo, self.lead_in_seconds, self.offset_seconds)
        if not all(map(math.isfinite, numbers)) or self.tempo <= 0:
            raise ValueError(f"{self} is not a clock")

    @property
    def of_sound(self) -> Timeline:
        """The clock for beats, chords and the like: without the offset of the words."""
        return replace(self, offset_seconds=0.0)

    def to_output(self, seconds: float) -> float:
        """Convert seconds of the song to seconds of the output, which may be negative."""
        return (
            seconds + self.offset_seconds - self.start_seconds
        ) / self.tempo + self.lead_in_seconds

    def to_song(self, seconds: float) -> float:
        """Convert seconds of the output to seconds of the song."""
        played = (seconds - self.lead_in_seconds) * self.tempo
        return played + self.start_seconds - self.offset_seconds

    def holds(self, start_seconds: float, end_seconds: float) -> bool:
        """Return whether any part of a span of words is in the output."""
        after = self.end_seconds is not None and (
            start_seconds + self.offset_seconds >= self.end_seconds
        )
        before = self.start_seconds > 0 and (
            end_seconds + self.offset_seconds <= self.start_seconds
        )
        return not (after or before)
