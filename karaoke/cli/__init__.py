"""The command line: parses, calls, prints and exits; no signal processing, no torch at the top."""

from __future__ import annotations

import io
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated

import typer

from karaoke import __version__
from karaoke.cli.split import split
from karaoke.errors import ExitCode, KaraokeError

app = typer.Typer(
    help="Split songs into vocals and instrumental, offline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"karaoke {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Split songs into vocals and instrumental, offline."""


app.command()(split)


class Stopped(BaseException):
    """A signal asked us to stop; raised so that everything is cleaned up on the way out."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


def on_signal(number: int, _frame: FrameType | None) -> None:
    """Turn the first signal into an exception; cleaning up is not to be interrupted by more."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)


def main() -> None:
    """Run the command line and end the process with a documented exit code."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, on_signal)
    # Names of files may hold bytes that are no UTF-8; print them as they are.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        app(prog_name="karaoke")
    except Stopped as stop:
        print("karaoke: stopped, nothing half-written", file=sys.stderr)
        sys.exit(stop.code)
    except KaraokeError as error:
        print(f"karaoke: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except MemoryError:
        print("karaoke: out of memory. Close other programs. [memory]", file=sys.stderr)
        sys.exit(ExitCode.MEMORY)
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"karaoke: {text}. This is a bug; --debug shows where. [internal]", file=sys.stderr)
        sys.exit(ExitCode.INTERNAL)
