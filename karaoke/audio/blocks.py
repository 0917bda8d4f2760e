"""Blocks of samples, float32 ``(channels, samples)``: what is damaged in them, and their rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

Block = NDArray[np.float32]
#: Beyond this a sample is damage, not sound: squares of it would leave the range of float32.
LOUDEST = 1e6


def silence_damage(block: Block) -> tuple[Block, int]:
    """Silence samples that are NaN, infinite or absurdly large, and count them."""
    sound = np.abs(block) <= LOUDEST
    if sound.all():
        return block, 0
    return np.where(sound, block, np.float32(0)), int(block.size - np.count_nonzero(sound))


def silenced(count: int) -> str:
    """Tell of samples that :func:`silence_damage` silenced, without a full stop."""
    return f"{count} samples were NaN, infinite or out of range; they were silenced"


def resample(blocks: Iterable[Block], source_rate: int, target_rate: int) -> Iterator[Block]:
    """Convert the sample rate of a stream of ``(channels, samples)`` blocks, by soxr."""
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
