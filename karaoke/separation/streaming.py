"""Overlap-add of streams, independent of any model.

A stream is an iterable of blocks, float32 ``(channels, samples)`` of any lengths. No function here
holds more than a few segments of it, nor depends on how it is cut into blocks.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from karaoke.audio.blocks import Block

#: Maps segments ``(batch, channels, N)`` to as many results ``(..., N)``.
Process = Callable[[Block], Iterable[Block]]
SecondsDone = Callable[[float], object]


def cut_segments(
    blocks: Iterable[Block], segment_length: int, stride: int
) -> Iterator[tuple[int, int, Block]]:
    """Cut a stream into equal segments that cover it.

    The last one is moved back to end where the stream ends, so that its context is real audio; only
    a stream shorter than one segment is padded with zeros.

    Yields
    ------
    tuple
        First sample, samples of the stream known so far, and the segment
        ``(channels, segment_length)``.
    """
    waiting: list[Block] = []
    buffer: Block | None = None
    origin = start = known = 0
    for block in blocks:
        waiting.append(block)
        known += block.shape[-1]
        if known < start + segment_length:
            continue
        buffer = np.concatenate(waiting if buffer is None else [buffer, *waiting], axis=-1)
        waiting.clear()
        while known >= start + segment_length:
            yield start, known, buffer[:, start - origin : start - origin + segment_length]
            start += stride
        # Keep what the next segment needs, and what the last one may reach back to.
        keep = max(origin, min(start, known - segment_length))
        buffer, origin = buffer[:, keep - origin :].copy(), keep  # a view would keep the whole
    if known == 0 or (start and known == start - stride + segment_length):
        return
    rest = np.concatenate(waiting if buffer is None else [buffer, *waiting], axis=-1)
    if start == 0:
        yield 0, known, np.pad(rest, ((0, 0), (0, segment_length - known)))
    else:
        yield known - segment_length, known, rest[:, -segment_length:]


def fade_weights(segment_length: int, stride: int) -> NDArray[np.float32]:
    """Weight a segment's samples: linear ramps over the overlaps, flat in between, never zero."""
    index = np.arange(segment_length)
    ramp = np.minimum(index + 1, segment_length - index)
    return np.minimum(ramp, segment_length - stride + 1).astype(np.float32)


class RunningMean:
    """Weighted mean of overlapping results, from the first unfinished sample on.

    Each result moves the mean by ``(new - mean) * share``, which leaves equal values exactly
    unchanged, where a sum of weighted values would round them.

    Parameters
    ----------
    weights
        Of a result's samples.
    """

    def __init__(self, weights: NDArray[np.float32]) -> None:
        self.weights = weights
        self.finished = 0
        self._mean: Block = np.zeros(0, dtype=np.float32)
        self._total = np.zeros(0, dtype=np.float32)

    @property
    def end(self) -> int:
        """First sample that no result has reached."""
        return self.finished + self._total.size

    def add(self, start: int, result: Block) -> None:
        """Add a result ``(..., length)`` that begins at an unfinished sample."""
        offset = start - self.finished
        if not self._total.size:
            self._mean = np.zeros((*result.shape[:-1], 0), dtype=result.dtype)
        # The rest of the result is the first to reach its samples, and so their mean.
        common = self._total.size - offset
        self._total[offset:] += self.weights[:common]
        share = self.weights[:common] / self._total[offset:]
        self._mean[..., offset:] += (result[..., :common] - self._mean[..., offset:]) * share
        self._mean = np.concatenate([self._mean, result[..., common:]], axis=-1)
        self._total = np.concatenate([self._total, self.weights[common:]])

    def finish(self, until: int, progress: SecondsDone | None) -> Iterator[Block]:
        """Yield and forget the samples before ``until``, if there are any."""
        length = until - self.finished
        if length > 0:
            yield self._mean[..., :length]
            self._mean, self._total = self._mean[..., length:], self._total[length:]
            self.finished = until
            if progress is not None:
                progress(until)


def run_ahead(process: Process, batches: Iterator[Block]) -> Iterator[Iterable[Block]]:
    """Map batches in a thread that begins with the next while the caller uses a result."""
    pool = ThreadPoolExecutor(1, "ahead")
    try:
        pending: Future[Iterable[Block]] | None = None
        for batch in batches:
            following = pool.submit(process, batch)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()
    finally:
        # Even if the caller stops early, which does not wait for a result.
        pool.shutdown(wait=False, cancel_futures=True)


def overlap_add(
    process: Process,
    blocks: Iterable[Block],
    *,
    segment_length: int,
    overlap: float,
    batch_size: int,
    ahead: bool = False,
    progress: SecondsDone | None = None,
) -> Iterator[Block]:
    """Run a function over overlapping segments of a stream and cross-fade the results.

    With the identity as ``process`` the output is the input, bit for bit (:class:`RunningMean`).

    Parameters
    ----------
    process
        Maps segments ``(batch, channels, segment_length)`` to as many results ``(...,
        segment_length)``.
    blocks
        ``(channels, samples)``; their lengths do not affect the result.
    segment_length
        In samples, at least 1.
    overlap
        Share of a segment that overlaps the next, in [0, 1).
    batch_size
        Segments per call; the last call may have fewer.
    ahead
        Whether to read on, and to process the next batch, before a result is yielded.
    progress
        Called with the number of samples finished.

    Yields
    ------
    ndarray
        Blocks ``(..., length)``, with as many samples in total as the input.
    """
    stride = max(1, round(segment_length * (1 - overlap)))
    mean = RunningMean(fade_weights(segment_length, stride))
    segments = cut_segments(blocks, segment_length, stride)
    places: deque[tuple[int, int]] = deque()

    def batches() -> Iterator[Block]:
        while batch := list(itertools.islice(segments, batch_size)):
            places.extend((start, known) for start, known, _ in batch)
            stacked = np.stack([segment for _, _, segment in batch])
            del batch  # or it would wait in memory, too, until the next is asked for
            yield stacked
            del stacked

    results = (run_ahead if ahead else map)(process, batches())
    for result in itertools.chain.from_iterable(results):
        start, length = places.popleft()
        # No later segment begins before this one, so everything before it is final.
        yield from mean.finish(start, progress)
        mean.add(start, result)
        del result  # its whole batch would wait with it
    if mean.finished < mean.end:
        yield from mean.finish(length, progress)
