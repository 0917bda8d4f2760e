"""Defaults from a config file, with a table per command and a key per option."""

from __future__ import annotations

import json
import os
import re
import shutil
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

#: The line that names the default model.
MODEL_LINE = re.compile(r"""\s*(model|"model"|'model')\s*=""")


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


def read_tables(path: Path | None) -> dict[str, Any]:
    """Read a config file, and check the name of the default model in it, if there is one.

    Parameters
    ----------
    path
        A TOML file; None for the usual place, where it is optional.

    Raises
    ------
    NoInputError
        The file cannot be read.
    UsageError
        It is not TOML, or the model is not named by text.
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
    if not isinstance(tables.get("model", ""), str):
        raise UsageError(f'"{file}": model is not a name', hint="Run karaoke models use NAME.")
    return tables


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
    tables = read_tables(path)
    defaults: dict[str, dict[str, Any]] = {}
    if model := tables.pop("model", ""):
        model = read_value(model, False)
        takers = [name for name, command in commands.items() if takes_a_model(command)]
        defaults = {name: {"model": model} for name in takers}
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
        defaults[command] = {**defaults.get(command, {}), **values}
    return defaults


def takes_a_model(command: Callable[..., Any]) -> bool:
    """Return whether a command works with one model, where others compare several."""
    return options_of(command).get("model") is False


def write_default_model(path: Path, name: str | None) -> None:
    """Name the default model at the top of a config file, and leave the rest of it as it is.

    Parameters
    ----------
    path
        The file; it need not exist.
    name
        Name or path of a model; None for none.

    Raises
    ------
    UsageError
        The file is written in a way that cannot be changed safely.
    WriteError, PermissionDeniedError
        It cannot be written.
    """
    target = path.resolve()  # of a link, as from a folder of settings, the file
    hint = "Choose another file by karaoke --config FILE."
    from karaoke.files import writing_to, written_whole

    with writing_to(target, hint=hint):
        text = target.read_bytes().decode("utf-8") if target.exists() else ""
    changed = with_model(text, name)
    expected = {key: value for key, value in tomllib.loads(text).items() if key != "model"}
    if name is not None:
        expected["model"] = name
    try:
        same = tomllib.loads(changed) == expected
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise UsageError(
            f'"{path}": not written in a way that can be changed here',
            hint=f"Write model = {json.dumps(name or '')} at its top.",
        )
    if changed == text:
        return
    with writing_to(target, hint=hint):
        target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target, hint=hint) as part:
        part.write_bytes(changed.encode("utf-8"))
        if target.exists():
            shutil.copymode(target, part)


def with_model(text: str, name: str | None) -> str:
    """Put the default model's line into the text of a config file, where its line was or first."""
    lines = text.splitlines(keepends=True)
    first_table = next((n for n, line in enumerate(lines) if line.lstrip().startswith("[")), None)
    head, rest = lines[:first_table], lines[len(lines[:first_table]) :]
    at = next((n for n, line in enumerate(head) if MODEL_LINE.match(line)), 0)
    head = [line for line in head if not MODEL_LINE.match(line)]
    if name is not None:
        head.insert(at, f"model = {json.dumps(name, ensure_ascii=False)}\n")
    return "".join([*head, *rest])
