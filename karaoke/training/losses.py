"""Training losses: small functions of waveforms, which suit every architecture.

Each takes a :class:`Pair` of an estimate and a target and returns a scalar. Losses of masks are in
:mod:`karaoke.training.masks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from karaoke.errors import UsageError
from karaoke.separation.spectral import Stft
from karaoke.training.masks import MASK_LOSSES, require_masks
from karaoke.training.precision import autocast
from karaoke.training.traits import FULL_BAND_HZ

#: Windows in samples of the multi-resolution loss, 6 to 93 ms at 44.1 kHz.
RESOLUTIONS = (256, 1024, 4096)


class Pair:
    """An estimate and a target, with their spectra, which several losses share.

    Parameters
    ----------
    estimate, target
        ``(B, ..., N)``.
    stft
        Transform of the losses that compare spectra.
    """

    def __init__(self, estimate: Tensor, target: Tensor, stft: Stft) -> None:
        self.estimate, self.target, self.stft = estimate, target, stft
        self._known: dict[tuple[int, int], Tensor] = {}

    def against(self, target: Tensor, stft: Stft | None = None) -> Pair:
        """Pair the estimate, and its spectra as far as they are known, with another target."""
        pair = Pair(self.estimate, target, stft or self.stft)
        pair._known = self._known
        return pair

    @cached_property
    def spectra(self) -> tuple[Tensor, Tensor]:
        """Spectra of estimate and target, scaled by the window: complex ``(B, ..., F, T)``."""
        scale = self.stft.window.square().sum().sqrt()
        size = self.stft.n_fft, self.stft.hop_length
        if size not in self._known:
            self._known[size] = self.stft(self.estimate) / scale
        return self._known[size], self.stft(self.target) / scale


def error_norm(pair: Pair) -> Tensor:
    """Root mean square of the error of each mixture, averaged over the batch.

    With squared errors, an uncertain mask settles on its expected value, which is best for the
    signal-to-distortion ratio; absolute errors would drive it to all or nothing. The root keeps
    one hard mixture from outweighing many easy ones.
    """
    error = (pair.estimate - pair.target).square().flatten(1).mean(dim=1)
    # The floor bounds the gradient of the root where there is no error.
    return (error + 1e-8).sqrt().mean()


def error_decibels(pair: Pair) -> Tensor:
    """Level of the error of each mixture in tens of decibels, averaged over the batch.

    All mixtures have equal weights, easy or hard, as in a mean of signal-to-distortion ratios.
    Errors far more than 30 dB below the mixture, whose mean square is 0.01, are hardly audible and
    do not count.
    """
    error = (pair.estimate - pair.target).square().flatten(1).mean(dim=1)
    return (1 + error / 1e-5).log10().mean()


def waveform_l1(pair: Pair) -> Tensor:
    """Mean absolute error of the samples."""
    return (pair.estimate - pair.target).abs().mean()


def spectrogram_l1(pair: Pair) -> Tensor:
    """Mean absolute error of real and imaginary parts of spectra (Luo & Yu 2023)."""
    estimate, target = pair.spectra
    return torch.view_as_real(estimate - target).abs().mean()


def multi_resolution_l1(pair: Pair) -> Tensor:
    """Average :func:`spectrogram_l1` over short, medium and long windows."""
    transforms = [Stft(n_fft, n_fft // 4).to(pair.estimate.device) for n_fft in RESOLUTIONS]
    pairs = [pair.against(pair.target, stft) for stft in transforms]
    return torch.stack([spectrogram_l1(one) for one in pairs]).mean()


def compressed_magnitude_mse(pair: Pair) -> Tensor:
    """Mean squared error of root magnitudes, in which consonants count, not just bass."""
    # The floor bounds the gradient of the root near silence.
    estimate, target = ((spectrum.abs() + 1e-4).sqrt() for spectrum in pair.spectra)
    return torch.nn.functional.mse_loss(estimate, target)


LOSSES: dict[str, Callable[[Pair], Tensor]] = {
    loss.__name__: loss
    for loss in (
        error_norm,
        error_decibels,
        waveform_l1,
        spectrogram_l1,
        multi_resolution_l1,
        compressed_magnitude_mse,
    )
}


def weighted_loss(weights: Mapping[str, float], pair: Pair) -> Tensor:
    """Add up the losses by their weights."""
    terms = [weight * LOSSES[name](pair) for name, weight in weights.items() if weight]
    return torch.stack(terms).sum()


def in_band(bins: int, band_hz: Tensor) -> Tensor:
    """Return 1 for each bin of a transform below a frequency, 0 above: ``(B, bins)``."""
    frequencies_hz = torch.linspace(0, FULL_BAND_HZ, bins, device=band_hz.device)
    return (frequencies_hz <= band_hz[:, None]).float()


def limit(audio: Tensor, band_hz: Tensor) -> Tensor:
    """Low-pass ``(B, ..., N)`` at one frequency each, ``(B,)``."""
    spectra = torch.fft.rfft(audio)
    known = in_band(spectra.shape[-1], band_hz.to(audio.device))
    known = known.reshape(len(known), *[1] * (audio.dim() - 2), -1)
    limited: Tensor = torch.fft.irfft(spectra * known, audio.shape[-1])
    return limited


class Objective(nn.Module):
    """A network and its loss: takes the parts of mixtures, returns the loss.

    It is a module, so that processes that train together exchange gradients whichever methods of
    the network it calls. The network runs in bfloat16, where the device has it, and the loss in
    float32.

    Parameters
    ----------
    network
        The network to train.
    weights
        Weights of the losses, all in ``LOSSES`` or all in ``MASK_LOSSES``.
    stems
        Number of the network's outputs, whose targets are the first parts.
    stft
        Transform for losses of waveforms; losses of masks use the network's own.
    teacher, hold
        A network whose estimates are targets too, and their weight.

    Raises
    ------
    UsageError
        There is a teacher, and the losses are those of masks.
    """

    def __init__(
        self,
        network: nn.Module,
        weights: Mapping[str, float],
        stems: int,
        stft: Stft,
        *,
        teacher: nn.Module | None = None,
        hold: float = 0.0,
    ) -> None:
        super().__init__()
        self.network, self.weights, self.stems, self.stft = network, weights, stems, stft
        # In a list, it is not part of this module, so it is neither trained, saved nor exchanged.
        self.teachers, self.hold = [teacher] if teacher is not None else [], hold
        if self.teachers and not self.weights.keys() <= LOSSES.keys():
            raise UsageError("hold needs losses of waveforms, not of masks")

    def forward(self, parts: Tensor, band_hz: Tensor) -> Tensor:
        """Compute the loss for mixtures.

        Parameters
        ----------
        parts
            ``(B, parts, C, N)``; the network hears their sum.
        band_hz
            ``(B,)``, preferably on the CPU; above, nothing counts, since the targets are unknown.
        """
        mixture, targets = parts.sum(dim=1), parts[:, : self.stems]
        limited = bool((band_hz < FULL_BAND_HZ).any())
        precision = autocast(parts.device.type)
        if self.weights.keys() <= LOSSES.keys():
            with precision:
                estimates = self.network(mixture)
            estimates = estimates.float()
            if limited:
                estimates, targets = (limit(audio, band_hz) for audio in (estimates, targets))
            # Each stem counts as a mixture of its own.
            estimates, targets = estimates.flatten(0, 1), targets.flatten(0, 1)
            pair = Pair(estimates, targets, self.stft)
            loss = weighted_loss(self.weights, pair)
            for teacher in self.teachers:
                with torch.no_grad(), precision:
                    taught = teacher(mixture).float()
                taught = (limit(taught, band_hz) if limited else taught).flatten(0, 1)
                loss = loss + self.hold * weighted_loss(self.weights, pair.against(taught))
            return loss
        network = require_masks(self.network)
        spectra = network.stft(torch.cat([mixture[:, None], targets], dim=1))
        with precision:
            masks = network.masks(spectra[:, 0])
        masks, spectra = masks.float(), spectra / network.stft.window.square().sum().sqrt()
        if limited:
            # Where neither mixture nor mask has anything, all losses of masks are zero.
            known = in_band(spectra.shape[3], band_hz.to(parts.device))[:, None, None, :, None]
            masks, spectra = masks * known, spectra * known
        terms = [
            weight * MASK_LOSSES[name](masks, spectra[:, 0], spectra[:, 1:])
            for name, weight in self.weights.items()
            if weight
        ]
        return torch.stack(terms).sum()
