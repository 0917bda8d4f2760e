"""The base of networks that hear magnitudes and mask the mixture's spectrogram."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from karaoke.separation.spectral import Stft

#: Keeps roots and divisions stable; 80 dB below the level that the mixture is normalised to.
EPSILON = 1e-4


class Masking(nn.Module):
    """Separate with real masks in [0, 1], so that stems keep the mixture's phase.

    A subclass has a transform, and implements :meth:`masks`.
    """

    stft: Stft

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        raise NotImplementedError

    def apply_masks(self, masks: Tensor, spectrogram: Tensor, length: int) -> Tensor:
        """Mask a spectrogram ``(B, C, F, T)`` and transform it back: stems ``(B, S, C, N)``."""
        return self.stft.inverse(masks * spectrogram[:, None], length)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixtures ``(B, C, N)`` into stems ``(B, S, C, N)``."""
        spectrogram = self.stft(mixture)  # (B, C, F, T)
        return self.apply_masks(self.masks(spectrogram), spectrogram, mixture.shape[-1])


class MaskingNetwork(Masking):
    """A network whose masks are those of normalised magnitudes.

    A subclass implements :meth:`masks` on what :meth:`standardise` returns: magnitudes normalised
    by the mixture's level, compressed, and standardised per view and bin by training statistics.

    Parameters
    ----------
    stft
        The transform.
    channels
        C, of the waveforms.
    stems
        Names of the outputs, S of them.
    magnitude_exponent
        Power that magnitudes are raised to, so that quiet partials count.
    views, bins
        V and F of what :meth:`power` returns; by default, C and all bins.
    """

    input_mean: Tensor
    input_scale: Tensor

    def __init__(
        self,
        stft: Stft,
        *,
        channels: int,
        stems: tuple[str, ...],
        magnitude_exponent: float,
        views: int = 0,
        bins: int = 0,
    ) -> None:
        super().__init__()
        self.stft = stft
        self.channels, self.stems = channels, len(stems)
        self.views = views or channels
        self.magnitude_exponent = magnitude_exponent
        # Persistent: statistics of the training data, needed to run the weights.
        self.register_buffer("input_mean", torch.zeros(self.views, bins or stft.bins))
        self.register_buffer("input_scale", torch.ones(self.views, bins or stft.bins))

    def power(self, spectrogram: Tensor) -> Tensor:
        """Return the power of the views of a spectrogram ``(B, C, F, T)``: ``(B, V, F, T)``.

        Views after the first C do not count towards the level.
        """
        return spectrogram.real.square().add_(spectrogram.imag.square())

    def compress(self, spectrogram: Tensor) -> Tensor:
        """Return the compressed magnitudes of all views, level-normalised: ``(B, V, F, T)``."""
        power = self.power(spectrogram)
        level = power[:, : self.channels].mean(dim=(1, 2, 3), keepdim=True)
        # The floor keeps digital silence silent, instead of boosting rounding noise to full level.
        # In place: new tensors of this size cost a CPU more than the arithmetic.
        power.div_(level.clamp_min(1e-7)).add_(EPSILON**2)
        return power.pow_(self.magnitude_exponent / 2)

    def standardise(self, spectrogram: Tensor) -> Tensor:
        """Return a network's input for a spectrogram ``(B, C, F, T)``: ``(B, V, F, T)``."""
        views = self.compress(spectrogram)
        return views.sub_(self.input_mean[..., None]).div_(self.input_scale[..., None])

    @torch.no_grad()
    def calibrate(self, mixture: Tensor) -> None:
        """Set the input statistics, per view and bin, from a batch of mixtures ``(B, C, N)``."""
        views = self.compress(self.stft(mixture))
        self.input_mean.copy_(views.mean(dim=(0, 3)))
        self.input_scale.copy_(views.std(dim=(0, 3)).clamp_min(EPSILON))
