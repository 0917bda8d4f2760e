"""What a training run measures, and which of its weights it takes for the best."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from karaoke.evaluation.comparing import half_of
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.validation import (
    rest_windows,
    score,
    singing_windows,
    spread,
    validate,
    with_means,
)


def test_the_score_is_of_the_choosing_half_with_each_song_once() -> None:
    figures = with_means(
        {
            "lithium": {"vocals": 2.0, "instrumental": 1.0, "leak": -30.0},
            "playlist": {"vocals": 6.0, "instrumental": 3.0},
            "caesium": {"vocals": 90.0, "instrumental": 90.0, "leak": -10.0},
            "piece 0": {"leak": -40.0},
        }
    )
    assert half_of("piece 0") == "report", "as it counts below"
    assert figures["choose"] == {"vocals": 4, "instrumental": 2, "leak": -30}
    assert figures["report"] == {"vocals": 90, "instrumental": 90, "leak": -25}
    assert figures["all"]["vocals"] == pytest.approx(98 / 3, abs=1e-3)
    assert score(figures, -20.0) == (True, 6)
    assert score(figures, -35.0) == (False, 6)
    assert with_means({}) == {} and "choose" not in with_means({"music": {"leak": -9.0}})


def test_the_guard_keeps_what_leaks_and_what_is_silent_from_being_the_best() -> None:
    def of(gain: float, leak: float) -> tuple[bool, float]:
        return score({"choose": {"vocals": gain, "instrumental": 0.0, "leak": leak}}, -20.0)

    assert of(5.0, -21.0) > of(9.0, -10.0), "no gain makes up for a leak"
    assert of(9.0, -10.0) > of(5.0, -10.0), "while all leak, the gain decides"
    assert of(9.0, -10.0) > of(-10.0, -80.0), "silence is quiet, and of no use"
    assert not of(9.0, math.nan)[0]


def test_windows_are_spread_over_the_song(recordings: list[Recording]) -> None:
    cut = [slice(start, start + 1) for start in range(30)]
    assert [window.start for window in spread(cut, 3)] == [5, 15, 25]
    assert spread(cut, 0) == spread(cut, 30) == spread(cut, 99) == cut
    assert len(list(singing_windows(recordings, 1))) == 1


class Tenth(torch.nn.Module):
    """Takes a tenth of the mixture for the voice."""

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return 0.1 * mixture[:, None]


def test_leaks_are_validated_where_nobody_sings() -> None:
    rng = np.random.default_rng(0)
    noise = (1000 * rng.standard_normal((2, 31 * SAMPLE_RATE))).astype(np.int16)
    rest = noise.copy()
    rest[:, 10 * SAMPLE_RATE : 20 * SAMPLE_RATE] = 0
    recordings = [
        Recording("v", "song-vocals", "song", "validation", rest),
        Recording("m", "song-accompaniment", "song", "validation", np.roll(noise, 5, axis=1)),
        Recording("music/alone.opus", "accompaniment", "band", "validation", noise),
        Recording("music/known.opus", "accompaniment", "band", "train", noise),
    ]
    assert [name for name, _ in rest_windows(recordings)] == ["song", "alone"]
    figures = validate(Tenth(), recordings, "cpu")
    for name in ("song", "alone"):
        assert figures[name]["leak"] == pytest.approx(-20, abs=0.01)
    assert figures["song"]["vocals"] == pytest.approx(0, abs=0.01)
    assert "vocals" not in figures["alone"] and figures["choose"]["vocals"] == 0
