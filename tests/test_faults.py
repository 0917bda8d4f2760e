"""The quick faults; ``python -m tests.faults`` runs the long ones too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.bench import Tally, bench
from tests.faults.cases import CASES
from tests.faults.endless import peak_of_ten_hours
from tests.faults.malformed import try_malformed


@pytest.mark.parametrize("name", CASES)
def test_fault(name: str, tiny_model: Path) -> None:
    tally = Tally()
    with bench(tiny_model, tally) as there:
        CASES[name](there)
    bad = (tally.tracebacks, tally.hangs, tally.altered, tally.lost, tally.partial, tally.leaked)
    assert bad == (0, 0, 0, 0, 0, 0), tally


def test_mutated_songs(tiny_model: Path) -> None:
    tally = Tally()
    with bench(tiny_model, tally) as there:
        result = try_malformed(there, 60)
    assert (result.tried, result.split + result.refused) == (60, 60), result
    assert (result.crashed, result.hung, result.empty, tally.tracebacks) == (0, 0, 0, 0), result


def test_memory_does_not_grow_with_the_song() -> None:
    short, long = peak_of_ten_hours(0.5)
    assert long < short + 60
