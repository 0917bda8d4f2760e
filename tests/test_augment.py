"""Effects: each keeps length and silence, does what it says, and keeps the parts adding up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke.training import spectra
from karaoke.training.corpus import SAMPLE_RATE
from karaoke.training.mixtures import augment, bus, formants

TOGETHER = {effect.__name__: effect for effect, _ in bus.SONG_EFFECTS if effect != bus.add_noise}
Effect = augment.Effect[augment.Audio]
EFFECTS: dict[str, Effect] = {
    "bend": lambda rng, a, rate: augment.bend(a, augment.melody(rng, a.shape[1], rate)),
    "equalise": lambda rng, a, rate: augment.equalise(rng, a, rate, tilt_db=6),
    "low_pass": lambda rng, a, rate: augment.low_pass(a, rng.uniform(5000, 15000), rate),
    "restore_formants": lambda rng, a, rate: formants.restore_formants(
        a, augment.melody(rng, a.shape[1], rate)
    ),
    "talk_box": formants.talk_box,
    "pan": lambda rng, a, rate: augment.pan(rng, a, 0.5),
    "phrase": augment.phrase,
    **{effect.__name__: effect for effect, _ in augment.VOCAL_CHAIN},
}


@pytest.mark.parametrize("name", EFFECTS)
@given(seed=st.integers(0, 2**32), channels=st.sampled_from([1, 2]))
@settings(max_examples=15, deadline=None)
def test_effects_keep_length_and_stay_finite(name: str, seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    audio = (0.1 * rng.standard_normal((channels, 30_000))).astype(np.float32)
    kept = audio.copy()
    changed = EFFECTS[name](rng, audio, SAMPLE_RATE)
    assert changed.dtype == np.float32
    assert changed.shape[1] == audio.shape[1] and changed.shape[0] in (channels, 2)
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(audio, kept)
    again = EFFECTS[name](np.random.default_rng(seed + 1), np.zeros_like(audio), SAMPLE_RATE)
    assert np.abs(again).max() < 1e-3, "silence must stay silent"


def test_bending_moves_the_pitch() -> None:
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)[None]
    bent = augment.bend(tone, np.full(SAMPLE_RATE, 1.5))
    spectrum = np.abs(np.fft.rfft(bent[0]))
    assert spectrum.argmax() == pytest.approx(660, abs=1)
    assert spectrum.max() > 0.98 * SAMPLE_RATE / 2


def test_melodies_move_within_an_octave_or_so() -> None:
    lines = [
        augment.melody(np.random.default_rng(s), 3 * SAMPLE_RATE, SAMPLE_RATE) for s in range(9)
    ]
    semitones = 12 * np.log2(np.array(lines))
    assert np.abs(semitones).max() <= 14
    assert semitones.std(axis=1).mean() > 1


def test_low_pass_cuts_and_equaliser_tilts() -> None:
    rng = np.random.default_rng(0)
    audio = rng.standard_normal((1, SAMPLE_RATE)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(augment.low_pass(audio, 8000, SAMPLE_RATE)[0]))
    assert spectrum[9000:].max() < 1e-2 * spectrum[:7000].mean()
    bright = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=12, depth_db=0)
    ratio = np.abs(np.fft.rfft(bright[0])) / np.abs(np.fft.rfft(audio[0]))
    assert 20 * np.log10(np.median(ratio[7900:8100])) == pytest.approx(12, abs=0.5)


@pytest.mark.parametrize("name", TOGETHER)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_what_is_done_to_a_song_is_done_to_both_parts_alike(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vocals, music = (rng.standard_normal((2, 2, 20_000)) * rng.uniform(0.01, 1)).astype(np.float32)
    kept = vocals.copy(), music.copy()
    parts = TOGETHER[name](np.random.default_rng(seed), (vocals, music), SAMPLE_RATE)
    np.testing.assert_array_equal((vocals, music), kept)
    assert parts[0].dtype == parts[1].dtype == np.float32
    assert parts[0].shape == parts[1].shape == vocals.shape
    # All but the limiter's and the compressor's, which look at the sum, are the same for any
    # split of one mixture; so the song is the sum of its parts whatever the parts are.
    share = np.float32(0.3)
    mixture = vocals + music
    others = TOGETHER[name](
        np.random.default_rng(seed), (share * mixture, (1 - share) * mixture), SAMPLE_RATE
    )
    scale = np.abs(mixture).max()
    np.testing.assert_allclose(sum(parts), sum(others), atol=3e-5 * scale)
    np.testing.assert_allclose(others[0] * (1 - share), others[1] * share, atol=3e-5 * scale)


def test_limiting_bounds_the_mixture_and_keeps_each_parts_share() -> None:
    rng = np.random.default_rng(0)
    vocals, music = rng.standard_normal((2, 2, 4000)).astype(np.float32)
    loud, quiet = bus.limit_together(rng, (vocals, music), SAMPLE_RATE)
    limited, mixture = loud + quiet, vocals + music
    assert np.abs(limited).max() < 0.9 * np.abs(mixture).max()
    np.testing.assert_allclose(loud * mixture, vocals * limited, atol=1e-4)


def test_coding_cuts_the_treble_and_punches_holes() -> None:
    rng = np.random.default_rng(1)
    vocals, music = rng.standard_normal((2, 2, SAMPLE_RATE)).astype(np.float32)
    song = vocals + music
    coded = np.sum(bus.code_together(rng, (vocals, music), SAMPLE_RATE), axis=0)
    before, after = (np.square(np.abs(spectra.in_frames(s, 2048))) for s in (song, coded))
    assert after[..., 950:].max() < 1e-4 * before.max()
    lost = 1 - after[..., :400].sum() / before[..., :400].sum()
    assert 1e-5 < lost < 0.1


def test_frames_go_back_to_the_signal() -> None:
    rng = np.random.default_rng(0)
    for length in (1, 255, 1024, 5001):
        audio = rng.standard_normal((2, length)).astype(np.float32)
        again = spectra.from_frames(spectra.in_frames(audio, 256), length)
        np.testing.assert_allclose(again, audio, atol=1e-5)


def test_formants_return_to_where_they_were() -> None:
    # A buzz through one broad resonance: bending moves it, restoring moves it back.
    length = 2 * SAMPLE_RATE
    buzz = np.zeros(length)
    buzz[:: SAMPLE_RATE // 150] = 1
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    vowel = np.fft.irfft(np.fft.rfft(buzz) / (1 + ((frequencies - 2000) / 400) ** 2), length)
    voice = vowel[None].astype(np.float32)

    def centre(audio: augment.Audio) -> float:
        power = np.square(np.abs(np.fft.rfft(audio[0, :SAMPLE_RATE])))[:5000]
        return float((power * np.arange(5000)).sum() / power.sum())

    original = centre(voice)
    for speed in (0.7, 1.4):
        ratio = np.full(SAMPLE_RATE, speed)
        bent = augment.bend(voice, ratio)
        assert centre(bent) == pytest.approx(speed * original, rel=0.1)
        restored = formants.restore_formants(bent, ratio)
        assert centre(restored) == pytest.approx(original, rel=0.1)


def test_smoothing_is_a_one_pole_filter() -> None:
    signal = np.random.default_rng(0).standard_normal((2, 500)).astype(np.float32)
    expected = np.zeros_like(signal)
    level = np.zeros(2, np.float32)
    for index in range(500):
        level = 0.8 * level + 0.2 * signal[:, index]
        expected[:, index] = level
    np.testing.assert_allclose(augment.smooth(signal, 0.8), expected, atol=2e-3)


def test_a_talk_box_moves_resonances_through_the_music() -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((1, 2 * SAMPLE_RATE)).astype(np.float32)
    spoken = formants.talk_box(rng, noise, SAMPLE_RATE)
    power = np.square(np.abs(spectra.in_frames(spoken, 1024)))[0, 8:-8]
    loudest = power.mean(axis=0).argmax() * SAMPLE_RATE / 1024
    assert 200 < loudest < 3500
    first, second = (power[frames, 6:80] for frames in (slice(0, 60), slice(-60, None)))
    contrast = first.mean(axis=0) / second.mean(axis=0)
    assert contrast.max() > 4 * contrast.min(), "the vowel changed"


def test_width_is_what_channels_do_not_share() -> None:
    left, right = np.random.default_rng(3).standard_normal((2, 1, 100)).astype(np.float32)
    song = np.concatenate([left, right])
    mono, half, same = (bus.narrow((song,), width)[0] for width in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(mono, np.repeat((left + right) / 2, 2, axis=0), atol=1e-6)
    np.testing.assert_allclose(half[0] - half[1], (left - right)[0] / 2, atol=1e-6)
    np.testing.assert_allclose(same, song, atol=1e-6)
