"""Check what the fields of a dataclass may hold before anything is built from them.

Recipes and checkpoints come from files that anybody may have written. A field's annotation says
what it takes, ``hidden: Annotated[int, Within(1, 4096)] = 64``; :func:`check_fields` checks it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclass(frozen=True)
class Within:
    """Range of a number, or of each number in a list, including its ends unless they are open.

    Parameters
    ----------
    low, high
        Its ends.
    open_low, open_high
        Whether to exclude that end.
    """

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        """Return whether a number is in the range; NaN never is."""
        above = self.low < value if self.open_low else self.low <= value
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        """Describe the range in words."""
        low = f"above {self.low:,}" if self.open_low else f"from {self.low:,}"
        return f"{low} to below {self.high:,}" if self.open_high else f"{low} to {self.high:,}"


SHARE = Within(0, 1)


def hints_of(kind: type[Any]) -> dict[str, Any]:
    """Map the fields of a dataclass to their annotations."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}


def check_fields(kind: type[Any], values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Check values for the fields of a dataclass, some of which may be missing.

    Parameters
    ----------
    kind
        The dataclass.
    values
        By field, from TOML or JSON.
    place
        Prefix of the fields' names in messages, such as ``mixtures.``.

    Returns
    -------
    dict
        The values in the fields' types: tuples for lists, dataclasses for tables.

    Raises
    ------
    ValueError
        There is no such field, or it cannot hold this value; the message names both.
    """
    hints = hints_of(kind)
    for name in values:
        if name not in hints:
            known = ", ".join(sorted(hints))
            raise ValueError(f"no field {f'{place}{name}'!r} (known: {known})")
    return {name: convert(value, hints[name], f"{place}{name}") for name, value in values.items()}


def convert(value: Any, hint: Any, name: str, within: Within | None = None) -> Any:
    """Check one value against an annotation, as :func:`check_fields` does."""
    for extra in getattr(hint, "__metadata__", ()):
        within = extra if isinstance(extra, Within) else within
    kind = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    origin = get_origin(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} must be a table, not {shown(value)}")
        return kind(**check_fields(kind, value, f"{name}."))
    if origin is tuple:
        return convert_all(value, get_args(kind), name, within)
    if origin is dict:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"{name} must be a table, not {shown(value)}")
        item = get_args(kind)[1]
        return {key: convert(one, item, f"{name}.{key}", within) for key, one in value.items()}
    if kind is Any:
        return value
    if kind is float and type(value) is int and abs(value) < 1 << 53:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        limits = f" {within}" if within else ""
        raise ValueError(f"{name} must be {NAMES[kind]}{limits}, not {shown(value)}")
    if within is not None and value not in within:
        raise ValueError(f"{name} must be {within}, not {shown(value)}")
    return value


def convert_all(value: Any, kinds: tuple[Any, ...], name: str, within: Within | None) -> Any:
    """Check a list, of any length or with one annotation per item."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name} must be a list, not {shown(value)}")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise ValueError(f"{name} must have {len(kinds)} items, not {len(value)}")
    return tuple(
        convert(one, kind, f"{name}[{index}]", within)
        for index, (one, kind) in enumerate(zip(value, kinds, strict=True))
    )


def shown(value: Any) -> str:
    """Format a value for a message, in 60 characters at most."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
