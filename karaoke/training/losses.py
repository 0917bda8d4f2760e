"""Training losses: small functions of waveforms, so that they fit every architecture."""

from __future__ import annotations

import torch
from torch import Tensor

from karaoke.spectral import Stft


def waveform_l1(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the samples."""
    return (estimate - target).abs().mean()


def spectrogram_l1(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Mean absolute error of real and imaginary parts (Luo & Yu 2023), per window energy."""
    difference = torch.view_as_real(stft(estimate - target))
    return difference.abs().mean() / stft.window.square().sum().sqrt()


def compressed_magnitude_l1(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Mean absolute error of square-rooted magnitudes: hears consonants and air, not just bass."""
    scale = stft.window.square().sum().sqrt()
    roots = [
        # The floor bounds the gradient of the root near silence.
        (stft(x).abs() / scale + 1e-4).sqrt()
        for x in (estimate, target)
    ]
    return torch.nn.functional.l1_loss(roots[0], roots[1])


def separation_loss(estimate: Tensor, target: Tensor, stft: Stft) -> Tensor:
    """Weigh the three so that each starts at a similar size for mixtures of RMS 0.1."""
    return (
        waveform_l1(estimate, target)
        + 2 * spectrogram_l1(estimate, target, stft)
        + 0.5 * compressed_magnitude_l1(estimate, target, stft)
    )
