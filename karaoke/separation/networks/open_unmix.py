"""Open-Unmix: a three-layer BiLSTM along time per stem that estimates a real mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from karaoke.errors import ModelError
from karaoke.separation.networks.sizes import Depth, Dropout, FftLength, HopLength, Width
from karaoke.separation.spectral import Stft


@dataclass(frozen=True)
class OpenUnmixConfig:
    """Shape of an :class:`OpenUnmix`; the defaults are those of the published umxhq.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples.
    heard_bins
        How many of the lowest bins the network hears; 1487 reach up to 16 kHz at 44.1 kHz, above
        which its training songs hold little. Masks cover all bins.
    hidden
        Features of a frame; each direction of the LSTM has half as many units.
    layers
        Of the BiLSTM.
    dropout
        Share of the features dropped between the layers of the LSTM in training.
    """

    n_fft: FftLength = 4096
    hop_length: HopLength = 1024
    heard_bins: Width = 1487
    hidden: Width = 512
    layers: Depth = 3
    dropout: Dropout = 0.4


class TargetNetwork(nn.Module):
    """The network of one stem: magnitudes of all channels to a mask, frame by frame.

    A frame is standardised and reduced to a few features, the BiLSTM sees these in context, and
    both together are expanded to a gain per channel and bin.
    """

    def __init__(self, config: OpenUnmixConfig, *, bins: int, channels: int) -> None:
        super().__init__()
        hidden = config.hidden
        self.heard_bins, self.channels = config.heard_bins, channels
        self.input_mean = nn.Parameter(torch.zeros(config.heard_bins))
        self.input_scale = nn.Parameter(torch.ones(config.heard_bins))
        self.squeeze = nn.Linear(channels * config.heard_bins, hidden, bias=False)
        self.squeeze_norm = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(
            hidden,
            hidden // 2,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.merge = nn.Linear(2 * hidden, hidden, bias=False)
        self.merge_norm = nn.BatchNorm1d(hidden)
        self.expand = nn.Linear(hidden, channels * bins, bias=False)
        self.expand_norm = nn.BatchNorm1d(channels * bins)
        self.output_scale = nn.Parameter(torch.ones(bins))
        self.output_mean = nn.Parameter(torch.ones(bins))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate the non-negative mask of magnitudes ``(B, C, F, T)``, of the same shape."""
        batch, frames = magnitudes.shape[0], magnitudes.shape[-1]
        heard = magnitudes[:, :, : self.heard_bins].permute(0, 3, 1, 2)  # (B, T, C, heard)
        heard = (heard + self.input_mean) * self.input_scale
        squeezed = self.squeeze(heard.flatten(2).flatten(0, 1))  # (B * T, D)
        squeezed = self.squeeze_norm(squeezed).tanh().view(batch, frames, -1)  # (B, T, D)
        context, _ = self.lstm(squeezed)  # (B, T, D)
        merged = self.merge(torch.cat([squeezed, context], dim=-1).flatten(0, 1))
        merged = self.merge_norm(merged).relu()  # (B * T, D)
        mask: Tensor = self.expand_norm(self.expand(merged))
        mask = mask.view(batch, frames, self.channels, -1)  # (B, T, C, F)
        mask = (mask * self.output_scale + self.output_mean).relu()
        return mask.permute(0, 2, 3, 1)  # (B, C, F, T)


class OpenUnmix(nn.Module):
    """Estimate a mask per stem, each with its own network.

    The masks are real, so every stem keeps the mixture's phase; nothing makes them add up to one.
    The authors' multichannel Wiener filter, which mixes the channels of a song, is left out.

    Raises
    ------
    ModelError
        ``heard_bins`` exceeds the bins of the transform.

    References
    ----------
    F.-R. Stöter, S. Uhlich, A. Liutkus and Y. Mitsufuji, "Open-Unmix - A Reference Implementation
    for Music Source Separation", Journal of Open Source Software 4(41), 2019,
    doi 10.21105/joss.01667.
    """

    def __init__(
        self, config: OpenUnmixConfig, *, sample_rate: int, channels: int, stems: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.config = config
        self.stft = Stft(config.n_fft, config.hop_length)
        if config.heard_bins > self.stft.bins:
            raise ModelError(
                f"{config.heard_bins} bins cannot be heard: there are {self.stft.bins}",
                hint="Correct heard_bins.",
            )
        self.targets = nn.ModuleDict(
            {stem: TargetNetwork(config, bins=self.stft.bins, channels=channels) for stem in stems}
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixtures ``(B, C, N)`` into stems ``(B, S, C, N)``."""
        spectrogram = self.stft(mixture)  # (B, C, F, T)
        magnitudes = spectrogram.abs()
        # Stem by stem: the spectrograms of all at once would take most of the memory.
        stems = [
            self.stft.inverse(target(magnitudes) * spectrogram, mixture.shape[-1])
            for target in self.targets.values()
        ]
        return torch.stack(stems, dim=1)  # (B, S, C, N)
