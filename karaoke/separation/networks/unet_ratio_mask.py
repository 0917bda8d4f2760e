"""A U-Net with batch norm and a ratio mask, on patches of 256 bands x 256 frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from karaoke.separation.networks.bands import growing_band_widths
from karaoke.separation.networks.sizes import Depth, Dropout, Exponent, FftLength, HopLength, Width
from karaoke.separation.networks.unet import MaskingUNet
from karaoke.separation.spectral import Stft


@dataclass(frozen=True)
class UNetRatioMaskConfig:
    """Shape of a :class:`UNetRatioMask`.

    The default width is the full one, with about 42 million weights.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples.
    bands
        Height of a patch.
    width
        Channels of the first level; the levels after it have 2, 4, 8, 8, 8 ... times as many.
    levels
        How often a patch is halved.
    magnitude_exponent
        Power that magnitudes are raised to before the first layer.
    dropout
        Share of the features dropped from the decoder's three deepest levels in training.
    """

    n_fft: FftLength = 2048
    hop_length: HopLength = 512
    bands: Width = 256
    width: Width = 64
    levels: Depth = 7
    magnitude_exponent: Exponent = 0.3
    dropout: Dropout = 0.5


class UNetRatioMask(MaskingUNet):
    """Estimate ratio masks with a deep U-Net, whose encoder can come from another task.

    The encoder halves a patch seven times, to two by two. With one bin per row, 256 rows would end
    at 5.5 kHz; rows are bands instead, single bins up to 2 kHz and wider and wider from there to
    half the sample rate, and a mask applies to all bins of a band. 256 frames are 2.96 s at
    44.1 kHz; other lengths are padded.

    Raises
    ------
    ModelError
        There are more bands than bins.

    References
    ----------
    O. Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    MICCAI 2015; in the form of P. Isola et al., "Image-to-Image Translation with Conditional
    Adversarial Networks", CVPR 2017, with seven levels.
    """

    band_of_bin: Tensor

    def __init__(
        self,
        config: UNetRatioMaskConfig,
        *,
        sample_rate: int,
        channels: int,
        stems: tuple[str, ...],
    ) -> None:
        stft = Stft(config.n_fft, config.hop_length)
        widths = growing_band_widths(config.bands, bins=stft.bins)
        super().__init__(
            stft,
            channels=channels,
            stems=stems,
            magnitude_exponent=config.magnitude_exponent,
            widths=[config.width * min(8, 2**level) for level in range(config.levels)],
            batch_norm=True,
            dropout=config.dropout,
            bins=config.bands,
        )
        # On the CPU even for outlines, as the window of the transform.
        bands = torch.arange(config.bands, device="cpu").repeat_interleave(
            torch.tensor(widths, device="cpu"), output_size=stft.bins
        )
        self.register_buffer("band_of_bin", bands, persistent=False)

    def power(self, spectrogram: Tensor) -> Tensor:
        """Return the mean power per band of a spectrogram ``(B, C, F, T)``: ``(B, C, K, T)``."""
        power = super().power(spectrogram)
        index = self.band_of_bin[:, None].expand_as(power)
        bands = power.new_zeros(*power.shape[:2], self.input_mean.shape[1], power.shape[3])
        return bands.scatter_reduce(2, index, power, "mean", include_self=False)

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        return super().masks(spectrogram).index_select(3, self.band_of_bin)
