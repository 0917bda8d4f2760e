"""A stem of a song that lies somewhere and can be read from any place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from karaoke.analysis.levels import Curve
from karaoke.audio import Block, in_blocks


@dataclass(frozen=True)
class Sound:
    """Sound on the disk.

    Parameters
    ----------
    read
        Gives samples ``(channels, samples)``, from a first one on, so many.
    frames
        How many there are.
    sample_rate
        In Hz.
    start_seconds
        Where in the song the first one is.
    check
        Called now and then; may raise what ends the work.
    """

    read: Callable[[int, int], Block]
    frames: int
    sample_rate: int
    start_seconds: float = 0.0
    check: Callable[[], object] = lambda: None

    def blocks(self) -> Iterator[Block]:
        """Read all of it."""
        for block in in_blocks(self.read, self.frames):
            self.check()
            yield block

    def part(self, start_seconds: float, end_seconds: float, sample_rate: int) -> Curve:
        """Read a part, in mono at another rate, ``(samples,)``; seconds are those of the sound."""
        first = min(max(0, round(start_seconds * self.sample_rate)), self.frames)
        last = min(max(first, round(end_seconds * self.sample_rate)), self.frames)
        self.check()
        mono = self.read(first, last - first).mean(axis=0)
        return np.asarray(soxr.resample(mono, self.sample_rate, sample_rate), dtype=np.float32)
