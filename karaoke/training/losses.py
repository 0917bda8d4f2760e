"""Training losses: small functions of waveforms, so that they fit every architecture.

Each takes an estimate and a target ``(B, ..., N)`` and a transform, and returns a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from karaoke.spectral import Stft

#: Windows in samples of the multi-resolution loss, 6 to 93 ms at 44.1 kHz.
RESOLUTIONS = (256, 1024, 4096)


def error_norm(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Root mean square of the error of each mixture, averaged over the batch.

    Squares inside, so that an uncertain mask settles on the expected value, as the signal-to-
    distortion ratio asks, where absolute errors would drive it to all or nothing; the root keeps a
    hard mixture from counting more than many easy ones.
    """
    # The floor bounds the gradient of the root where the error vanishes.
    return ((estimate - target).square().flatten(1).mean(dim=1) + 1e-8).sqrt().mean()


def waveform_l1(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Mean absolute error of the samples."""
    return (estimate - target).abs().mean()


def spectrogram_l1(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Mean absolute error of real and imaginary parts (Luo & Yu 2023), per window energy."""
    difference = torch.view_as_real(stft(estimate - target))
    return difference.abs().mean() / stft.window.square().sum().sqrt()


def multi_resolution_l1(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Compute :func:`spectrogram_l1` with short, middle and long windows, and average."""
    losses = [
        spectrogram_l1(estimate, target, Stft(n_fft, n_fft // 4).to(estimate.device))
        for n_fft in RESOLUTIONS
    ]
    return torch.stack(losses).mean()


def compressed_magnitude_mse(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Mean squared error of square-rooted magnitudes: hears consonants and air, not just bass."""
    scale = stft.window.square().sum().sqrt()
    roots = [
        # The floor bounds the gradient of the root near silence.
        (stft(x).abs() / scale + 1e-4).sqrt()
        for x in (estimate, target)
    ]
    return torch.nn.functional.mse_loss(roots[0], roots[1])


LOSSES: dict[str, Callable[[Tensor, Tensor, Stft], Tensor]] = {
    loss.__name__: loss
    for loss in (
        error_norm,
        waveform_l1,
        spectrogram_l1,
        multi_resolution_l1,
        compressed_magnitude_mse,
    )
}


def weighted_loss(
    weights: Mapping[str, float], estimate: Tensor, target: Tensor, stft: Stft
) -> Tensor:
    """Add up the losses that have a weight."""
    terms = [
        weight * LOSSES[name](estimate, target, stft) for name, weight in weights.items() if weight
    ]
    return torch.stack(terms).sum()
