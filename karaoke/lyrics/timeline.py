"""The one clock: from seconds of the song to seconds of what is made of it, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Timeline:
    """How time passes in what is made.

    ``output = (song + offset - start) / tempo + lead_in``

    Parameters
    ----------
    start_seconds
        Where in the song the output begins.
    tempo
        Of the output, as a factor: 2 is twice as fast.
    lead_in_seconds
        What is played before the song, such as a count-in; in seconds of the output.
    offset_seconds
        How much later in the song all words are sung than their times say.
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
            raise ValueError(f"{self} is no clock")

    @property
    def of_sound(self) -> Timeline:
        """The same for what is heard, such as beats and chords: without the words' offset."""
        return replace(self, offset_seconds=0.0)

    def to_output(self, seconds: float) -> float:
        """Turn seconds of the song into seconds of the output; negative before it begins."""
        return (
            seconds + self.offset_seconds - self.start_seconds
        ) / self.tempo + self.lead_in_seconds

    def to_song(self, seconds: float) -> float:
        """Turn seconds of the output into seconds of the song."""
        played = (seconds - self.lead_in_seconds) * self.tempo
        return played + self.start_seconds - self.offset_seconds

    def holds(self, start_seconds: float, end_seconds: float) -> bool:
        """Tell whether any of a span of the song's words lies in the output."""
        after = self.end_seconds is not None and (
            start_seconds + self.offset_seconds >= self.end_seconds
        )
        before = self.start_seconds > 0 and (
            end_seconds + self.offset_seconds <= self.start_seconds
        )
        return not (after or before)
