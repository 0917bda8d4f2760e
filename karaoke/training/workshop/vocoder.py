"""A voice as pitch, spectral envelope and aperiodicity, which can be changed separately.

The analysis and the synthesis are those of WORLD (M. Morise, F. Yokomori and K. Ozawa, "WORLD: a
vocoder-based high-quality speech synthesis system for real-time applications", IEICE Transactions
E99-D(7), 2016), from the package ``pyworld``, which training does not need.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karaoke.errors import NoInputError
from karaoke.training.corpus import SAMPLE_RATE

FRAMES_PER_SECOND = 200
#: Lowest and highest pitch that are searched for and sung.
PITCH_RANGE_HZ = (70.0, 900.0)
BINS = 1025
#: Logarithm of the power of silence.
SILENCE = -32.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """A voice in frames of 5 ms.

    Parameters
    ----------
    pitch_hz
        ``(T,)``; zero where unvoiced.
    envelope
        ``(T, BINS)``: natural logarithm of the power.
    aperiodicity
        ``(T, BINS)``: share of noise, in [0, 1].
    """

    pitch_hz: Array
    envelope: Array
    aperiodicity: Array

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.pitch_hz)

    def read(self, positions: Array) -> Frames:
        """Read at any positions, which may be between frames."""
        positions = positions.clip(0, len(self) - 1)
        return Frames(
            self.pitch_hz[np.round(positions).astype(np.int64)],
            interpolate(self.envelope, positions),
            interpolate(self.aperiodicity, positions),
        )


def interpolate(rows: Array, positions: Array) -> Array:
    """Interpolate rows ``(R, C)`` at positions ``(P,)`` in [0, R - 1]: ``(P, C)``."""
    low = positions.astype(np.int64)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (positions - low)[:, None]
    return (1 - share) * rows[low] + share * rows[high]


def warp(frames: Frames, factor: float) -> Frames:
    """Scale all formants by a factor, as a shorter or longer vocal tract does."""
    bins = np.minimum(np.arange(BINS) / factor, BINS - 1)
    return Frames(
        frames.pitch_hz,
        interpolate(frames.envelope.T, bins).T,
        interpolate(frames.aperiodicity.T, bins).T,
    )


def world() -> Any:
    """Import ``pyworld``.

    Raises
    ------
    NoInputError
        It is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It looks up its own version in a deprecated way.
            warnings.simplefilter("ignore")
            import pyworld
    except ImportError as error:
        raise NoInputError(
            "pyworld is not installed", hint="pip install pyworld 'setuptools<81'."
        ) from error
    return pyworld


def analyse(mono: NDArray[np.float32]) -> Frames:
    """Analyse a voice ``(samples,)`` at 44.1 kHz."""
    samples = mono.astype(np.float64)
    low, high = PITCH_RANGE_HZ
    pitch, times = world().dio(samples, SAMPLE_RATE, f0_floor=low, f0_ceil=high)
    pitch = world().stonemask(samples, pitch, times, SAMPLE_RATE)
    size = 2 * (BINS - 1)
    envelope = world().cheaptrick(samples, pitch, times, SAMPLE_RATE, fft_size=size)
    aperiodicity = world().d4c(samples, pitch, times, SAMPLE_RATE, fft_size=size)
    return Frames(pitch, np.log(envelope.clip(np.exp(SILENCE))), aperiodicity)


def synthesise(frames: Frames) -> NDArray[np.float32]:
    """Synthesise a voice: ``(samples,)`` at 44.1 kHz."""
    samples: Array = world().synthesize(
        np.ascontiguousarray(frames.pitch_hz),
        np.ascontiguousarray(np.exp(frames.envelope)),
        np.ascontiguousarray(frames.aperiodicity.clip(0.001, 0.999)),
        SAMPLE_RATE,
    )
    return samples.astype(np.float32)
