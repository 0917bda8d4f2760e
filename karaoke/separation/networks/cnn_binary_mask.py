"""A small convolutional network per stem that classifies the bins of a song frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from karaoke.separation.fields import Within
from karaoke.separation.networks.masking import MaskingNetwork
from karaoke.separation.networks.sizes import Dropout, Exponent, FftLength, HopLength, Width
from karaoke.separation.spectral import Stft

#: Frames that the decision on the middle one is based on.
CONTEXT = 25
#: Frames from the first to the second column that the last layers see.
LAST_STEP = 6


@dataclass(frozen=True)
class CNNBinaryMaskConfig:
    """Shape of a :class:`CNNBinaryMask`.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples: 513 bins, and 25 frames in 0.29 s at 44.1 kHz.
    hidden
        Units of the layer before the last.
    magnitude_exponent
        Power that magnitudes are raised to before the first layer.
    dropout
        Share of the features dropped in training, after each pool and before the last layer.
    threshold
        Bins whose mask is above this are kept.
    """

    n_fft: FftLength = 1024
    hop_length: HopLength = 512
    hidden: Width = 128
    magnitude_exponent: Exponent = 0.3
    dropout: Dropout = 0.25
    threshold: Annotated[float, Within(0, 1)] = 0.5


class MiddleFrameCNN(nn.Module):
    """Classify every bin of each frame of a song, from the 25 frames around it.

    For one window: one input channel; convolutions of 3 x 3 to 32 and 16 channels, padded
    along frequency only (513 x 25 -> 513 x 21); a 3 x 3 pool with strides 3 and 2 (171 x 10);
    convolutions to 64 and 16 channels (171 x 6); a 3 x 3 pool with stride 3 (57 x 2); 16 * 57 * 2 =
    1824 features to 128 and to 513: 323,233 weights. (Padding along time as well and pools with
    stride 3 have as many. But padding makes a frame's features depend on its place in the window,
    so each of 25 windows would have to compute them anew.)

    Here the windows of all frames are evaluated at once. Strides along time become dilations of
    the layers that follow, so a feature that windows share is computed once: a fifteenth of the
    work for the same result, but for rounding.

    Parameters
    ----------
    bins
        F.
    hidden, dropout
        As for :class:`CNNBinaryMaskConfig`.
    """

    def __init__(self, bins: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=(1, 0)),
            nn.LeakyReLU(inplace=True),
            nn.Conv2d(32, 16, 3, padding=(1, 0)),
            nn.LeakyReLU(inplace=True),
            nn.MaxPool2d(3, stride=(3, 1)),
            nn.Dropout(dropout),
            nn.Conv2d(16, 64, 3, padding=(1, 0), dilation=(1, 2)),
            nn.LeakyReLU(inplace=True),
            nn.Conv2d(64, 16, 3, padding=(1, 0), dilation=(1, 2)),
            nn.LeakyReLU(inplace=True),
            nn.MaxPool2d(3, stride=(3, 1), dilation=(1, 2)),
            nn.Dropout(dropout),
        )
        self.judge = nn.Sequential(
            nn.Linear(16 * (bins // 9) * 2, hidden),
            nn.LeakyReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, bins),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(B, 1, F, T + 24)`` to the masks' logits ``(B, F, T)``."""
        features = self.features(image)  # (B, 16, F // 9, T + 6)
        columns = torch.stack([features[..., :-LAST_STEP], features[..., LAST_STEP:]], dim=3)
        logits: Tensor = self.judge(columns.flatten(1, 3).transpose(1, 2))  # (B, T, F)
        return logits.transpose(1, 2)


class CNNBinaryMask(MaskingNetwork):
    """Keep or drop each bin, with one convolutional network per stem.

    They hear the mean power of all channels, and one mask serves for all. In separation, masks are
    zero or one; in training they are soft, as a threshold has no gradient.

    References
    ----------
    A. J. R. Simpson, G. Roma and M. D. Plumbley, "Deep Karaoke: Extracting Vocals from Musical
    Mixtures Using a Convolutional Deep Neural Network", LVA/ICA 2015 (arXiv 1504.04658), for the
    binary masks.
    """

    def __init__(
        self,
        config: CNNBinaryMaskConfig,
        *,
        sample_rate: int,
        channels: int,
        stems: tuple[str, ...],
    ) -> None:
        super().__init__(
            Stft(config.n_fft, config.hop_length),
            channels=channels,
            stems=stems,
            magnitude_exponent=config.magnitude_exponent,
            views=1,
        )
        self.threshold = config.threshold
        self.networks = nn.ModuleList(
            MiddleFrameCNN(self.stft.bins, config.hidden, config.dropout) for _ in stems
        )

    def power(self, spectrogram: Tensor) -> Tensor:
        """Return the mean power of the channels of a spectrogram: ``(B, 1, F, T)``."""
        return super().power(spectrogram).mean(dim=1, keepdim=True)

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        margin = CONTEXT // 2
        image = nn.functional.pad(self.standardise(spectrogram), (margin, margin))
        logits = torch.stack([network(image) for network in self.networks], dim=1)
        masks = logits.float().sigmoid()[:, :, None].expand(-1, -1, self.channels, -1, -1)
        return masks if self.training else (masks > self.threshold).to(masks)
