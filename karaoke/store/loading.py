"""Load models by name, ready to separate."""

from __future__ import annotations

import os

from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.devices import choose_device
from karaoke.separation.separator import Separator
from karaoke.store.catalogue import DEFAULT_MODEL, find_model


def load_model(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    device: str = "auto",
    overlap: float | None = None,
    quality: str = "default",
) -> Separator:
    """Load a model, ready to separate.

    Parameters
    ----------
    model
        A name that :func:`karaoke.available_models` lists, or the path of a checkpoint. The config
        file of the command line plays no part here.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    overlap
        Share of a segment that overlaps the next, in [0, 1); None for the model's default.
    quality
        ``fast`` or ``default``.

    Raises
    ------
    ModelError
        There is no such model, or its file is damaged.
    UsageError
        The device, the overlap or the quality is impossible.
    """
    chosen, _ = choose_device(device)
    network, header = load_checkpoint(find_model(model))
    return Separator(network, header, device=chosen, overlap=overlap, quality=quality)
