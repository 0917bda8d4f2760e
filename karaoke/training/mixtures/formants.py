"""Formants: kept where a voice is bent, and given to instruments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karaoke.training.mixtures.augment import Audio, Rng
from karaoke.training.spectra import at_frames, from_frames, in_frames, irfft, rfft

#: Natural logarithm of the largest gain of a correction, 15 dB.
MAX_FORMANT_GAIN = 1.7
#: Lowest and highest centre in Hz of the first three formants of vowels.
VOWEL_FORMANTS_HZ = ((270, 850), (800, 2300), (2300, 3200))


def restore_formants(audio: Audio, ratio: NDArray[np.float64]) -> Audio:
    """Move formants back to where they were before :func:`karaoke.training.mixtures.augment.bend`.

    Bending changes the speed, and so moves the resonances of the throat with the pitch, which makes
    dwarfs and giants of singers. The envelope of each spectrum is estimated from its low cepstrum
    and replaced by the one at the original speed.

    Parameters
    ----------
    ratio
        Ratio per sample that the voice was bent by.
    """
    frame, lifter = 1024, 48
    spectra = in_frames(audio, frame)
    cepstrum = irfft(np.log(np.abs(spectra) + 1e-4), frame)
    cepstrum[..., lifter : frame - lifter + 1] = 0
    envelope = rfft(cepstrum).real
    bins = np.arange(spectra.shape[2])
    before = (at_frames(ratio, frame, spectra.shape[1])[:, None] * bins).clip(0, bins[-1] - 1)
    low = before.astype(np.int64)[None]
    shape = (len(audio), *before.shape)
    at = [np.take_along_axis(envelope, np.broadcast_to(low + k, shape), axis=2) for k in (0, 1)]
    wanted = at[0] + (at[1] - at[0]) * (before - low)
    gain = np.exp((wanted - envelope).clip(-MAX_FORMANT_GAIN, MAX_FORMANT_GAIN))
    return from_frames(spectra * gain.astype(np.float32), audio.shape[1])


def talk_box(
    rng: Rng,
    audio: Audio,
    sample_rate: int,
    *,
    vowel_seconds: tuple[float, float] = (0.08, 0.5),
) -> Audio:
    """Make an instrument speak, with moving resonances like those of vowels, as a talk box does.

    Networks have to learn that it is still music.

    Parameters
    ----------
    vowel_seconds
        Shortest and longest time from one vowel to the next.
    """
    frame = 1024
    spectra = in_frames(audio, frame)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(frame, 1 / sample_rate), 20.0))
    frames = np.arange(spectra.shape[1])
    step = rng.uniform(*vowel_seconds) * sample_rate / (frame // 4)
    knots = np.arange(0, frames[-1] + 2 * step, step)
    depth_db = rng.uniform(9, 24)
    gain_db = np.full((len(frames), len(octaves)), -depth_db)
    for low, high in VOWEL_FORMANTS_HZ:
        centres = rng.uniform(np.log2(low), np.log2(high), len(knots))
        distance = octaves - np.interp(frames, knots, centres)[:, None]
        gain_db = np.maximum(gain_db, -depth_db * np.square(distance / 0.3))
    gains = (10.0 ** (gain_db / 20)).astype(np.float32)
    return from_frames(spectra * gains, audio.shape[1])
