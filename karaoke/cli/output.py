"""Words to people and objects to programs: what all commands print with."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import unicodedata
from typing import TYPE_CHECKING, Any

from karaoke.errors import KaraokeError, WriteError
from karaoke.jobs.planning import printable

if TYPE_CHECKING:
    from rich.console import Console


def make_console(*, quiet: bool = False) -> Console:
    """Make what prints sentences on standard error: whole lines, but wrapped on a terminal."""
    from rich.console import Console

    to_people = sys.stderr.isatty()
    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=not to_people, emoji=False)


def say_error(error: KaraokeError) -> None:
    """Print an error in one line on standard error."""
    say(make_console(), "karaoke: ", "bold red", str(error))


def say(console: Console, label: str, style: str, text: str) -> None:
    """Print a line whose label has a colour, where there are any."""
    from rich.text import Text

    console.print(Text.assemble((label, style), visible(text)))


def print_paragraph(text: str, *, indent: int = 2) -> None:
    """Print on standard output: a whole line, but wrapped at words on a terminal."""
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, 20)
        text = textwrap.fill(
            text,
            width,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    print(text)


def visible(text: str) -> str:
    """Show control characters, which a name may hold, instead of sending them to a terminal."""
    odd = ("Cc", "Cs")
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in odd else c for c in text)


def error_object(error: KaraokeError) -> dict[str, Any]:
    """Give an error as JSON has it."""
    return {
        "code": error.code,
        "message": printable(error.message),
        "hint": error.hint,
        "exit": int(error.exit_code),
    }


def print_json(entry: dict[str, Any]) -> None:
    """Print one object on one line."""
    write_out(json.dumps(entry, ensure_ascii=False).encode() + b"\n")


def write_out(data: bytes) -> None:
    """Write to standard output, whoever may have closed it.

    Raises
    ------
    WriteError
        It cannot be written to.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # What is left in the buffer must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # nobody reads the paths any more; the songs are wanted all the same
        raise WriteError(
            f"standard output: {error.strerror}", hint="The files are written."
        ) from error
