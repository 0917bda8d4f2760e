"""The band-split BiLSTM: sequence models along time and along frequency bands, and a real mask."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from karaoke.errors import ModelError
from karaoke.separation.fields import Within, shown
from karaoke.separation.networks.bands import VOICE_BAND_EDGES_HZ, band_widths
from karaoke.separation.networks.masking import MaskingNetwork
from karaoke.separation.networks.sizes import Depth, Dropout, Exponent, FftLength, HopLength, Width
from karaoke.separation.networks.trunks import (
    OVER_BANDS,
    HalfRate,
    ResidualBiLSTM,
    layer_over_bands,
)
from karaoke.separation.spectral import Stft

#: Numbers per bin that bands pass to the convolutions, besides their masks.
HINTS = 4


@dataclass(frozen=True)
class BandSplitConfig:
    """Shape of a :class:`BandSplitBiLSTM`.

    With the defaults, a laptop without a GPU is far faster than real time.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples. 93 ms windows need half as many frames as the paper's 46 ms
        ones and resolve low voices, at the cost of some sharpness of consonants.
    band_edges_hz
        Band edges in Hz, from 0 to half the sample rate.
    features
        D, the length of every band's feature vector.
    hidden
        Units per LSTM and direction. An MLP across features has twice as many, one across bands
        just as many.
    layers
        Pairs of a BiLSTM along time and a layer over bands.
    mask_hidden
        Units of each band's mask estimator.
    magnitude_exponent
        Power that magnitudes are raised to before the first layer, so that quiet partials count.
    stereo_difference
        Whether the difference of two channels, which lacks what is in the middle, is an input too.
    stereo_centre
        Whether what two channels have in common is an input too.
    dropout
        Share of the features dropped from every residual branch in training.
    shared_bands
        Whether neighbouring bands of the same width in Hz share their layers, so that what one of
        them learns of a partial serves the others.
    local_channels
        Channels of convolutions over neighbouring bins and frames, before the bands are read and
        after their masks are estimated; zero for none. They see the detail of a band's bins that
        its D features cannot hold.
    local_layers
        Number of these convolutions before the last; each reaches twice as far as the previous one.
    local_below_hz
        The convolutions cover the bins below this, where partials are resolved.
    over_bands
        The layer over the bands of a frame: ``"lstm"``, a BiLSTM along them; ``"attention"``, each
        band attends to all; ``"mixer"``, MLPs across bands and across features. The last two take
        about 0.6 and 0.3 of the LSTM's time on a CPU.
    attention_heads
        Of ``"attention"``; must divide the features.
    half_rate_layers
        Layers after the first that process pairs of frames, in half the time. The last layer is
        never among them, since sharp onsets need the full rate.

    Raises
    ------
    ModelError
        There is no such kind of layer, the heads do not divide the features, or too many layers run
        at half the rate.
    """

    n_fft: FftLength = 4096
    hop_length: HopLength = 1024
    band_edges_hz: Annotated[tuple[float, ...], Within(0, 400_000)] = VOICE_BAND_EDGES_HZ
    features: Width = 48
    hidden: Width = 64
    layers: Depth = 4
    mask_hidden: Width = 192
    magnitude_exponent: Exponent = 0.3
    stereo_difference: bool = True
    dropout: Dropout = 0.0
    shared_bands: bool = False
    stereo_centre: bool = False
    local_channels: Annotated[int, Within(0, 1 << 12)] = 0
    local_layers: Annotated[int, Within(0, 16)] = 3
    local_below_hz: Annotated[float, Within(0, 400_000)] = 8000.0
    over_bands: str = "lstm"
    attention_heads: Annotated[int, Within(1, 256)] = 4
    half_rate_layers: Annotated[int, Within(0, 62)] = 0

    def __post_init__(self) -> None:
        """Turn a checkpoint's list of edges into a tuple, and reject conflicting fields."""
        object.__setattr__(self, "band_edges_hz", tuple(self.band_edges_hz))
        if self.over_bands not in OVER_BANDS:
            raise ModelError(
                f"over_bands must be {' or '.join(OVER_BANDS)}, not {shown(self.over_bands)}"
            )
        if self.over_bands == "attention" and self.features % self.attention_heads:
            raise ModelError(
                f"{self.features} features cannot be shared out among {self.attention_heads} heads",
                hint="Make features a multiple of attention_heads.",
            )
        if self.half_rate_layers > max(0, self.layers - 2):
            raise ModelError(
                f"half_rate_layers must exclude the first and the last layer of {self.layers},"
                f" so it cannot be {self.half_rate_layers}",
                hint="Use more layers, or half_rate_layers=0.",
            )


class BandSplitBiLSTM(MaskingNetwork):
    """Estimate a soft mask per stem from band-wise features of a stereo spectrogram.

    The magnitudes of the left channel, the right one and their difference, compressed and
    standardised per bin, are split into bands and embedded; BiLSTMs along time alternate with
    BiLSTMs or other layers (``networks.trunks``) over bands; one small network per band turns the
    result into masks in [0, 1]. The masks are real, so every stem keeps the mixture's phase. The
    mixture's level does not matter: it is normalised on the way in, and masks have none.

    References
    ----------
    Y. Luo and J. Yu, "Music Source Separation With Band-Split RNN", IEEE/ACM TASLP 31, 2023
    (arXiv 2209.15174); there the mask is complex and channels are separated one by one.
    """

    def __init__(
        self, config: BandSplitConfig, *, sample_rate: int, channels: int, stems: tuple[str, ...]
    ) -> None:
        super().__init__(
            Stft(config.n_fft, config.hop_length),
            channels=channels,
            stems=stems,
            magnitude_exponent=config.magnitude_exponent,
            views=channels + (channels == 2) * (config.stereo_difference + config.stereo_centre),
        )
        self.config = config
        self.widths = band_widths(config.band_edges_hz, sample_rate=sample_rate, n_fft=config.n_fft)
        self.groups = equal_bands(config.band_edges_hz, shared=config.shared_bands)
        # In bins; bands of the same width in Hz may differ by one bin.
        self.widest = widest = [max(self.widths[group]) for group in self.groups]
        bands, features = len(self.widths), config.features
        self.embed = nn.ModuleList(nn.Linear(self.views * w, features) for w in widest)
        self.over_time = nn.ModuleList(
            ResidualBiLSTM(features, config.hidden, config.dropout) for _ in range(config.layers)
        )
        self.over_bands = nn.ModuleList(
            layer_over_bands(
                config.over_bands,
                features,
                config.hidden,
                bands=bands,
                heads=config.attention_heads,
                dropout=config.dropout,
            )
            for _ in range(config.layers)
        )
        # Right after the first layer: a deeper network then has the same ones at half the rate.
        self.half_rates = nn.ModuleList(HalfRate(features) for _ in range(config.half_rate_layers))
        self.band_embedding = nn.Parameter(torch.zeros(bands, features))
        masks = self.stems * channels
        # Where convolutions follow, bands give each bin hints besides its masks.
        local = [
            config.local_channels > 0 and config.band_edges_hz[group.start] < config.local_below_hz
            for group in self.groups
        ]
        self.local_bins = sum(
            sum(self.widths[group])
            for group, has_local in zip(self.groups, local, strict=True)
            if has_local
        )
        if config.local_channels:
            size = {"channels": config.local_channels, "layers": config.local_layers}
            self.local_views = convolutions(self.views, self.views, **size)
            self.local_masks = convolutions(self.views + masks + HINTS, masks, **size)
        self.estimate = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(features),
                nn.Linear(features, config.mask_hidden),
                nn.Tanh(),
                nn.Linear(config.mask_hidden, (masks + has_local * HINTS) * width),
            )
            for width, has_local in zip(widest, local, strict=True)
        )

    def power(self, spectrogram: Tensor) -> Tensor:
        """Return the power of the channels, their difference and centre: ``(B, V, F, T)``."""
        views = [super().power(spectrogram)]
        if self.channels == 2:
            left, right = spectrogram[:, :1], spectrogram[:, 1:]
            if self.config.stereo_difference:
                views.append(super().power(left - right))
            if self.config.stereo_centre:
                # Four times the cross-power is the power of the sum minus that of the difference.
                alike = left.real * right.real + left.imag * right.imag
                views.append(4 * alike.clamp_min(0))
        # Joined as they lie in memory, frame by frame, which saves copies.
        return torch.cat([view.transpose(2, 3) for view in views], dim=1).transpose(2, 3)

    @torch.no_grad()
    def adopt(self, weights: dict[str, Tensor]) -> None:
        """Start from the weights of a network that may have fewer layers.

        Layers that it lacks add nothing to their residuals at first, so this network does the same
        until it learns more.

        Raises
        ------
        RuntimeError
            The networks differ in more than their layers.
        """
        missing, unexpected = self.load_state_dict(weights, strict=False)
        new = [name for name in missing if name.startswith(("over_time.", "over_bands."))]
        if unexpected or len(new) < len(missing):
            raise RuntimeError(
                f"the weights do not fit: {sorted({*missing} - {*new})} {unexpected}"
            )
        for name in new:
            if ".linear." in name:
                self.get_parameter(name).zero_()

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        if not self.config.local_channels:
            masks, _ = self.model_bands(self.standardise(spectrogram))
        else:
            views = self.standardise(spectrogram)  # (B, V, F, T)
            low, high = views[:, :, : self.local_bins], views[:, :, self.local_bins :]
            low = low + self.local_views(channels_last(low)).float()
            masks, hints = self.model_bands(torch.cat([low, high], dim=2))
            low_masks, high_masks = masks[:, :, : self.local_bins], masks[:, :, self.local_bins :]
            known = channels_last(torch.cat([low, low_masks, hints], dim=1))
            low_masks = low_masks + self.local_masks(known)
            masks = torch.cat([low_masks, high_masks], dim=2)
        masks = masks.float().sigmoid_()
        return masks.reshape(len(masks), self.stems, self.channels, *masks.shape[2:])

    def model_layer(self, index: int, features: Tensor) -> Tensor:
        """Model features ``(B, K, T, D)`` along time and over bands, keeping the shape."""
        batch, bands, frames, _ = features.shape
        features = self.over_time[index](features.flatten(0, 1))  # (B * K, T, D)
        features = features.view(batch, bands, frames, -1).transpose(1, 2)  # (B, T, K, D)
        features = self.over_bands[index](features.flatten(0, 1))  # (B * T, K, D)
        return features.view(batch, frames, bands, -1).transpose(1, 2)  # (B, K, T, D)

    def model_bands(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Model views ``(B, V, F, T)`` in bands.

        Returns
        -------
        tuple
            Masks before the sigmoid ``(B, S * C, F, T)``, and hints for the convolutions
            ``(B, H, F', T)`` for the bins that have any.
        """
        split = torch.split(views.permute(0, 3, 1, 2), list(self.widths), dim=-1)
        embedded = [
            layer(pad_and_stack(split[group]).flatten(3))  # (B, bands of the group, T, D)
            for layer, group in zip(self.embed, self.groups, strict=True)
        ]
        del views, split  # the largest of all; what follows needs their room
        features = torch.cat(embedded, dim=1)
        del embedded
        features = features + self.band_embedding[:, None]  # (B, K, T, D)
        for index in range(self.config.layers):
            model = functools.partial(self.model_layer, index)
            at_half_rate = 0 < index <= len(self.half_rates)
            features = (
                self.half_rates[index - 1](features, model) if at_half_rate else model(features)
            )
        masks, hints = [], []
        for layer, group, widest in zip(self.estimate, self.groups, self.widest, strict=True):
            maps = layer(features[:, group])  # (B, bands of the group, T, M * width)
            maps = maps.view(*maps.shape[:3], -1, widest)
            for band, width in zip(maps.unbind(1), self.widths[group], strict=True):
                masks.append(band[:, :, : self.stems * self.channels, :width])
                hints.append(band[:, :, self.stems * self.channels :, :width])
        local = [hint for hint in hints if hint.shape[2]] or hints
        return (
            torch.cat(masks, dim=-1).permute(0, 2, 3, 1),
            torch.cat(local, dim=-1).permute(0, 2, 3, 1),
        )


def equal_bands(edges_hz: Sequence[float], *, shared: bool) -> list[slice]:
    """Group neighbouring bands of the same width in Hz if shared, or else each by itself."""
    widths = [high - low for low, high in itertools.pairwise(edges_hz)]
    starts = [
        band
        for band, width in enumerate(widths)
        if not (shared and band and math.isclose(width, widths[band - 1], rel_tol=0.01))
    ]
    return [slice(*ends) for ends in itertools.pairwise([*starts, len(widths)])]


def pad_and_stack(bands: Sequence[Tensor]) -> Tensor:
    """Stack bands ``(B, T, V, width)`` on the second axis, zero-padded to the widest."""
    widest = max(band.shape[-1] for band in bands)
    return torch.stack([functional.pad(b, (0, widest - b.shape[-1])) for b in bands], dim=1)


def convolutions(inputs: int, outputs: int, *, channels: int, layers: int) -> nn.Sequential:
    """Build convolutions over neighbouring bins and frames, ``(B, inputs, F, T)`` to ``outputs``.

    They output zero before training, since their output is a residual.
    """
    stack = nn.Sequential()
    for layer in range(layers):
        reach = 2**layer
        stack.append(nn.Conv2d(inputs, channels, 3, padding=reach, dilation=reach))
        stack.append(nn.ReLU())
        inputs = channels
    last = nn.Conv2d(inputs, outputs, 3, padding=1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return stack.append(last)


def channels_last(maps: Tensor) -> Tensor:
    """Lay out ``(B, channels, F, T)`` so that convolutions with few channels run twice as fast."""
    return maps.contiguous(memory_format=torch.channels_last)
