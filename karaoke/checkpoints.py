"""Checkpoints: weights and all that is needed to run them, in one safetensors file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from karaoke.errors import ModelError
from karaoke.networks import NETWORKS

#: Version of the header; a reader refuses any other.
FORMAT = 1
#: The one metadata entry of the safetensors file; its value is the header as JSON.
HEADER_KEY = "karaoke"
RETRAIN = "Use a checkpoint that this version of karaoke wrote."


@dataclass(frozen=True)
class Header:
    """What a checkpoint says about itself.

    Parameters
    ----------
    architecture
        A key of ``NETWORKS``.
    config
        Fields of the architecture's config dataclass.
    sample_rate, channels
        Of the audio that the network hears.
    stems
        Names of its outputs.
    segment_seconds, overlap
        Segment length and overlap (a fraction in [0, 1)) that it runs best with.
    """

    architecture: str
    config: dict[str, Any]
    sample_rate: int
    channels: int
    stems: tuple[str, ...]
    segment_seconds: float
    overlap: float


def build_network(header: Header) -> nn.Module:
    """Build the network that a header describes, with fresh weights.

    Raises
    ------
    ModelError
        The architecture is unknown or its config has other fields.
    """
    if header.architecture not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise ModelError(f"unknown architecture {header.architecture!r} (known: {known})")
    network, config = NETWORKS[header.architecture]
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in header.config.items()}
    try:
        shape = config(**fields)
    except TypeError as error:
        raise ModelError(f"config of {header.architecture}: {error}", hint=RETRAIN) from error
    return network(
        shape, sample_rate=header.sample_rate, channels=header.channels, stems=header.stems
    )


def save_checkpoint(path: Path, network: nn.Module, header: Header) -> None:
    """Write weights and header; a reader never sees a half-written file."""
    weights = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    text = json.dumps({"format": FORMAT, **asdict(header)})
    part = path.with_name(f".{path.name}.part")
    # Not safetensors' save_file: it makes files that only their owner may read.
    part.write_bytes(save(weights, metadata={HEADER_KEY: text}))
    os.replace(part, path)


def read_header(path: Path) -> Header:
    """Read what a checkpoint says about itself, without its weights.

    Raises
    ------
    ModelError
        The file is missing, is no safetensors file, or has no header of this format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
    except (OSError, SafetensorError) as error:
        raise ModelError(f'"{path}": not a checkpoint ({error})', hint=RETRAIN) from error
    if text is None:
        raise ModelError(f'"{path}": safetensors, but without a karaoke header', hint=RETRAIN)
    try:
        entries = json.loads(text)
        version = entries.pop("format")
        entries["stems"] = tuple(entries["stems"])
        header = Header(**entries)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f'"{path}": damaged header ({error})', hint=RETRAIN) from error
    if version != FORMAT:
        raise ModelError(
            f'"{path}": checkpoint format {version}, this is a reader of {FORMAT}',
            hint="Update karaoke.",
        )
    return header


def load_checkpoint(path: Path) -> tuple[nn.Module, Header]:
    """Read a checkpoint: the network in evaluation mode, on the CPU, and its header.

    Raises
    ------
    ModelError
        As :func:`read_header`; or the weights do not fit the architecture to the letter.
    """
    header = read_header(path)
    network = build_network(header)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ModelError(f'"{path}": weights that are not finite numbers', hint=RETRAIN)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f'"{path}": {reason[:300]}', hint=RETRAIN) from error
    return network.eval(), header
