"""Instruments that sound like voices: they play in tune, rest, and stay in the accompaniment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke.training import spectra
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures import augment, oscillators, voicelike
from karaoke.training.mixtures.data import MixtureConfig, MixtureDataset

INSTRUMENTS = {instrument.__name__: instrument for instrument, _ in voicelike.INSTRUMENTS}


@pytest.mark.parametrize("name", INSTRUMENTS)
@given(seed=st.integers(0, 2**32), length=st.integers(20_000, 70_000))
@settings(max_examples=8, deadline=None)
def test_instruments_play_the_same_again(name: str, seed: int, length: int) -> None:
    played = INSTRUMENTS[name](np.random.default_rng(seed), length, SAMPLE_RATE)
    assert played.shape == (length,) and played.dtype == np.float32
    assert np.isfinite(played).all() and np.abs(played).max() < 40
    again = INSTRUMENTS[name](np.random.default_rng(seed), length, SAMPLE_RATE)
    np.testing.assert_array_equal(again, played)


def test_what_is_played_has_one_level_and_many_sounds() -> None:
    played = [voicelike.play(np.random.default_rng(s), SAMPLE_RATE, SAMPLE_RATE) for s in range(20)]
    for audio in played:
        assert audio.shape == (2, SAMPLE_RATE) and audio.dtype == np.float32
        assert augment.rms(audio) == pytest.approx(voicelike.LEVEL, rel=1e-3)
        assert np.abs(audio).max() < 3
    centroids = []
    for audio in played:
        power = np.square(np.abs(np.fft.rfft(audio[0])))
        centroids.append((power * np.arange(len(power))).sum() / power.sum())
    assert max(centroids) > 3 * min(centroids)


@pytest.mark.parametrize("pitch_hz", [110.0, 440.0, 1500.0])
def test_oscillators_are_in_tune_and_hardly_alias(pitch_hz: float) -> None:
    phase = oscillators.turns(np.full(SAMPLE_RATE, pitch_hz), SAMPLE_RATE)
    for name, wave in (
        ("sine", oscillators.sine(phase)),
        ("saw", oscillators.saw(phase)),
        ("pulse", oscillators.pulse(phase, 0.3)),
    ):
        assert wave.dtype == np.float32 and np.abs(wave).max() < 1.05, name
        power = np.square(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))))
        assert abs(int(power.argmax()) - pitch_hz) <= 1
        bins = np.arange(len(power))
        away = np.abs((bins + pitch_hz / 2) % pitch_hz - pitch_hz / 2) > 3
        assert power[away & (bins < 10_000)].max() < 2e-4 * power.max(), name
    expected = 2 * ((phase + 0.5) % 1) - 1  # a saw, half a turn off; its slope is the same
    saw = oscillators.saw(phase + 0.5)
    steady = np.abs(np.diff(expected, prepend=0)) < 0.5
    np.testing.assert_allclose(
        saw[steady][5:], expected[steady][5:], atol=2 * pitch_hz / SAMPLE_RATE
    )


def test_a_tune_has_notes_of_its_range_phrases_and_rests() -> None:
    rests, ranges = [], []
    for seed in range(20):
        tune = oscillators.compose(np.random.default_rng(seed), 6 * SAMPLE_RATE, SAMPLE_RATE,
                                   low=57, high=81, bends=0.0, vibrato=(0, 0))  # fmt: skip
        assert tune.level.min() >= 0 and tune.level.max() <= 1
        assert tune.pitch_hz.min() > 219 and tune.pitch_hz.max() < 881
        # Most of the time it stands on a note.
        semitones = 12 * np.log2(tune.pitch_hz / 440)
        assert np.mean(np.abs(semitones - np.round(semitones)) < 0.02) > 0.5
        rests.append(np.mean(tune.level == 0))
        ranges.append(np.ptp(semitones))
        assert tune.level.max() > 0.3
    assert 0.05 < np.mean(rests) < 0.6
    assert np.median(ranges) > 3


def test_rests_of_a_tune_are_silent() -> None:
    tune = oscillators.compose(np.random.default_rng(3), 8 * SAMPLE_RATE, SAMPLE_RATE,
                               low=74, high=90)  # fmt: skip
    whistled = voicelike.whistle_tune(np.random.default_rng(0), tune, SAMPLE_RATE)
    silent = tune.level == 0
    assert silent.sum() > SAMPLE_RATE // 4
    assert np.abs(whistled[silent]).max() == 0
    assert augment.rms(whistled[None, tune.level > 0.5]) > 0.2


def test_the_energy_of_a_whistle_lies_at_its_tune() -> None:
    for seed in range(4):
        tune = oscillators.compose(np.random.default_rng(seed), 4 * SAMPLE_RATE, SAMPLE_RATE,
                                   low=74, high=96)  # fmt: skip
        whistled = voicelike.whistle_tune(np.random.default_rng(seed), tune, SAMPLE_RATE)
        frame = 2048
        power = np.square(np.abs(spectra.in_frames(whistled[None], frame)))[0]
        pitch = np.pad(tune.pitch_hz, frame, mode="edge")[frame // 2 :: frame // 4][: len(power)]
        bins = np.arange(power.shape[1]) * SAMPLE_RATE / frame
        near = np.abs(np.log2(np.maximum(bins, 1) / pitch[:, None])) < 0.12
        near |= np.abs(bins - pitch[:, None]) < 70
        assert power[near].sum() > 0.9 * power.sum()


def test_a_distorted_guitar_has_no_treble_and_sustains() -> None:
    for seed in range(4):
        played = voicelike.guitar(np.random.default_rng(seed), 2 * SAMPLE_RATE, SAMPLE_RATE)
        power = np.square(np.abs(np.fft.rfft(played)))
        assert power[2 * 8000 :].sum() < 1e-3 * power.sum()
        assert np.abs(played).max() < 5 * augment.rms(played[None])


def test_a_pad_never_rests_and_its_vowels_move() -> None:
    pad = voicelike.vowel_pad(np.random.default_rng(1), 4 * SAMPLE_RATE, SAMPLE_RATE)
    power = np.square(np.abs(spectra.in_frames(pad[None], 1024)))[0, 8:-8, 4:80]
    assert power.sum(axis=1).min() > 1e-3 * power.sum(axis=1).mean()
    early, late = power[:60].mean(axis=0), power[-60:].mean(axis=0)
    contrast = early / late
    assert contrast.max() > 4 * contrast.min()


COMMON = {"segment_seconds": 1.0, "song_effects": False, "vocals_level_db": (0.0, 0.0),
          "accompaniment_absent_share": 0.0, "aligned_share": 1.0}  # fmt: skip


def test_the_instrument_is_part_of_the_accompaniment(recordings: list[Recording]) -> None:
    shares = {"vocals_absent_share": 0.0, **COMMON}
    plain = MixtureDataset(recordings, MixtureConfig(**shares), seed=7, length=8)
    played = MixtureDataset(
        recordings, MixtureConfig(voicelike_share=1.0, **shares), seed=7, length=8
    )
    for index in range(8):
        (vocals, music), (same, other) = plain[index].parts, played[index].parts
        assert other.isfinite().all() and other.equal(played[index].parts[1])
        assert augment.rms(same.numpy()) == pytest.approx(augment.rms(other.numpy()), rel=1e-3)
        # The channels may be swapped or turned over, which is drawn later.
        likeness = [
            max(
                abs(float(np.sum(one.numpy() * two.numpy()[::step])))
                / float(one.norm() * two.norm())
                for step in (1, -1)
            )
            for one, two in ((vocals, same), (music, other))
        ]
        assert likeness[0] > 0.999, "the vocals are what they were"
        assert likeness[1] < 0.97, "the accompaniment is not"


def test_it_plays_more_often_where_nobody_sings(
    recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    play = voicelike.play
    monkeypatch.setattr(voicelike, "play", lambda *arguments: calls.append(1) or play(*arguments))
    counts = []
    for absent in (0.0, 1.0):
        calls.clear()
        config = MixtureConfig(voicelike_share=0.25, vocals_absent_share=absent, **COMMON)
        data = MixtureDataset(recordings, config, seed=1, length=40)
        for index in range(40):
            assert (data[index].parts[0].abs().max() == 0) == bool(absent)
        counts.append(len(calls))
    assert 3 <= counts[0] <= 18 and 22 <= counts[1] <= 38
