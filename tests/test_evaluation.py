"""The measuring command on songs with known stems; figures of the real songs where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from karaoke import evaluation
from karaoke.audio.reading import Block
from karaoke.errors import NoInputError
from karaoke.metrics import is_rest, is_singing, si_sdr_gain, windows
from karaoke.separation import load_model


def test_windows_singing_and_rests() -> None:
    vocals = torch.randn(2, 1000)
    vocals[:, 300:400] *= 0.03
    vocals[:, 600:700] *= 0.0
    cut = list(windows(1050, 100))
    assert len(cut) == 10 and cut[-1] == slice(900, 1000)
    assert [is_singing(vocals, w) for w in cut] == [w.start not in (300, 600) for w in cut]
    assert [is_rest(vocals, w) for w in cut] == [w.start == 600 for w in cut]


def test_gain_over_the_mixture() -> None:
    target, other = torch.randn(2, 2, 5000)
    mixture = target + other
    assert si_sdr_gain(mixture, target, mixture) == 0
    assert si_sdr_gain(target + 0.1 * other, target, mixture) == pytest.approx(20, abs=0.5)


def test_command(
    tiny_model: Path, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], noise: Callable[..., Block],
) -> None:  # fmt: skip
    folder = tmp_path / "demo"
    folder.mkdir()
    vocals, rate = soundfile.read(song.with_name("vocals.flac"))
    soundfile.write(folder / "vocals.flac", vocals, rate)
    soundfile.write(folder / "accompaniment.flac", noise(2, len(vocals)).T, rate)
    out = tmp_path / "figures.json"
    arguments = ["", str(tmp_path), "demo", "--model", str(tiny_model), "--json", str(out)]
    monkeypatch.setattr("sys.argv", arguments)
    evaluation.main()
    assert "all windows" in capsys.readouterr().out
    (figures,) = json.loads(out.read_text())
    assert figures["song"] == "demo"
    assert len(figures["vocals_gain_db"]) == len(figures["instrumental_gain_db"]) == 2
    assert figures["null_dbfs"] < -120
    assert np.isfinite(figures["vocals_gain_db"]).all()
    with pytest.raises(NoInputError, match="holds no vocals"):
        evaluation.evaluate_song(tmp_path, load_model(tiny_model))
