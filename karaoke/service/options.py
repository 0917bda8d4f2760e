"""What can be asked for of a song, as it is written in requests.

What takes long to import is imported when somebody asks, so that the page is there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from karaoke.service.refusals import Refusal

#: Formats of sound that can be downloaded.
SOUNDS = ("m4a", "mp3", "flac", "wav")
LEVELS_DB = (-60.0, 12.0)

Found = Mapping[str, Any]


def bad(message: str, hint: str = "") -> Refusal:
    """Refuse options."""
    return Refusal(HTTPStatus.BAD_REQUEST, message, hint, code="usage")


def number(found: Found, name: str, default: float, least: float, most: float) -> float:
    """Read a number within limits.

    Raises
    ------
    Refusal
        It is none, or beyond them.
    """
    value = found.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise bad(f"{name}: not a number from {least:g} to {most:g}")
    return float(value)


def level(found: Found, name: str, default: float | None) -> float | None:
    """Read a level in decibels; None is off.

    Raises
    ------
    Refusal
        It is none.
    """
    if found.get(name, default) is None:
        return None
    return number(found, name, default or 0.0, *LEVELS_DB)


def choice(found: Found, name: str, default: str, known: Collection[str]) -> str:
    """Read one of several words.

    Raises
    ------
    Refusal
        It is another.
    """
    value = found.get(name, default)
    if value not in known:
        raise bad(f"{name}: unknown", f"Choose of {', '.join(known)}.")
    return str(value)


def choices(found: Found, name: str, known: Collection[str]) -> list[str]:
    """Read at least one of several words.

    Raises
    ------
    Refusal
        There are none, or others.
    """
    values = found.get(name)
    if not isinstance(values, list) or not values or not all(value in known for value in values):
        raise bad(f"{name}: not a list of what can be made", f"Choose of {', '.join(known)}.")
    return list(dict.fromkeys(values))


def check_options(command: str, found: Any) -> dict[str, Any]:
    """Read the options of a job; what is not said has its default.

    Raises
    ------
    Refusal
        The command is unknown, or an option cannot be.
    """
    if not isinstance(found, dict):
        raise bad("options: not an object")
    readers = {"split": dict, "align": align, "analyse": analyse, "make": make}
    if command not in readers:
        raise bad("command: unknown", f"Choose of {', '.join(readers)}.")
    known = readers[command]()
    if unknown := sorted(set(found) - set(known)):
        raise bad(f"options: unknown {', '.join(unknown)}")
    return {name: read(found) for name, read in known.items()}


Readers = dict[str, Callable[[Found], Any]]


def align() -> Readers:
    """Give what reads the options of ``align``."""
    return {
        "align": lambda found: choice(found, "align", "words", ("lines", "words")),
        "language": read_language,
    }


def analyse() -> Readers:
    """Give what reads the options of ``analyse``."""
    from karaoke.making.drawing import KINDS

    return {"write": lambda found: choices(found, "write", KINDS) if found.get("write") else []}


def make() -> Readers:
    """Give what reads the options of ``make``."""
    from karaoke.making.outputs import KINDS
    from karaoke.making.styles import STYLES
    from karaoke.making.video import SIZES

    return {
        "to": lambda found: choices(found, "to", ["audio", *KINDS]),
        "format": lambda found: choice(found, "format", "m4a", SOUNDS),
        **MIX,
        "style": lambda found: choice(found, "style", "plain", STYLES),
        "size": lambda found: choice(found, "size", "720p", SIZES),
        "background": read_background,
        "chords": lambda found: bool(found.get("chords", False)),
    }


def key(found: Found) -> float:
    """Read by how many semitones the key moves."""
    from karaoke.making.settings import MOST_SEMITONES

    return number(found, "key", 0, -MOST_SEMITONES, MOST_SEMITONES)


def tempo(found: Found) -> float:
    """Read by which factor the tempo changes."""
    from karaoke.making.settings import FASTEST, SLOWEST

    return number(found, "tempo", 1, SLOWEST, FASTEST)


#: What is the same in a film and in the page.
MIX: Readers = {
    "guide_db": lambda found: level(found, "guide_db", None),
    "band_db": lambda found: level(found, "band_db", 0.0),
    "key": key,
    "tempo": tempo,
}


def read_language(found: Found) -> str:
    """Read a language, by its name or its code.

    Raises
    ------
    Refusal
        It is unknown.
    """
    from karaoke.lyrics.languages import LANGUAGES, language_code

    value = found.get("language") or ""
    if value and (not isinstance(value, str) or language_code(value) not in LANGUAGES):
        raise bad("language: unknown", "Name it in English, or by its two letters.")
    return str(value)


def read_background(found: Found) -> str:
    """Read what is behind the words: the cover, or a colour.

    Raises
    ------
    Refusal
        It is neither.
    """
    value = found.get("background", "cover")
    digits = str(value)[1:]
    is_colour = str(value)[:1] == "#" and len(digits) == 6 and digits.isascii()
    if value == "cover" or (is_colour and all(one in "0123456789abcdefABCDEF" for one in digits)):
        return str(value)
    raise bad("background: neither cover nor a colour", "Give #rrggbb.")


def read_query(found: dict[str, str]) -> dict[str, Any]:
    """Read levels, key and tempo of an address; ``off`` is None.

    Raises
    ------
    Refusal
        Some of it is not a number.
    """
    values: dict[str, Any] = {}
    for name, text in found.items():
        if name not in ("vocals", "instrumental", "key", "tempo"):
            continue
        try:
            values[name] = None if text == "off" else float(text)
        except ValueError as error:
            raise bad(f"{name}: not a number") from error
    return values
