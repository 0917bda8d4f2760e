"""Learning to hear: songs that are drawn, and linear models that choose."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from karaoke.analysis.harmony import QUALITIES, TONES
from karaoke.analysis.learned import PATH, Linear, learned, softmax, written
from karaoke.training.workshop.listening import (
    Lesson,
    coloured,
    fit_choice,
    fit_chords,
    label,
    learn,
    lesson_of,
)
from karaoke.training.workshop.songs import SOUNDFONT, draw_song


@pytest.mark.parametrize("metre", ["3/4", "4/4", "6/8"])
def test_drawn_songs_are_what_they_say(rng: np.random.Generator, metre: str) -> None:
    number, bpm = int(rng.integers(24)), float(rng.uniform(60, 100))
    song = draw_song(rng, seconds=20, key=number, bpm=bpm, metre=metre, drift=0.05)
    assert song.key.endswith("minor" if number > 11 else "major")
    steps = np.diff(song.beats)
    assert 60 / steps.max() == pytest.approx(bpm, rel=0.06)
    assert steps[-1] > steps[0], "it slows down"
    per_bar = {"3/4": 3, "4/4": 4, "6/8": 2}[metre]
    assert song.downbeats == song.beats[::per_bar]
    ends = [chord.end for chord in song.chords[:-1]]
    assert ends == [chord.start for chord in song.chords[1:]]
    for name, notes in song.parts.items():
        for note in notes:
            assert note.seconds > 0 and 0 <= note.start < song.seconds, name
    for note in song.parts["bass"]:
        chord = max((c for c in song.chords if c.start <= note.start + 1e-3), key=lambda c: c.start)
        tones = {(chord.root + tone) % 12 for tone in TONES[chord.quality]}
        assert int(note.pitch) % 12 in tones | {chord.bass, (chord.bass + 7) % 12}
    middle = (song.chords[2].start + song.chords[2].end) / 2
    chord = song.chords[2]
    assert label(song, middle) == chord.root * len(QUALITIES) + QUALITIES.index(chord.quality)
    assert label(song, song.seconds + 5) == 12 * len(QUALITIES), "none"


def test_a_choice_is_learned(rng: np.random.Generator) -> None:
    truth = np.array([2.0, -1.0, 0.0])
    choices = []
    for _ in range(60):
        features = rng.standard_normal((5, 3))
        choices.append((features, np.eye(5)[int((features @ truth).argmax())]))
    model = fit_choice(choices, 0.001)
    features = rng.standard_normal((200, 5, 3))
    chosen = model.score(features).argmax(axis=1)
    assert (chosen == (features @ truth).argmax(axis=1)).mean() > 0.9


def test_chords_are_learned_for_all_roots_at_once(rng: np.random.Generator) -> None:
    def heard(root: int, quality: str) -> np.ndarray:
        tones = np.zeros(12)
        tones[[(root + tone) % 12 for tone in TONES[quality]]] = 1
        bass = np.eye(12)[root]
        noise = 0.1 * rng.random(36)
        return np.concatenate([np.concatenate([bass, tones, tones]) + noise, [0.3, 0.5, 0.5]])

    known = [(int(rng.integers(6)), str(rng.choice(QUALITIES))) for _ in range(300)]
    features = np.array([heard(*chord) for chord in known])
    labels = np.array([root * len(QUALITIES) + QUALITIES.index(q) for root, q in known])
    nothing = np.zeros((0, 1))
    model = fit_chords([Lesson(nothing, nothing, nothing, nothing, features, labels)], 1e-3)
    from karaoke.analysis.harmony import turned

    unheard = np.array([heard(9, quality) for quality in QUALITIES])
    scores = model.score(turned(unheard))[..., :-1].reshape(len(QUALITIES), -1)
    assert scores.argmax(axis=1).tolist() == [9 * len(QUALITIES) + n for n in range(5)]


def test_what_was_learned_is_read_as_it_was_written(tmp_path: Path) -> None:
    whole = json.loads(PATH.read_text(encoding="utf-8"))
    models = {name: learned(name) for name in whole}
    assert models.keys() == {"level", "metre", "chords"}
    assert json.loads(written(models)) == whole
    model = Linear(np.zeros(2), np.ones(2), np.array([[1.0, 0], [0, 1]]), np.array([0.5, 0]))
    assert model.score(np.array([1.0, 2.0])).tolist() == [1.5, 2.0]
    assert softmax(np.array([[0.0, 0.0]])).tolist() == [[0.5, 0.5]]


def test_colours_keep_the_length(rng: np.random.Generator) -> None:
    band = rng.standard_normal((2, 10_001)).astype(np.float32)
    assert coloured(rng, band).shape == band.shape


@pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not SOUNDFONT.is_file(), reason="no FluidSynth"
)
def test_a_few_songs_teach_something(tmp_path: Path) -> None:
    lesson = lesson_of(3)
    assert lesson.level_shares.sum() == pytest.approx(1) or not lesson.level_shares.any()
    assert len(lesson.chords) == len(lesson.labels) > 20
    said: list[str] = []
    learn(tmp_path / "learned.json", 3, 1, said.append)
    assert json.loads((tmp_path / "learned.json").read_text()).keys() == {
        "level", "metre", "chords",
    }  # fmt: skip
