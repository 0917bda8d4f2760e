"""Traits of recordings: measured, stated in a manifest, kept beside the samples."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from karaoke.errors import CorpusError
from karaoke.separation.checkpoints import build_network
from karaoke.separation.spectral import Stft
from karaoke.training import traits
from karaoke.training.corpus import SAMPLE_RATE, Recording, load_corpus
from karaoke.training.losses import LOSSES, Objective, limit
from karaoke.training.masks import MASK_LOSSES
from karaoke.training.mixtures import augment
from karaoke.training.mixtures.data import MixtureConfig, MixtureDataset
from karaoke.training.traits import FULL_BAND_HZ, UNKNOWN, Traits, measure, read_traits
from karaoke.training.workshop.pack import pack

from .test_other_networks import small_header
from .test_training_data import in_manifest

#: Older Pythons do not know it.
SAFELY: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}

HEADER = "path\trole\tgroup\tsplit\tband_hz\tmoves_in_pitch\tmark"


def sung(pitch: NDArray[np.float64]) -> NDArray[np.int16]:
    """Sing a pitch in semitones, per sample, with ten harmonics: int16 ``(1, N)``."""
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / SAMPLE_RATE
    wave = sum(np.sin(k * phase) / k for k in range(1, 11))
    return (6000 * wave).astype(np.int16)[None]


def times(seconds: float) -> NDArray[np.float64]:
    """Give the time of each sample."""
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


@pytest.mark.parametrize("edge_hz", [5600, 8000, 12000])
def test_the_band_edge_of_filtered_noise_is_found(edge_hz: float) -> None:
    noise = np.random.default_rng(0).standard_normal((1, 5 * SAMPLE_RATE)).astype(np.float32)
    filtered = augment.low_pass(noise, edge_hz, SAMPLE_RATE)
    # A recording has a noise floor.
    samples = (3000 * filtered + 0.5 * noise).astype(np.int16)
    assert traits.band_edge(samples) == pytest.approx(edge_hz, abs=700)
    assert traits.band_edge((3000 * noise).astype(np.int16)) == FULL_BAND_HZ
    assert traits.band_edge(np.zeros((1, 100), np.int16)) == FULL_BAND_HZ


def test_a_voice_that_falls_off_softly_has_the_full_band() -> None:
    noise = np.random.default_rng(0).standard_normal((1, 5 * SAMPLE_RATE)).astype(np.float32)

    def response(frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return (1 + frequencies_hz / 1000) ** -2.0

    dark = augment.filter_by(noise, response, SAMPLE_RATE)
    assert traits.band_edge((9000 * dark).astype(np.int16)) == FULL_BAND_HZ


@pytest.mark.parametrize("semitones", [38.0, 50.3, 69.0, 80.7])
def test_the_pitch_of_a_voice_is_followed(semitones: float) -> None:
    vibrato = 0.4 * np.sin(2 * np.pi * 5.5 * times(3))
    pitch = measure(sung(semitones + vibrato), "vocals").pitch.astype(np.float64)
    assert len(pitch) == 150
    at = np.arange(5, 145)
    expected = semitones + vibrato[at * SAMPLE_RATE // traits.PITCH_RATE]
    assert np.nanquantile(np.abs(pitch[at] - expected), 0.9) < 0.25
    assert np.nanmedian(pitch) == pytest.approx(semitones, abs=0.1)
    noise = np.random.default_rng(0).integers(-9000, 9000, (1, SAMPLE_RATE)).astype(np.int16)
    assert np.isfinite(measure(noise, "vocals").pitch).mean() < 0.1


def test_a_voice_that_moves_is_told_from_one_that_stays() -> None:
    time = times(12)
    still = sung(55 + 0.3 * np.sin(2 * np.pi * 5 * time))
    # A voicebank: another constant pitch every four seconds.
    strings = sung(55 + 5.0 * (time // 4))
    glides = sung(55 + 4 * np.sin(2 * np.pi * time / 3))
    steps = sung(55 + np.array([0, 2, 4, 5, 4, 2])[(time / 0.4).astype(int) % 6].astype(float))
    moves = [measure(one, "vocals").moves for one in (still, strings, glides, steps)]
    assert moves == [False, False, True, True]
    assert not measure(still[:, :100], "vocals").moves


def test_a_manifest_overrules_what_is_measured(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    for name in "abc":
        soundfile.write(root / f"{name}.wav", sung(50 + 0 * times(3))[0], SAMPLE_RATE)
    rows = ["a.wav\tvocals\ta\ttrain\t\t\t", "b.wav\tvocals\tb\ttrain\t8000\tyes\testimated",
            "c.wav\tvocals\tc\tvalidation\t\tno\t"]  # fmt: skip
    found = load_corpus([in_manifest(root, *rows, header=HEADER)], tmp_path / "cache", workers=1)
    a, b, c = found
    assert not a.traits.moves and not a.estimated
    assert a.traits.band_hz == a.known_hz == pytest.approx(1500), "ten harmonics of 147 Hz"
    assert (b.traits.band_hz, b.traits.moves, b.estimated) == (8000, True, True)
    assert b.traits.pitch.size and not c.traits.pitch.size, "only what is trained on is measured"
    (again, *_) = load_corpus([root], tmp_path / "cache", workers=1)
    np.testing.assert_array_equal(again.traits.pitch, a.traits.pitch)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("high\t\t", 'band_hz is "high"'),
        ("nan\t\t", 'band_hz is "nan"'),
        ("-1\t\t", 'band_hz is "-1"'),
        ("\tsometimes\t", 'moves_in_pitch is "sometimes"'),
        ("\t\tguessed", 'mark is "guessed"'),
    ],
)
def test_traits_that_cannot_be_are_named(tmp_path: Path, row: str, says: str) -> None:
    root = in_manifest(tmp_path, f"a.wav\tvocals\ta\ttrain\t{row}", header=HEADER)
    with pytest.raises(CorpusError, match=says):
        load_corpus([root], tmp_path / "cache", workers=1)


def test_traits_are_measured_once_and_anew_where_they_do_not_fit(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sung(50 + 0 * times(3))[0], SAMPLE_RATE)
    root = in_manifest(tmp_path, "a.wav\tvocals\ta\ttrain")
    load_corpus([root], tmp_path / "cache", workers=1)
    (path,) = (tmp_path / "cache").rglob("*.traits.npz")
    stamp = path.stat().st_mtime_ns
    load_corpus([root], tmp_path / "cache", workers=1)
    assert path.stat().st_mtime_ns == stamp
    content = path.read_bytes()
    for damaged in (b"", content[:100], b"no archive"):
        path.write_bytes(damaged)
        (recording,) = load_corpus([root], tmp_path / "cache", workers=1)
        assert np.nanmedian(recording.traits.pitch) == pytest.approx(50, abs=0.1)
    in_manifest(tmp_path, "a.wav\taccompaniment\ta\ttrain")
    (recording,) = load_corpus([root], tmp_path / "cache", workers=1)
    assert recording.traits.chroma.shape == (12, 30), "music has other traits"
    soundfile.write(tmp_path / "a.wav", sung(57 + 0 * times(3))[0], SAMPLE_RATE)
    in_manifest(tmp_path, "a.wav\tvocals\ta\ttrain")
    (recording,) = load_corpus([root], tmp_path / "cache", workers=1)
    assert np.nanmedian(recording.traits.pitch) == pytest.approx(57, abs=0.1)


def test_traits_travel_with_slices(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    soundfile.write(root / "a.wav", sung(50 + 0 * times(3))[0], SAMPLE_RATE)
    in_manifest(root, "a.wav\tvocals\ta\ttrain\t\t\testimated", header=HEADER)
    (here,) = load_corpus([root], tmp_path / "cache", workers=1)
    (path,) = pack([root], tmp_path / "out", slice_bytes=9_000_000, cache=tmp_path / "cache")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "there", **SAFELY)
    sent = tmp_path / "there" / "0" / "a.wav"
    carried = read_traits(sent, "vocals")
    assert carried is not None and carried.band_hz == here.traits.band_hz
    # What is not what would be measured shows that it is taken over.
    traits.write_traits(sent, Traits(1234.0, True, carried.pitch))
    (there,) = load_corpus([tmp_path / "there"], tmp_path / "other", workers=1)
    assert (there.traits.band_hz, there.traits.moves) == (1234.0, True) and there.estimated


def narrow(role: str, seed: int, **facts: object) -> Recording:
    """Make a recording of noise of its own group."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(-8000, 8000, (2, 5 * SAMPLE_RATE)).astype(np.int16)
    return Recording(role, role, facts.pop("group", role), "train", samples, **facts)  # type: ignore[arg-type]


STILL = {"segment_seconds": 0.3, "vocals_absent_share": 0.0, "accompaniment_absent_share": 0.0}


def bands(recordings: list[Recording], **shares: float) -> list[float]:
    """Give the bands of some mixtures."""
    config = MixtureConfig(**{**STILL, **shares})  # type: ignore[arg-type]
    data = MixtureDataset(recordings, config, seed=0, length=30)
    return [float(data[index].band_hz) for index in range(30)]


def test_the_band_of_a_mixture_is_that_of_its_voice() -> None:
    music = narrow("accompaniment", 1, traits=Traits(band_hz=5000))
    voice = narrow("speech", 2)
    assert set(bands([voice, music])) == {FULL_BAND_HZ}, "music may end where it likes"
    found = bands([narrow("speech", 2, traits=Traits(band_hz=8000)), music])
    drawn = found.count(FULL_BAND_HZ)
    assert 5 < drawn < 25, "half of the voices get a treble"
    assert all(1000 < band <= 8000 for band in found if band < FULL_BAND_HZ)
    assert set(bands([narrow("speech", 2, traits=Traits(band_hz=8000)), music],
                     vocals_absent_share=1.0)) == {FULL_BAND_HZ}  # fmt: skip


def test_what_a_model_estimated_is_believed_up_to_11_khz() -> None:
    voice, music = narrow("vocals", 1), narrow("accompaniment", 2, estimated=True)
    found = bands([voice, music])
    assert max(found) == traits.ESTIMATED_BAND_HZ and min(found) > 6000
    song = [narrow(f"song-{stem}", 3, group="song", estimated=True)
            for stem in ("vocals", "accompaniment")]  # fmt: skip
    for shares in ({"aligned_share": 1.0}, {"aligned_share": 0.0, "song_share": 1.0}):
        assert max(bands(song, **shares)) <= traits.ESTIMATED_BAND_HZ
    found = bands([narrow("vocals", 1, estimated=True), narrow("accompaniment", 2)])
    heard = [band for band in found if band < FULL_BAND_HZ]
    assert len(heard) > 20 and max(heard) == traits.ESTIMATED_BAND_HZ, "rests limit nothing"


def test_the_limit_cuts_each_mixture_at_its_own_frequency() -> None:
    audio = torch.randn(2, 2, 2, 4410)
    limited = limit(audio, torch.tensor([5000.0, FULL_BAND_HZ]))
    torch.testing.assert_close(limited[1], audio[1], atol=1e-5, rtol=0)
    spectrum = torch.fft.rfft(limited[0]).abs()
    assert spectrum[..., 501:].max() < 1e-3 and spectrum[..., :501].mean() > 10


@pytest.mark.parametrize("name", [*LOSSES, *MASK_LOSSES])
def test_no_loss_hears_what_is_above_the_band(name: str) -> None:
    torch.manual_seed(0)
    kind = "unet_ratio_mask" if name in MASK_LOSSES else "lstm_mask"
    header = small_header(kind)
    network = build_network(header).eval()
    objective = Objective(network, {name: 1.0}, len(header.stems), Stft(512, 128))
    parts = 0.1 * torch.randn(2, max(2, len(header.stems)), 2, 16000)
    # The treble moves from one part to another: the mixture stays, the targets change.
    treble = 3 * (parts[:, :1] - limit(parts[:, :1], torch.full((2,), 9000.0)))
    parts[:, :1] += treble
    moved = parts.clone()
    moved[:, :1] -= treble
    moved[:, 1:2] += treble
    with torch.no_grad():
        low, full = torch.full((2,), 7000.0), torch.full((2,), FULL_BAND_HZ)
        torch.testing.assert_close(
            objective(parts, low), objective(moved, low), atol=2e-4, rtol=2e-3
        )
        assert abs(float(objective(parts, full) / objective(moved, full)) - 1) > 2e-3
        assert float(objective(parts, low)) != float(objective(parts, full))


def test_items_are_what_they_were_where_nothing_is_tuned() -> None:
    rng = np.random.default_rng(5)
    rows = [("vocals", "singer", 6, 1), ("vocals", "makam-b", 6, 1), ("speech", "speech-b", 6, 1),
            ("accompaniment", "band", 8, 2), ("song-vocals", "one", 8, 2),
            ("song-accompaniment", "one", 8, 2)]  # fmt: skip
    recordings = [
        Recording(role, role, group, "train",
                  rng.integers(-8000, 8000, (channels, seconds * SAMPLE_RATE)).astype(np.int16),
                  Traits(moves=True) if group == "makam-b" else UNKNOWN)
        for role, group, seconds, channels in rows
    ]  # fmt: skip
    config = MixtureConfig(segment_seconds=0.5, dry_share=0.2, wide_share=0.2, aligned_share=0.1)
    data = MixtureDataset(recordings, config, seed=3, length=99)
    ramp = torch.linspace(-1, 1, SAMPLE_RATE // 2)
    sums = [float((data[index].parts * ramp).abs().sum()) for index in range(24)]
    # Of the code that knew no traits.
    expected = [2653.00, 1886.28, 2349.62, 1834.05, 1910.74, 2537.16, 2497.47, 1787.95,
                1825.53, 2397.21, 2606.71, 2587.77, 2541.24, 2494.53, 2576.75, 2623.62,
                2501.75, 1790.76, 2699.24, 2771.04, 2722.36, 2586.80, 1931.39, 2452.64]  # fmt: skip
    np.testing.assert_allclose(sums, expected, rtol=1e-4)
