"""Effects of electronic music: each does what its name says, and costs no recipe its mixtures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke.training import spectra
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures import augment, electronic, glitches, intonation
from karaoke.training.mixtures.augment import Audio
from karaoke.training.mixtures.data import MixtureConfig, MixtureDataset
from karaoke.training.mixtures.pools import Pool
from karaoke.training.mixtures.voices import Singers

EFFECTS = {effect.__name__: effect for effect, _ in electronic.EFFECTS}
EFFECTS |= {"electrify": electronic.electrify, "rest": glitches.rest}


def buzz(pitch_hz: float | np.ndarray, seconds: float = 2.0) -> Audio:
    """Make a tone with harmonics, as voices have, whose pitch may move: ``(1, samples)``."""
    length = round(seconds * SAMPLE_RATE)
    phase = np.cumsum(np.broadcast_to(pitch_hz, length)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 20))
    return (0.1 * np.asarray(tone)[None]).astype(np.float32)


def power(audio: Audio) -> np.ndarray:
    """Power of the first channel per bin, which is 1 Hz wide for one second."""
    return np.square(np.abs(np.fft.rfft(audio[0] * np.hanning(audio.shape[1]))))


def heard(audio: Audio) -> np.ndarray:
    """Pitches of voiced frames, away from both ends."""
    pitch = intonation.track_pitch(audio, SAMPLE_RATE)[8:-8]
    return pitch[pitch > 0]


@pytest.mark.parametrize("name", EFFECTS)
@given(seed=st.integers(0, 2**32), channels=st.sampled_from([1, 2]))
@settings(max_examples=8, deadline=None)
def test_effects_keep_length_and_level(name: str, seed: int, channels: int) -> None:
    voice = np.repeat(buzz(200.0, 1.0), channels, axis=0)
    voice += 0.01 * np.random.default_rng(seed).standard_normal(voice.shape, dtype=np.float32)
    kept = voice.copy()
    changed = EFFECTS[name](np.random.default_rng(seed), voice, SAMPLE_RATE)
    assert changed.dtype == np.float32
    assert changed.shape[1] == voice.shape[1] and changed.shape[0] in (channels, 2)
    assert np.isfinite(changed).all()
    assert augment.rms(changed) < 4 * augment.rms(voice)
    np.testing.assert_array_equal(voice, kept)
    again = EFFECTS[name](np.random.default_rng(seed), voice, SAMPLE_RATE)
    np.testing.assert_array_equal(again, changed)
    silence = EFFECTS[name](np.random.default_rng(seed), np.zeros_like(voice), SAMPLE_RATE)
    assert np.abs(silence).max() < 1e-3, "silence must stay silent"


def test_most_voices_are_as_loud_after_as_before_and_not_the_same() -> None:
    voice = np.repeat(buzz(227.0), 2, axis=0)
    levels = []
    for seed in range(30):
        changed = electronic.electrify(np.random.default_rng(seed), voice, SAMPLE_RATE)
        levels.append(augment.rms(changed) / augment.rms(voice))
        assert np.abs(changed - voice).max() > 2e-3
    assert np.median(levels) == pytest.approx(1, rel=1e-3)
    assert min(levels) > 0.2


@pytest.mark.parametrize("pitch_hz", [80.0, 233.3, 440.0, 850.0])
def test_the_pitch_of_a_tone_is_found(pitch_hz: float) -> None:
    found = heard(buzz(pitch_hz))
    assert len(found) > 150
    assert np.abs(1200 * np.log2(found / pitch_hz)).max() < 5
    noise = np.random.default_rng(0).standard_normal((1, SAMPLE_RATE)).astype(np.float32)
    assert len(heard(noise)) < 20


@pytest.mark.parametrize("ratio", [0.5, 0.8, 1.26, 2.0])
def test_shifting_moves_the_pitch_and_keeps_the_time(ratio: float) -> None:
    voice = buzz(200.0)
    voice[:, SAMPLE_RATE:] = 0
    shifted = intonation.shift(voice, np.full(voice.shape[1], ratio), SAMPLE_RATE)
    assert np.median(heard(shifted)) == pytest.approx(200 * ratio, rel=0.01)
    half = round(0.97 * SAMPLE_RATE)
    assert augment.rms(shifted[:, :half]) == pytest.approx(augment.rms(voice[:, :half]), rel=0.1)
    assert augment.rms(shifted[:, round(1.05 * SAMPLE_RATE) :]) < 1e-3


def test_a_tuned_voice_sings_on_semitones() -> None:
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    voice = buzz(196 * 2.0 ** (0.5 * time / 3 + 0.01 * np.sin(30 * time)), 3.0)  # a glide of six

    def off(audio: Audio) -> float:
        semitones = 12 * np.log2(heard(audio) / 440)
        return float(np.median(np.abs(semitones - np.round(semitones))))

    assert off(voice) > 0.2
    tuned = intonation.tune_hard(
        np.random.default_rng(0), voice, SAMPLE_RATE, scale="chromatic", root=0
    )
    assert off(tuned) < 0.06
    robot = intonation.tune_hard(
        np.random.default_rng(0), voice, SAMPLE_RATE, scale="robot", root=0
    )
    pitch = heard(robot)
    assert np.median(np.abs(1200 * np.log2(pitch / 220))) < 20, "one note in all octaves"


def test_a_harmoniser_adds_notes_and_octaves_add_octaves() -> None:
    voice = buzz(440.0)
    below = []
    for seed in range(6):
        layered = intonation.layer_octaves(np.random.default_rng(seed), voice, SAMPLE_RATE)
        below.append(
            power(layered)[2 * 215 : 2 * 226].max() / power(layered)[2 * 430 : 2 * 450].max()
        )
        harmony = intonation.harmonise(np.random.default_rng(seed), voice, SAMPLE_RATE)
        assert harmony.shape[0] == 2
        between = np.ones(voice.shape[1] // 2 + 1, bool)  # all but the singer's own harmonics
        for k in range(60):
            between[max(0, 880 * k - 40) : 880 * k + 40] = False
        assert power(harmony)[between].sum() > 10 * power(voice)[between].sum()
    assert max(below) > 0.03


def test_formants_shift_and_the_pitch_stays() -> None:
    voice = buzz(150.0)
    changed = intonation.shift_formants(np.random.default_rng(1), voice, SAMPLE_RATE)
    assert np.median(heard(changed)) == pytest.approx(150, rel=0.005)
    ratio = power(changed)[300:6000] / (power(voice)[300:6000] + 1e-9)
    strong = power(voice)[300:6000] > 1
    assert np.percentile(ratio[strong], 95) > 1.5 * np.percentile(ratio[strong], 5)


def test_a_vocoder_has_the_carriers_pitch_and_the_voices_words() -> None:
    voice = buzz(200.0)
    voice[:, SAMPLE_RATE // 2 : SAMPLE_RATE] = 0
    carrier = buzz(117.0)
    spoken = electronic.vocode_with(voice, carrier, SAMPLE_RATE, bands=24)
    first, rest, last = np.split(spoken[:, : 3 * SAMPLE_RATE // 2], 3, axis=1)
    assert np.median(heard(first)) == pytest.approx(117, rel=0.01)
    margin = SAMPLE_RATE // 20
    assert augment.rms(rest[:, margin:-margin]) < 1e-4 < 0.02 < augment.rms(last)
    assert augment.rms(first) == pytest.approx(augment.rms(voice[:, :margin]), rel=0.5)
    for seed in range(8):
        audio = electronic.vocode(np.random.default_rng(seed), voice, SAMPLE_RATE)
        assert augment.rms(audio[:, SAMPLE_RATE // 2 + margin : SAMPLE_RATE - margin]) < 1e-3
        assert augment.rms(audio) > 0.3 * augment.rms(voice)


def test_a_gate_creates_silence_and_a_pump_swells() -> None:
    voice = buzz(200.0)
    for seed in range(8):
        gated = glitches.gate(np.random.default_rng(seed), voice, SAMPLE_RATE)
        quiet = np.abs(gated[0]) < 0.11 * np.abs(voice[0]) + 1e-6
        assert 0.1 < quiet.mean() < 0.95
        pumped = glitches.pump(np.random.default_rng(seed), voice, SAMPLE_RATE)
        gain = np.abs(pumped[0]) / np.maximum(np.abs(voice[0]), 1e-6)
        gain = gain[np.abs(voice[0]) > 0.01]
        assert gain.min() < 0.45 and gain.max() > 0.9


def test_slices_are_repeated_turned_and_moved() -> None:
    ramp = np.linspace(0.1, 0.9, SAMPLE_RATE, dtype=np.float32)[None]
    step, count = SAMPLE_RATE // 10, 10
    straight = glitches.rearrange(
        ramp, step, np.arange(count) * step, np.zeros(count, bool), np.ones(count), SAMPLE_RATE
    )
    np.testing.assert_allclose(straight, ramp, rtol=1e-6)
    sources = np.zeros(count, np.int64)
    backwards = np.arange(count) % 2 == 1
    gains = np.where(np.arange(count) == 4, 0.0, 1.0)
    cut = glitches.rearrange(ramp, step, sources, backwards, gains, SAMPLE_RATE)
    pieces = cut[0].reshape(count, step)
    inner = slice(300, -300)
    np.testing.assert_allclose(pieces[0, inner], ramp[0, :step][inner], rtol=1e-6)
    np.testing.assert_allclose(pieces[1, inner], ramp[0, :step][::-1][inner], rtol=1e-6)
    np.testing.assert_allclose(pieces[2, inner], pieces[0, inner], rtol=1e-6)
    assert np.abs(pieces[4]).max() == 0
    assert np.abs(np.diff(cut[0])).max() < 0.01, "no clicks"


@pytest.mark.parametrize("name", ["chop", "stutter", "reverse"])
def test_cuts_play_what_was_sung_elsewhere_without_clicks(name: str) -> None:
    ramp = np.linspace(0.1, 0.9, 3 * SAMPLE_RATE, dtype=np.float32)[None]
    moved = 0
    for seed in range(10):
        cut = EFFECTS[name](np.random.default_rng(seed), ramp, SAMPLE_RATE)
        assert np.abs(np.diff(cut[0])).max() < 0.02
        moved += int((np.abs(cut - ramp) > 0.02).mean() > 0.1)
        if name == "reverse":
            assert (np.diff(cut[0]) < 0).mean() > 0.08
    assert moved >= 7


def test_ring_modulation_moves_what_is_there() -> None:
    voice = np.sin(2 * np.pi * 3000 / SAMPLE_RATE * np.arange(SAMPLE_RATE))[None].astype("f")
    for seed in range(5):
        rung = power(electronic.ring(np.random.default_rng(seed), voice, SAMPLE_RATE))
        sides = np.concatenate([rung[1700:2990], rung[3010:4300]])
        assert sides.max() > 0.03 * rung.max()


def test_a_sweep_moves_its_filter() -> None:
    noise = np.random.default_rng(0).standard_normal((1, 2 * SAMPLE_RATE)).astype(np.float32)
    changes = []
    for seed in range(10):
        swept = electronic.sweep(np.random.default_rng(seed), noise, SAMPLE_RATE)
        bands = np.square(np.abs(spectra.in_frames(swept, 1024)))[0, 8:-8]
        levels = np.stack([bands[:, low : low + 8].mean(axis=1) for low in (8, 30, 100)])
        smoothed = np.stack([np.convolve(row, np.ones(9) / 9, "valid") for row in levels])
        changes.append((smoothed.max(axis=1) / smoothed.min(axis=1)).max())
    assert min(changes) > 10


def test_few_levels_are_left_of_few_bits() -> None:
    voice = buzz(200.0) * np.linspace(0.2, 1, 2 * SAMPLE_RATE, dtype=np.float32)
    for seed in range(8):
        levels = np.unique(electronic.reduce_bits(np.random.default_rng(seed), voice, SAMPLE_RATE))
        assert 3 < len(levels) < 2**6


def test_a_lower_rate_holds_samples_and_mirrors_treble() -> None:
    voice = buzz(200.0)
    for seed in range(8):
        held = electronic.reduce_rate(np.random.default_rng(seed), voice, SAMPLE_RATE)
        assert 0.6 < (np.diff(held[0]) == 0).mean() < 0.95
        assert power(held)[2 * 8000 :].sum() > 10 * power(voice)[2 * 8000 :].sum()


def test_a_telephone_has_no_bass_and_no_treble() -> None:
    noise = np.random.default_rng(0).standard_normal((1, SAMPLE_RATE)).astype(np.float32)
    for seed in range(8):
        heard_power = power(electronic.telephone(np.random.default_rng(seed), noise, SAMPLE_RATE))
        total = heard_power.sum()
        assert heard_power[4000:].sum() < 1e-4 * total
        assert heard_power[:150].sum() < 1e-3 * total
        assert heard_power[700:1900].sum() > 0.2 * total


def test_doubles_leave_the_centre() -> None:
    voice = np.repeat(buzz(200 + 5 * np.sin(np.arange(2 * SAMPLE_RATE) / 2000)), 2, axis=0)
    for seed in range(8):
        wide = electronic.double_wide(np.random.default_rng(seed), voice, SAMPLE_RATE)
        middle, side = augment.rms(wide[0] + wide[1]), augment.rms(wide[0] - wide[1])
        assert 0.5 < middle / side < 2, "as much at the sides as in the centre"
        assert abs(np.corrcoef(wide)[0, 1]) < 0.5


@pytest.mark.parametrize("name", ["drown", "feed_back"])
def test_reverbs_and_delays_go_on_when_the_voice_ends(name: str) -> None:
    voice = np.repeat(buzz(200.0), 2, axis=0)
    voice[:, SAMPLE_RATE // 2 :] = 0
    for seed in range(8):
        wet = EFFECTS[name](np.random.default_rng(seed), voice, SAMPLE_RATE)
        tail = wet[:, SAMPLE_RATE // 2 + 100 :]
        assert augment.rms(tail) > 0.05 * augment.rms(voice[:, : SAMPLE_RATE // 2])


def test_a_rest_is_silent_for_long_enough() -> None:
    voice = buzz(200.0, 3.0)
    for seed in range(20):
        rested = glitches.rest(np.random.default_rng(seed), voice, SAMPLE_RATE)
        seconds = (rested[0] == 0).sum() / SAMPLE_RATE
        assert 0.65 < seconds < 2.05
        assert np.abs(rested).max() > 0.1
        assert np.abs(np.diff(rested[0])).max() < 1.1 * np.abs(np.diff(voice[0])).max(), "no clicks"


def figures(data: MixtureDataset, items: int) -> list[list[float]]:
    """Sum up items: the level of each part, and one sample of each."""
    return [
        [*parts.square().mean(dim=(1, 2)).sqrt().tolist(), *parts[:, 0, 20_000].tolist()]
        for parts in (data[i].parts for i in range(items))
    ]


def test_recipes_of_old_have_the_mixtures_that_they_had(recordings: list[Recording]) -> None:
    """Compare with figures from before there were such effects; one number more drawn moves all."""
    data = MixtureDataset(recordings, MixtureConfig(segment_seconds=1.0), seed=11, length=6)
    expected = [
        [0.0, 0.1, 0.0, -0.10699],
        [0.040999, 0.091108, -0.086865, -0.032366],
        [0.0, 0.1, 0.0, -0.094007],
        [0.067848, 0.07694, -0.040213, 0.072423],
        [0.045623, 0.092578, -0.052417, -0.091937],
        [0.072163, 0.06913, -0.113637, 0.093635],
    ]
    np.testing.assert_allclose(figures(data, 6), expected, atol=2e-4)


def test_a_share_of_all_voices_is_electronic(recordings: list[Recording]) -> None:
    common = {"segment_seconds": 1.0, "song_effects": False, "vocals_absent_share": 0.0,
              "accompaniment_absent_share": 0, "aligned_share": 0, "song_share": 0.5}  # fmt: skip
    plain = MixtureDataset(recordings, MixtureConfig(**common), seed=5, length=12)
    treated = MixtureDataset(
        recordings, MixtureConfig(electronic_share=1.0, **common), seed=5, length=12
    )
    for index in range(12):
        parts = treated[index].parts
        assert parts.isfinite().all()
        assert parts.equal(treated[index].parts)
        assert not parts[0].equal(plain[index].parts[0])


def test_dry_voices_stay_dry(recordings: list[Recording]) -> None:
    pools = {role: Pool([r for r in recordings if r.role == role]) for role in ("vocals", "speech")}
    for options in ({"chain": False}, {"chain": True, "dry_share": 1.0}):
        voices = [
            Singers(pools, SAMPLE_RATE, speech_share=0.5, electronic_share=share, **options)(
                np.random.default_rng(1)
            )
            for share in (0.0, 1.0)
        ]
        np.testing.assert_array_equal(*voices)


def test_vocals_rest_in_a_share_of_the_mixtures(recordings: list[Recording]) -> None:
    config = MixtureConfig(segment_seconds=3.0, rests_share=1.0, aligned_share=0.5,
                           song_effects=False, vocals_absent_share=0.0)  # fmt: skip
    data = MixtureDataset(recordings, config, seed=2, length=8)
    for index in range(8):
        vocals = data[index].parts[0].abs().amax(dim=0)
        assert float((vocals == 0).float().mean()) > 0.2
        assert vocals.max() > 0
