"""The command line: parses, calls, prints and exits; no signal processing, no torch on import."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from karaoke import __version__
from karaoke.cli.analyse import analyse
from karaoke.cli.bench import bench
from karaoke.cli.cluster import app as cluster
from karaoke.cli.commands import Command, Group, SignalHandler, Stopped, Telling
from karaoke.cli.doctor import doctor
from karaoke.cli.evaluate import evaluate
from karaoke.cli.make import make
from karaoke.cli.models import app as models
from karaoke.cli.output import error_object, print_json, say_error
from karaoke.cli.serve import serve
from karaoke.cli.settings import default_path, read_config
from karaoke.cli.split import Reported, split
from karaoke.cli.starting import set_up_memory
from karaoke.cli.train import train
from karaoke.cli.use import use
from karaoke.cli.workshop import app as workshop
from karaoke.errors import DeviceMemoryError, ExitCode, KaraokeError, NoInputError, UsageError

app = typer.Typer(
    cls=Group,
    help="Split songs into vocals and instrumental, offline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"karaoke {__version__}")
        raise typer.Exit


COMMANDS: dict[str, Callable[..., None]] = {
    "split": split,
    "make": make,
    "analyse": analyse,
    "serve": serve,
    "train": train,
    "evaluate": evaluate,
    "doctor": doctor,
}


@app.callback()
def options(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with defaults for options; also KARAOKE_CONFIG.",
            envvar="KARAOKE_CONFIG",
            show_default="config.toml in the user's settings folder",
        ),
    ] = None,
) -> None:
    """Split songs into vocals and instrumental, offline.

    To begin: karaoke split song.mp3. For the options of a command: karaoke COMMAND --help.
    """
    context.default_map = read_config(config, COMMANDS)
    if isinstance(context.obj, Telling):
        context.obj.config = config or default_path()


for command in COMMANDS.values():
    app.command(cls=Command)(command)
for command in (bench, use):
    models.command(cls=Command)(command)
app.add_typer(models, name="models")
app.add_typer(cluster, name="cluster")
app.add_typer(workshop, name="workshop", hidden=True)


def fail(error: KaraokeError, telling: Telling) -> NoReturn:
    """Report an error and end the process with its exit code."""
    if telling.debug:
        traceback.print_exc()
    telling.explain(error)
    if telling.json:
        print_json({"status": "failed", "error": error_object(error)})
    else:
        say_error(error)
    sys.exit(error.exit_code)


def as_karaoke_error(error: Exception) -> KaraokeError:
    """Turn an error from elsewhere into one of ours."""
    if isinstance(error, KaraokeError):
        return error
    if isinstance(error, MemoryError):
        return DeviceMemoryError("out of memory", hint="Close other programs.")
    if hasattr(error, "format_message"):  # Click's, whichever Click it is that Typer uses
        told, _, guess = error.format_message().partition(" Did you mean ")
        command = getattr(getattr(error, "ctx", None), "command_path", "karaoke")
        hint = f"Did you mean {guess} " if guess else ""
        return UsageError(told.rstrip(".?"), hint=f"{hint}See {command} --help.")
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return KaraokeError(text, hint="This is a bug; --debug shows where.")


def check_current_folder() -> None:
    """Refuse to start in a deleted folder, where torch's libraries would abort the process.

    Raises
    ------
    NoInputError
        The current folder was deleted.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise NoInputError(
            "the current folder no longer exists", hint="Change to one that does."
        ) from error


def main() -> None:
    """Run the command line and end the process with a documented exit code."""
    SignalHandler()
    set_up_memory()
    # If the caller closed a stream, its output must not end up in the other one, or in a file.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    telling = Telling()
    try:
        check_current_folder()
        sys.exit(app(prog_name="karaoke", standalone_mode=False, obj=telling))
    except Stopped as stop:
        print("karaoke: stopped, nothing half-written", file=sys.stderr)
        sys.exit(stop.code)
    except Reported as reported:
        sys.exit(reported.error.exit_code)
    except typer.Abort:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            sys.exit(ExitCode.USAGE)
        fail(as_karaoke_error(error), telling)
