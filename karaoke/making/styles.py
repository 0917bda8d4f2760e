"""How words on the screen look: styles by name, and of the user's own in TOML."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from karaoke.errors import NoInputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SWEEPS = ("fill", "word", "line")
#: Between which numbers of a style have to be.
LIMITS = {
    "rows": (1, 12),
    "size": (0.02, 0.5),
    "margin": (0.0, 0.4),
    "middle": (0.0, 1.0),
    "spacing": (0.8, 4.0),
    "fade_seconds": (0.0, 2.0),
    "line_seconds": (0.0, 2.0),
    "tint": (0.0, 1.0),
}


@dataclass(frozen=True)
class Style:
    """How words look.

    Parameters
    ----------
    rows
        Lines on the screen at a time.
    size
        Height of the letters as a share of the picture's, or of its width where that is less.
    sung, unsung, outline
        Colours, ``#rrggbb``.
    background
        Behind the words where there is nothing else.
    singers
        Colours of what is sung by the first singer, the second and so on.
    margin
        Of the picture, at each side, that stays free.
    middle
        Where the middle of the lines is, from the top, as a share of the height.
    sweep
        ``fill``: colour runs through the letters; ``word``: syllables change when they begin;
        ``line``: lines do.
    spacing
        From line to line, in heights of the letters.
    fade_seconds
        In which title and artist appear, and vanish.
    line_seconds
        In which a row changes colour, about its time, where that of its words is not known.
    tint
        How much of a singer's colour is in what they have yet to sing, so that all know whose it
        is; films have it, discs have too few colours.
    """

    rows: int = 4
    size: float = 0.092
    sung: str = "#ffc83d"
    unsung: str = "#ffffff"
    outline: str = "#0b0d14"
    background: str = "#101a30"
    singers: tuple[str, ...] = ("#ffc83d", "#5ad1ff", "#ff7ab8", "#8be36b")
    margin: float = 0.06
    middle: float = 0.56
    sweep: str = "fill"
    spacing: float = 1.32
    fade_seconds: float = 0.3
    line_seconds: float = 0.0
    tint: float = 0.0

    def __post_init__(self) -> None:
        if self.sweep not in SWEEPS:
            raise UsageError(f"sweep {self.sweep!r}: unknown", hint=f"Choose {', '.join(SWEEPS)}.")
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} {getattr(self, name)}: not from {least:g} to {most:g}")
        for colour in (self.sung, self.unsung, self.outline, self.background, *self.singers):
            if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
                raise UsageError(f"{colour!r}: not a colour", hint="Write #rrggbb.")
        if not self.singers:
            raise UsageError("singers: none", hint="Give one colour at least.")


STYLES = {
    "plain": Style(),
    "big": Style(rows=2, size=0.13),
    "light": Style(
        sung="#c4104d",
        unsung="#1b2436",
        outline="#ffffff",
        background="#eef2f8",
        singers=("#c4104d", "#0a66d0", "#0c7a3d", "#8a3fd1"),
    ),
    "duet": Style(sung="#ff9a3d", singers=("#ff9a3d", "#5ad1ff", "#ff7ab8", "#8be36b"), tint=0.4),
    "film": Style(rows=2, size=0.085, middle=0.82),
}


def rgb(colour: str) -> tuple[int, int, int]:
    """Read ``#rrggbb``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mixed(colour: str, other: str, share: float) -> str:
    """Mix two colours, ``#rrggbb``, with a share of the other."""
    pairs = zip(rgb(colour), rgb(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def read_style(path: Path) -> tuple[Style, Path | None]:
    """Read a style of the user's own.

    Parameters
    ----------
    path
        TOML with any of the parameters of :class:`Style`, and ``font``, a file that lies beside
        it or has a full path, and ``like``, the style by name that the others are taken from.

    Returns
    -------
    tuple
        The style, and the font, if one is named.

    Raises
    ------
    NoInputError
        It cannot be read.
    UsageError
        It is no TOML, or has keys or values that styles do not have.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoInputError(f'"{path}": {error.strerror}', hint="Check --style.") from error
    except ValueError as error:
        raise UsageError(f'"{path}": not a style ({error})', hint="Write it in TOML.") from error
    try:
        font = checked("font", values.pop("font", ""), "")
        like = checked("like", values.pop("like", "plain"), "plain")
        if like not in STYLES:
            raise UsageError(f"like {like!r}: unknown", hint=f"Choose of {', '.join(STYLES)}.")
        known = {entry.name: getattr(STYLES[like], entry.name) for entry in fields(Style)}
        for key in values:
            if key not in known:
                near = get_close_matches(key, [*known, "font", "like"], 1, 0.0)
                raise UsageError(f"{key}: unknown", hint=f"Did you mean {near[0]}?")
        chosen = {key: checked(key, value, known[key]) for key, value in values.items()}
        return replace(STYLES[like], **chosen), path.parent / font if font else None
    except UsageError as error:
        raise UsageError(f'"{path}": {error}', hint=error.hint) from error


def checked(key: str, value: Any, sample: Any) -> Any:
    """Give a value as the type that a sample has.

    Raises
    ------
    UsageError
        It has another.
    """
    if isinstance(sample, tuple):
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise UsageError(f"{key}: not a list of texts", hint='Write ["#ffc83d", "#5ad1ff"].')
    if isinstance(sample, float) and type(value) is int:
        return float(value)
    if type(value) is not type(sample):
        kinds = {str: "a text", int: "a whole number", float: "a number"}
        raise UsageError(f"{key} = {value!r}: not {kinds[type(sample)]}")
    return value
