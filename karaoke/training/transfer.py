"""Begin with what another network has learned, wholly or for the encoder alone, and hold it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from karaoke.checkpoints import load_checkpoint
from karaoke.errors import ModelError, UsageError

#: What an encoder's weights are called, and the statistics of the input that they expect.
ENCODER = ("encoder.", "input_")


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
