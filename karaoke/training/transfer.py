"""Begin with what another network has learned, wholly or for the encoder alone, and hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from karaoke.errors import ModelError, UsageError
from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.headers import read_header

#: What an encoder's weights are called, and the statistics of the input that they expect.
ENCODER = ("encoder.", "input_")


@dataclass(frozen=True)
class Start:
    """What a run begins with instead of random weights, and what it is held to.

    Parameters
    ----------
    start_from
        A checkpoint whose weights a new run begins with.
    init_encoder
        A checkpoint, perhaps of another network, whose encoder a new run begins with.
    branch_from
        The folder of a run whose state a new one goes on from, for ``decay_steps`` steps.
    teacher
        A checkpoint of any network with the same stems, whose estimates the recipe's ``hold``
        makes targets; None for the weights that the run began with. It is needed when the run
        goes on, too.

    Raises
    ------
    ModelError
        One of the checkpoints is none.
    """

    start_from: Path | None = None
    init_encoder: Path | None = None
    branch_from: Path | None = None
    teacher: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what is no checkpoint, before hours of decoding."""
        for checkpoint in (self.start_from, self.init_encoder, self.teacher):
            if checkpoint is not None:
                read_header(checkpoint)


def load_teacher(start: Start, stems: Sequence[str]) -> nn.Module:
    """Load the network that a run is held to; it does not learn.

    Raises
    ------
    UsageError
        There is none, or it has other stems.
    """
    path = start.teacher or start.start_from
    if path is None:
        raise UsageError(
            "hold: nothing to be held to",
            hint="Add --teacher or --start-from, also when the run goes on.",
        )
    teacher, header = load_checkpoint(path)
    if tuple(header.stems) != tuple(stems):
        raise UsageError(f'"{path}" gives {", ".join(header.stems)}, not {", ".join(stems)}')
    return teacher.eval().requires_grad_(False)


def adopt_weights(network: nn.Module, path: Path) -> None:
    """Begin with a checkpoint's weights, or with what a network's own ``adopt`` makes of them.

    Raises
    ------
    ModelError
        It is no checkpoint, or the weights do not fit.
    """
    weights = load_checkpoint(path)[0].state_dict()
    try:
        getattr(network, "adopt", network.load_state_dict)(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f'"{path}": {reason}', hint="Give its own config.") from error


def adopt_encoder(network: nn.Module, path: Path) -> None:
    """Begin with the encoder of a checkpoint, and the rest as it is.

    Raises
    ------
    ModelError
        It is no checkpoint, one of the networks has no encoder, or the shapes differ.
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
            hint=f"Give the encoder the shape that it has in {header.architecture} with "
            f"{header.config}.",
        )
    network.load_state_dict(theirs, strict=False)


def require_encoder(network: nn.Module) -> nn.Module:
    """Give a network's encoder.

    Raises
    ------
    UsageError
        It has none.
    """
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
    """Write the shape of a tensor, or that there is none."""
    return "x".join(map(str, weights[name].shape)) if name in weights else "missing"
