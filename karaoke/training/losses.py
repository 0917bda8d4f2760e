"""Training losses: small functions of waveforms, so that they fit every architecture."""

from __future__ import annotations

import torch
from torch import Tensor

from karaoke.spectral import Stft


def error_norm(estimate: Tensor, target: Tensor) -> Tensor:
    """Root mean square of the error of each mixture ``(B, ...)``, averaged over the batch.

    Squares inside, so that an uncertain mask settles on the expected value, as the signal-to-
    distortion ratio asks, where absolute errors would drive it to all or nothing; the root keeps a
    hard mixture from counting more than many easy ones.
    """
    # The floor bounds the gradient of the root where the error vanishes.
    return ((estimate - target).square().flatten(1).mean(dim=1) + 1e-8).sqrt().mean()


def spectrogram_l1(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Mean absolute error of real and imaginary parts (Luo & Yu 2023), per window energy."""
    difference = torch.view_as_real(stft(estimate - target))
    return difference.abs().mean() / stft.window.square().sum().sqrt()


def compressed_magnitude_mse(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Mean squared error of square-rooted magnitudes: hears consonants and air, not just bass."""
    scale = stft.window.square().sum().sqrt()
    roots = [
        # The floor bounds the gradient of the root near silence.
        (stft(x).abs() / scale + 1e-4).sqrt()
        for x in (estimate, target)
    ]
    return torch.nn.functional.mse_loss(roots[0], roots[1])


def separation_loss(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Weigh the three so that their gradients have similar sizes for mixtures of RMS 0.1."""
    return (
        error_norm(estimate, target)
        + 0.5 * spectrogram_l1(estimate, target, stft)
        + compressed_magnitude_mse(estimate, target, stft)
    )
