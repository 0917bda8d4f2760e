"""What all commands share: how errors are reported, what help looks like, what signals do.

Whether errors are printed as JSON or with a traceback is an option of a command like any other: a
config file may set it, and in another command an option of the same name may mean something else.
It is taken from what was parsed or, if parsing failed, from as much as can be parsed.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from typer.core import TyperCommand, TyperGroup

from karaoke.errors import ExitCode, KaraokeError, UsageError
from karaoke.jobs.planning import EXTENSIONS

#: From the Click that Typer uses, bundled or separate depending on Typer's version.
Context: TypeAlias = Any
Parameter: TypeAlias = Any
#: Option names wider than this get a line of their own in the help.
WIDEST_NAME = 27


@dataclass
class Telling:
    """How to report errors, as far as the command line has been parsed.

    Attributes
    ----------
    json
        Whether to print them as JSON objects on standard output.
    debug
        Whether to print a traceback.
    context
        Context of the command that was parsed last.
    config
        The file that defaults were read from.
    """

    json: bool = False
    debug: bool = False
    context: Context = None
    config: Path | None = None

    def note(self, context: Context) -> None:
        """Read a command's parameters."""
        # In `karaoke evaluate`, --json names a file.
        self.json |= context.params.get("json_") is True
        self.debug |= context.params.get("debug") is True
        self.context = context

    def explain(self, error: KaraokeError) -> KaraokeError:
        """Add to an error where the options that it mentions were set, if not on the line."""
        said = " ".join(self._origins(f"{error.message}. {error.hint}"))
        if said and not error.hint.endswith(said):
            error.hint = f"{error.hint} {said}".strip()
        return error

    def _origins(self, text: str) -> Iterator[str]:
        """Yield sentences about the defaults that a text mentions."""
        if self.context is None:
            return
        for parameter in self.context.command.params:
            source = self.context.get_parameter_source(parameter.name)
            kind = getattr(source, "name", "")
            if kind in ("ENVIRONMENT", "DEFAULT_MAP") and speaks_of(text, parameter, self.context):
                where = f'"{self.config}"' if kind == "DEFAULT_MAP" else parameter.envvar
                yield f"{parameter.opts[-1]} is set by {where}."
                if parameter.name == "model" and kind == "DEFAULT_MAP":
                    yield "karaoke models use chooses another."


def speaks_of(text: str, parameter: Parameter, context: Context) -> bool:
    """Return whether a text contains an option's name or value."""
    words = [*parameter.opts]
    value = context.params.get(parameter.name)
    if isinstance(value, (str, Path, float)) and len(str(value)) > 2:
        words.append(str(value))
    return any(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", text) for word in words)


class Told:
    """Mixin of a command that has its errors reported as the user wants."""

    def parse_args(self: Any, ctx: Context, args: list[str]) -> list[str]:
        """Parse, and note how to report errors, even if parsing fails partway."""
        try:
            rest: list[str] = super().parse_args(ctx, list(args))  # type: ignore[misc]
        except Exception as error:
            # Other exceptions end the command without an error, as --help does.
            if isinstance(error, KaraokeError) or hasattr(error, "format_message"):
                with suppress(Exception):
                    self.parse_partly(ctx, args)
            raise
        note(ctx)
        return rest

    def parse_partly(self: Any, ctx: Context, args: list[str]) -> None:
        """Parse as much as possible of an invalid command line."""
        ctx.resilient_parsing = ctx.ignore_unknown_options = ctx.allow_extra_args = True
        flags = {
            parameter.name for parameter in self.params if getattr(parameter, "is_flag", False)
        }
        if "json_" in flags:
            # --json counts even if it was taken for the value of the option before it.
            note_words(ctx, args)
        super().parse_args(ctx, list(args))  # type: ignore[misc]
        note(ctx)

    def format_help(self: Any, ctx: Context, formatter: Any) -> None:
        """Write the help: usage, description, arguments, options by panel and commands."""
        formatter.write_usage(ctx.command_path, " ".join(usage(self, ctx)))
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(self.help or "")
        panels: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            if not getattr(parameter, "hidden", False):
                argument = parameter.param_type_name == "argument"
                panel = getattr(parameter, "rich_help_panel", None)
                heading = "Arguments" if argument else panel or "Options"
                panels[heading].append(help_row(parameter))
        # --help, which has no panel, comes last without a heading of its own.
        rest = panels.pop("Options", [])
        options = [heading for heading in panels if heading != "Arguments"]
        panels[options[-1] if len(rest) == 1 and options else "Options"] += rest
        commands = {name: self.get_command(ctx, name) for name in getattr(self, "commands", ())}
        if commands:
            panels["Commands"] = [
                (name, sentence(command.help))
                for name, command in commands.items()
                if not command.hidden
            ]
        for heading, rows in panels.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=WIDEST_NAME)


def waiting(context: Context) -> list[str]:
    """List the words that a group leaves to its subcommand."""
    first = getattr(context, "_protected_args", None) or getattr(context, "protected_args", [])
    return [*first, *context.args]


def note(context: Context) -> None:
    """Note what was parsed, if our command line is what parses."""
    if isinstance(context.obj, Telling):
        context.obj.note(context)


def note_words(context: Context, words: Sequence[str]) -> None:
    """Note --json and --debug among words that no command has parsed."""
    if isinstance(context.obj, Telling):
        context.obj.json |= "--json" in words
        context.obj.debug |= "--debug" in words


class Command(Told, TyperCommand):
    """A command of ours."""


class Group(Told, TyperGroup):
    """A command with subcommands."""

    def parse_partly(self, ctx: Context, args: list[str]) -> None:
        """Parse as much as possible, including the subcommand."""
        super().parse_partly(ctx, args)
        _, rest, _ = self.make_parser(ctx).parse_args(list(args))
        self.look_ahead(ctx, rest)

    def look_ahead(self, ctx: Context, words: Sequence[str]) -> None:
        """Find out how to report errors from words that should begin with a command."""
        for number, word in enumerate(words):
            command = self.get_command(ctx, word)
            if command is not None:
                note_words(ctx, words[:number])
                rest = list(words[number + 1 :])
                below = {"parent": ctx, "resilient_parsing": True, "ignore_unknown_options": True}
                with suppress(Exception):
                    context = command.make_context(word, rest, allow_extra_args=True, **below)
                    if isinstance(command, Group):
                        command.look_ahead(context, waiting(context))
                return
        note_words(ctx, words)

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:
        """Find the command, and how to report errors until it is parsed."""
        self.look_ahead(ctx, args)
        if self.get_command(ctx, args[0]) is None and looks_like_song(args[0]) and not ctx.parent:
            raise UsageError(
                f'"{args[0]}": no such command',
                hint=f"To split it: karaoke split {shlex.quote(args[0])}",
            )
        return super().resolve_command(ctx, args)


def looks_like_song(word: str) -> bool:
    """Return whether a word is a song, a folder, a list or a URL, not a misspelt command."""
    extension = os.path.splitext(word)[1].lower()
    return extension in EXTENSIONS or word.startswith("@") or "/" in word or os.path.exists(word)


def usage(command: Any, context: Context) -> list[str]:
    """List the pieces of a command's usage line."""
    pieces = ["[OPTIONS]"]
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            name = bare_name(parameter)
            piece = name if parameter.required else f"[{name}]"
            pieces.append(f"{piece}..." if parameter.nargs != 1 else piece)
    return [*pieces, "COMMAND ..."] if hasattr(command, "commands") else pieces


def bare_name(parameter: Parameter) -> str:
    """Return an argument's name without brackets and dots."""
    name: str = (parameter.metavar or parameter.name.upper()).removesuffix("...")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name.removesuffix("...")


def help_row(parameter: Parameter) -> tuple[str, str]:
    """Return the two help columns of a parameter."""
    if parameter.param_type_name == "argument":
        return bare_name(parameter), getattr(parameter, "help", None) or ""
    # Short names first, as everywhere.
    names = ", ".join(sorted(parameter.opts, key=lambda name: name.startswith("--")))
    if parameter.secondary_opts:
        names = f"{names} / {', '.join(parameter.secondary_opts)}"
    if not (parameter.is_flag or getattr(parameter, "count", False)):
        names = f"{names} {parameter.metavar or parameter.name.strip('_').upper()}"
    text = parameter.help or ""
    shown, default = getattr(parameter, "show_default", True), parameter.default
    if isinstance(shown, str):
        text = f"{text} [default: {shown}]"
    elif (
        shown
        and isinstance(default, (str, int, float, Path))
        and default != math.inf
        and not parameter.is_flag
    ):
        text = f"{text} [default: {default}]"
    elif parameter.required:
        text = f"{text} [required]"
    return names, text


def sentence(text: str | None) -> str:
    """Return the first sentence of a text, on one line."""
    return re.split(r"\.\s", " ".join((text or "").split()))[0].rstrip(".")


class Stopped(BaseException):
    """Raised by a signal that asks us to stop, so that everything is cleaned up on the way out."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


class SignalHandler:
    """Turns a signal into an exception, once, so that more signals do not interrupt the clean-up.

    After some seconds it does so again, in case the first was lost in a callback, where Python
    only prints exceptions.
    """

    patience_seconds = 5.0

    def __init__(self) -> None:
        self._last = -math.inf
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # Ignored signals stay ignored: `nohup` and background jobs rely on it.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise :class:`Stopped`."""
        if time.monotonic() - self._last > self.patience_seconds:
            self._last = time.monotonic()
            interrupted = number == signal.SIGINT
            raise Stopped(ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED)
