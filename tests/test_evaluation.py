"""The measuring command on songs with known stems; figures of the real songs where they are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from karaoke import baselines, evaluation
from karaoke.audio.reading import Block
from karaoke.metrics import Shares, is_rest, is_singing, si_sdr_gain, windows


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


@pytest.fixture
def songs(tmp_path: Path, song: Path, noise: Callable[..., Block]) -> Path:
    """Make a folder with one song of two stems, one of four, and one that is none."""
    vocals, rate = soundfile.read(song.with_name("vocals.flac"))
    for name, others in (("a", ["accompaniment"]), ("b", ["drums", "bass", "other"])):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "vocals.flac", vocals, rate)
        for seed, other in enumerate(others):
            music = noise(2, len(vocals), seed) / len(others)
            soundfile.write(tmp_path / name / f"{other}.flac", music.T, rate)
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_command(
    run_karaoke: Callable[..., subprocess.CompletedProcess[str]], tiny_model: Path, songs: Path
) -> None:
    out = songs / "figures.json"
    done = run_karaoke("evaluate", songs, "--model", tiny_model, "--baselines", "--json", out)
    assert done.returncode == 0, done.stderr
    assert "all windows" in done.stdout and "4000+" in done.stdout
    rows = {(row["method"], row["song"]): row for row in json.loads(out.read_text())}
    assert {song for _, song in rows} == {"a", "b"}
    for (method, _), row in rows.items():
        assert len(row["vocals_gain_db"]) == len(row["instrumental_sdr_db"]) == 2
        assert len(row["kept"]) == len(row["leaked"]) == 8
        if method != "mixture":
            assert row["null_dbfs"] < -120
    assert rows["mixture", "a"]["vocals_gain_db"] == [0, 0]
    np.testing.assert_allclose(rows["mixture", "a"]["kept"][3], 1, atol=0.01)
    np.testing.assert_allclose(rows["mixture", "a"]["leaked"][3], 1, atol=0.01)
    for song in "ab":
        gains = {method: np.median(rows[method, song]["vocals_gain_db"]) for method, _ in rows}
        # A voice in white noise: every method helps, the truth most of all.
        assert gains["ideal ratio mask"] > 8
        assert gains["ideal ratio mask"] > max(gains["centre"], gains["REPET-SIM"]) > 0
    done = run_karaoke("evaluate", songs, "empty")
    assert done.returncode == 66 and "holds no vocals" in done.stderr
    done = run_karaoke("evaluate", songs / "empty")
    assert done.returncode == 66 and "no song" in done.stderr


def test_leaks_are_measured_where_nobody_sings(noise: Callable[..., Block]) -> None:
    vocals, music = noise(2, 44100 * 30, 0), noise(2, 44100 * 30, 1)
    vocals[:, 44100 * 10 : 44100 * 20] = 0
    song = evaluation.Song("x", vocals + music, vocals, music, 44100)
    leaky = evaluation.evaluate(song, lambda s: (0.1 * s.mixture, 0.9 * s.mixture), "leaky")
    assert leaky.leak_db == pytest.approx([-20], abs=0.01)
    assert len(leaky.vocals_gain_db) == 2
    (whole,) = (row for row in evaluation.summarise([leaky]) if row[1] == "all windows")
    assert whole[2] == 2 and whole[3][4] == pytest.approx(-20, abs=0.01)


def test_shares_per_octave() -> None:
    voice, music = torch.randn(2, 2, 44100)
    low = torch.fft.rfft(music)
    low[:, 2000:] = 0  # below 2 kHz
    shares = Shares(44100)
    shares.add(0.8 * voice + 0.3 * torch.fft.irfft(low, 44100), voice, music)
    kept, leaked = zip(*shares.results(), strict=True)
    np.testing.assert_allclose(kept, 0.8, atol=0.02)
    np.testing.assert_allclose(leaked, [0.3] * 5 + [0] * 3, atol=0.02)


def test_baselines_on_what_they_are_made_for() -> None:
    rng = np.random.default_rng(0)
    voice = np.zeros((2, 44100 * 12), np.float32)
    voice[:, 44100 * 5 : 44100 * 6] = 0.3 * np.sin(2 * np.pi * 700 * np.arange(44100) / 44100)
    bar = 0.1 * rng.standard_normal((2, 44100 * 3 // 2)).astype(np.float32)
    loop = np.tile(bar, 8)
    found = baselines.repet_sim(voice + loop, 44100)
    gain = si_sdr_gain(*(torch.from_numpy(a) for a in (found, voice, voice + loop)))
    assert gain > 5, "what repeats is the music"
    sides = loop.copy()
    sides[1] = -sides[0]
    found = baselines.centre(voice + sides, 44100)
    gain = si_sdr_gain(*(torch.from_numpy(a) for a in (found, voice, voice + sides)))
    assert gain > 5, "what is in the middle is the voice"
