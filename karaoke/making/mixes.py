"""Mixes of stems, summed while they are read: none of them lies on the disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from karaoke.audio import Block, Samples, Spool, in_blocks
from karaoke.audio.blocks import Warn
from karaoke.audio.filtering import measure_loudness

#: True peaks above it clip in players and lossy formats.
HIGHEST_PEAK_DB = -1.0


@dataclass(frozen=True)
class Part:
    """A stem in a mix.

    Parameters
    ----------
    stem
        On the disk.
    gain
        A factor.
    first
        Sample of the stem at which the mix begins.
    """

    stem: Spool
    gain: float = 1.0
    first: int = 0

    def read(self, start: int, length: int) -> Block:
        """Read samples of the mix's clock."""
        block = self.stem.read(self.first + start, length)
        return block if self.gain == 1 else np.float32(self.gain) * block


class Mix:
    """A sum of stems, read as a :class:`karaoke.audio.Spool` is.

    Parameters
    ----------
    parts
        At least one, all of the same channels.
    frames
        Length of the parts in samples; none is shorter.
    before
        What is heard before them, ``(channels, samples)``.
    """

    def __init__(self, parts: Sequence[Part], frames: int, before: Block | None = None) -> None:
        self.parts = tuple(parts)
        self.channels = self.parts[0].stem.channels
        self.before = np.zeros((self.channels, 0), np.float32) if before is None else before
        self.frames = self.before.shape[1] + frames

    def read(self, start: int, length: int) -> Block:
        """Read samples ``(channels, length)``."""
        ahead = self.before[:, start : start + length]
        if ahead.shape[1]:
            rest = length - ahead.shape[1]
            return np.concatenate([ahead, self._sum(0, rest)], axis=1) if rest else ahead
        return self._sum(start - self.before.shape[1], length)

    def _sum(self, start: int, length: int) -> Block:
        """Read samples of the parts."""
        # Not sum(), which begins with a zero: the band alone stays what it is, bit by bit.
        return reduce(np.add, (part.read(start, length) for part in self.parts))

    @cached_property
    def peak(self) -> float:
        """Largest absolute sample; found by reading all of them."""
        blocks = in_blocks(self.read, self.frames)
        return max((float(np.abs(block).max()) for block in blocks), default=0.0)


def between(blocks: Iterator[Block], first: int, last: int) -> Iterator[Block]:
    """Cut a stretch out of a stream, and do not read on behind it."""
    at = 0
    for block in blocks:
        part = block[:, max(first - at, 0) : max(last - at, 0)]
        at += block.shape[1]
        if part.shape[1]:
            yield part
        if at >= last:
            return


def part_of(stem: Samples, first: int, frames: int, check: Callable[[], None]) -> Iterator[Block]:
    """Read a part of a stem in blocks, as long as they are wanted."""
    for block in in_blocks(lambda start, length: stem.read(first + start, length), frames):
        check()
        yield block


def gain_to(lufs: float, mixes: Sequence[Samples], sample_rate: int, warn: Warn) -> float | None:
    """Find the gain of all mixes that gives the first a loudness, as far as no peak is too high.

    Returns
    -------
    float
        None where it is too soft or too short.
    """
    mix, *others = mixes
    found = measure_loudness(
        in_blocks(mix.read, mix.frames), sample_rate=sample_rate, channels=mix.channels
    )
    if math.isinf(found.integrated_lufs):
        warn("it is too soft or too short to be brought to a loudness")
        return None
    gain_db = lufs - found.integrated_lufs
    peaks_db = [20 * math.log10(max(other.peak, 1e-10)) for other in others]
    peak_db = max([found.true_peak_db, *peaks_db])
    if gain_db + peak_db > HIGHEST_PEAK_DB:
        gain_db = HIGHEST_PEAK_DB - peak_db
        reached = found.integrated_lufs + gain_db
        warn(f"its peaks allow {reached:.1f} LUFS, not {lufs:g}; nothing was compressed")
    return float(10 ** (gain_db / 20))
