"""Streams in one channel, cut into overlapping windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from karaoke.audio import Block

#: Windows that are worked on at a time.
BATCH = 512


def mono(blocks: Iterable[Block]) -> Iterator[Block]:
    """Mix the channels of blocks, ``(1, samples)``."""
    for block in blocks:
        yield block.mean(axis=0, keepdims=True)


class Windows:
    """Cuts a stream into overlapping windows, centred on the ticks of a clock."""

    def __init__(self, length: int, hop: int) -> None:
        self.length, self.hop = length, hop
        self._rest = np.zeros(length // 2, np.float32)

    def cut(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yield batches of windows ``(T, length)`` as far as there are samples."""
        self._rest = np.concatenate([self._rest, samples])
        count = (len(self._rest) - self.length) // self.hop + 1
        if count <= 0:
            return
        windows = np.lib.stride_tricks.sliding_window_view(self._rest, self.length)[:: self.hop]
        for first in range(0, count, BATCH):
            yield windows[first : min(first + BATCH, count)]
        self._rest = self._rest[count * self.hop :].copy()

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """Yield the windows at the end, which silence follows."""
        return self.cut(np.zeros(self.length // 2, np.float32))


def windowed(blocks: Iterable[Block], length: int, hop: int) -> Iterator[NDArray[np.float32]]:
    """Cut a whole stream of ``(1, samples)`` into batches of windows ``(T, length)``."""
    windows = Windows(length, hop)
    for block in blocks:
        yield from windows.cut(block[0])
    yield from windows.finish()
