"""Stems of finished songs: what is kept of an estimate, and how it is written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.errors import NoInputError
from karaoke.evaluation.corpora import read_manifest
from karaoke.training.corpus import SAMPLE_RATE
from karaoke.training.workshop.estimate import (
    Judgement,
    join,
    judge,
    stretches,
    write_corpus,
    write_song,
)

GOOD, QUIET, LOST = Judgement(-6.0, 20.0), Judgement(-30.0, 20.0), Judgement(-6.0, 2.0)


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Make stereo noise."""
    rng = np.random.default_rng(seed)
    size = (2, round(seconds * SAMPLE_RATE))
    return np.float32(level) * rng.standard_normal(size, dtype=np.float32)


def test_windows_are_judged_by_level_and_by_what_comes_back() -> None:
    assert GOOD.plausible and not QUIET.plausible and not LOST.plausible
    assert not Judgement(0.0, 20.0).plausible, "all vocals and no music"
    vocals, music = noise(6, 1), noise(6, 2)
    vocals[:, 3 * SAMPLE_RATE :] *= 0.01
    again = vocals.copy()
    again[:, : SAMPLE_RATE * 3] *= 0.9
    (_, first), (window, second) = judge(vocals + music, vocals, again)
    assert first.level_db == pytest.approx(-3.0, abs=0.2)
    assert first.returned_db == pytest.approx(20.0, abs=0.2)
    assert window.start == 3 * SAMPLE_RATE
    assert second.level_db == pytest.approx(-40, abs=0.5) and not second.plausible


def test_plausible_windows_become_stretches() -> None:
    length = 3 * SAMPLE_RATE
    verdicts = [GOOD, GOOD, LOST, GOOD, QUIET, GOOD, GOOD, GOOD]
    judged = [(slice(i * length, (i + 1) * length), v) for i, v in enumerate(verdicts)]
    assert stretches(judged) == [slice(0, 2 * length), slice(5 * length, 8 * length)]


def test_stretches_are_joined_without_a_click() -> None:
    time = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    sine = np.stack([np.sin(2 * np.pi * 220 * time)] * 2).astype(np.float32)
    kept = [slice(0, 6 * SAMPLE_RATE), slice(10 * SAMPLE_RATE + 100, 17 * SAMPLE_RATE)]
    joined = join(sine, kept)
    assert joined.shape[1] < 13 * SAMPLE_RATE
    assert np.abs(np.diff(joined)).max() < 1.2 * np.abs(np.diff(sine)).max()
    np.testing.assert_array_equal(joined[:, :SAMPLE_RATE], sine[:, :SAMPLE_RATE])


def test_loud_stems_still_add_up(tmp_path: Path) -> None:
    mixture, vocals = noise(8, 1, 0.8), noise(8, 2, 0.5)
    row = {"path": "mixtures/loud.opus", "split": "train", "licence": "CC0 1.0"}
    rows = write_song(row, mixture, vocals, [slice(0, 8 * SAMPLE_RATE)], tmp_path)
    stems = [soundfile.read(tmp_path / r["path"], dtype="float32")[0].T for r in rows]
    total = stems[0] + stems[1]
    gain = float((total * mixture).sum() / np.square(mixture).sum())
    assert 0.1 < gain < 1
    np.testing.assert_allclose(total, gain * mixture, atol=1e-4)
    assert [r["role"] for r in rows] == ["song-vocals", "song-accompaniment"]
    assert {r["mark"] for r in rows} == {"estimated"} and len({r["group"] for r in rows}) == 1


def test_a_song_is_separated(tmp_path: Path) -> None:
    corpus, root = tmp_path / "corpus", tmp_path / "estimated"
    corpus.mkdir()
    columns = "path\trole\tgroup\tsplit\tseconds\tchannels\tlicence\tattribution\tsource\tnote"
    song = corpus / "song.wav"
    soundfile.write(song, noise(9).T, SAMPLE_RATE)
    row = "song.wav\tmixture\tband\ttrain\t9\t2\tCC0 1.0\tA Band\tthe band\tmade of noise"
    (corpus / "manifest.tsv").write_text(f"{columns}\n{row}\n", encoding="utf-8")
    total, kept = write_corpus(corpus, root, models=["lstm_mask"], weights=[1.0])
    # Noise is no singing: nothing of it may be kept, and the corpus says so.
    assert total == pytest.approx(9.0) and kept == 0.0
    assert read_manifest(root) == []
    (corpus / "manifest.tsv").write_text(f"{columns}\n", encoding="utf-8")
    with pytest.raises(NoInputError, match="no mixtures"):
        write_corpus(corpus, root, models=["lstm_mask"], weights=[1.0])
