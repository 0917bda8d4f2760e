"""Halves of songs, and intervals of differences with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from karaoke.evaluation.comparing import (
    HALVES,
    INAUDIBLE_DB,
    bootstrap,
    half_of,
    halves,
    mean_level,
)

#: As ``karaoke train`` and ``karaoke evaluate`` have divided them ever since.
CHOOSE = ["lithium", "how_to_kill_a_conversation_heartonmythumb", "playlist"]
REPORT = ["caesium", "big_stone_culture_fragile_thoughts", "rrphl"]


def test_a_song_stays_in_its_half() -> None:
    assert halves([*REPORT, *CHOOSE]) == {"choose": CHOOSE, "report": REPORT}
    assert half_of("validation/lithium") == half_of("test/lithium") == half_of("lithium")
    many = [half_of(f"song {number}") for number in range(1000)]
    assert 450 < many.count(HALVES[0]) < 550
    assert half_of("name that is no \udcff UTF-8") in HALVES


def test_where_one_half_is_empty_all_are_to_choose_by() -> None:
    for songs in (["lithium"], ["caesium"], CHOOSE, REPORT):
        assert halves(songs) == {"choose": songs}


def test_levels_are_averaged_by_power() -> None:
    assert mean_level([-20, -20]) == pytest.approx(-20)
    assert mean_level([-10, -200]) == pytest.approx(-13.01, abs=0.01), "silence does not make up"
    assert mean_level([-200]) == INAUDIBLE_DB


def test_the_same_method_is_not_ahead_of_itself() -> None:
    for found in bootstrap([np.zeros((7, 2)), np.zeros((3, 2))], resamples=500):
        assert (found.mean, found.low, found.high, found.ahead) == (0, 0, 0, 0)


def test_every_song_counts_once_however_long_it_is() -> None:
    (found,) = bootstrap([np.full((100, 1), 1.0), np.full((1, 1), 3.0), np.full((4, 1), -1.0)])
    assert found.mean == pytest.approx(1) and (found.songs, found.ahead) == (3, 2)
    assert found.low is not None and found.high is not None
    assert found.low < -1 and found.high > 3, "three songs tell little"


def test_one_song_says_nothing_of_others() -> None:
    (found,) = bootstrap([np.array([[1.0], [3.0]])])
    assert (found.mean, found.low, found.high) == (2, None, None)


def test_a_tenth_of_a_decibel_is_seen_where_it_is_everywhere() -> None:
    rng = np.random.default_rng(3)
    songs = [0.1 + 0.1 * rng.standard_normal((20, 1)) for _ in range(6)]
    (found,) = bootstrap(songs)
    assert found.low is not None and found.low > 0
    (again,) = bootstrap(songs)
    assert again == found, "the seed is fixed"


@pytest.mark.parametrize(("count", "of_songs"), [(3, 1.0), (6, 1.0), (6, 0.3), (20, 1.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(count: int, of_songs: float) -> None:
    rng = np.random.default_rng(count)
    runs, held = 200, 0
    for seed in range(runs):
        songs = [
            0.5 + of_songs * rng.standard_normal() + rng.standard_normal((12, 1))
            for _ in range(count)
        ]
        (found,) = bootstrap(songs, resamples=400, seed=seed)
        assert found.low is not None and found.high is not None
        held += found.low <= 0.5 <= found.high
    # Of 200 runs at 95 %, three standard deviations are 4.6 %. Too wide is no lie, too narrow is.
    assert held / runs > 0.90
    if count == 20:
        assert held / runs < 0.999, "nor is it so wide that it always holds"
