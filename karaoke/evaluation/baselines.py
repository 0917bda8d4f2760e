"""Separation without learning, to compare models with: simple methods, and the ceiling of masks.

Each takes a song's waveform ``(C, N)`` float32 and returns one stem of the same shape: the vocals,
unless the true stems are passed too. What is left is the instrumental.
"""

from __future__ import annotations

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from karaoke.evaluation.metrics import binary_mask

Audio = NDArray[np.float32]
N_FFT, HOP_LENGTH = 4096, 1024
EPSILON = 1e-8
#: Frames to judge repetition by; more take minutes per song and change little.
SIMILAR_FRAMES = 25
#: Length of the parts that are searched for repetitions.
PART_SECONDS = 180.0
LONG_FRAME_SECONDS, SHORT_FRAME_SECONDS = 0.37, 0.046
LOWEST_VOICE_HZ = 100


def transform(audio: Audio) -> NDArray[np.complex64]:
    """Return the spectrogram ``(C, F, T)``."""
    spectrogram: NDArray[np.complex64] = librosa.stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH)
    return spectrogram


def invert(spectrogram: NDArray[np.complex64], length: int) -> Audio:
    """Return the waveform ``(C, N)`` of a spectrogram."""
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


def hpss(mixture: Audio, sample_rate: int) -> Audio:
    """Keep what is neither steady nor sudden: two separations into harmonic and percussive.

    In long frames a voice moves, as drums do, and instruments hold their notes; in short ones a
    voice holds, as they do, and drums do not. So the voice is the harmonic part, in short frames,
    of the percussive part in long ones.

    References
    ----------
    D. FitzGerald and M. Gainza, "Single channel vocal separation using median filtering and
    factorisation techniques", ISAST Trans. 4(1), 2010; H. Tachibana et al., "Singing voice
    enhancement in monaural music signals based on two-stage harmonic/percussive sound separation",
    IEEE/ACM Trans. Audio, Speech and Language Processing 22(1), 2014.
    """
    audio = mixture
    for seconds, keep in ((LONG_FRAME_SECONDS, "percussive"), (SHORT_FRAME_SECONDS, "harmonic")):
        n_fft = 2 ** round(np.log2(seconds * sample_rate))
        spectrogram = librosa.stft(audio, n_fft=n_fft, hop_length=n_fft // 4)
        magnitude = np.abs(spectrogram).mean(axis=0)
        harmonic, percussive = librosa.decompose.hpss(magnitude, mask=True)
        mask = harmonic if keep == "harmonic" else percussive
        audio = librosa.istft(mask * spectrogram, hop_length=n_fft // 4, length=mixture.shape[1])
    return without_bass(audio, sample_rate)


def without_bass(audio: Audio, sample_rate: int) -> Audio:
    """Remove everything below the voice."""
    spectrogram = transform(audio)
    spectrogram[:, librosa.fft_frequencies(sr=sample_rate, n_fft=N_FFT) < LOWEST_VOICE_HZ] = 0
    return invert(spectrogram, audio.shape[1])


def repet_sim(mixture: Audio, sample_rate: int) -> Audio:
    """Keep what does not repeat: each frame is compared with the frames most like it.

    The time this takes grows with the square of the length, so long songs are cut into parts of
    about three minutes, long enough for a song to repeat itself.

    References
    ----------
    Z. Rafii and B. Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012; with
    librosa's nearest-neighbour filter and the margins of its example.
    """
    count = max(1, round(mixture.shape[1] / (PART_SECONDS * sample_rate)))
    parts = np.array_split(mixture, count, axis=1)
    return np.concatenate([repet_sim_part(part, sample_rate) for part in parts], axis=1)


def repet_sim_part(mixture: Audio, sample_rate: int) -> Audio:
    """Keep what does not repeat in one part of a song."""
    width = int(librosa.time_to_frames(2, sr=sample_rate, hop_length=HOP_LENGTH))
    # Repetitions must be this far apart, but a song may be shorter than that.
    width = min(width, mixture.shape[1] // HOP_LENGTH // 2 - 1)
    if width < 1:
        return mixture.copy()
    spectrogram = transform(mixture)
    magnitude = np.abs(spectrogram).mean(axis=0)
    repeating = librosa.decompose.nn_filter(
        magnitude, aggregate=np.median, metric="cosine", width=width, k=SIMILAR_FRAMES
    )
    repeating = np.minimum(magnitude, repeating)
    mask = librosa.util.softmask(magnitude - repeating, 10 * repeating + EPSILON, power=2)
    # Voices have little below 100 Hz, and kick drums repeat badly.
    mask[librosa.fft_frequencies(sr=sample_rate, n_fft=N_FFT) < LOWEST_VOICE_HZ] = 0
    return invert(spectrogram * mask, mixture.shape[1])


def ideal_ratio_mask(mixture: Audio, stem: Audio, rest: Audio) -> Audio:
    """Apply the true stem's mask: as good as a mask with the mixture's phase can get.

    Power ratios ``|S|^2 / (|S|^2 + |R|^2)``, the Wiener filter of the stem and all the rest; not
    the ratio of magnitudes that networks learn, :func:`karaoke.training.masks.ideal_ratio_mask`.
    """
    power = [np.square(np.abs(transform(audio))) for audio in (stem, rest)]
    mask = power[0] / (power[0] + power[1] + EPSILON)
    return invert(transform(mixture) * mask, mixture.shape[1])


def ideal_binary_mask(mixture: Audio, stem: Audio, rest: Audio) -> Audio:
    """Keep the bins in which the true stem is louder than the rest."""
    true, other = (torch.from_numpy(transform(audio)) for audio in (stem, rest))
    return invert(transform(mixture) * binary_mask(true, other).numpy(), mixture.shape[1])
