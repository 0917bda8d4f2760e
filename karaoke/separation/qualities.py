"""Qualities of a model, with which its name may end after an ``@``; without torch, to be quick."""

from __future__ import annotations

from karaoke.errors import UsageError

#: Members of an ensemble to use; zero for all. Other models ignore it.
QUALITIES = {"fast": 1, "default": 0}


def find_quality(name: str) -> int:
    """Return how many members of an ensemble a quality uses, zero for all.

    Raises
    ------
    UsageError
        There is no such quality.
    """
    if name not in QUALITIES:
        hint = f"Choose {' or '.join(QUALITIES)}; commands know best, too."
        raise UsageError(f"unknown quality {name!r}", hint=hint)
    return QUALITIES[name]


def split_quality(name: str) -> tuple[str, str]:
    """Split a name that may end in ``@`` and a quality into the model's name and the quality."""
    model, at, quality = name.rpartition("@")
    return (model, quality) if at and quality in QUALITIES else (name, "default")
