"""Measures of estimates: ratios in decibels, which reduce the last axis, and masks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

#: Avoids dividing by zero for silent signals; 100 dB below a full-scale signal.
EPSILON = 1e-10
#: Range in dB that gains are clipped to, so that no single window decides a mean. An SI-SDR far
#: below the mixture's says no more than that estimate and target have nothing in common.
GAIN_RANGE_DB = (-10.0, 30.0)
#: Level in dB relative to the mixture below which an estimate counts as silent. Divided by next to
#: nothing, silence would have an SI-SDR of 0 dB, which is above that of most mixtures.
SILENT_DB = -60.0
#: Level in dB of the music relative to the voice below which there is nothing to separate.
ALONE_DB = -30.0
#: Root mean square from which a mixture is audible; 80 dB below full scale.
AUDIBLE_RMS = 1e-4
#: Lower edges in Hz of the bands of :class:`Shares`; the last one has no upper edge.
OCTAVES_HZ = (0, 125, 250, 500, 1000, 2000, 4000, 8000)


def sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Compute the signal-to-distortion ratio of whole signals, as in the MDX challenge.

    ``10 log10(sum target^2 / sum (target - estimate)^2)``; a change of level counts as distortion.

    Parameters
    ----------
    estimate, target
        ``(..., N)``. Flatten the channels of a stereo signal into N to score them as one.

    Returns
    -------
    Tensor
        dB, ``(...)``.

    References
    ----------
    Y. Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing 1, 2022.
    """
    error = (target - estimate).square().sum(-1)
    return 10 * ((target.square().sum(-1) + EPSILON) / (error + EPSILON)).log10()


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio.

    The target is scaled to explain as much of the estimate as it can; no mean is removed.

    Parameters
    ----------
    estimate, target
        ``(..., N)``.

    Returns
    -------
    Tensor
        dB, ``(...)``.

    References
    ----------
    J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019 (arXiv 1811.02508).
    """
    scale = ((estimate * target).sum(-1, keepdim=True) + EPSILON) / (
        target.square().sum(-1, keepdim=True) + EPSILON
    )
    return sdr(estimate, scale * target)


def si_snr(estimate: Tensor, target: Tensor, *, centred: bool = True) -> Tensor:
    """Compute the scale-invariant signal-to-noise ratio, by convention of zero-mean signals.

    ``s = target - mean(target)``, ``e = estimate - mean(estimate)``, ``p = <e, s> s / |s|^2``,
    ``10 log10(|p|^2 / |e - p|^2)``. Not centred, it is :func:`si_sdr`.

    Parameters
    ----------
    estimate, target
        ``(..., N)``.
    centred
        Whether to subtract the means.

    Returns
    -------
    Tensor
        dB, ``(...)``.

    References
    ----------
    Y. Luo and N. Mesgarani, "TasNet", ICASSP 2018 (arXiv 1711.00541).
    """
    if centred:
        estimate, target = (s - s.mean(-1, keepdim=True) for s in (estimate, target))
    return si_sdr(estimate, target)


def magnitude_mse(estimate: Tensor, target: Tensor, full_scale: float = 1.0) -> Tensor:
    """Compute the mean squared error of magnitude spectrograms.

    ``mean((|E| - |T|)^2)`` over all bins, frames and channels; phase does not count.

    Parameters
    ----------
    estimate, target
        Complex spectrograms of one shape.
    full_scale
        Magnitude of a full-scale sine in them; the result is relative to its square.
    """
    return ((estimate.abs() - target.abs()) / full_scale).square().mean()


def binary_mask(stem: Tensor, rest: Tensor, threshold: float = 0.5) -> Tensor:
    """Mark the bins in which a stem is louder than the rest of the mixture.

    ``|S| > threshold * (|S| + |R|)``: for true stems at 0.5, the ideal binary mask; for estimates,
    their soft mask with a threshold.

    Parameters
    ----------
    stem, rest
        Complex spectrograms of one shape.
    threshold
        In (0, 1).

    Returns
    -------
    Tensor
        bool, of the same shape.

    References
    ----------
    D. Wang, "On ideal binary mask as the computational goal of auditory scene analysis", in
    "Speech separation by humans and machines", 2005.
    """
    return (1 - threshold) * stem.abs() > threshold * rest.abs()


def mask_accuracy(mask: Tensor, ideal: Tensor) -> Tensor:
    """Compute the share of bins in which binary masks ``(..., N)`` agree: ``(...)``, in [0, 1].

    Silence agrees with silence, so a stem that is mostly silent is easy; see :func:`dice`. It is
    nan of masks without bins.
    """
    return (mask == ideal).sum(-1) / mask.shape[-1]


def dice(mask: Tensor, ideal: Tensor) -> Tensor:
    """Compute the overlap of binary masks ``(..., N)``: ``2 |A and B| / (|A| + |B|)``, in [0, 1].

    It is nan where both are empty, ``(...)``. Unlike the accuracy it is not high for masks that
    keep nothing of a stem that is rarely heard.

    References
    ----------
    L. R. Dice, "Measures of the amount of ecologic association between species", Ecology 26, 1945.
    """
    return 2 * (mask & ideal).sum(-1) / (mask.sum(-1) + ideal.sum(-1))


def windows(length: int, window_length: int) -> Iterator[slice]:
    """Cut a length into adjacent whole windows; the rest at the end is not scored."""
    for start in range(0, length - window_length + 1, window_length):
        yield slice(start, start + window_length)


def activity_db(vocals: Tensor, window: slice) -> float:
    """Return the level of the vocals ``(C, N)`` in a window relative to the whole song's, in dB."""
    power = vocals[:, window].square().mean() + EPSILON
    return float(10 * (power / (vocals.square().mean() + EPSILON)).log10())


def is_singing(vocals: Tensor, window: slice) -> bool:
    """Return whether a window's vocals are at most 20 dB below the song's."""
    return activity_db(vocals, window) > -20


def is_rest(vocals: Tensor, window: slice) -> bool:
    """Return whether a window's vocals are at least 40 dB below the song's: nobody sings."""
    return activity_db(vocals, window) < -40


def has_music(vocals: Tensor, other: Tensor) -> bool:
    """Return whether the music of a window is loud enough beside its vocals to be separated."""
    return level_db(other, vocals) > ALONE_DB


def level_db(signal: Tensor, reference: Tensor) -> float:
    """Return a signal's level relative to another's, in dB; at least -200."""
    power = signal.square().mean().double() / reference.square().mean().double().clamp_min(1e-20)
    return float(10 * power.clamp_min(1e-20).log10())


def leak_db(estimate: Tensor, mixture: Tensor) -> float | None:
    """Compute the level of a vocals estimate relative to the mixture, where nobody sings.

    None where the mixture is silent too, since nothing can leak there.
    """
    if mixture.square().mean().sqrt() < AUDIBLE_RMS:
        return None
    return level_db(estimate, mixture)


def si_sdr_gain(estimate: Tensor, target: Tensor, mixture: Tensor) -> float:
    """Compute how far an estimate is above the mixture itself, in dB of SI-SDR; all ``(C, N)``.

    Channels are scored together, as one long signal. The gain is clipped to ``GAIN_RANGE_DB``; an
    estimate that is silent or NaN gets the minimum.
    """
    # Comparisons with NaN are false.
    if not level_db(estimate, mixture) > SILENT_DB:
        return GAIN_RANGE_DB[0]
    flat = [signal.flatten() for signal in (estimate, target, mixture)]
    gain = float(si_sdr(flat[0], flat[1]) - si_sdr(flat[2], flat[1]))
    return min(max(gain, GAIN_RANGE_DB[0]), GAIN_RANGE_DB[1])


class Shares:
    """How much of the voice an estimate keeps and how much of the music it lets through, by octave.

    In each band the estimate's spectrogram is explained as ``kept * target + leaked * other`` by
    least squares over all bins, frames and channels. The mixture itself keeps 1 and leaks 1; a
    perfect estimate keeps 1 and leaks 0. The bands are those of ``OCTAVES_HZ`` that begin below
    half the sample rate.

    Parameters
    ----------
    sample_rate
        In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        # 80 to 160 ms at any rate, so that even the lowest bands have bins.
        self.n_fft = 1 << max(6, math.ceil(math.log2(sample_rate / 12)))
        starts = [round(edge * self.n_fft / sample_rate) for edge in OCTAVES_HZ]
        # Bands from half the sample rate up do not exist in this song.
        self.bins = [start for start in starts if start < self.n_fft // 2] + [self.n_fft // 2 + 1]
        self.products = torch.zeros(len(self.bins) - 1, 5, dtype=torch.float64)

    def add(self, estimate: Tensor, target: Tensor, other: Tensor) -> None:
        """Add a window of any length; all signals ``(C, N)``."""
        window = torch.hann_window(self.n_fft)
        estimated, voice, music = (
            torch.stft(
                signal,
                self.n_fft,
                self.n_fft // 4,
                window=window,
                pad_mode="constant",
                return_complex=True,
            )
            for signal in (estimate, target, other)
        )
        pairs = (
            *((voice, voice), (music, music), (voice, music)),
            *((estimated, voice), (estimated, music)),
        )
        for column, (one, two) in enumerate(pairs):
            product = (one * two.conj()).real.sum(dim=(0, 2)).double()  # (F,)
            for band in range(len(self.products)):
                part = product[self.bins[band] : self.bins[band + 1]]
                self.products[band, column] += part.sum()

    def results(self) -> Iterator[tuple[float, float]]:
        """Yield the kept and the leaked share of each band, lowest first."""
        for voice, music, both, kept, leaked in self.products:
            determinant = voice * music - both**2 + EPSILON
            yield (
                float((kept * music - leaked * both) / determinant),
                float((leaked * voice - kept * both) / determinant),
            )
