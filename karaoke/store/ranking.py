"""Which of the models that are here separates best, by the figures in their entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from karaoke.errors import DamagedModelError, ModelError
from karaoke.separation.headers import stem_names
from karaoke.store.catalogue import (
    DEFAULT_MODEL,
    available_models,
    find_entry,
    find_model,
    look_into,
)

#: A lead that counts between figures that were measured on different songs. Benchmarks differ by
#: that much in how hard their songs are, and in what they mean by SDR.
CLEAR_LEAD_DB = 3.0


def best_model(stems: Sequence[str] = ("vocals",)) -> str:
    """Choose the best model that is here.

    What counts is the SDR of the vocals, or, where no vocals are wanted, of the first stem. In
    figures of the same songs, any lead counts; between different benchmarks, only one of 3 dB.
    Where several models remain that no other leads, it is the default that ships, if that is one of
    them, or else the one with the highest figure. Models without a figure are never chosen.

    Parameters
    ----------
    stems
        What the model has to have.

    Raises
    ------
    ModelError
        None has these stems, and a figure.
    """
    of = "vocals" if "vocals" in stems or "instrumental" in stems else stems[0]
    known = figures_of(available_models(), stems, f"{of}_sdr_db")
    left = [name for name in known if not any(leads(o, known[name]) for o in known.values())]
    if not left:
        raise ModelError(
            f"no model that is here has {', '.join(stems)} and a figure of how good it is",
            hint="Name one by --model; see karaoke models.",
        )
    return DEFAULT_MODEL if DEFAULT_MODEL in left else max(left, key=lambda name: known[name][1])


def figures_of(
    names: Sequence[str], stems: Sequence[str], key: str
) -> dict[str, tuple[Any, float]]:
    """Map models that have these stems to the songs that were measured, and the figure."""
    found = {}
    for name in names:
        metrics = find_entry(name).metrics
        try:
            inside = stem_names(look_into(find_model(name))[0])
        except DamagedModelError:
            continue
        if set(stems) <= set(inside) and isinstance(metrics.get(key), (int, float)):
            found[name] = metrics.get("data"), float(metrics[key])
    return found


def leads(one: tuple[Any, float], other: tuple[Any, float]) -> bool:
    """Return whether a model is shown to be better than another."""
    needed = 0.0 if one[0] == other[0] else CLEAR_LEAD_DB
    return one[1] - other[1] > needed
