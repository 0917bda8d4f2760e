"""Samples kept on the disk, for songs that do not fit into memory."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from karaoke.audio.blocks import Block
from karaoke.errors import KaraokeError, WriteError
from karaoke.files import writing_to


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
        with writing_to(folder):
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `files`)
        self._file: IO[bytes] = files.enter_context(file)

    def append(self, block: Block) -> None:
        """Add samples ``(channels, samples)``."""
        with writing_to(self.folder):
            self._file.write(np.ascontiguousarray(block.T, dtype=np.float32).tobytes())
        self.frames += block.shape[1]
        if block.size:
            peak = float(np.abs(block).max())
            if not np.isfinite(peak):
                raise KaraokeError("the model's output is not a number", hint="Try --device cpu.")
            self.peak = max(self.peak, peak)

    def read(self, start: int, length: int) -> Block:
        """Read samples back."""
        self._file.seek(4 * self.channels * start)
        data = self._file.read(4 * self.channels * length)
        if len(data) != 4 * self.channels * length:
            raise WriteError("the temporary file lost samples", hint="Free some space.")
        return np.frombuffer(data, dtype=np.float32).reshape(-1, self.channels).T
