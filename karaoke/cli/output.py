"""Printing for all commands: sentences for people, JSON objects for programs."""

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
    from collections.abc import Sequence

    from rich.console import Console

#: Smallest width of a table's last column, which wraps.
READABLE_WIDTH = 24


def make_console(*, quiet: bool = False) -> Console:
    """Make a console on standard error that only wraps lines on a terminal."""
    from rich.console import Console

    to_people = sys.stderr.isatty()
    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=not to_people, emoji=False)


def say_error(error: KaraokeError) -> None:
    """Print an error as one line on standard error."""
    say(make_console(), "karaoke: ", "bold red", str(error))


def say(console: Console, label: str, style: str, text: str) -> None:
    """Print a line with a label, which is coloured where colours are supported."""
    from rich.text import Text

    console.print(Text.assemble((label, style), visible(text)))


def print_paragraph(text: str, *, indent: int = 2) -> None:
    """Print one line on standard output, wrapped at words on a terminal."""
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
    """Escape control characters, which a name may contain, to protect the terminal."""
    odd = ("Cc", "Cs")
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in odd else c for c in text)


def error_object(error: KaraokeError) -> dict[str, Any]:
    """Return an error as a JSON object."""
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
    """Write to standard output, even if its reader has closed it.

    Raises
    ------
    WriteError
        Standard output cannot be written to.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # What is left in the buffer must not fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # nobody reads the paths any more, but the songs are still wanted
        raise WriteError(
            f"standard output: {error.strerror}", hint="The files are written."
        ) from error


def print_rows(titles: Sequence[str], rows: Sequence[Sequence[str]], elsewhere: str) -> None:
    """Print a table on standard output, whose first column is never cut.

    The last column wraps. Where it would be too narrow to read, it is left out, and then so is one
    column after another from the right; a line on standard error says what shows them.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, emoji=False)
    # A pipe has no width, and scripts want whole lines.
    console.width = console.width if console.is_terminal else 1000
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    shown = len(titles)
    if console.width < sum(widths[:-1]) + len(widths) + READABLE_WIDTH:
        shown -= 1
        while shown > 1 and console.width < sum(widths[:shown]) + shown - 1:
            shown -= 1
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 1, 0, 0))
    for number, title in enumerate(titles[:shown]):
        table.add_column(title, no_wrap=0 < number < len(titles) - 1, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row[:shown]))
    console.print(table)
    if shown < len(titles):
        print(f"{', '.join(titles[shown:])}: {elsewhere}", file=sys.stderr)
