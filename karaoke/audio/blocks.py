"""Streams of float32 blocks ``(channels, samples)``: repair, resampling and delay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

Block = NDArray[np.float32]
#: Called with what did not go as planned, in a sentence without a full stop.
Warn = Callable[[str], object]
#: Samples per channel that go through the disk at a time: two megabytes in stereo.
BLOCK_LENGTH = 1 << 18
#: Samples beyond this are damage, not sound: squared, they would exceed the range of float32.
LOUDEST = 1e6


def silence_damage(block: Block) -> tuple[Block, int]:
    """Silence samples that are NaN, infinite or absurdly large, and count them."""
    sound = np.abs(block) <= LOUDEST
    if sound.all():
        return block, 0
    return np.where(sound, block, np.float32(0)), int(block.size - np.count_nonzero(sound))


def silenced(count: int) -> str:
    """Describe samples that :func:`silence_damage` silenced, without a full stop."""
    return f"{count} samples were NaN, infinite or out of range; they were silenced"


def resample(blocks: Iterable[Block], source_rate: int, target_rate: int) -> Iterator[Block]:
    """Convert the sample rate of a stream of ``(channels, samples)`` blocks with soxr."""
    if source_rate == target_rate:
        yield from blocks
        return
    stream = None
    for block in blocks:
        if stream is None:
            stream = soxr.ResampleStream(source_rate, target_rate, len(block), dtype="float32")
        yield stream.resample_chunk(np.ascontiguousarray(block.T)).T
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, len(block)), np.float32), last=True).T


def sound_only(blocks: Iterable[Block], warn: Warn) -> Iterator[Block]:
    """Silence damage in blocks, and warn of it at the end."""
    damaged = 0
    for block in blocks:
        sound, count = silence_damage(block)
        damaged += count
        yield sound
    if damaged:
        warn(silenced(damaged))


class Delay:
    """A queue of samples: put blocks in at one end, take any number out at the other."""

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()

    def fill(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Pass on blocks and keep them."""
        for block in blocks:
            self._blocks.append(block)
            yield block

    def take(self, length: int | None = None) -> Block | None:
        """Return the oldest ``length`` samples or as many as there are; None if there are none."""
        taken: list[Block] = []
        while self._blocks and (length is None or length > 0):
            block = self._blocks.popleft()
            if length is not None:
                if block.shape[1] > length:
                    self._blocks.appendleft(block[:, length:])
                    block = block[:, :length]
                length -= block.shape[1]
            taken.append(block)
        return np.concatenate(taken, axis=1) if taken else None
