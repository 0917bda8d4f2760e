"""Real songs, where the corpus is beside the checkout: files that add up, and are separated.

``pytest tests/test_corpus.py -s --no-cov`` prints the figures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from karaoke.audio import AudioReader, load_audio, output_format, save_audio
from karaoke.evaluation.datasets import find_pieces
from karaoke.evaluation.methods import by_model
from karaoke.evaluation.scoring import PER_WINDOW, Scorer, to_db
from karaoke.evaluation.songs import load_reference
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.planning import Song, plan
from karaoke.jobs.splitting import SplitTask
from karaoke.jobs.task import Tools
from karaoke.store.loading import load_model

from .conftest import CORPUS

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the checkout"),
]
SONGS = (
    "lithium",
    "caesium",
    "big_stone_culture_fragile_thoughts",
    "how_to_kill_a_conversation_heartonmythumb",
    "playlist",
)


@pytest.mark.parametrize(
    ("name", "bit_depth", "limit_db"),
    [(name, *((32, -120), (24, -90))[number % 2]) for number, name in enumerate(SONGS)],
)
def test_stems_of_an_mp3_add_up_to_it(
    tmp_path: Path, name: str, bit_depth: int, limit_db: float
) -> None:
    _, (track,) = find_pieces(CORPUS / "songs", [name])
    true = load_reference(track, as_mp3=False)
    true = true.excerpt(0, 60 * true.sample_rate)
    song = tmp_path / f"{name}.mp3"
    save_audio(song, 0.7 * true.mixture, true.sample_rate)
    (job,) = plan([Song(song)], tmp_path, ("vocals", "instrumental"), "wav")
    settings = SplitSettings("default", "wav", bit_depth, "")
    separator = load_model("lstm_mask", device="cpu")  # the quickest: all of them add up alike
    task = SplitTask(job, settings, output_format("wav", bit_depth))
    result = task.run(Tools(lambda: separator))
    assert result.facts["gain"] == 1
    decoded, rate = load_audio(song)
    stems = []
    for path in job.outputs.values():
        with AudioReader(path) as reader:
            assert (reader.sample_rate, reader.channels) == (rate, decoded.shape[0])
        stems.append(load_audio(path)[0])
        assert stems[-1].shape == decoded.shape
    residual_db = to_db(float(np.abs(sum(stems) - decoded).max()))
    print(f"{name} {bit_depth} bit: {rate} Hz, {decoded.shape}, residual {residual_db:.0f} dBFS")
    assert residual_db <= limit_db


def test_default_model_separates_a_real_song() -> None:
    _, (track,) = find_pieces(CORPUS / "songs", ["lithium"])
    song = load_reference(track)
    song = song.excerpt(60 * song.sample_rate, 30 * song.sample_rate)
    figures = Scorer(song).score("default", by_model(load_model())(song))
    vocals, instrumental = (np.median(figures.windows[name]) for name in PER_WINDOW[:2])
    assert vocals > 3
    assert instrumental > 1
