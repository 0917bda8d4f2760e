"""What is done to a whole song: mix bus, coder, playback; given to both of its parts alike.

Each function takes vocals and accompaniment ``(channels, samples)`` and returns both. A gain that
depends on the mixture, over time or over time and frequency, is computed from the mixture and
applied to the parts, so that ``mixture = vocals + accompaniment`` still holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karaoke.training.augment import (
    Audio,
    Rng,
    compressor_gain,
    db_to_gain,
    from_frames,
    in_frames,
    low_pass,
    rms,
)

Parts = tuple[Audio, Audio]


def compress_together(rng: Rng, vocals: Audio, accompaniment: Audio, sample_rate: int) -> Parts:
    """Let a bus compressor turn the song down whenever it is loud: voice and music pump alike."""
    gain = compressor_gain(rng, vocals + accompaniment, sample_rate)
    return vocals * gain, accompaniment * gain


def limit_together(rng: Rng, vocals: Audio, accompaniment: Audio) -> Parts:
    """Drive the sum into a soft limiter and give both parts the gain that it had."""
    mixture = vocals + accompaniment
    drive = np.float32(rng.uniform(0.1, 0.5) / rms(mixture))
    driven = np.abs(mixture) * drive
    gain = np.where(driven > 1e-4, np.tanh(driven) / np.maximum(driven, 1e-4), 1.0)
    return (vocals * gain).astype(np.float32), (accompaniment * gain).astype(np.float32)


def code_together(rng: Rng, vocals: Audio, accompaniment: Audio, sample_rate: int) -> Parts:
    """Punch the holes of a lossy coder: a low-pass, and no bins far below their neighbours.

    Which bins fall silent is read off the mixture, as a coder does; both parts lose the same.
    """
    cutoff_hz = rng.uniform(10000, 19000)
    parts = [low_pass(part, cutoff_hz, sample_rate) for part in (vocals, accompaniment)]
    frame = 2048
    spectra = [in_frames(part, frame) for part in parts]
    power = np.square(np.abs(spectra[0] + spectra[1])).mean(axis=0)  # (frames, bins)
    # Masking reaches about a third of an octave: compare with the mean over so many bins.
    bins = np.arange(power.shape[1])
    low, high = ((bins * 2**octaves).astype(int).clip(0, bins[-1]) for octaves in (-1 / 6, 1 / 6))
    sums = np.pad(power.cumsum(axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    masker = (sums[:, high + 1] - sums[:, low]) / (high + 1 - low)
    kept: NDArray[np.float32] = (power > masker * db_to_gain(rng.uniform(-26, -10)) ** 2).astype(
        np.float32
    )
    length = vocals.shape[1]
    vocals, accompaniment = (from_frames(part * kept, length) for part in spectra)
    return vocals, accompaniment


def to_mono(vocals: Audio, accompaniment: Audio) -> Parts:
    """Give both channels their mean."""
    parts = (vocals, accompaniment)
    mono = [np.repeat(p.mean(axis=0, keepdims=True), len(p), axis=0) for p in parts]
    return mono[0], mono[1]
