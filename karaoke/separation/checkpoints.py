"""Checkpoints: weights and all that is needed to run them, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from karaoke.errors import DamagedModelError, ModelError
from karaoke.files import written_whole
from karaoke.separation.fields import Within, check_fields, shown
from karaoke.separation.networks import NETWORKS

#: Of weights, by their names.
Shapes = Mapping[str, tuple[int, ...]]
#: Version of the header; a reader refuses any other.
FORMAT = 1
#: The one metadata entry of the safetensors file; its value is the header as JSON.
HEADER_KEY = "karaoke"
#: Types of weights, as safetensors names them.
DTYPES = {"F16", "BF16", "F32", "F64", "I64"}
MOST_STEMS = 16
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
    sample_rate: Annotated[int, Within(1000, 768_000)]
    channels: Annotated[int, Within(1, 2)]
    stems: tuple[str, ...]
    segment_seconds: Annotated[float, Within(0, 60, open_low=True)]
    overlap: Annotated[float, Within(0, 1, open_high=True)]


def check_header(header: Header) -> None:
    """Look for stems and sizes that do not go together.

    Raises
    ------
    ValueError
        There are some.
    """
    stems = header.stems
    named = all(stem.isidentifier() and len(stem) <= 64 for stem in stems)  # files are called so
    if not named or not 1 <= len(set(stems)) == len(stems) <= MOST_STEMS:
        raise ValueError(f"stems must be up to {MOST_STEMS} different names, not {shown(stems)}")
    if round(header.segment_seconds * header.sample_rate) < 1:
        raise ValueError(f"segment_seconds {header.segment_seconds} is less than a sample")


def build_network(header: Header) -> nn.Module:
    """Build the network that a header describes, with fresh weights.

    Raises
    ------
    ModelError
        The architecture is unknown, its config has other fields, or a value is out of its range.
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
    """Build the network that a header describes without memory for its weights.

    Raises
    ------
    ModelError
        As :func:`build_network`.
    """
    with torch.device("meta"):
        return build_network(header)


def save_checkpoint(path: Path, network: nn.Module, header: Header) -> None:
    """Write weights and header; a reader never sees a half-written file.

    Raises
    ------
    WriteError, PermissionDeniedError, OutputExistsError
        It cannot be written.
    """
    weights = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    text = json.dumps({"format": FORMAT, **asdict(header)})
    with written_whole(path) as part:
        # Not safetensors' save_file: it makes files that only their owner may read.
        part.write_bytes(save(weights, metadata={HEADER_KEY: text}))


def read_header(path: Path) -> Header:
    """Read what a checkpoint says about itself, without its weights.

    Raises
    ------
    ModelError
        The file is missing, is no safetensors file, has no header of this format, or one with
        values that cannot be.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
    except FileNotFoundError as error:
        raise ModelError(f'"{path}": not a checkpoint (no such file)') from error
    except (OSError, SafetensorError) as error:
        raise DamagedModelError(f'"{path}": not a checkpoint ({error})', hint=RETRAIN) from error
    if text is None:
        raise DamagedModelError(
            f'"{path}": safetensors, but without a karaoke header', hint=RETRAIN
        )
    try:
        entries = json.loads(text)
        version = entries.pop("format")
        if version == FORMAT:
            header = Header(**check_fields(Header, entries))
            check_header(header)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedModelError(f'"{path}": damaged header ({error})', hint=RETRAIN) from error
    if version != FORMAT:
        raise DamagedModelError(
            f'"{path}": checkpoint format {shown(version)}, this is a reader of {FORMAT}',
            hint="Update karaoke.",
        )
    return header


def first_unlike(held: Shapes, described: Shapes) -> str:
    """Name the first weight that is not in both with one shape, or nothing."""
    names = sorted(held.keys() | described.keys())
    return next((name for name in names if held.get(name) != described.get(name)), "")


def check_weights(path: Path, header: Header) -> None:
    """Compare the tensors of a checkpoint with what its header describes, before either is made.

    A header can describe a network of any size in a line; the file cannot lie about its tensors.

    Raises
    ------
    ModelError
        The header describes no network, or one with other weights.
    """
    try:
        described = {n: tuple(t.shape) for n, t in outline(header).state_dict().items()}
    except ModelError as error:
        raise DamagedModelError(f'"{path}": {error.message}', hint=error.hint) from error
    with safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        held = {name: tuple(part.get_shape()) for name, part in slices.items()}
        kinds = {part.get_dtype() for part in slices.values()}
    if unknown := kinds - DTYPES:
        raise DamagedModelError(
            f'"{path}": weights of the type {", ".join(sorted(unknown))}', hint=RETRAIN
        )
    if name := first_unlike(held, described):
        there, said = held.get(name, "nothing"), described.get(name, "nothing")
        raise DamagedModelError(
            f'"{path}": its header describes other weights than it holds:'
            f" {name} should be {said}, but is {there}",
            hint=RETRAIN,
        )


def load_checkpoint(path: Path) -> tuple[nn.Module, Header]:
    """Read a checkpoint: the network in evaluation mode, on the CPU, and its header.

    Raises
    ------
    ModelError
        As :func:`read_header`; or the weights do not fit the architecture to the letter.
    """
    header = read_header(path)
    check_weights(path, header)
    network = build_network(header)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise DamagedModelError(f'"{path}": weights that are not finite numbers', hint=RETRAIN)
    network.load_state_dict(weights, strict=True)
    return network.eval(), header
