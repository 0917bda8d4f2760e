"""Checkpoints of other projects become ours: read without running code, renamed, saved again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from karaoke.checkpoints import Header, build_network, save_checkpoint
from karaoke.errors import ForeignModelError, NoInputError, UsageError

Weights = dict[str, Tensor]

SAFE = "Only files with nothing but tensors are read; convert it to such a one where it came from."
#: Of Open-Unmix's layers, as its authors name them, and as we do.
OPEN_UNMIX_LAYERS = {
    "fc1": "squeeze",
    "bn1": "squeeze_norm",
    "lstm": "lstm",
    "fc2": "merge",
    "bn2": "merge_norm",
    "fc3": "expand",
    "bn3": "expand_norm",
    "input_mean": "input_mean",
    "input_scale": "input_scale",
    "output_mean": "output_mean",
    "output_scale": "output_scale",
}
#: In files of 2019 besides the weights; they follow from the shape.
OPEN_UNMIX_LEFTOVERS = {"sample_rate", "stft.window", "transform.0.window"}
#: The order that users know; published checkpoints have a file a stem.
OPEN_UNMIX_STEMS = ("vocals", "drums", "bass", "other")


def read_weights(path: Path) -> Weights:
    """Read a ``.pth`` or ``.ckpt`` that holds tensors, without running any code that it holds.

    Parameters
    ----------
    path
        A pickled state dict, or a dict that has one under ``state_dict``, as Lightning writes it.

    Returns
    -------
    dict
        Tensors by name, float32 where they are of floating point, on the CPU.

    Raises
    ------
    NoInputError
        There is no such file.
    ForeignModelError
        It is not such a file, is damaged, or needs code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise NoInputError(f'"{path}": {error.strerror or error}') from error
    # What a damaged or hostile pickle raises has no common class.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ForeignModelError(f'"{path}": not taken over ({reason})', hint=SAFE) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise ForeignModelError(f'"{path}": holds no dict of tensors', hint=SAFE)
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ForeignModelError(f'"{path}": {name!r} is no tensor', hint=SAFE)
    return {n: t.float() if t.is_floating_point() else t for n, t in content.items()}


def rename_open_unmix(weights: Weights) -> Weights:
    """Give the weights of one stem of Open-Unmix our names.

    Raises
    ------
    ForeignModelError
        A name is none of Open-Unmix.
    """
    renamed = {}
    for name, tensor in weights.items():
        layer, dot, rest = name.partition(".")
        if name in OPEN_UNMIX_LEFTOVERS:
            continue
        if layer not in OPEN_UNMIX_LAYERS:
            raise ForeignModelError(f"{name!r} is no weight of Open-Unmix", hint=SAFE)
        renamed[f"{OPEN_UNMIX_LAYERS[layer]}{dot}{rest}"] = tensor
    return renamed


def convert_open_unmix(stems: Mapping[str, Weights]) -> tuple[Header, Weights]:
    """Join the weights of Open-Unmix, a dict a stem, to one checkpoint.

    Its shape is read from the weights. All that was published has a hop of a quarter window and,
    in the file or by default, 44.1 kHz.

    Raises
    ------
    ForeignModelError
        They are not those of Open-Unmix.
    """
    first = next(iter(stems.values()))
    rate = first.get("sample_rate", torch.tensor(44100))
    renamed = {stem: rename_open_unmix(weights) for stem, weights in stems.items()}
    try:
        shapes = {name: tensor.shape for name, tensor in next(iter(renamed.values())).items()}
        (bins,), (heard_bins,) = shapes["output_mean"], shapes["input_mean"]
        expanded, hidden = shapes["expand.weight"]
        if "lstm.weight_ih_l0_reverse" not in shapes:
            raise ValueError("an LSTM in one direction, which hears no future")
        config = {
            "n_fft": 2 * (bins - 1),
            "hop_length": (bins - 1) // 2,
            "heard_bins": heard_bins,
            "hidden": hidden,
            "layers": sum(f"lstm.weight_ih_l{n}" in shapes for n in range(len(shapes))),
        }
        sample_rate, channels = int(rate), expanded // bins
    except (KeyError, ValueError, ZeroDivisionError, RuntimeError) as error:
        raise ForeignModelError(f"no weights of Open-Unmix ({error})", hint=SAFE) from error
    order = {s: OPEN_UNMIX_STEMS.index(s) if s in OPEN_UNMIX_STEMS else 99 for s in renamed}
    names = tuple(sorted(renamed, key=order.__getitem__))
    header = Header("open_unmix", config, sample_rate, channels, names, 10.0, 0.1)
    flat = {f"targets.{s}.{n}": t for s, weights in renamed.items() for n, t in weights.items()}
    return header, flat


CONVERTERS: dict[str, Callable[[Mapping[str, Weights]], tuple[Header, Weights]]] = {
    "open_unmix": convert_open_unmix,
}


def convert(files: Mapping[str, Path], architecture: str, target: Path) -> Header:
    """Convert foreign weights to a checkpoint of ours.

    Parameters
    ----------
    files
        By the stem that each separates.
    architecture
        A key of ``CONVERTERS``.
    target
        Where the checkpoint goes.

    Raises
    ------
    UsageError
        There is no converter for the architecture.
    ForeignModelError
        The weights are not its, not finite, or cannot be read without running code.
    """
    if architecture not in CONVERTERS:
        known = ", ".join(CONVERTERS)
        raise UsageError(f"--architecture {architecture}: unknown", hint=f"Known: {known}.")
    header, weights = CONVERTERS[architecture]({s: read_weights(p) for s, p in files.items()})
    network = fit(header, weights)
    save_checkpoint(target, network, header)
    return header


def fit(header: Header, weights: Weights) -> nn.Module:
    """Build a network with weights that must fit to the letter.

    Raises
    ------
    ForeignModelError
        They do not, or are not finite.
    """
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ForeignModelError("weights that are not finite numbers", hint=SAFE)
    network = build_network(header)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ForeignModelError(reason, hint=SAFE) from error
    return network.eval()
