"""A U-Net over spectrograms: an encoder that halves, a decoder that doubles, and skips between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from karaoke.separation.networks.masking import MaskingNetwork
from karaoke.separation.spectral import Stft

#: A transposed 4 x 4 convolution of stride 2 doubles exactly, and every output has as many inputs
#: as its neighbours, so there is no checkerboard.
HALVING: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}


class Encoder(nn.ModuleList):
    """Convolutions that each halve an image: ``(B, inputs, H, W)`` to a list of all results.

    Parameters
    ----------
    inputs
        Channels of the image.
    widths
        Channels after each level.
    batch_norm
        Whether to normalise all levels but the first and the last.
    """

    def __init__(self, inputs: int, widths: Sequence[int], *, batch_norm: bool) -> None:
        super().__init__()
        for level, width in enumerate(widths):
            normalised = batch_norm and 0 < level < len(widths) - 1
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
            layers.append(nn.Conv2d(inputs, width, bias=not normalised, **HALVING))
            if normalised:
                layers.append(nn.BatchNorm2d(width))
            self.append(nn.Sequential(*layers))
            inputs = width

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encode an image whose sides are multiples of two to the number of levels."""
        results = []
        for level in self:
            image = level(image)
            results.append(image)
        return results


class Decoder(nn.ModuleList):
    """Transposed convolutions that each double, joined by the encoder's image of that size.

    Parameters
    ----------
    outputs
        Channels of the result.
    widths
        Of the encoder.
    batch_norm
        Whether to normalise all but the result.
    dropout
        Share of the features dropped from the three deepest levels in training.
    """

    def __init__(
        self, outputs: int, widths: Sequence[int], *, batch_norm: bool, dropout: float
    ) -> None:
        super().__init__()
        for level in reversed(range(len(widths))):
            inputs = widths[level] * (1 if level == len(widths) - 1 else 2)
            normalised = batch_norm and level > 0
            width = widths[level - 1] if level else outputs
            layers: list[nn.Module] = [
                nn.ReLU(),
                nn.ConvTranspose2d(inputs, width, bias=not normalised, **HALVING),
            ]
            if normalised:
                layers.append(nn.BatchNorm2d(width))
            if level > max(0, len(widths) - 4):
                layers.append(nn.Dropout(dropout))
            self.append(nn.Sequential(*layers))

    def forward(self, encoded: Sequence[Tensor]) -> Tensor:
        """Decode the encoder's results."""
        image: Tensor = self[0](encoded[-1])
        skips = encoded[-2::-1]
        for level, skip in zip(list(self)[1:], skips, strict=True):
            image = level(torch.cat([image, skip], dim=1))
        return image


class MaskingUNet(MaskingNetwork):
    """Estimate masks with a U-Net over all channels together.

    Parameters
    ----------
    stft, channels, stems, magnitude_exponent, bins
        As for :class:`MaskingNetwork`.
    widths
        Channels of the encoder's levels.
    batch_norm, dropout
        As for :class:`Encoder` and :class:`Decoder`.
    """

    def __init__(
        self,
        stft: Stft,
        *,
        channels: int,
        stems: tuple[str, ...],
        magnitude_exponent: float,
        widths: Sequence[int],
        batch_norm: bool,
        dropout: float,
        bins: int = 0,
    ) -> None:
        super().__init__(
            stft, channels=channels, stems=stems, magnitude_exponent=magnitude_exponent, bins=bins
        )
        self.encoder = Encoder(channels, widths, batch_norm=batch_norm)
        self.decoder = Decoder(
            len(stems) * channels, widths, batch_norm=batch_norm, dropout=dropout
        )

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        image = self.standardise(spectrogram)  # (B, C, F, T)
        bins, frames = image.shape[2:]
        grain = 2 ** len(self.encoder)
        image = nn.functional.pad(image, (0, -frames % grain, 0, -bins % grain))
        decoded = self.decoder(self.encoder(image))[..., :bins, :frames]  # (B, S * C, F, T)
        masks: Tensor = decoded.float().sigmoid().unflatten(1, (self.stems, self.channels))
        return masks
