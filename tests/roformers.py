"""Small RoFormers, and their weights by the names that published files have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from karaoke.separation.checkpoints import build_network
from karaoke.separation.headers import Header
from karaoke.separation.networks.roformer import Roformer

RATE = 44100
#: A published configuration in small.
MODEL: dict[str, Any] = {
    **{"dim": 24, "depth": 2, "stereo": True, "num_stems": 1, "dim_head": 8, "heads": 3},
    **{"time_transformer_depth": 1, "freq_transformer_depth": 2, "mask_estimator_depth": 2},
    **{"stft_n_fft": 512, "stft_hop_length": 110, "stft_win_length": 512},
}
MEL = {**MODEL, "num_bands": 20}
BS = {**MODEL, "freqs_per_bands": [2] * 24 + [8] * 25 + [9]}
#: The same by our names, but for the bands.
SHAPE = {"n_fft": 512, "hop_length": 110, "features": 24, "depth": 2, "heads": 3,
         "head_features": 8, "band_layers": 2}  # fmt: skip
TRAINING = {"instruments": ["vocals", "other"], "target_instrument": "vocals"}


def small(architecture: str, stems: tuple[str, ...] = ("vocals",), **changes: Any) -> Roformer:
    """Build a small network with random weights."""
    config: dict[str, Any] = dict(SHAPE)
    if architecture == "mel_band_roformer":
        config["bands"] = 20
    else:
        config["band_bins"] = BS["freqs_per_bands"]
    header = Header(architecture, config | changes, RATE, 2, stems, 0.3, 0.5)
    network = build_network(header)
    assert isinstance(network, Roformer)
    return network.eval()


def their_weights(network: Roformer) -> dict[str, Tensor]:
    """Name the weights of a network as published files do."""
    plain = {
        **{"attention.norm.scale": "0.norm.gamma", "attention.project": "0.to_qkv"},
        **{"attention.gates": "0.to_gates", "attention.merge": "0.to_out.0"},
        **{"feed_forward.norm.scale": "1.net.0.gamma", "feed_forward.expand": "1.net.1"},
        **{"feed_forward.reduce": "1.net.4", ".time.": ".0.", ".bands.": ".1."},
        **{"turns.": "layers.", ".norm.scale": ".norm.gamma"},
    }
    published = {}
    for name, tensor in network.state_dict().items():
        place, *rest = name.split(".")
        if place == "embeddings":
            rest = [rest[0], "0.gamma" if rest[1] == "norm" else f"1.{rest[-1]}"]
            name = f"band_split.to_features.{'.'.join(rest)}"
        elif place == "estimators":
            stem, band, kind, *_ = rest
            layer = 2 * (network.config.mask_layers if kind == "mask" else int(rest[3]))
            name = f"mask_estimators.{stem}.to_freqs.{band}.0.{layer}.{rest[-1]}"
        elif place == "norm":
            name = "final_norm.gamma"
        else:
            for ours, named in plain.items():
                name = name.replace(ours, named)
            if name.endswith("to_qkv.weight"):
                rotary = name.replace("to_qkv.weight", "rotary_embed.freqs")
                half = network.config.head_features // 2
                published[rotary] = 1 / 10_000 ** (torch.arange(half) / half)
        published[name] = tensor
    return published
