"""The models that are at hand: a name or a path becomes a local checkpoint file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from karaoke.errors import ModelError

DEFAULT_MODEL = "open-v1"
#: In an installed package and in a checkout of the repository.
FOLDERS = (Path(__file__).parent / "models", Path(__file__).parent.parent / "models")


def shipped_models() -> dict[str, Path]:
    """Map the names of the models that came with the package to their checkpoints."""
    return {path.stem: path for folder in FOLDERS for path in folder.glob("*.safetensors")}


def available_models() -> list[str]:
    """List the names of the models that came with the package."""
    return sorted(shipped_models())


def find_model(name: str | os.PathLike[str] = DEFAULT_MODEL) -> Path:
    """Find the checkpoint of a model.

    Parameters
    ----------
    name
        One of :func:`available_models`, or the path of a ``.safetensors`` file.

    Raises
    ------
    ModelError
        There is neither a model nor a file of this name.
    """
    shipped = shipped_models()
    if os.fspath(name) in shipped:
        return shipped[os.fspath(name)]
    with suppress(OSError):  # a name that is too long is no file either
        if Path(name).is_file():
            return Path(name)
    known = ", ".join(sorted(shipped)) or "none"
    raise ModelError(
        f'"{os.fspath(name)}": no such model or file', hint=f"Models at hand: {known}."
    )
