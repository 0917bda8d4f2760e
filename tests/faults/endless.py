"""Songs of many hours: memory must not grow with their length."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from karaoke.separation.checkpoints import save_checkpoint
from karaoke.separation.headers import Header
from karaoke.separation.networks import NETWORKS

#: Few samples an hour, so that the disk and not the patience is what a test needs little of.
RATE = 8000


@dataclass(frozen=True)
class HalfConfig:
    """Nothing to choose."""


class Half(nn.Module):
    """Takes half of the mixture for the vocals: a stand-in that costs nothing."""

    def __init__(self, _config: HalfConfig, **_layout: object) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.5))

    def forward(self, mixture: Tensor) -> Tensor:
        """Map ``(B, C, N)`` to ``(B, 1, C, N)``."""
        return (self.share * mixture)[:, None]


def register() -> None:
    """Make the stand-in an architecture."""
    NETWORKS["half"] = (Half, HalfConfig)


def sparse_song(path: Path, seconds: float) -> None:
    """Write an RF64 of silence that takes no space on the disk."""
    size = 2 * round(seconds * RATE)
    rf64 = b"RF64" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE"
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, size + 72, size, size // 2, 0)
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    with path.open("wb") as file:
        file.write(rf64 + ds64 + fmt + b"data" + struct.pack("<I", 0xFFFFFFFF))
        file.truncate(file.tell() + size)


def peak_megabytes(song: Path, model: Path, out: Path) -> float:
    """Split a song in a process of its own and give the most memory that it took."""
    command = [sys.executable, "-m", "tests.faults.endless", "split", str(song), "-n", str(model)]
    command += ["-o", str(out), "--format", "flac", "-q"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # Unlike Popen's own waiting it tells what was used; Popen has to be told that it is over.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise AssertionError(f"split of {song.name} ended with {process.returncode}")
    return usage.ru_maxrss / 1024


def peak_of_ten_hours(hours: float) -> tuple[float, float]:
    """Measure the peak memory in MB for a song of three minutes and one of so many hours."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        model = here / "half.safetensors"
        header = Header("half", {}, 44100, 2, ("vocals",), 10.0, 0.25)
        save_checkpoint(model, Half(HalfConfig()), header)
        peaks = []
        for name, seconds in (("short", 180.0), ("long", hours * 3600)):
            sparse_song(here / f"{name}.wav", seconds)
            peaks.append(peak_megabytes(here / f"{name}.wav", model, here / "out"))
    return peaks[0], peaks[1]


if __name__ == "__main__":
    from karaoke.cli import main

    register()
    main()
