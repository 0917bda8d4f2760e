"""Where somebody sings: phrases of songs that are drawn from a seed, and drafts of their lines."""

from __future__ import annotations

import json
import re
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.analysis.activity import find_phrases, find_singing
from karaoke.analysis.levels import FRAMES_PER_SECOND, Levels, measure_levels
from karaoke.audio.blocks import Block
from karaoke.lyrics import read_lyrics
from tests.conftest import cut
from tests.singing import RATE, Audio, draw_score, play, sing

Run = Callable[..., subprocess.CompletedProcess[str]]
#: How exactly the start of a phrase is to be found.
EXACT_SECONDS = 0.25


@pytest.fixture
def seed() -> int:
    """Draw another seed each time; it is printed where a test fails."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def levels_of(sound: Audio) -> Levels:
    """Measure a mono sound."""
    return measure_levels([np.stack([sound, sound]).astype(np.float32)], RATE)


def write_stems(folder: Path, voice: Audio, band: Audio) -> list[object]:
    """Write a song and its stems; give the arguments of ``karaoke make`` that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sound in (("song", voice + band), ("vocals", voice), ("instrumental", band)):
        soundfile.write(folder / f"{name}.wav", sound, RATE, subtype="FLOAT")
    return [folder / "song.wav", "--from", folder, "-o", folder / "made"]


def found_share(wanted: list[float], found: list[float]) -> float:
    """Tell which share of some times are among others."""
    near = [min((abs(w - f) for f in found), default=np.inf) <= EXACT_SECONDS for w in wanted]
    return float(np.mean(near)) if near else 1.0


def test_phrases_start_where_they_are_sung(seed: int) -> None:
    recalls, precisions = [], []
    for song in range(4):
        rng = np.random.default_rng([seed, song])
        score = draw_score(rng, seconds=30.0)
        voice, band = sing(rng, score), play(rng, score)
        # The separator leaves some of the band in the vocals, and takes some of the voice.
        leak = 10 ** (rng.uniform(-50, -30) / 20)
        singing = find_singing(levels_of(voice + leak * band), levels_of((1 - leak) * band))
        starts = [phrase.start_seconds for phrase in find_phrases(singing)]
        recalls.append(found_share(score.phrases(0.5), starts))
        precisions.append(found_share(starts, score.phrases(0.15)))
    assert np.mean(recalls) >= 0.9, f"seed {seed}: {recalls}"
    assert np.mean(precisions) >= 0.9, f"seed {seed}: {precisions}"


@pytest.mark.parametrize("leak_db", [-16, -25, -40, -60])
def test_nobody_sings_where_there_is_but_a_leak(seed: int, leak_db: float) -> None:
    rng = np.random.default_rng(seed)
    band = play(rng, draw_score(rng, seconds=20.0))
    leak = 10 ** (leak_db / 20) * band
    assert not find_singing(levels_of(leak), levels_of(band - leak)).any(), f"seed {seed}"


def test_silence_and_nothing_are_no_singing() -> None:
    for length in (0, 1, 100, RATE):
        silent = levels_of(np.zeros(length))
        assert not find_singing(silent, silent).any()
        assert find_phrases(find_singing(silent)) == []


def test_levels_are_those_of_the_sound_whatever_the_blocks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = (0.1 * rng.standard_normal((2, RATE))).astype(np.float32)
    sound[1] = sound[0]
    whole = measure_levels([sound], RATE)
    parts = measure_levels(cut(sound, [1, 7000, 333]), RATE)
    assert len(whole) == len(parts) == FRAMES_PER_SECOND + 1
    np.testing.assert_allclose(whole.bands_db, parts.bands_db, atol=0.1, err_msg=f"seed {seed}")
    # Of white noise, the part that lies between 80 Hz and 8 kHz.
    expected = 20 * np.log10(0.1) + 10 * np.log10((8000 - 80) / (RATE / 2))
    assert abs(np.mean(whole.level_db[5:-5]) - expected) < 0.5, f"seed {seed}"


def test_memory_does_not_grow_with_the_sound() -> None:
    def blocks(seconds: int) -> Iterator[Block]:
        block = np.full((2, RATE), 0.1, np.float32)
        for _ in range(seconds):
            yield block

    tracemalloc.start()
    levels = measure_levels(blocks(600), RATE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept = levels.bands_db.nbytes + levels.level_db.nbytes
    assert kept < 6000 * 600, "22 MB for an hour"
    assert peak < 4 * kept + 10e6


def test_a_draft_has_a_line_for_each_phrase(run_karaoke: Run, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = draw_score(rng, seconds=20.0)
    arguments = write_stems(tmp_path, sing(rng, score), play(rng, score))
    done = run_karaoke("make", *arguments, "--to", "lrc", "--json", "--tempo", "0.8")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lyrics"]["aligned"] == "draft"
    draft = read_lyrics(Path(report["outputs"]["lrc"]["path"]))
    assert [line.text for line in draft.lines] == [f"♪ {n}" for n in range(1, len(draft.lines) + 1)]
    starts = [0.8 * (line.start_seconds or 0) for line in draft.lines]
    assert found_share(score.phrases(0.5), starts) >= 0.9, f"seed {seed}: {starts}"
    assert found_share(starts, score.phrases(0.15)) >= 0.9, f"seed {seed}: {starts}"


def test_a_song_without_a_voice_has_no_draft(run_karaoke: Run, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    band = play(rng, draw_score(rng, seconds=8.0))
    arguments = write_stems(tmp_path, 0.03 * band, 0.97 * band)
    done = run_karaoke("make", *arguments, "--to", "lrc", "-q")
    assert done.returncode == 65 and done.stderr.count("\n") == 1, f"seed {seed}: {done.stderr}"
    assert re.search(r"song\.wav.*nobody sings.*--to audio\. \[lyrics\]", done.stderr)
    assert not list((tmp_path / "made").rglob("*.*"))
