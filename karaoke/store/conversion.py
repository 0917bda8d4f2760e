"""Convert checkpoints of other projects to ours, without running code that they may contain."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from karaoke.errors import ForeignModelError, ModelError, NoInputError, UsageError
from karaoke.separation.checkpoints import first_unlike, outline, save_checkpoint
from karaoke.separation.headers import Header
from karaoke.store.pickles import read_arrays
from karaoke.store.roformers import convert_roformer

Weights = dict[str, Tensor]

SAFE = "Only files with nothing but tensors are read; convert it to one where it came from."
OTHER = "Use the .pth files that were published for it."
#: First bytes of files written by PyTorch: ZIP archives, formerly pickles.
BEGINNINGS = (b"PK\x03\x04", b"\x80")
#: Open-Unmix's names of its layers, and ours.
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
#: Found beside the weights in files from 2019; they follow from the shape.
OPEN_UNMIX_LEFTOVERS = {"sample_rate", "stft.window", "transform.0.window"}
#: The order that users know; published checkpoints have one file per stem.
OPEN_UNMIX_STEMS = ("vocals", "drums", "bass", "other")
#: Levels of Spleeter's U-Net, and the names of its layers in its PyTorch port: a convolution and
#: a norm per level, down and up, and a final convolution.
SPLEETER_LEVELS = 6
SPLEETER_LAYER = re.compile(
    r"(down|up)([1-7])(_conv\.1|_act\.0|\.0|\.3)\.(weight|bias|running_mean|running_var)"
)


def read_weights(path: Path) -> Weights:
    """Read the tensors of a ``.pth`` or ``.ckpt`` file without running any code in it.

    Parameters
    ----------
    path
        A pickled state dict, or a dict that has one under ``state_dict`` or ``state``, as trainers
        write it.

    Returns
    -------
    dict
        Tensors by name, on the CPU, with floating-point ones as float32.

    Raises
    ------
    NoInputError
        There is no such file.
    ForeignModelError
        It is not such a file, is damaged, or needs to run code.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if not start.startswith(BEGINNINGS):
            raise ForeignModelError(f'"{path}": not a PyTorch file', hint=SAFE)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise NoInputError(
            f'"{path}": {error.strerror or error}', hint="Check the name."
        ) from error
    except ForeignModelError:
        raise
    # Damaged or hostile pickles raise all kinds of errors, with messages meant for torch's users.
    except Exception as error:
        raise ForeignModelError(
            f'"{path}": damaged, or contains more than tensors', hint=SAFE
        ) from error
    for nest in ("state_dict", "state"):
        if isinstance(content, dict) and isinstance(content.get(nest), dict):
            content = content[nest]
    if not isinstance(content, dict) or not content:
        raise ForeignModelError(f'"{path}": contains no named tensors', hint=SAFE)
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ForeignModelError(f'"{path}": {str(name)[:80]!r} is not a tensor', hint=SAFE)
    return {n: t.float() if t.is_floating_point() else t for n, t in content.items()}


def rename_open_unmix(weights: Weights) -> Weights:
    """Rename the weights of one Open-Unmix stem to our names.

    Raises
    ------
    ForeignModelError
        A name is not one of Open-Unmix's.
    """
    renamed = {}
    for name, tensor in weights.items():
        layer, dot, rest = name.partition(".")
        if name in OPEN_UNMIX_LEFTOVERS:
            continue
        if layer not in OPEN_UNMIX_LAYERS:
            raise ForeignModelError(f"{name[:80]!r} is not a weight of Open-Unmix", hint=OTHER)
        renamed[f"{OPEN_UNMIX_LAYERS[layer]}{dot}{rest}"] = tensor
    return renamed


def convert_open_unmix(stems: Mapping[str, Weights]) -> tuple[Header, Weights]:
    """Join the weights of Open-Unmix, one dict per stem, into one checkpoint.

    Its shape is read from the weights. All published models have a hop of a quarter window and,
    stated or by default, a rate of 44.1 kHz.

    Raises
    ------
    ForeignModelError
        They are not Open-Unmix's.
    """
    first = next(iter(stems.values()))
    rate = first.get("sample_rate", torch.tensor(44100))
    renamed = {stem: rename_open_unmix(weights) for stem, weights in stems.items()}
    try:
        shapes = {name: tensor.shape for name, tensor in next(iter(renamed.values())).items()}
        (bins,), (heard_bins,) = shapes["output_mean"], shapes["input_mean"]
        expanded, hidden = shapes["expand.weight"]
        if "lstm.weight_ih_l0_reverse" not in shapes:
            raise ForeignModelError("not Open-Unmix: its LSTM has one direction only", hint=OTHER)
        config = {
            "n_fft": 2 * (bins - 1),
            "hop_length": (bins - 1) // 2,
            "heard_bins": heard_bins,
            "hidden": hidden,
            "layers": sum(f"lstm.weight_ih_l{n}" in shapes for n in range(len(shapes))),
        }
        sample_rate, channels = int(rate), expanded // bins
    except KeyError as error:
        raise ForeignModelError(f"not Open-Unmix: it lacks {error}", hint=OTHER) from error
    except (ValueError, ZeroDivisionError, RuntimeError) as error:
        raise ForeignModelError(
            "not Open-Unmix: its layers have other shapes", hint=OTHER
        ) from error
    order = {s: OPEN_UNMIX_STEMS.index(s) if s in OPEN_UNMIX_STEMS else 99 for s in renamed}
    names = tuple(sorted(renamed, key=order.__getitem__))
    header = Header("open_unmix", config, sample_rate, channels, names, 10.0, 0.1)
    flat = {f"targets.{s}.{n}": t for s, weights in renamed.items() for n, t in weights.items()}
    return header, flat


def rename_spleeter(weights: Weights) -> Weights:
    """Rename the weights of one Spleeter network to our names, and add the norms' counters.

    Raises
    ------
    ForeignModelError
        A name is not one of Spleeter's U-Net.
    """
    renamed = {}
    for name, tensor in weights.items():
        found = SPLEETER_LAYER.fullmatch(name)
        if found is None:
            raise ForeignModelError(f"{name!r} is not a weight of Spleeter's U-Net", hint=OTHER)
        way, number, part, kind = found.groups()
        level = int(number) - 1
        if way == "up" and level == SPLEETER_LEVELS:
            renamed[f"mask.{kind}"] = tensor
            continue
        normalises = part in ("_act.0", ".3")
        if way == "down" and normalises and level == SPLEETER_LEVELS - 1:
            continue  # nothing follows the deepest convolution
        layer = "convolution"
        if normalises:
            layer = "norm" if way == "up" else ""
        place = "doubling" if way == "up" else "norms" if normalises else "halving"
        path = ".".join(filter(None, (place, str(level), layer)))
        renamed[f"{path}.{kind}"] = tensor
        if kind == "running_mean":
            renamed[f"{path}.num_batches_tracked"] = torch.tensor(0)
    return renamed


def convert_spleeter(stems: Mapping[str, Weights]) -> tuple[Header, Weights]:
    """Join the weights of Spleeter's vocals and, if given, accompaniment into one checkpoint.

    Raises
    ------
    ForeignModelError
        They are not Spleeter's U-Net, or separate other stems.
    """
    names = [name for name in ("vocals", "accompaniment") if name in stems]
    if not names or names[0] != "vocals" or len(names) < len(stems):
        raise ForeignModelError(
            f"stems {', '.join(stems)}", hint="Give vocals=FILE, and accompaniment=FILE."
        )
    config = {"rivals": len(names) == 2}
    seconds = 511 * 1024 / 44100  # 512 frames, as it was trained
    header = Header("spleeter_unet", config, 44100, 2, ("vocals",), seconds, 0.1)
    return header, {
        f"networks.{index}.{name}": tensor
        for index, stem in enumerate(names)
        for name, tensor in rename_spleeter(stems[stem]).items()
    }


def read_array_weights(path: Path) -> Weights:
    """Read a pickle of arrays as tensors; see :func:`karaoke.store.pickles.read_arrays`."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        for name, array in read_arrays(path).items()
    }


@dataclass(frozen=True)
class Converter:
    """How to read foreign files and rename their weights.

    Parameters
    ----------
    read
        Reads a file.
    convert
        Takes the weights of each file by stem; or, if ``configured``, those of the only file, and
        the published configuration.
    configured
        Whether there is such a configuration; then, one file separates all stems.
    halved
        Whether weights are stored in half precision.
    """

    read: Callable[[Path], Weights]
    convert: Callable[..., tuple[Header, Weights]]
    configured: bool = False
    halved: bool = False


CONVERTERS = {
    "open_unmix": Converter(read_weights, convert_open_unmix),
    "spleeter_unet": Converter(read_array_weights, convert_spleeter),
    **{
        name: Converter(read_weights, partial(convert_roformer, name), True, True)
        for name in ("mel_band_roformer", "bs_roformer")
    },
}


def find_converter(architecture: str, *, files: int, configured: bool) -> Converter:
    """Find the converter of an architecture, and check what it is given.

    Raises
    ------
    UsageError
        There is none, it needs a configuration or has none, or it takes one file only.
    """
    if architecture not in CONVERTERS:
        known = ", ".join(CONVERTERS)
        raise UsageError(f"--architecture {architecture}: unknown", hint=f"Known: {known}.")
    converter = CONVERTERS[architecture]
    if converter.configured and not configured:
        raise UsageError(
            f"{architecture} needs a configuration",
            hint="Add --config with the YAML or JSON file that was published with the weights.",
        )
    if configured and not converter.configured:
        raise UsageError(f"{architecture} has no configuration", hint="Leave out --config.")
    if converter.configured and files != 1:
        raise UsageError(f"{architecture} takes one file, not {files}", hint="Import one by one.")
    return converter


def convert(
    files: Mapping[str, Path],
    architecture: str,
    target: Path,
    config: Mapping[str, Any] | None = None,
) -> Header:
    """Convert foreign weights to a checkpoint of ours.

    Parameters
    ----------
    files
        Weights files, by the stem that each separates; a file that comes with a configuration
        separates all stems, under any key.
    architecture
        A key of ``CONVERTERS``.
    target
        Where the checkpoint goes.
    config
        The published configuration, for architectures that have one.

    Raises
    ------
    UsageError
        There is no converter for the architecture, or it takes other files.
    ForeignModelError
        The weights are of another architecture, not finite, or unreadable without running code.
    """
    converter = find_converter(architecture, files=len(files), configured=config is not None)
    read = {stem: converter.read(path) for stem, path in files.items()}
    try:
        if converter.configured:
            (weights,) = read.values()
            header, weights = converter.convert(weights, config)
        else:
            header, weights = converter.convert(read)
        read.clear()
        if converter.halved:
            weights = {name: weights.pop(name).half() for name in list(weights)}
        network = fit(header, weights)
    except ForeignModelError as error:
        named = ", ".join(f'"{path}"' for path in files.values())
        error.message = f"{named}: {error.message}"
        raise
    save_checkpoint(target, network, header)
    return header


def fit(header: Header, weights: Weights) -> nn.Module:
    """Build a network with weights that must match it exactly.

    Raises
    ------
    ForeignModelError
        They do not match, or are not finite.
    """
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ForeignModelError("some weights are not finite numbers", hint=OTHER)
    try:
        network = outline(header)
    except ModelError as error:
        raise ForeignModelError(error.message, hint=OTHER) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if name := first_unlike(given, wanted):
        shapes = f"is {given.get(name, 'missing')} and should be {wanted.get(name, 'absent')}"
        raise ForeignModelError(f"the weights do not fit: {name} {shapes}", hint=OTHER)
    network.load_state_dict(weights, strict=True, assign=True)
    return network.eval()
