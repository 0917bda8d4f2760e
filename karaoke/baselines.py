"""Separation without learning, to compare a model with: simple methods, and the ceiling of masks.

Each takes a song's waveform ``(C, N)`` float32 and gives its vocals, of the same shape; what is
left is the instrumental.
"""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
N_FFT, HOP_LENGTH = 4096, 1024
EPSILON = 1e-8
#: Frames that repetition is judged by; more take minutes a song and change little.
SIMILAR_FRAMES = 25


def transform(audio: Audio) -> NDArray[np.complex64]:
    """Give the spectrogram ``(C, F, T)``."""
    spectrogram: NDArray[np.complex64] = librosa.stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH)
    return spectrogram


def invert(spectrogram: NDArray[np.complex64], length: int) -> Audio:
    """Give the waveform ``(C, N)`` of a spectrogram."""
    audio: Audio = librosa.istft(spectrogram, n_fft=N_FFT, hop_length=HOP_LENGTH, length=length)
    return audio


def centre(mixture: Audio, sample_rate: int) -> Audio:
    """Keep what is louder in the middle than at the sides: mid minus side, bin by bin.

    Lead vocals are mixed to the middle; so are bass, kick and snare. A mono song comes back whole.
    """
    spectrogram = transform(mixture)
    mid = spectrogram.mean(axis=0, keepdims=True)
    side = spectrogram[:1] - mid
    mask = np.maximum(np.abs(mid) - np.abs(side), 0) / (np.abs(mid) + EPSILON)
    return np.repeat(invert(mask * mid, mixture.shape[1]), len(mixture), axis=0)


def repet_sim(mixture: Audio, sample_rate: int) -> Audio:
    """Keep what does not repeat: each frame is compared with the frames most like it.

    References
    ----------
    Z. Rafii and B. Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012; with
    librosa's nearest-neighbour filter and the margins of its example.
    """
    spectrogram = transform(mixture)
    magnitude = np.abs(spectrogram).mean(axis=0)
    width = int(librosa.time_to_frames(2, sr=sample_rate, hop_length=HOP_LENGTH))
    # A song shorter than the distance that repetitions keep has none.
    width = max(1, min(width, (magnitude.shape[1] - 1) // 2))
    repeating = librosa.decompose.nn_filter(
        magnitude, aggregate=np.median, metric="cosine", width=width, k=SIMILAR_FRAMES
    )
    repeating = np.minimum(magnitude, repeating)
    mask = librosa.util.softmask(magnitude - repeating, 10 * repeating + EPSILON, power=2)
    # Voices have little below 100 Hz, and kick drums repeat badly.
    mask[librosa.fft_frequencies(sr=sample_rate, n_fft=N_FFT) < 100] = 0
    return invert(spectrogram * mask, mixture.shape[1])


def ideal_ratio_mask(mixture: Audio, vocals: Audio, instrumental: Audio) -> Audio:
    """Apply the mask that the true stems give: what a mask with the mixture's phase can reach.

    Power ratios, the Wiener filter of the two.
    """
    power = [np.square(np.abs(transform(stem))) for stem in (vocals, instrumental)]
    mask = power[0] / (power[0] + power[1] + EPSILON)
    return invert(transform(mixture) * mask, mixture.shape[1])
