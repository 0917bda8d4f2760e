"""Spleeter's U-Net, one each for vocals and accompaniment, or one for the vocals alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from karaoke.errors import ModelError
from karaoke.separation.fields import Within
from karaoke.separation.networks.masking import Masking
from karaoke.separation.networks.sizes import FftLength, HopLength, Width
from karaoke.separation.spectral import Stft

#: Keeps the ratio of silence to silence a number.
EPSILON = 1e-10
#: Levels of the encoder, at most.
MOST_LEVELS = 10
#: Bands below the treble that its mask is estimated from, and features in between.
KNOWN_BANDS = 16
TREBLE_FEATURES = 64


@dataclass(frozen=True)
class SpleeterUNetConfig:
    """Shape of a :class:`SpleeterUNet`.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples.
    heard_bins
        How many of the lowest bins the networks hear: up to 11 kHz at 44.1 kHz. Those above get
        the mean of each frame's mask. A multiple of two to the number of levels.
    widths
        Channels of the encoder's levels.
    rivals
        Whether the accompaniment has its own network, so that the mask is the vocals' share of
        both powers; otherwise the vocals' sigmoid is the mask.
    treble_bands
        Bands above the heard bins, each with its own mask (see :class:`Treble`); 0 for the mean of
        the frame's mask.
    """

    n_fft: FftLength = 4096
    hop_length: HopLength = 1024
    heard_bins: Annotated[int, Within(1, 1 << 15)] = 1024
    widths: tuple[Width, ...] = (16, 32, 64, 128, 256, 512)
    rivals: bool = True
    treble_bands: Annotated[int, Within(0, 256)] = 0

    def __post_init__(self) -> None:
        """Reject sizes that do not fit together.

        Raises
        ------
        ModelError
            There are too many levels or bins, or ``heard_bins`` cannot be halved so often.
        """
        object.__setattr__(self, "widths", tuple(self.widths))
        if not 1 <= len(self.widths) <= MOST_LEVELS:
            raise ModelError(f"widths must have 1 to {MOST_LEVELS} levels, not {len(self.widths)}")
        if self.heard_bins % 2 ** len(self.widths) or self.heard_bins > self.n_fft // 2:
            raise ModelError(f"heard_bins {self.heard_bins} does not fit the transform and levels")
        if self.treble_bands > self.n_fft // 2 + 1 - self.heard_bins:
            raise ModelError(f"treble_bands {self.treble_bands} exceeds the bins left")


class HalvingConvolution(nn.Module):
    """Halve an image ``(B, inputs, T, F)`` with a 5 x 5 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 5, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        """Pad as TensorFlow does: once before, twice after."""
        convolved: Tensor = self.convolution(nn.functional.pad(image, (1, 2, 1, 2)))
        return convolved


class DoublingConvolution(nn.Module):
    """Double an image ``(B, inputs, T, F)`` with a transposed 5 x 5 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 5, stride=2)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)

    def forward(self, image: Tensor) -> Tensor:
        """Crop as TensorFlow does; the norm follows the rectifier."""
        if self.convolution.out_channels == 1:
            doubled = self._double_to_one(image)
        else:
            doubled = self.convolution(image)[..., 1:-2, 1:-2]
        normed: Tensor = self.norm(doubled.relu_())
        return normed

    def _double_to_one(self, image: Tensor) -> Tensor:
        """Convolve as a product of matrices; torch would compute 16 channels and keep one."""
        weight, bias = self.convolution.weight, self.convolution.bias
        height, width = image.shape[2:]
        kernel = weight.flatten(1).T.expand(len(image), -1, -1)  # (B, 25, inputs)
        # Not `@`, which would copy the product to have it in another order.
        patches = torch.bmm(kernel, image.flatten(2))  # (B, 25, T F)
        size = (2 * height + 1, 2 * width + 1)
        doubled = nn.functional.fold(patches, size, kernel_size=5, stride=2, padding=1)
        assert bias is not None
        return doubled[..., :-1, :-1] + bias[:, None, None]


class MagnitudeUNet(nn.Module):
    """Estimate how much of each magnitude belongs to one stem: a mask in [0, 1].

    Parameters
    ----------
    channels
        C, of the spectrogram.
    widths
        Channels of the encoder's levels.
    """

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (channels, *widths[:-1])
        self.halving = nn.ModuleList(
            HalvingConvolution(*pair) for pair in zip(inputs, widths, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01) for width in widths[:-1]
        )
        outputs = [*reversed(widths[:-1]), 1]
        joined = [widths[-1], *(2 * width for width in outputs[:-1])]
        self.doubling = nn.ModuleList(
            DoublingConvolution(*pair) for pair in zip(joined, outputs, strict=True)
        )
        self.mask = nn.Conv2d(1, channels, 4, dilation=2, padding=3)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Map magnitudes ``(B, C, T, F)`` to a mask of the same shape; T and F fit the levels."""
        image, skips = magnitudes, []
        for level, halve in enumerate(self.halving):
            image = halve(image)
            if level < len(self.norms):
                skips.append(image)  # from before the norm
                image = nn.functional.leaky_relu_(self.norms[level](image), 0.2)
        for level, double in enumerate(self.doubling):
            if level:
                image = torch.cat([skips.pop(), image], dim=1)
            image = double(image)
        mask: Tensor = self.mask(image).float().sigmoid()
        return mask


class Treble(nn.Module):
    """Extend a mask to the bins above those it was estimated for.

    Each band of a frame gets the mean of the frame's mask, shifted by two convolutions over time
    that see the mask and all magnitudes in bands. Before training it is just the mean.

    Parameters
    ----------
    channels
        C, of the spectrogram.
    bands
        K, of the extended mask.
    """

    def __init__(self, channels: int, bands: int) -> None:
        super().__init__()
        self.channels, self.bands = channels, bands
        inputs = channels * (2 * KNOWN_BANDS + bands)
        self.listen = nn.Conv1d(inputs, TREBLE_FEATURES, 5, padding=2)
        self.move = nn.Conv1d(TREBLE_FEATURES, channels * bands, 5, padding=2)
        for weight in self.move.parameters():
            nn.init.zeros_(weight)

    def levels(self, magnitudes: Tensor, heard: int) -> Tensor:
        """Return levels of magnitudes ``(B, C, T, F)`` in bands: ``(B, C, T, KNOWN_BANDS + K)``."""
        below, above = magnitudes[..., :heard], magnitudes[..., heard:]
        bands = torch.cat([in_bands(below, KNOWN_BANDS), in_bands(above, self.bands)], dim=3)
        return (bands + EPSILON).log10()

    def forward(self, mask: Tensor, levels: Tensor, bins: int) -> Tensor:
        """Map a mask ``(B, C, T, heard)`` and :meth:`levels` to the mask of the bins above."""
        features = torch.cat([in_bands(mask, KNOWN_BANDS), levels], dim=3)
        rows = features.transpose(2, 3).flatten(1, 2)
        moved = self.move(nn.functional.leaky_relu(self.listen(rows), 0.2))
        moved = moved.view(len(mask), self.channels, self.bands, -1).transpose(2, 3)  # (B, C, T, K)
        shares = (mask.mean(dim=3, keepdim=True).logit(1e-4) + moved).sigmoid()
        spread: Tensor = nn.functional.interpolate(shares.flatten(0, 1), bins, mode="linear")
        return spread.view(*shares.shape[:3], -1)


def in_bands(image: Tensor, bands: int) -> Tensor:
    """Average the last axis over bands of nearly equal widths: ``(..., F)`` to ``(..., K)``."""
    pooled: Tensor = nn.functional.adaptive_avg_pool1d(image.flatten(0, 1), bands)
    return pooled.view(*image.shape[:3], bands)


class SpleeterUNet(Masking):
    """Separate vocals with U-Nets over magnitudes, as published for frequencies up to 11 kHz.

    The only stem is the vocals; the rest of the song is the instrumental.

    References
    ----------
    R. Hennequin, A. Khlif, F. Voituret and M. Moussallam, "Spleeter: a fast and efficient music
    source separation tool with pre-trained models", Journal of Open Source Software 5 (50), 2020.
    """

    def __init__(
        self, config: SpleeterUNetConfig, *, sample_rate: int, channels: int, stems: tuple[str, ...]
    ) -> None:
        super().__init__()
        if len(stems) != 1:
            raise ModelError(f"spleeter_unet masks one stem, not {len(stems)}")
        self.stft = Stft(config.n_fft, config.hop_length)
        self.heard_bins = config.heard_bins
        self.grain = 2 ** len(config.widths)
        self.networks = nn.ModuleList(
            MagnitudeUNet(channels, config.widths) for _ in range(1 + config.rivals)
        )
        for network in self.networks:  # a third faster on a CPU
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.treble = Treble(channels, config.treble_bands) if config.treble_bands else None

    def adopt(self, weights: dict[str, Tensor]) -> None:
        """Start from the weights of another one, which may have a rival, or no treble.

        Raises
        ------
        RuntimeError
            The weights do not fit.
        """
        wanted = self.state_dict()
        kept = {name: t for name, t in wanted.items() if name.startswith("treble.")}
        ours = {n: t for n, t in weights.items() if n in wanted or not n.startswith("networks.1.")}
        self.load_state_dict({**kept, **ours})

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, 1, C, F, T)``."""
        bins, frames = spectrogram.shape[-2:]
        magnitudes = spectrogram.abs().transpose(2, 3)  # (B, C, T, F)
        levels = None if self.treble is None else self.treble.levels(magnitudes, self.heard_bins)
        heard = nn.functional.pad(
            magnitudes[..., : self.heard_bins], (0, 0, 0, -frames % self.grain)
        )
        del magnitudes  # the networks need its room
        mask, *rivals = [network(heard)[:, :, :frames] for network in self.networks]
        if rivals:
            powers = [(estimate * heard[:, :, :frames]).square() for estimate in (mask, *rivals)]
            mask = (powers[0] + EPSILON / 2) / (powers[0] + powers[1] + EPSILON)
        if self.treble is not None:
            above = self.treble(mask, levels, bins - self.heard_bins)
        else:
            above = mask.mean(dim=3, keepdim=True).expand(-1, -1, -1, bins - self.heard_bins)
        return torch.cat([mask, above], dim=3).transpose(2, 3)[:, None]
