"""The layers between bands and masks: along time, over bands, at half the rate."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Kinds of layers over the bands of each frame.
OVER_BANDS = ("lstm", "attention", "mixer")


class ResidualBiLSTM(nn.Module):
    """Norm, BiLSTM, linear layer and residual, along the middle axis of ``(rows, steps, D)``."""

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.lstm = nn.LSTM(features, hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Model each row as a sequence, keeping the shape."""
        states, _ = self.lstm(self.norm(rows))
        residual: Tensor = self.dropout(self.linear(states))
        return rows + residual


class ResidualMLP(nn.Module):
    """Norm, two linear layers and residual, along the last axis; the identity before training."""

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.widen = nn.Linear(features, hidden)
        self.linear = zeros(nn.Linear(hidden, features))
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Model each row by itself, keeping the shape."""
        residual: Tensor = self.dropout(self.linear(functional.gelu(self.widen(self.norm(rows)))))
        return rows + residual


class ResidualAttention(nn.Module):
    """Self-attention of the bands of each frame, and an MLP; the identity before training.

    Attention alone cannot tell bands apart, so each has an embedding in every layer. Queries, keys
    and values have separate matrices, for optimizers that treat a matrix as a whole.

    Parameters
    ----------
    features
        D, a multiple of the heads.
    hidden
        Half the MLP's units: as many as each direction of the BiLSTM that it replaces.
    bands
        K, their number.
    heads
        Of the attention.
    dropout
        Share of the features dropped from both residual branches in training.
    """

    def __init__(
        self, features: int, hidden: int, *, bands: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(features)
        self.band_embedding = nn.Parameter(torch.empty(bands, features))
        nn.init.normal_(self.band_embedding, std=0.5)  # beside features of about 1
        self.query = nn.Linear(features, features)
        # A bias would add the same to all logits of a query, and so not change its weights.
        self.key = nn.Linear(features, features, bias=False)
        self.value = nn.Linear(features, features)
        self.linear = zeros(nn.Linear(features, features))
        self.dropout = nn.Dropout(dropout)
        self.mlp = ResidualMLP(features, 2 * hidden, dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Model the bands of each row ``(rows, K, D)``, keeping the shape."""
        known = self.norm(rows) + self.band_embedding
        query, key, value = (
            layer(known).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (rows, heads, K, D')
            for layer in (self.query, self.key, self.value)
        )
        attended = attend(query, key, value)
        residual = self.dropout(self.linear(attended.transpose(1, 2).flatten(2)))
        modelled: Tensor = self.mlp(rows + residual)
        return modelled


class ResidualMixer(nn.Module):
    """An MLP across the bands of each feature, then one across the features of each band.

    It is the identity before training.

    Parameters
    ----------
    features
        D.
    hidden
        Units across bands; across features there are twice as many.
    bands
        K, their number.
    dropout
        Share of the features dropped from both residual branches in training.

    References
    ----------
    I. Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision", NeurIPS 2021
    (arXiv 2105.01601).
    """

    def __init__(self, features: int, hidden: int, *, bands: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.widen = nn.Linear(bands, hidden)
        self.linear = zeros(nn.Linear(hidden, bands))
        self.dropout = nn.Dropout(dropout)
        self.mlp = ResidualMLP(features, 2 * hidden, dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Model the bands of each row ``(rows, K, D)``, keeping the shape."""
        across = self.norm(rows).transpose(1, 2)  # (rows, D, K)
        residual = self.dropout(self.linear(functional.gelu(self.widen(across))))
        modelled: Tensor = self.mlp(rows + residual.transpose(1, 2))
        return modelled


class HalfRate(nn.Module):
    """Run a layer on pairs of frames, and add its change to both frames of each pair.

    A pair is the mean of its frames plus a learned map of their difference. The frames themselves
    bypass the layer, so detail that it cannot resolve is not lost.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.difference = zeros(nn.Linear(features, features, bias=False))

    def forward(self, frames: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
        """Model frames ``(B, K, T, D)`` with a layer that keeps shapes, keeping the shape."""
        batch, bands, count, features = frames.shape
        # An odd last frame is paired with itself.
        even = torch.cat([frames, frames[:, :, -1:]], dim=2) if count % 2 else frames
        pairs = even.view(batch, bands, -1, 2, features)  # (B, K, T / 2, 2, D)
        first, second = pairs.unbind(3)
        pooled = (first + second) / 2 + self.difference(first - second)
        change = layer(pooled) - pooled
        modelled: Tensor = (pairs + change[:, :, :, None]).flatten(2, 3)[:, :, :count]
        return modelled


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend as torch does, ``(rows, heads, K, D')``, but in float32 on a CPU.

    With matrices this small, the gradient in bfloat16 takes a CPU seven times as long.
    """
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value)
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(query.float(), key.float(), value.float())


def layer_over_bands(
    kind: str, features: int, hidden: int, *, bands: int, heads: int, dropout: float
) -> nn.Module:
    """Build a layer over the bands of each frame that keeps the shape ``(rows, K, D)``.

    Parameters
    ----------
    kind
        One of :data:`OVER_BANDS`.
    features, hidden, bands, dropout
        As for the layers.
    heads
        Of attention; other layers ignore it.
    """
    if kind == "attention":
        return ResidualAttention(features, hidden, bands=bands, heads=heads, dropout=dropout)
    if kind == "mixer":
        return ResidualMixer(features, hidden, bands=bands, dropout=dropout)
    assert kind == "lstm", kind
    return ResidualBiLSTM(features, hidden, dropout)


def zeros(layer: nn.Linear) -> nn.Linear:
    """Make a layer output zero before training."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
