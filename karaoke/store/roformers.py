"""Convert published RoFormers: their configurations, and the names of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from karaoke.errors import ForeignModelError
from karaoke.separation.fields import check_fields
from karaoke.separation.headers import Header, check_header
from karaoke.separation.networks.bs_roformer import BAND_BINS
from karaoke.separation.networks.roformer import THETA

OTHER = "Use the files that were published for it; newer variants of the network are not supported."
#: Settings of the published network that change what it computes, with the only value supported.
FIXED: dict[str, Any] = {
    "stft_normalized": False,
    "zero_dc": False,
    "linear_transformer_depth": 0,
    "num_residual_streams": 1,
    "num_residual_fracs": 1,
    "add_value_residual": False,
    "use_pope": False,
    "skip_connection": False,
    "freq_range": None,
}
#: Settings that matter in training only, for speed, or that follow from others or the weights.
IGNORED = re.compile(
    r"(attn|ff)_dropout|(linear_)?flash_attn|sage_attention|use_torch_checkpoint|dim_freqs_in"
    r"|multi_stft_.*|match_input_audio_length|mask_estimator_depth|mlp_expansion_factor"
)
#: Their layers within attention and feed-forward networks, and ours.
LAYERS = {
    "0.norm.gamma": "attention.norm.scale",
    "0.to_qkv.weight": "attention.project.weight",
    "0.to_gates.weight": "attention.gates.weight",
    "0.to_gates.bias": "attention.gates.bias",
    "0.to_out.0.weight": "attention.merge.weight",
    "1.net.0.gamma": "feed_forward.norm.scale",
    "1.net.1.weight": "feed_forward.expand.weight",
    "1.net.1.bias": "feed_forward.expand.bias",
    "1.net.4.weight": "feed_forward.reduce.weight",
    "1.net.4.bias": "feed_forward.reduce.bias",
}
TURN = re.compile(r"layers\.(\d+)\.(\d+)\.(?:layers\.(\d+)\.)?(.+)")
EMBEDDING = re.compile(r"band_split\.to_features\.(\d+)\.(?:(0)\.gamma|1\.(weight|bias))")
MASK = re.compile(r"mask_estimators\.(\d+)\.to_freqs\.(\d+)\.0\.(\d+)\.(weight|bias)")


def rename_roformer(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a published RoFormer to our names.

    Versions of the package bs-roformer put ``branch`` before layers, and number attention along
    time and along bands 0 and 1, or 1 and 2. Rotary frequencies follow from the shape, and are only
    checked.

    Raises
    ------
    ForeignModelError
        A name is not one of RoFormer's, or it learned other rotary frequencies.
    """
    places = sorted({found[2] for name in weights if (found := TURN.fullmatch(name))}, key=int)
    if len(places) != 2:
        raise ForeignModelError("not a RoFormer with attention along time and bands", hint=OTHER)
    axes = dict(zip(places, ("time", "bands"), strict=True))
    last = max((int(found[3]) for name in weights if (found := MASK.fullmatch(name))), default=0)
    renamed = {}
    for name, tensor in weights.items():
        plain = name.replace(".branch.", ".")
        if plain.endswith(".rotary_embed.freqs"):
            check_rotary(tensor)
            continue
        renamed[rename(plain, axes, last)] = tensor
    return renamed


def rename(name: str, axes: Mapping[str, str], last: int) -> str:
    """Rename one weight; ``last`` is their number of the last layer of a mask estimator."""
    if name == "final_norm.gamma":
        return "norm.scale"
    if found := EMBEDDING.fullmatch(name):
        band, norm, kind = found.groups()
        return f"embeddings.{band}.norm.scale" if norm else f"embeddings.{band}.project.{kind}"
    if found := MASK.fullmatch(name):
        stem, band, layer, kind = found.groups()
        # Activations have numbers of their own.
        place = "mask" if int(layer) == last else f"hidden.{int(layer) // 2}"
        return f"estimators.{stem}.{band}.{place}.{kind}"
    found = TURN.fullmatch(name)
    if found is not None:
        turn, axis, layer, rest = found.groups()
        if layer is None and rest == "norm.gamma":
            return f"turns.{turn}.{axes[axis]}.norm.scale"
        if layer is not None and rest in LAYERS:
            return f"turns.{turn}.{axes[axis]}.layers.{layer}.{LAYERS[rest]}"
    raise ForeignModelError(f"{name[:80]!r} is not a weight of RoFormer", hint=OTHER)


def check_rotary(frequencies: Tensor) -> None:
    """Reject rotary frequencies other than those that follow from their number.

    Raises
    ------
    ForeignModelError
        They differ by more than half precision does.
    """
    count = frequencies.numel()
    expected = THETA ** -(torch.arange(count) / count)
    if not torch.allclose(frequencies.flatten().float(), expected, rtol=2e-3, atol=1e-6):
        raise ForeignModelError("it learned rotary frequencies of its own", hint=OTHER)


def convert_roformer(
    architecture: str, weights: Mapping[str, Tensor], config: Mapping[str, Any]
) -> tuple[Header, dict[str, Tensor]]:
    """Convert the weights of a published RoFormer, given its published configuration.

    Parameters
    ----------
    architecture
        ``mel_band_roformer`` or ``bs_roformer``.
    weights
        As published.
    config
        With tables ``model``, ``training``, ``inference`` and ``audio``, as those of the program
        Music-Source-Separation-Training; of the last three, only names of stems, rate, segment
        length and overlap count.

    Raises
    ------
    ForeignModelError
        It is not such a network, or a variant that is not supported.
    """
    renamed = rename_roformer(weights)
    try:
        header = read_header(architecture, renamed, config)
    except ForeignModelError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else f"is damaged ({error})"
        raise ForeignModelError(f"its configuration {said}", hint=OTHER) from error
    return header, renamed


def read_header(
    architecture: str, weights: Mapping[str, Tensor], config: Mapping[str, Any]
) -> Header:
    """Describe a network by its published configuration and its renamed weights."""
    model = dict(config["model"])
    audio, inference = config.get("audio") or {}, config.get("inference") or {}
    for name, supported in FIXED.items():
        if (value := model.pop(name, supported)) != supported:
            raise ForeignModelError(f"its {name} is {value!r:.60}, not {supported}", hint=OTHER)
    features, n_fft = model.pop("dim"), model.pop("stft_n_fft", 2048)
    shape = {
        "n_fft": n_fft,
        "hop_length": model.pop("stft_hop_length", 512),
        "features": features,
        "depth": model.pop("depth"),
        "time_layers": model.pop("time_transformer_depth", 2),
        "band_layers": model.pop("freq_transformer_depth", 2),
        "heads": model.pop("heads", 8),
        "head_features": model.pop("dim_head", 64),
        # The package's own count of these layers differs by one between its two networks.
        "mask_layers": sum(
            name.startswith("estimators.0.0.hidden.") and name.endswith(".weight")
            for name in weights
        ),
    }
    if shape["mask_layers"]:
        shape["expansion"] = len(weights["estimators.0.0.hidden.0.weight"]) // features
    if model.pop("stft_win_length", n_fft) != n_fft:
        raise ForeignModelError("its window is shorter than its frames", hint=OTHER)
    rate = model.pop("sample_rate", audio.get("sample_rate", 44100))
    if architecture == "mel_band_roformer":
        shape["bands"] = model.pop("num_bands", 60)
    else:
        shape["band_bins"] = tuple(model.pop("freqs_per_bands", BAND_BINS))
    channels = 2 if model.pop("stereo", False) else 1
    stems = stems_of(config.get("training") or {}, model.pop("num_stems", 1))
    for name in model:
        if not IGNORED.fullmatch(name):
            raise ForeignModelError(f"its setting {name!r:.60} is unknown", hint=OTHER)
    length = inference.get("chunk_size", audio.get("chunk_size", 8 * rate))
    overlap = 1 - 1 / inference.get("num_overlap", 2)
    header = Header(architecture, shape, rate, channels, stems, length / rate, overlap)
    check_header(Header(**check_fields(Header, asdict(header))))
    return header


def stems_of(training: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Name the stems: the target if there is one, or else all instruments, in lower case."""
    target = training.get("target_instrument")
    names = [target] if target else training["instruments"]
    if len(names) != count:
        raise ValueError(f"{count} stems, but {len(names)} names")
    return tuple(name.lower() for name in names)
