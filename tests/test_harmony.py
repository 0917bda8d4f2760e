"""Voices that go with music: notes that sound, on its beats, and shifts that agree with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures import augment
from karaoke.training.mixtures.data import MixtureConfig, MixtureDataset
from karaoke.training.mixtures.harmony import Excerpt, Harmony, harmony_of
from karaoke.training.mixtures.pools import Pool
from karaoke.training.mixtures.voices import Singers
from karaoke.training.traits import measure, pitch_of
from karaoke.training.workshop import overlap

from .test_traits import sung, times

#: Semitones of the chord and seconds between the clicks of :func:`band`.
CHORD, BEAT = (0, 4, 7), 0.5


def band(seconds: float, tuning: float = 0.0) -> NDArray[np.int16]:
    """Play a C major triad in two octaves, with a click on every beat: int16 ``(2, N)``."""
    time = times(seconds)
    tones = [48 + octave + step + tuning for octave in (0, 12) for step in CHORD]
    wave = sum(
        np.sin(2 * np.pi * k * 440 * 2 ** ((tone - 69) / 12) * time) / k**2
        for tone in tones
        for k in (1, 2, 3)
    )
    clicks = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-(time % BEAT) / 0.01)
    return np.broadcast_to((1500 * wave + 6000 * clicks).astype(np.int16), (2, len(time)))


def recording(samples: NDArray[np.int16], role: str) -> Recording:
    """Make a recording and measure it."""
    return Recording(role, role, role, "train", samples, measure(samples, role))


@pytest.fixture(scope="module")
def music() -> Recording:
    """Play twelve seconds."""
    return recording(band(12), "accompaniment")


def harmony(source: Excerpt, seconds: float = 6.0) -> Harmony:
    """Measure a stretch."""
    found = harmony_of([source], seconds)
    assert found is not None
    return found


def distance(pitch: NDArray[np.float64], offset: float = 0.0) -> NDArray[np.float64]:
    """Tell how far pitches are from the next note of the chord, in semitones."""
    apart = (pitch[:, None] - offset - np.array(CHORD) + 6) % 12 - 6
    return np.abs(apart).min(axis=1)


@pytest.mark.parametrize("tuning", [0.0, 0.3])
def test_the_chord_and_its_tuning_are_found(tuning: float) -> None:
    traits = recording(band(6, tuning), "accompaniment").traits
    levels = traits.chroma[:, 5:55].mean(axis=1)
    assert set(np.argsort(levels)[-3:]) == set(CHORD)
    assert traits.tuning == pytest.approx(tuning, abs=0.06)


def test_beats_are_on_the_clicks(music: Recording) -> None:
    beats = music.traits.beats
    assert len(beats) >= 20
    late = (beats + BEAT / 2) % BEAT - BEAT / 2
    assert np.abs(late).max() < 0.04
    assert not measure(np.zeros((2, 9 * SAMPLE_RATE), np.int16), "accompaniment").beats.size


@pytest.mark.parametrize("bent", [0.0, 1.6, -3.3])
def test_notes_are_of_the_chord_and_start_on_beats(music: Recording, bent: float) -> None:
    ratio = 2 ** (bent / 12)
    found = harmony(Excerpt(music, SAMPLE_RATE, ratio))
    rng = np.random.default_rng(0)
    starts, notes = np.arange(0, 6, 0.37), rng.normal(0, 4, 17)
    fitted, tuned = found.fit(rng, middle=57.2)(starts, notes)
    assert fitted[0] == 0 and len(fitted) == len(tuned) > 8 and (np.diff(fitted) > 0).all()
    assert distance(57.2 + tuned, bent).max() < 0.35
    assert np.unique(np.round(tuned)).size > 3, "it is still a tune"
    # Clicks and half-way between, in the time of the mixture; the stretch begins at a click.
    half = BEAT / 2 / ratio
    late = (fitted[1:] + half / 2) % half - half / 2
    assert np.abs(late).max() < 0.04


def test_without_beats_or_harmony_a_tune_stays() -> None:
    silent = Harmony(np.zeros((120, 30)), np.zeros(0))
    starts, notes = np.array([0.0, 0.7, 1.1]), np.array([1.0, -2.0, 0.3])
    same = silent.fit(np.random.default_rng(0), 60.0)(starts, notes)
    np.testing.assert_allclose(same[0], starts)
    np.testing.assert_allclose(same[1], notes)
    assert silent.best_shift(np.full(100, 60.0), 0) == 0


def test_nothing_is_known_of_what_was_not_measured() -> None:
    bare = Recording("a", "accompaniment", "a", "train", band(3))
    assert harmony_of([Excerpt(bare, 0)], 3.0) is None


@pytest.mark.parametrize("wrong", [-4.3, 1.0, 2.4, 5.0])
def test_the_shift_that_agrees_is_found(music: Recording, wrong: float) -> None:
    tune = np.array([60.0, 64, 67, 72, 67, 64])[(times(9) / 0.5).astype(int) % 6] + wrong
    voice = recording(sung(tune), "song-vocals")
    shift = harmony(Excerpt(music, 0)).best_shift(voice.traits.pitch, SAMPLE_RATE // 3)
    assert distance(tune[::2000] + shift).max() < 0.35
    away = harmony_of([Excerpt(music, 0), Excerpt(music, 0, gain=1e-3)], 6.0)
    assert away is not None and away.best_shift(voice.traits.pitch, 0) == pytest.approx(shift)


def test_two_pieces_sound_at_their_own_level(music: Recording) -> None:
    quiet = Excerpt(music, 0, 2 ** (2 / 12), 0.05)
    found = harmony_of([Excerpt(music, 0), quiet], 6.0)
    assert found is not None
    c, d = found.classes[0].mean(), found.classes[20].mean()
    assert 0 < d < 0.2 * c


@pytest.mark.parametrize("moving", [False, True])
def test_a_line_is_sung_in_tune(music: Recording, moving: bool) -> None:
    tune = 55.4 + 0 * times(30)
    if moving:
        tune = np.array([60.0, 64, 67, 72, 67, 64])[(times(30) / 0.5).astype(int) % 6] + 1.4
    singer = recording(sung(tune), "vocals")
    assert singer.traits.moves == moving
    sing = Singers({"vocals": Pool([singer])}, 6 * SAMPLE_RATE, speech_share=0.0, chain=False)
    found = harmony(Excerpt(music, 0))
    shares = {}
    for name, given in (("tuned", found), ("plain", None)):
        near = []
        for seed in range(12):
            audio = sing.sing(np.random.default_rng(seed), given)[0][0]
            # Every fourth sample: the synthetic voice has nothing that could fold.
            pitch = pitch_of(augment.low_pass(audio[None], 5000, SAMPLE_RATE)[0, ::4].copy())
            near.append(distance(pitch[np.isfinite(pitch)].astype(np.float64)) < 0.6)
        shares[name] = np.concatenate(near).mean()
    # Glides and vibrato lie between notes.
    assert shares["tuned"] > 0.7 > 0.55 > shares["plain"]


def test_tuned_mixtures_overlap_more(music: Recording) -> None:
    singer = recording(sung(55.4 + 0 * times(30)), "vocals")
    config = MixtureConfig(segment_seconds=3.0, vocal_chain=False, song_effects=False,
                           vocals_absent_share=0.0, accompaniment_absent_share=0.0)  # fmt: skip
    means = []
    for share in (0.0, 1.0):
        config = MixtureConfig(**{**config.__dict__, "tuned_share": share})
        pairs = overlap.pairs_of([singer, music], config)
        values = [overlap.overlap(*pair) for pair, _ in zip(pairs, range(12), strict=False)]
        means.append(np.nanmean(values))
    assert means[1] > means[0] + 0.02


def test_overlap_is_in_its_range() -> None:
    noise = torch.randn(2, SAMPLE_RATE)
    assert overlap.overlap(noise, noise) == 1
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    low, high = (torch.sin(2 * torch.pi * hz * time).expand(2, -1) for hz in (300, 3000))
    assert overlap.overlap(low, high) < 0.05
    assert np.isnan(overlap.overlap(noise, torch.zeros(2, SAMPLE_RATE)))


def test_items_with_tuned_voices_are_reproducible(music: Recording) -> None:
    singer = recording(sung(55.4 + 0 * times(9)), "vocals")
    config = MixtureConfig(segment_seconds=1.0, tuned_share=0.5)
    data = MixtureDataset([singer, music], config, seed=1, length=9)
    for index in range(6):
        assert data[index].parts.isfinite().all() and data[index].parts.equal(data[index].parts)
