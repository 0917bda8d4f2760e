"""A U-Net with a soft mask, on the stereo magnitude spectrogram at full resolution."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from karaoke.separation.networks.sizes import Depth, Dropout, Exponent, FftLength, HopLength, Width
from karaoke.separation.networks.unet import MaskingUNet
from karaoke.separation.spectral import Stft


@dataclass(frozen=True)
class UNetSoftMaskConfig:
    """Shape of a :class:`UNetSoftMask`.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples: 1025 bins, and 587 frames in 6.8 s at 44.1 kHz.
    width
        Channels of the first level; each level doubles them.
    levels
        How often the spectrogram is halved.
    magnitude_exponent
        Power that magnitudes are raised to before the first layer.
    dropout
        Share of the features dropped from the decoder's three deepest levels in training.
    """

    n_fft: FftLength = 2048
    hop_length: HopLength = 512
    width: Width = 16
    levels: Depth = 5
    magnitude_exponent: Exponent = 0.3
    dropout: Dropout = 0.3


class UNetSoftMask(MaskingUNet):
    """Estimate soft masks with an encoder and a decoder joined by skip connections.

    They approximate ``target / (max(target, mixture) + 1e-9)``, of magnitudes
    (:func:`karaoke.training.masks.ideal_ratio_mask`). Weights start as Glorot and Bengio's.

    References
    ----------
    A. Jansson et al., "Singing Voice Separation with Deep U-Net Convolutional Networks",
    ISMIR 2017.
    """

    def __init__(
        self, config: UNetSoftMaskConfig, *, sample_rate: int, channels: int, stems: tuple[str, ...]
    ) -> None:
        super().__init__(
            Stft(config.n_fft, config.hop_length),
            channels=channels,
            stems=stems,
            magnitude_exponent=config.magnitude_exponent,
            widths=[config.width * 2**level for level in range(config.levels)],
            batch_norm=False,
            dropout=config.dropout,
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight)
