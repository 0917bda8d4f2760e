"""Effects on a whole song, applied to all of its parts alike: mix bus, coder, playback.

Each function takes the parts of a song, ``(channels, samples)`` each, and returns as many. Gains
that depend on the mixture, over time or over time and frequency, are computed from the mixture and
applied to the parts, so that these still add up to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from karaoke.training.mixtures.augment import (
    Audio,
    Effect,
    Rng,
    compressor_gain,
    db_to_gain,
    low_pass,
    rms,
)
from karaoke.training.spectra import from_frames, in_frames

Parts = Sequence[Audio]


def compress_together(rng: Rng, parts: Parts, sample_rate: int) -> Parts:
    """Turn the song down whenever it is loud, as a bus compressor does."""
    gain = compressor_gain(rng, reduce(np.add, parts), sample_rate)
    return [part * gain for part in parts]


def limit_together(rng: Rng, parts: Parts, _sample_rate: int) -> Parts:
    """Drive the sum into a soft limiter, and apply its gain to all parts."""
    mixture = reduce(np.add, parts)
    drive = np.float32(rng.uniform(0.1, 0.5) / rms(mixture))
    driven = np.abs(mixture) * drive
    gain = np.where(driven > 1e-4, np.tanh(driven) / np.maximum(driven, 1e-4), 1.0)
    return [(part * gain).astype(np.float32) for part in parts]


def code_together(rng: Rng, parts: Parts, sample_rate: int) -> Parts:
    """Remove what a lossy coder would: the treble, and bins far below their neighbours.

    All parts lose the same bins, chosen from the mixture as in a coder.
    """
    length = parts[0].shape[1]
    cutoff_hz = rng.uniform(7500, 19000)  # 22 to 128 kbit/s, and old recordings
    frame = 2048
    spectra = [in_frames(low_pass(part, cutoff_hz, sample_rate), frame) for part in parts]
    power = np.square(np.abs(reduce(np.add, spectra))).mean(axis=0)  # (frames, bins)
    # Masking reaches about a third of an octave: compare with the mean over that many bins.
    bins = np.arange(power.shape[1])
    low, high = ((bins * 2**octaves).astype(int).clip(0, bins[-1]) for octaves in (-1 / 6, 1 / 6))
    sums = np.pad(power.cumsum(axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    masker = (sums[:, high + 1] - sums[:, low]) / (high + 1 - low)
    kept: NDArray[np.float32] = (power > masker * db_to_gain(rng.uniform(-26, -10)) ** 2).astype(
        np.float32
    )
    return [from_frames(spectrum * kept, length) for spectrum in spectra]


def narrow(parts: Parts, width: float) -> Parts:
    """Reduce the stereo width: 0 is mono, 1 changes nothing."""
    middles = [part.mean(axis=0, keepdims=True) for part in parts]
    return [m + np.float32(width) * (p - m) for p, m in zip(parts, middles, strict=True)]


def narrow_together(rng: Rng, parts: Parts, _sample_rate: int) -> Parts:
    """Narrow a song, most often to mono."""
    return narrow(parts, max(0.0, rng.uniform(-0.8, 0.6)))


def add_noise(rng: Rng, parts: Parts, _sample_rate: int) -> Parts:
    """Add noise to the last part, since it is nobody's voice."""
    *others, last = parts
    noise = rng.standard_normal(last.shape, dtype=np.float32)
    level = rms(last) * db_to_gain(rng.uniform(-50, -20))
    return [*others, last + noise * np.float32(level)]


#: Mastering, coding and playback, in order, with how likely each is.
SONG_EFFECTS: tuple[tuple[Effect[Parts], float], ...] = (
    (narrow_together, 0.15),
    (compress_together, 0.3),
    (limit_together, 0.4),
    (code_together, 0.2),
    (add_noise, 0.1),
)
