"""Checkpoints: weights and everything needed to run them, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from karaoke.errors import DamagedModelError, ModelError
from karaoke.files import written_whole
from karaoke.separation.fields import check_fields
from karaoke.separation.headers import (
    FORMAT,
    HEADER_KEY,
    RETRAIN,
    Header,
    read_outline,
)
from karaoke.separation.networks import NETWORKS

#: Shapes of weights by name.
Shapes = Mapping[str, tuple[int, ...]]
#: Types that weights may have, by their names in safetensors.
DTYPES = {"F16", "BF16", "F32", "F64", "I64"}


def build_network(header: Header) -> nn.Module:
    """Build the network that a header describes, with fresh weights.

    Raises
    ------
    ModelError
        The architecture is unknown, or its config has an unknown field or a value out of range.
    """
    if header.architecture not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise DamagedModelError(f"unknown architecture {header.architecture!r} (known: {known})")
    network, config = NETWORKS[header.architecture]
    try:
        shape = config(**check_fields(config, header.config))
        if hasattr(shape, "n_fft") and not shape.n_fft <= 64 * shape.hop_length <= 32 * shape.n_fft:
            raise ValueError(
                f"hop_length must be from 1/64 to half of n_fft, not {shape.hop_length}"
                f" of {shape.n_fft}"
            )
    except (TypeError, ValueError) as error:
        raise DamagedModelError(
            f"config of {header.architecture}: {error}", hint=RETRAIN
        ) from error
    return network(
        shape, sample_rate=header.sample_rate, channels=header.channels, stems=header.stems
    )


def outline(header: Header) -> nn.Module:
    """Build the network that a header describes without allocating its weights.

    Raises
    ------
    ModelError
        As for :func:`build_network`.
    """
    with torch.device("meta"):
        return build_network(header)


def save_checkpoint(path: Path, network: nn.Module, header: Header) -> None:
    """Write weights and header; a reader never sees a half-written file.

    Raises
    ------
    WriteError, PermissionDeniedError, OutputExistsError
        The file cannot be written.
    """
    weights = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    text = json.dumps({"format": FORMAT, **asdict(header)})
    with written_whole(path) as part:
        # Not safetensors' save_file, whose files only their owner may read.
        part.write_bytes(save(weights, metadata={HEADER_KEY: text}))


def first_unlike(held: Shapes, described: Shapes) -> str:
    """Return the name of the first weight whose shapes differ or that either lacks, if any."""
    names = sorted(held.keys() | described.keys())
    return next((name for name in names if held.get(name) != described.get(name)), "")


def outline_of(path: Path) -> tuple[nn.Module, Header]:
    """Outline a checkpoint's network, after comparing it with the tensors that the file holds.

    One line of a header can describe a network of any size; the tensors themselves cannot lie.

    Raises
    ------
    ModelError
        As for :func:`read_outline`; or the header does not describe a network, or describes one
        with other weights.
    """
    header, tensors = read_outline(path)
    try:
        network = outline(header)
    except ModelError as error:
        raise DamagedModelError(f'"{path}": {error.message}', hint=error.hint) from error
    described = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    held = {name: tuple(tensor["shape"]) for name, tensor in tensors.items()}
    kinds = {tensor["dtype"] for tensor in tensors.values()}
    if unknown := kinds - DTYPES:
        raise DamagedModelError(
            f'"{path}": unsupported weight type {", ".join(sorted(unknown))}', hint=RETRAIN
        )
    if name := first_unlike(held, described):
        there, said = held.get(name, "nothing"), described.get(name, "nothing")
        raise DamagedModelError(
            f'"{path}": its header describes other weights than it holds:'
            f" {name} should be {said}, but is {there}",
            hint=RETRAIN,
        )
    return network, header


def load_checkpoint(path: Path) -> tuple[nn.Module, Header]:
    """Load a checkpoint: the network, on the CPU and in evaluation mode, and its header.

    Raises
    ------
    ModelError
        As for :func:`outline_of`; or the weights are not finite.
    """
    network, header = outline_of(path)

    def allocated(tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            return tensor
        # torch.empty_like does the same, and takes half a second to import what it does it with.
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)

    as_stored = getattr(network, "keeps_precision", False)  # only RoFormers have it
    if not as_stored:
        # Allocate what is only outlined, in the same layout; the rest, such as windows, stays.
        network._apply(allocated)  # type: ignore[no-untyped-call]
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DamagedModelError(f'"{path}": not a checkpoint ({error})', hint=RETRAIN) from error
    if as_stored:  # but whole numbers have no gradients
        weights = {n: t if t.is_floating_point() else t.float() for n, t in weights.items()}
    network.load_state_dict(weights, strict=True, assign=as_stored)
    if not all(map(is_finite, network.state_dict().values())):
        raise DamagedModelError(f'"{path}": some weights are not finite', hint=RETRAIN)
    return network.eval(), header


def is_finite(tensor: Tensor) -> bool:
    """Tell whether no number is NaN or infinite."""
    # torch.isfinite takes a hundred times as long as numpy's for half precision.
    plain = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return bool(np.isfinite(plain.numpy()).all())
