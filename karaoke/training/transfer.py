"""Start from what another network has learned, or from its encoder, and hold on to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from karaoke.errors import ModelError, UsageError
from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.headers import read_header

#: Beginnings of the names of an encoder's weights and of its input statistics.
ENCODER = ("encoder.", "input_")


@dataclass(frozen=True)
class Start:
    """What a run starts from instead of random weights, and its teacher.

    Parameters
    ----------
    start_from
        A checkpoint that provides the initial weights.
    init_encoder
        A checkpoint, perhaps of another network, that provides the initial encoder.
    branch_from
        The folder of a run to branch off from, for ``decay_steps`` steps.
    teacher
        A checkpoint of any network with the same stems, whose estimates are targets too, weighted
        by the recipe's ``hold``; None for ``start_from``. Also needed to resume the run.

    Raises
    ------
    ModelError
        A file is not a checkpoint.
    """

    start_from: Path | None = None
    init_encoder: Path | None = None
    branch_from: Path | None = None
    teacher: Path | None = None

    def __post_init__(self) -> None:
        """Check the files before hours of decoding."""
        for checkpoint in (self.start_from, self.init_encoder, self.teacher):
            if checkpoint is not None:
                read_header(checkpoint)


def load_teacher(start: Start, stems: Sequence[str]) -> nn.Module:
    """Load the teacher, whose weights stay as they are.

    Raises
    ------
    UsageError
        None was named, or it has other stems.
    """
    path = start.teacher or start.start_from
    if path is None:
        raise UsageError(
            "hold needs a teacher",
            hint="Add --teacher or --start-from, also to resume the run.",
        )
    teacher, header = load_checkpoint(path)
    if tuple(header.stems) != tuple(stems):
        raise UsageError(
            f'"{path}" has the stems {", ".join(header.stems)}, not {", ".join(stems)}'
        )
    return teacher.eval().requires_grad_(False)


def adopt_weights(network: nn.Module, path: Path) -> None:
    """Load a checkpoint's weights into a network, by the network's own ``adopt`` if it has one.

    Raises
    ------
    ModelError
        The file is not a checkpoint, or its weights do not fit.
    """
    weights = load_checkpoint(path)[0].state_dict()
    try:
        getattr(network, "adopt", network.load_state_dict)(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f'"{path}": {reason}', hint="Use the config of the checkpoint.") from error


def adopt_encoder(network: nn.Module, path: Path) -> None:
    """Load only the encoder of a checkpoint into a network.

    Raises
    ------
    ModelError
        The file is not a checkpoint, a network has no encoder, or the shapes differ.
    """
    source, header = load_checkpoint(path)
    require_encoder(network)
    theirs, ours = encoder_weights(source), encoder_weights(network)
    if not hasattr(source, "encoder"):
        raise ModelError(f'"{path}": {header.architecture} has no encoder')
    unlike = [
        f"{name} {shape(theirs, name)} there, {shape(ours, name)} here"
        for name in sorted(theirs.keys() | ours.keys())
        if shape(theirs, name) != shape(ours, name)
    ]
    if unlike:
        raise ModelError(
            f'"{path}": its encoder does not fit: {"; ".join(unlike[:3])}',
            hint=f"Choose the same shape as that of {header.architecture} with {header.config}.",
        )
    network.load_state_dict(theirs, strict=False)


def require_encoder(network: nn.Module) -> nn.Module:
    """Return a network's encoder, or raise UsageError if it has none."""
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UsageError(
            f"{type(network).__name__} has no encoder", hint="Choose a U-Net as the architecture."
        )
    return encoder


def encoder_weights(network: nn.Module) -> dict[str, Tensor]:
    """List the tensors that belong to a network's encoder."""
    return {name: t for name, t in network.state_dict().items() if name.startswith(ENCODER)}


def shape(weights: dict[str, Tensor], name: str) -> str:
    """Format the shape of a tensor; ``missing`` if there is none."""
    return "x".join(map(str, weights[name].shape)) if name in weights else "missing"
