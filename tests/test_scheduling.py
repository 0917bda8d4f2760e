"""A simulated cluster whose workers fail: each song is there once, whole, and told of once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.scheduling import simulate


@pytest.mark.parametrize("failing", [0.0, 0.3])
def test_songs_survive_workers(failing: float, rng: np.random.Generator, tmp_path: Path) -> None:
    tally = simulate(tmp_path, 40, 8, failing, int(rng.integers(1 << 31)))
    assert tally.whole >= 40 - tally.given_up
    if failing:
        assert tally.failures > 0
        assert tally.half_written <= 2 * tally.given_up, "they are done by nobody"
    else:
        assert (tally.failures, tally.given_up, tally.half_written) == (0, 0, 0)
