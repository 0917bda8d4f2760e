"""The body of both RoFormers: bands of a spectrogram become tokens of a transformer.

Attention runs along time within a band and along the bands within a frame, in turn. A small network
per band turns its tokens into a complex mask of its bins, so that stems need not keep the mixture's
phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from karaoke.errors import ModelError
from karaoke.separation.devices import has_bfloat16_units
from karaoke.separation.fields import Within
from karaoke.separation.networks.sizes import FftLength, HopLength, Width
from karaoke.separation.spectral import Stft

#: Tokens that pass through a transformer at a time: on a CPU few, since what they need should fit
#: its caches; elsewhere as many as keep the device busy.
TOKENS = {"cpu": 1 << 12}
MOST_TOKENS = 1 << 17
#: Base of the wavelengths of the rotary embedding.
THETA = 10_000.0
#: Keeps the norm of silence at zero.
EPSILON = 1e-24


#: Bands, each of which has layers of its own.
MOST_BANDS = 256
#: Stacked layers, few enough that their product with the bands is safe.
Layers = Annotated[int, Within(1, 32)]
MaskLayers = Annotated[int, Within(0, 4)]


@dataclass(frozen=True)
class RoformerConfig:
    """Shape of a :class:`Roformer`; the defaults are those of Kim's published vocal model.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples.
    features
        D, of a token.
    depth
        How often attention along time and along bands take turns.
    time_layers, band_layers
        Transformer layers of each turn.
    heads, head_features
        Of attention; the features must be even in number, since they are rotated in pairs.
    expansion
        Hidden features of feed-forward layers and of mask estimators, as a multiple of D.
    mask_layers
        Hidden layers of a mask estimator.
    """

    n_fft: FftLength = 2048
    hop_length: HopLength = 441
    features: Width = 384
    depth: Layers = 6
    time_layers: Layers = 1
    band_layers: Layers = 1
    heads: Annotated[int, Within(1, 256)] = 8
    head_features: Annotated[int, Within(2, 1024)] = 64
    expansion: Annotated[int, Within(1, 64)] = 4
    mask_layers: MaskLayers = 2


class Linear(nn.Linear):
    """A linear layer that computes in its input's precision, whatever its weights are stored in."""

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(..., inputs)`` to ``(..., outputs)``."""
        bias = None if self.bias is None else self.bias.to(features.dtype)
        return nn.functional.linear(features, self.weight.to(features.dtype), bias)


class RMSNorm(nn.Module):
    """Bring tokens to a root mean square of one, and scale their features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map float32 tokens ``(..., D)`` to float32 tokens of the same shape."""
        return nn.functional.rms_norm(tokens, tokens.shape[-1:], self.scale.float(), EPSILON)


def rotations(length: int, features: int, device: torch.device) -> Tensor:
    """Return the rotary embedding of positions 0, 1, ...: complex ``(length, features / 2)``.

    References
    ----------
    J. Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
    arXiv 2104.09864.
    """
    exponents = torch.arange(0, features, 2, device=device).float() / features
    angles = torch.arange(length, device=device)[:, None] * THETA**-exponents
    return torch.polar(torch.ones_like(angles), angles)


class Attention(nn.Module):
    """Gated self-attention with rotary embeddings."""

    def __init__(self, config: RoformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.heads * config.head_features
        self.norm = RMSNorm(config.features)
        self.project = Linear(config.features, 3 * inner, bias=False)
        self.gates = Linear(config.features, config.heads)
        self.merge = Linear(inner, config.features, bias=False)

    def forward(self, tokens: Tensor, rotation: Tensor, dtype: torch.dtype) -> Tensor:
        """Let tokens ``(..., L, D)`` attend to each other along L, computing in ``dtype``."""
        length, features = tokens.shape[-2:]
        normed = self.norm(tokens).to(dtype).reshape(-1, length, features)
        # All rows, P of them, in one batch: (P, L, 3, H, E).
        projected = self.project(normed).view(*normed.shape[:2], 3, self.heads, -1)
        turned = rotate(projected[:, :, :2], rotation)
        queries, keys = turned.permute(2, 0, 3, 1, 4)  # (P, H, L, E)
        heard = nn.functional.scaled_dot_product_attention(
            queries, keys, projected[:, :, 2].transpose(1, 2)
        )
        heard = heard.transpose(1, 2) * self.gates(normed).sigmoid()[..., None]  # (P, L, H, E)
        merged: Tensor = self.merge(heard.flatten(2)).view(tokens.shape)
        return merged


def rotate(features: Tensor, rotation: Tensor) -> Tensor:
    """Rotate pairs of features ``(P, L, ..., E)`` by their positions' angles ``(L, E / 2)``."""
    pairs = torch.view_as_complex(features.float().view(*features.shape[:-1], -1, 2))
    turned = torch.view_as_real(pairs * rotation[:, None, None])
    return turned.flatten(-2).to(features.dtype)


class FeedForward(nn.Module):
    """Transform each token for itself."""

    def __init__(self, config: RoformerConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.features)
        self.expand = Linear(config.features, config.expansion * config.features)
        self.reduce = Linear(config.expansion * config.features, config.features)

    def forward(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """Map tokens ``(..., D)`` to tokens of the same shape, computing in ``dtype``."""
        hidden = nn.functional.gelu(self.expand(self.norm(tokens).to(dtype)))
        reduced: Tensor = self.reduce(hidden)
        return reduced


class Layer(nn.Module):
    """Attention and a feed-forward network; each adds to the tokens."""

    def __init__(self, config: RoformerConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)

    def forward(self, tokens: Tensor, rotation: Tensor, dtype: torch.dtype) -> Tensor:
        """Map float32 tokens ``(..., L, D)`` to tokens of the same shape."""
        tokens = tokens + self.attention(tokens, rotation, dtype)
        tokens = tokens + self.feed_forward(tokens, dtype)
        return tokens


class Transformer(nn.Module):
    """Layers that attend along one axis.

    Parameters
    ----------
    config
        The shape.
    layers
        How many.
    normed
        Whether a norm follows the last one.
    """

    def __init__(self, config: RoformerConfig, layers: int, *, normed: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(layers))
        self.norm = RMSNorm(config.features) if normed else nn.Identity()
        self.head_features = config.head_features

    def forward(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """Transform tokens ``(B, I, L, D)`` along L; each of the I rows is on its own.

        Without gradients, the rows are transformed in place, a few at a time.
        """
        rotation = rotations(tokens.shape[2], self.head_features, tokens.device)
        if torch.is_grad_enabled():
            return self.transform(tokens, rotation, dtype)
        most = TOKENS.get(tokens.device.type, MOST_TOKENS)
        at_a_time = max(1, most // (tokens.shape[0] * tokens.shape[2]))
        for rows in torch.split(tokens, at_a_time, dim=1):
            rows.copy_(self.transform(rows, rotation, dtype))
        return tokens

    def transform(self, tokens: Tensor, rotation: Tensor, dtype: torch.dtype) -> Tensor:
        """Transform tokens ``(B, I, L, D)`` along L, all at once."""
        for layer in self.layers:
            tokens = layer(tokens, rotation, dtype)
        normed: Tensor = self.norm(tokens)
        return normed


class Turn(nn.Module):
    """Attention along time, then along bands."""

    def __init__(self, config: RoformerConfig, *, normed: bool) -> None:
        super().__init__()
        self.time = Transformer(config, config.time_layers, normed=normed)
        self.bands = Transformer(config, config.band_layers, normed=normed)

    def forward(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """Transform tokens ``(B, K, T, D)``."""
        tokens = self.time(tokens, dtype)
        across: Tensor = self.bands(tokens.transpose(1, 2), dtype)
        return across.transpose(1, 2)


class BandEmbedding(nn.Module):
    """Turn the bins of a band into one token per frame."""

    def __init__(self, numbers: int, features: int) -> None:
        super().__init__()
        self.norm = RMSNorm(numbers)
        self.project = Linear(numbers, features)

    def forward(self, bins: Tensor) -> Tensor:
        """Map bins ``(B, T, numbers)`` to tokens ``(B, T, D)``."""
        token: Tensor = self.project(self.norm(bins))
        return token


class MaskEstimator(nn.Module):
    """Turn the tokens of a band into the mask of its bins."""

    def __init__(self, config: RoformerConfig, numbers: int) -> None:
        super().__init__()
        hidden = config.expansion * config.features
        sizes = [config.features, *[hidden] * config.mask_layers]
        self.hidden = nn.ModuleList(map(Linear, sizes[:-1], sizes[1:]))
        self.mask = Linear(sizes[-1], 2 * numbers)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens ``(B, T, D)`` to float32 masks ``(B, T, numbers)``."""
        for layer in self.hidden:
            tokens = layer(tokens).tanh()
        return nn.functional.glu(self.mask(tokens).float())


class Roformer(nn.Module):
    """Separate with complex masks that a transformer over bands and frames estimates.

    Parameters
    ----------
    config
        The shape.
    channels
        C, of the waveforms.
    stems
        Names of the outputs, S of them.
    bands
        First bin and end of each band; bands may overlap, and together cover all bins. Where they
        overlap, the mask is the mean of theirs.
    normed
        Whether a norm follows each transformer; else one follows all.

    Raises
    ------
    ModelError
        ``head_features`` is odd, or a bin is in no band.
    """

    #: Loaded weights stay in the precision that they are stored in, since layers adapt.
    keeps_precision = True
    shares: Tensor

    def __init__(
        self,
        config: RoformerConfig,
        *,
        channels: int,
        stems: tuple[str, ...],
        bands: tuple[tuple[int, int], ...],
        normed: bool,
    ) -> None:
        super().__init__()
        if config.head_features % 2:
            raise ModelError(f"head_features must be even, not {config.head_features}")
        self.config = config
        self.stft = Stft(config.n_fft, config.hop_length, mirrored=True)
        self.bands = bands
        # On the CPU even for outlines of networks, as the window of the transform.
        shares = torch.zeros(self.stft.bins, device="cpu")
        for start, end in bands:
            shares[start:end] += 1
        if not shares.all():
            raise ModelError(f"{int((shares == 0).sum())} bins are in no band")
        self.register_buffer("shares", 1 / shares, persistent=False)
        numbers = [2 * channels * (end - start) for start, end in bands]  # real and imaginary
        self.embeddings = nn.ModuleList(BandEmbedding(count, config.features) for count in numbers)
        self.turns = nn.ModuleList(Turn(config, normed=normed) for _ in range(config.depth))
        self.norm = nn.Identity() if normed else RMSNorm(config.features)
        self.estimators = nn.ModuleList(
            nn.ModuleList(MaskEstimator(config, count) for count in numbers) for _ in stems
        )

    def tokens(self, numbers: Tensor, dtype: torch.dtype) -> Tensor:
        """Turn a spectrogram as numbers ``(B, T, F, C, 2)`` into tokens ``(B, K, T, D)``."""
        embedded = [
            embed(numbers[:, :, start:end].flatten(2))
            for embed, (start, end) in zip(self.embeddings, self.bands, strict=True)
        ]
        tokens = torch.stack(embedded, dim=1)
        del embedded
        for turn in self.turns:
            tokens = turn(tokens, dtype)
        return tokens

    def mask(
        self, estimators: nn.ModuleList, tokens: Tensor, numbers: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Estimate a stem's mask, as numbers ``(B, T, F, C, 2)``, from tokens ``(B, K, T, D)``."""
        mask = torch.zeros_like(numbers)
        for band, (start, end) in enumerate(self.bands):
            estimated = estimators[band](self.norm(tokens[:, band]).to(dtype))
            mask[:, :, start:end] += estimated.view(*mask.shape[:2], -1, *mask.shape[3:])
        return mask * self.shares[:, None, None]

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixtures ``(B, C, N)`` into stems ``(B, S, C, N)``."""
        exact = torch.is_grad_enabled() or not has_bfloat16_units(mixture.device.type)
        dtype = torch.float32 if exact else torch.bfloat16
        spectrogram = self.stft(mixture)  # (B, C, F, T)
        numbers = torch.view_as_real(spectrogram.permute(0, 3, 2, 1).contiguous())
        tokens = self.tokens(numbers, dtype)
        stems = []
        for estimators in self.estimators:
            assert isinstance(estimators, nn.ModuleList)
            mask = torch.view_as_complex(self.mask(estimators, tokens, numbers, dtype))
            masked = mask.permute(0, 3, 2, 1) * spectrogram
            stems.append(self.stft.inverse(masked, mixture.shape[-1]))
        return torch.stack(stems, dim=1)
