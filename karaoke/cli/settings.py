"""Defaults from a config file: a table a command, a key an option."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import typer

from karaoke.errors import NoInputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def default_path() -> Path:
    """Give ``~/.config/karaoke/config.toml``, or where the system keeps such files."""
    return Path(typer.get_app_dir("karaoke")) / "config.toml"


def read_config(
    path: Path | None, commands: Mapping[str, Callable[..., Any]]
) -> dict[str, dict[str, Any]]:
    """Read the defaults of all commands.

    Parameters
    ----------
    path
        A TOML file; None for the usual place, where it need not be.
    commands
        The functions of the commands, by name, whose parameters are the options.

    Returns
    -------
    dict
        For each command the defaults of its parameters.

    Raises
    ------
    NoInputError
        The file that was named cannot be read.
    UsageError
        It is no TOML, or names no command or option.
    """
    file = path or default_path()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        if path is None:
            return {}
        raise NoInputError(f'"{file}": {error.strerror}') from error
    except OSError as error:
        raise NoInputError(f'"{file}": {error.strerror}') from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f'"{file}": {error}', hint="Write key = value, in TOML.") from error
    defaults: dict[str, dict[str, Any]] = {}
    for command, table in tables.items():
        if command not in commands or not isinstance(table, dict):
            known = ", ".join(f"[{name}]" for name in commands)
            raise UsageError(f'"{file}": unknown {command!r}', hint=f"Tables: {known}.")
        names = signature(commands[command]).parameters
        values = {}
        for key, value in table.items():
            # Parameters that would hide a built-in end in an underscore.
            name = key.replace("-", "_")
            name = name if name in names else f"{name}_"
            if name not in names:
                raise UsageError(f'"{file}": [{command}] has no option {key!r}')
            values[name] = os.path.expanduser(value) if isinstance(value, str) else value
        defaults[command] = values
    return defaults
