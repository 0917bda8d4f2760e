"""Defaults from a config file, with a table per command and a key per option."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import typer
from typer.models import OptionInfo

from karaoke.errors import NoInputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def default_path() -> Path:
    """Return ``~/.config/karaoke/config.toml``, or where the system keeps such files."""
    return Path(typer.get_app_dir("karaoke")) / "config.toml"


def options_of(command: Callable[..., Any]) -> dict[str, bool]:
    """Map each option of a command to whether it may be repeated."""
    hints = get_type_hints(command, include_extras=True)
    return {
        name: "list" in str(hint.__origin__)
        for name, hint in hints.items()
        if any(isinstance(extra, OptionInfo) for extra in getattr(hint, "__metadata__", ()))
    }


def read_value(value: Any, repeated: bool) -> Any:
    """Convert a value from the file to the form of the command line."""
    if isinstance(value, list) and not repeated:
        return ",".join(map(str, value))
    return os.path.expanduser(value) if isinstance(value, str) else value


def read_config(
    path: Path | None, commands: Mapping[str, Callable[..., Any]]
) -> dict[str, dict[str, Any]]:
    """Read the defaults of all commands.

    Parameters
    ----------
    path
        A TOML file; None for the usual place, where it is optional.
    commands
        The commands' functions by name; their parameters are the options.

    Returns
    -------
    dict
        Defaults of each command's parameters.

    Raises
    ------
    NoInputError
        The file cannot be read.
    UsageError
        It is not TOML, or names an unknown command or option.
    """
    file = path or default_path()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        if path is None and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return {}
        raise NoInputError(
            f'"{file}": {error.strerror}', hint="It should set defaults for options."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f'"{file}": not TOML ({error})', hint='Write lines such as format = "flac".'
        ) from error
    defaults: dict[str, dict[str, Any]] = {}
    for command, table in tables.items():
        if command not in commands or not isinstance(table, dict):
            known = ", ".join(f"[{name}]" for name in commands)
            raise UsageError(f'"{file}": unknown {command!r}', hint=f"Use {known}.")
        names = options_of(commands[command])
        values = {}
        for key, value in table.items():
            # Parameters that would shadow a built-in end in an underscore.
            name = key.replace("-", "_")
            name = name if name in names else f"{name}_"
            if name not in names:
                raise UsageError(
                    f'"{file}": [{command}] has no option {key!r}',
                    hint=f"See karaoke {command} --help.",
                )
            values[name] = read_value(value, names[name])
        defaults[command] = values
    return defaults
