"""Levels of a sound over time, in a few bands: small enough to keep for an hour of song."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from karaoke.analysis.windows import mono, windowed
from karaoke.audio.blocks import Block, resample

FRAMES_PER_SECOND = 100
#: Of the sound that is analysed, in Hz.
SAMPLE_RATE = 16_000
HOP_LENGTH = SAMPLE_RATE // FRAMES_PER_SECOND
N_FFT = 512
#: Edges of the bands in Hz: below the voice's overtones, four of formants, and of hisses.
EDGES_HZ = (80, 200, 300, 450, 700, 1000, 1400, 1900, 2500, 3300, 4500, 6000, 8000)
#: Power that stands for silence.
FLOOR = 1e-10

Curve = NDArray[np.float32]


@dataclass(frozen=True)
class Levels:
    """Power over time.

    Parameters
    ----------
    bands_db
        Level of each band in each frame, ``(T, K)``, in dBFS.
    level_db
        Level of all bands together in each frame, ``(T,)``, in dBFS.
    """

    bands_db: Curve
    level_db: Curve

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.level_db)


def measure_levels(blocks: Iterable[Block], sample_rate: int) -> Levels:
    """Measure the levels of a stream, frame by frame; the first is centred on its first sample.

    Parameters
    ----------
    blocks
        ``(channels, samples)``.
    sample_rate
        In Hz.

    Returns
    -------
    Levels
        Thirteen numbers a frame: 18 MB for an hour.
    """
    window = np.hanning(N_FFT + 1)[:-1]
    frequencies = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    starts = np.searchsorted(frequencies, EDGES_HZ)
    scale = 2 / (window**2).sum() / N_FFT
    rows = []
    sound = resample(mono(blocks), sample_rate, SAMPLE_RATE)
    for frames in windowed(sound, N_FFT, HOP_LENGTH):
        power = scale * np.abs(rfft(frames * window, axis=1)) ** 2
        power = np.add.reduceat(power, starts[:-1], axis=1, dtype=np.float64)
        rows.append(power.astype(np.float32))
    bands = np.concatenate(rows) if rows else np.zeros((0, len(EDGES_HZ) - 1), np.float32)
    return Levels(decibels(bands), decibels(bands.sum(axis=1)))


def decibels(power: NDArray[np.floating]) -> Curve:
    """Turn power into decibels."""
    return np.asarray(10 * np.log10(power + FLOOR), dtype=np.float32)
