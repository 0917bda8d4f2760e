"""Made-up singing: tunes, syllables, and lines that are sung on pitch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.evaluation.corpora import read_manifest
from karaoke.training.corpus import SAMPLE_RATE
from karaoke.training.workshop.singing import (
    LONGEST,
    SHORTEST,
    Syllable,
    cut_syllables,
    hold,
    in_range,
    sing,
    split_long,
    write_corpus,
)
from karaoke.training.workshop.tunes import compose, pitch_line
from karaoke.training.workshop.vocoder import (
    BINS,
    FRAMES_PER_SECOND,
    PITCH_RANGE_HZ,
    SILENCE,
    Frames,
    analyse,
    synthesise,
    warp,
)


def voice(*stretches: tuple[int, float], pitch_hz: float = 200.0) -> Frames:
    """Make frames of stretches: how many, and how loud; negative is without a voice."""
    pitch = np.concatenate([np.full(n, pitch_hz if level > 0 else 0.0) for n, level in stretches])
    level = np.concatenate([np.full(n, abs(level)) for n, level in stretches])
    shape = np.linspace(0, -6, BINS)
    return Frames(pitch, shape + np.log(level)[:, None], np.full((len(pitch), BINS), 0.1))


def test_tunes_are_made_of_phrases_that_fit() -> None:
    for seed in range(20):
        notes = compose(np.random.default_rng(seed), 4000)
        assert notes[0].start >= 0 and notes[-1].stop <= 4000
        assert all(note.start < note.stop for note in notes)
        for left, right in pairwise(notes):
            if left.phrase == right.phrase:
                assert left.stop == right.start
            else:
                assert right.start > left.stop  # a rest
        assert len({note.semitones for note in notes}) > 2


def test_the_pitch_follows_the_notes_without_jumps() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        notes = compose(rng, 4000)
        line = pitch_line(rng, notes, 4000)
        assert line.shape == (4000,)
        assert np.abs(np.diff(line))[40:].max() < 4
        long = [note for note in notes if note.stop - note.start > 80]
        for note in long:
            assert abs(np.median(line[note.start + 40 : note.stop - 20]) - note.semitones) < 0.8


def test_a_tune_is_moved_to_where_it_can_be_sung() -> None:
    for middle in (50.0, 90.0, 140.0):
        pitch_hz = in_range(np.linspace(-12, 12, 9), middle)
        low, high = PITCH_RANGE_HZ
        assert low <= pitch_hz.min() and pitch_hz.max() <= high
        assert pitch_hz.max() / pitch_hz.min() == pytest.approx(4)


def test_syllables_begin_with_what_is_heard_before_the_voice() -> None:
    frames = voice((50, -0.001), (6, -0.5), (60, 1.0), (50, -0.001), (5, 1.0), (30, -0.001))
    (syllable,) = cut_syllables(frames)  # five frames of voice are none
    assert syllable.onset == 24
    assert len(syllable.frames) == 84
    assert syllable.frames.pitch_hz[syllable.onset] == 200


def test_long_stretches_are_cut_where_they_are_soft() -> None:
    loudness = np.ones(400)
    loudness[[130, 260]] = 0
    parts = list(split_long(loudness, 0, 400))
    assert [p for part in parts for p in part][1:-1] == [130, 130, 260, 260]
    assert all(SHORTEST < high - low <= LONGEST for low, high in parts)


@pytest.mark.parametrize("length", [3, 8, 20, 90, 400])
def test_a_held_syllable_has_the_length_that_is_asked_for(length: int) -> None:
    (syllable,) = cut_syllables(voice((20, -0.01), (60, 1.0)))
    held = hold(syllable, length)
    assert len(held) == length
    voiced = np.flatnonzero(held.pitch_hz)
    assert len(voiced) >= length * 3 // 5 and voiced[-1] == length - 1


def test_formants_move_and_levels_stay() -> None:
    frames = voice((10, 1.0))
    peak = -0.02 * (np.arange(BINS) - 200.0) ** 2
    frames = Frames(frames.pitch_hz, np.tile(peak, (10, 1)), frames.aperiodicity)
    longer = warp(frames, 0.9)
    assert longer.envelope.argmax(axis=1).tolist() == [180] * 10
    assert longer.envelope.max() == pytest.approx(0, abs=1e-6)
    assert warp(frames, 1.0).envelope == pytest.approx(frames.envelope)


def test_lines_sing_in_phrases_and_rest_between_them() -> None:
    syllables = [
        Syllable(voice((10, -0.1), (40, 1.0), pitch_hz=150 + 10 * n), 10) for n in range(6)
    ]
    pitches = []
    for seed in range(8):
        line = sing(np.random.default_rng(seed), syllables, 2400)
        assert len(line) == 2400
        assert np.isfinite(line.envelope).all()
        assert line.aperiodicity.min() >= 0 and line.aperiodicity.max() <= 1
        sung = line.pitch_hz[line.pitch_hz > 0]
        assert sung.min() >= PITCH_RANGE_HZ[0] and sung.max() <= PITCH_RANGE_HZ[1]
        silent = (line.envelope == SILENCE).all(axis=1).mean()
        assert 0.01 < silent < 0.8
        pitches.append(np.std(12 * np.log2(sung)))
    assert np.median(pitches) > 1.5  # it moves, which is what singing is about


def test_the_vocoder_changes_the_pitch_and_nothing_else() -> None:
    pytest.importorskip("pyworld", reason="pyworld is not installed")
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    mono = sum(np.sin(2 * np.pi * 150 * k * times) / k for k in range(1, 30))
    frames = analyse((0.1 * mono).astype(np.float32))
    assert np.median(frames.pitch_hz) == pytest.approx(150, rel=0.01)
    higher = Frames(frames.pitch_hz * 1.5, frames.envelope, frames.aperiodicity)
    again = analyse(synthesise(higher))
    assert np.median(again.pitch_hz) == pytest.approx(225, rel=0.02)
    low = slice(10, 200)
    middle = slice(40, -40)
    difference = again.envelope[middle, low].mean(axis=0) - frames.envelope[middle, low].mean(
        axis=0
    )
    assert np.abs(difference).mean() < 1.0


def test_a_corpus_of_singing_names_its_sources(tmp_path: Path) -> None:
    pytest.importorskip("pyworld", reason="pyworld is not installed")
    times = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    rows = ["path\trole\tgroup\tsplit\tlicence\tattribution\tsource"]
    for role, name in (("vocals", "a"), ("speech", "b")):
        mono = sum(np.sin(2 * np.pi * 170 * k * times) / k for k in range(1, 30))
        mono = 0.2 * mono * (np.sin(2 * np.pi * 2 * times) > -0.3)
        soundfile.write(tmp_path / f"{name}.wav", mono, SAMPLE_RATE)
        rows.append(f"{name}.wav\t{role}\tgroup-{name}\ttrain\tCC0\tSomebody {name}\tthere")
    (tmp_path / "manifest.tsv").write_text("\n".join(rows) + "\n")
    write_corpus(
        tmp_path,
        tmp_path / "out",
        minutes=0.4,
        seconds=6.0,
        seed=1,
        cache=tmp_path / "cache",
        workers=1,
    )
    made = read_manifest(tmp_path / "out")
    assert len(made) == 4
    for row in made:
        audio, sample_rate = soundfile.read(tmp_path / "out" / row["path"])
        assert sample_rate == SAMPLE_RATE and len(audio) == pytest.approx(6 * SAMPLE_RATE, rel=0.02)
        assert 0.1 < np.abs(audio).max() < 0.95
        assert row["role"] == "vocals" and row["licence"] == "CC0"
        assert row["attribution"].startswith("Somebody")
        assert row["group"] in ("sung-group-a", "sung-speech")
    assert FRAMES_PER_SECOND == 200
