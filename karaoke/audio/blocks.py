"""Streams of float32 blocks ``(channels, samples)``: repair, resampling, and places to wait in."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import IO, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from karaoke.errors import KaraokeError, WriteError
from karaoke.files import writing_to

Block = NDArray[np.float32]
#: Called with what did not go as planned, in a sentence without a full stop.
Warn = Callable[[str], object]
#: Samples per channel that go through the disk at a time: two megabytes in stereo.
BLOCK_LENGTH = 1 << 18
#: Samples beyond this are damage, not sound: squared, they would exceed the range of float32.
LOUDEST = 1e6


def interleaved(block: Block) -> bytes:
    """Return samples as raw little-endian float32, with those of all channels side by side."""
    return np.ascontiguousarray(block.T, dtype="<f4").tobytes()


def from_interleaved(data: bytes, channels: int, kind: str = "<f4") -> Block:
    """Turn raw float32 samples into a block; a last sample that lacks a channel is left out."""
    size = 4 * channels
    samples = np.frombuffer(data[: len(data) // size * size], dtype=kind)
    return np.ascontiguousarray(samples.reshape(-1, channels).T, dtype=np.float32)


def shorter(blocks: Iterable[Block]) -> Iterator[Block]:
    """Cut blocks ``(..., samples)`` into such of at most ``BLOCK_LENGTH`` samples."""
    for block in blocks:
        for start in range(0, block.shape[-1], BLOCK_LENGTH):
            yield block[..., start : start + BLOCK_LENGTH]


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


def in_blocks(read: Callable[[int, int], Block], frames: int) -> Iterator[Block]:
    """Yield blocks from something that is read by start and length."""
    for start in range(0, frames, BLOCK_LENGTH):
        yield read(start, min(BLOCK_LENGTH, frames - start))


class Samples(Protocol):
    """Samples ``(channels, samples)`` that are read by place and length, as often as needed."""

    @property
    def frames(self) -> int:
        """Samples per channel."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def peak(self) -> float:
        """Largest absolute sample."""

    def read(self, start: int, length: int) -> Block:
        """Read samples."""


class Spool:
    """Samples on the disk in an unnamed file, so that nothing can be left behind."""

    def __init__(self, folder: Path, channels: int, files: ExitStack) -> None:
        self.folder = folder
        self.channels = channels
        self.frames = 0
        self.peak = 0.0
        self._reading = Lock()
        with writing_to(folder):
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `files`)
        self._file: IO[bytes] = files.enter_context(file)

    def append(self, block: Block) -> None:
        """Add samples ``(channels, samples)``."""
        with writing_to(self.folder):
            self._file.write(interleaved(block))
        self.frames += block.shape[1]
        if block.size:
            peak = float(np.maximum(block.max(), -block.min()))
            if not np.isfinite(peak):
                raise KaraokeError("the model's output is not a number", hint="Try --device cpu.")
            self.peak = max(self.peak, peak)

    def read(self, start: int, length: int) -> Block:
        """Read samples back; several threads may."""
        with self._reading:
            self._file.seek(4 * self.channels * start)
            data = self._file.read(4 * self.channels * length)
        if len(data) != 4 * self.channels * length:
            raise WriteError("the temporary file lost samples", hint="Free some space.")
        return from_interleaved(data, self.channels)
