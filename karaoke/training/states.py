"""The state of a run, ``last.pt``: read without running code, written whole or not at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from karaoke.errors import DamagedModelError, DivergedError
from karaoke.files import PartFile, publish_all, sweep, writing_to

#: Entries that every state has.
ENTRIES = {"header", "network", "averages", "optimizer", "state", "random"}


@dataclass
class State:
    """What a run has to remember from one step to the next, besides the weights.

    ``loss`` and ``counted`` are the sum and the number of the losses since the last line of the
    log; ``best`` is the best validation score, ``quiet`` whether its leak is within the limit, and
    ``stale`` the number of validations since; ``branched`` is the step at which the run branched
    off from another, or 0.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    quiet: bool = False
    stale: int = 0
    loss: float = 0.0
    counted: int = 0
    branched: int = 0


def no_state(path: Path, reason: str) -> DamagedModelError:
    """Make the error for a file that no run can resume from."""
    return DamagedModelError(
        f'"{path}": not the state of a run ({reason})',
        hint="Delete it to start over; --start-from best.safetensors keeps what was learned.",
    )


def read_state(path: Path) -> dict[str, Any]:
    """Read the state of a run.

    Raises
    ------
    DamagedModelError
        The file is truncated, damaged or something else.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    # What a damaged or hostile pickle raises has no common class.
    except Exception as error:
        raise no_state(path, "it is damaged") from error
    if isinstance(saved, dict) and "average" in saved:  # older runs had a single one
        saved["averages"] = [saved.pop("average")]
    if not isinstance(saved, dict) or not saved.keys() >= ENTRIES:
        raise no_state(path, "parts are missing")
    return saved


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a run; after a crash or on a full disk, the previous one remains.

    Raises
    ------
    WriteError, PermissionDeniedError
        It cannot be written.
    """
    sweep(path.parent)
    with PartFile(path) as part:
        # torch raises its own errors if the disk is full.
        with writing_to(path, (OSError, RuntimeError)), part.path.open("wb") as file:
            torch.save(state, file)
        publish_all([part])


def diverged(
    folder: Path, step: int, loss: float, norm: float, saved_step: int | None
) -> DivergedError:
    """Make the error for a loss or a gradient that is not finite.

    Parameters
    ----------
    folder
        Folder of the run.
    step
        The step that failed.
    loss, norm
        Its loss, and the norm of its gradient.
    saved_step
        The last step whose weights were saved; None if there is none.
    """
    what = f"the gradient is {norm}" if math.isfinite(loss) else f"the loss is {loss}"
    kept = "no weights were saved"
    if saved_step is not None:
        names = [name for name in ("best.safetensors", "last.pt") if (folder / name).exists()]
        kept = f'the weights of step {saved_step} are kept in "{folder}": {", ".join(names)}'
    return DivergedError(
        f"{what} at step {step}; {kept}",
        hint="Choose a smaller learning_rate, clip_norm or loss weight.",
    )
