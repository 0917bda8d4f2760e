"""Which model a command uses that is not told, or is told to take the best."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from karaoke.cli.settings import default_path, read_tables
from karaoke.errors import UsageError
from karaoke.store.catalogue import DEFAULT_MODEL

VARIABLE = "KARAOKE_MODEL"
#: Takes the best model that is here, where other qualities are those of one model.
BEST = "best"


def config_of(context: typer.Context) -> Path:
    """Return the config file of this run, whether it exists or not."""
    return getattr(context.obj, "config", None) or default_path()


def default_model(context: typer.Context) -> tuple[str, str]:
    """Return the default model, and what makes it the default: a variable, a file, or nothing."""
    if named := os.environ.get(VARIABLE):
        return named, VARIABLE
    path = config_of(context)
    named = read_tables(path if path.exists() else None).get("model")
    return (str(named), f'"{path}"') if named else (DEFAULT_MODEL, "")


def settle_model(context: typer.Context, stems: tuple[str, ...] = ("vocals",)) -> tuple[str, str]:
    """Return the model and quality that a command is to use; ``best`` chooses the model.

    The command's parameters are updated, too.

    Parameters
    ----------
    context
        Of a command with a model and a quality.
    stems
        What the model has to have.

    Raises
    ------
    UsageError
        Both the model and ``best`` were asked for, or there is no such quality.
    """
    wanted: dict[str, Any] = context.params
    if wanted["quality"] == BEST:
        said = {name: spoken_of(context, name) for name in ("model", "quality")}
        if all(said.values()):
            raise UsageError(
                f"--quality best and --model {wanted['model']}: choose one of them",
                hint="The former chooses the best model that is here.",
            )
        if not said["model"]:
            from karaoke.store.ranking import best_model

            wanted["model"] = best_model(stems)
        wanted["quality"] = "default"
    return wanted["model"], wanted["quality"]


def spoken_of(context: typer.Context, parameter: str) -> bool:
    """Return whether an option was given on the command line."""
    source = context.get_parameter_source(parameter)
    return getattr(source, "name", "") == "COMMANDLINE"
