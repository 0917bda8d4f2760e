"""Real songs, where the corpus is beside the checkout: files that add up, and are separated.

``pytest tests/test_corpus.py -s --no-cov`` prints the figures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from karaoke.audio import AudioReader, load_audio, output_format, save_audio
from karaoke.evaluation import by_model, evaluate, load_song, load_stems, to_db
from karaoke.manifest import Settings
from karaoke.planning import Song, plan
from karaoke.separation import load_model
from karaoke.splitting import split_song

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


@pytest.mark.parametrize(("bit_depth", "limit_db"), [(32, -120), (24, -90)])
@pytest.mark.parametrize("name", SONGS)
def test_stems_of_an_mp3_add_up_to_it(
    tmp_path: Path, name: str, bit_depth: int, limit_db: float
) -> None:
    true_stems, rate = load_stems(CORPUS / "songs" / name)
    song = tmp_path / f"{name}.mp3"
    save_audio(song, 0.7 * true_stems.sum(axis=0), rate)
    (job,) = plan([Song(song)], tmp_path, ("vocals", "instrumental"), "wav")
    settings = Settings("default", "wav", bit_depth, "")
    result = split_song(job, load_model(device="cpu"), output_format("wav", bit_depth), settings)
    assert result.gain == 1
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
    song = load_song(CORPUS / "songs" / "lithium")
    figures = evaluate(song, by_model(load_model()), "default")
    assert np.median(figures.vocals_gain_db) > 3
    assert np.median(figures.instrumental_gain_db) > 1
