"""Training: the cache, the mixtures, every effect, the loop and its resumption."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke.checkpoints import Header, load_checkpoint, read_header
from karaoke.errors import NoInputError
from karaoke.spectral import Stft
from karaoke.training import augment, losses
from karaoke.training.credits import credit_table
from karaoke.training.data import SAMPLE_RATE, MixtureDataset, Pool, Recording, load_corpus
from karaoke.training.loop import Recipe, Trainer, learning_rate, singing_windows

Effect = Callable[[np.random.Generator, augment.Audio], augment.Audio]
EFFECTS: dict[str, Effect] = {
    "bend": lambda rng, a: augment.bend(a, augment.melody(rng, a.shape[1], SAMPLE_RATE)),
    "equalise": lambda rng, a: augment.equalise(rng, a, SAMPLE_RATE, tilt_db=6),
    "low_pass": lambda rng, a: augment.low_pass(a, rng.uniform(5000, 15000), SAMPLE_RATE),
    "compress": lambda rng, a: augment.compress(rng, a, SAMPLE_RATE),
    "saturate": augment.saturate,
    "reverberate": lambda rng, a: augment.reverberate(rng, a, SAMPLE_RATE),
    "echo": lambda rng, a: augment.echo(rng, a, SAMPLE_RATE),
    "pan": lambda rng, a: augment.pan(rng, a, 0.5),
    "phrase": lambda rng, a: augment.phrase(rng, a, SAMPLE_RATE),
}


@pytest.mark.parametrize("name", EFFECTS)
@given(seed=st.integers(0, 2**32), channels=st.sampled_from([1, 2]))
@settings(max_examples=15, deadline=None)
def test_effects_keep_length_and_stay_finite(name: str, seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    audio = (0.1 * rng.standard_normal((channels, 30_000))).astype(np.float32)
    kept = audio.copy()
    changed = EFFECTS[name](rng, audio)
    assert changed.dtype == np.float32
    assert changed.shape[1] == audio.shape[1] and changed.shape[0] in (channels, 2)
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(audio, kept)
    again = EFFECTS[name](np.random.default_rng(seed + 1), np.zeros_like(audio))
    assert np.abs(again).max() < 1e-3, "silence must stay silent"


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_limiting_keeps_the_parts_adding_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vocals, music = (rng.standard_normal((2, 2, 4000)) * rng.uniform(0.01, 1)).astype(np.float32)
    loud, quiet = augment.limit_together(np.random.default_rng(seed), vocals, music)
    limited = loud + quiet
    mixture = vocals + music
    assert np.abs(limited).max() <= np.abs(mixture).max() + 1e-6
    # One gain for both: each part keeps its share of the mixture, sample by sample.
    np.testing.assert_allclose(loud * mixture, vocals * limited, atol=1e-4)


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


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a corpus of synthetic recordings with all roles and both splits."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    rows = ["path\trole\tgroup\tseconds\tchannels\tsplit"]
    files = [
        ("vocals", "singer-a", "train", 1, 9),
        ("vocals", "makam-b", "train", 1, 3),
        ("speech", "speech-an4", "train", 1, 3),
        ("accompaniment", "band", "train", 2, 5),
        *((f"song-{part}", song, split, 2, 12)
          for part in ("vocals", "accompaniment")
          for song, split in (("one", "train"), ("two", "validation"))),
    ]  # fmt: skip
    for role, group, split, channels, seconds in files:
        time = np.arange(seconds * 48000) / 48000
        tone = 0.2 * np.sin(2 * np.pi * rng.uniform(200, 900) * time)[:, None]
        audio = tone + 0.05 * rng.standard_normal((len(time), channels))
        name = f"{role}-{group}.flac"
        soundfile.write(root / name, audio, 48000)
        rows.append(f"{name}\t{role}\t{group}\t{seconds}\t{channels}\t{split}")
    (root / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def recordings(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Decode it."""
    return load_corpus(corpus, tmp_path_factory.mktemp("cache"), workers=1)


def test_cache_holds_the_corpus_at_the_models_rate(
    corpus: Path, recordings: list[Recording], tmp_path: Path
) -> None:
    assert len(recordings) == 8
    assert {r.role for r in recordings} >= {"vocals", "speech", "accompaniment", "song-vocals"}
    for recording in recordings:
        seconds = soundfile.info(corpus / recording.path).duration
        assert recording.length == pytest.approx(seconds * SAMPLE_RATE, abs=2)
        assert recording.read(recording.length - 5, 10).shape[1] == 10
    cached = load_corpus(corpus, tmp_path, workers=1)
    stamps = [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.npy"))]
    load_corpus(corpus, tmp_path, workers=1)
    assert stamps == [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.npy"))]
    np.testing.assert_array_equal(cached[0].samples, recordings[0].samples)
    with pytest.raises(NoInputError, match=r"manifest\.tsv"):
        load_corpus(tmp_path, tmp_path)


def test_credits_name_every_source_once(tmp_path: Path) -> None:
    columns = "role\tsplit\tseconds\tattribution\tlicence\tsource"
    rows = [
        "vocals\ttrain\t60\tA\tCC0\tx",
        "vocals\ttrain\t30\tB\tCC0\tx",
        "song-vocals\ttrain\t30\tC\tMIT\ty",
        "speech\tvalidation\t30\tD\tsecret\tz",
    ]
    (tmp_path / "manifest.tsv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    assert credit_table(tmp_path).splitlines()[2:] == [
        "| songs | y | 0.5 | C | MIT |",
        "| vocals | x | 1.5 | A; B | CC0 |",
    ]


def test_groups_are_drawn_by_the_root_of_their_length() -> None:
    lengths = {"large": 1_600, "small": 100}
    pool = Pool(
        [
            Recording(name, "vocals", name, "train", np.zeros((1, length), np.int16))
            for name, length in lengths.items()
        ]
    )
    rng = np.random.default_rng(0)
    drawn = [pool.draw(rng).group for _ in range(4000)]
    assert drawn.count("large") / drawn.count("small") == pytest.approx(4, rel=0.15)


def test_mixtures(recordings: list[Recording]) -> None:
    data = MixtureDataset(recordings, segment_seconds=1.0, seed=3, length=80)
    items = torch.stack([data[index] for index in range(len(data))])
    assert items.shape == (80, 2, 2, SAMPLE_RATE)
    assert items.isfinite().all()
    assert items.sum(dim=1).square().mean(dim=(1, 2)).sqrt().allclose(torch.tensor(0.1), rtol=1e-3)
    absent = (items[:, 0].abs().amax(dim=(1, 2)) == 0).sum()
    assert 1 <= absent <= 20
    torch.testing.assert_close(data[7], items[7], atol=0, rtol=0)
    assert not data[7].equal(data[8])
    other = MixtureDataset(recordings, segment_seconds=1.0, seed=4, length=80)
    assert not other[7].equal(items[7])


def test_validation_recordings_are_never_trained_on(recordings: list[Recording]) -> None:
    data = MixtureDataset(recordings, segment_seconds=1.0, seed=0, length=1)
    groups = {group for pool in data.pools.values() for group in pool.groups}
    assert "one" in groups and "two" not in groups
    assert {song for song, _, _ in singing_windows(recordings)} == {"two"}


def test_losses_are_zero_for_the_target_and_positive_otherwise() -> None:
    stft = Stft(512, 128)
    target = 0.1 * torch.randn(2, 2, 4000)
    # The floor under a root is all that is left.
    assert float(losses.separation_loss(target, target, stft)) == pytest.approx(1e-4, rel=1e-3)
    estimate = (0.5 * target).requires_grad_()
    for loss in (
        losses.error_norm(estimate, target),
        losses.spectrogram_l1(estimate, target, stft),
        losses.compressed_magnitude_mse(estimate, target, stft),
    ):
        assert float(loss.detach()) > 0
        (gradient,) = torch.autograd.grad(loss, estimate)
        assert gradient.isfinite().all()
    silent = torch.zeros(1, 2, 4000, requires_grad=True)
    loss = losses.separation_loss(silent, silent.detach(), stft)
    (gradient,) = torch.autograd.grad(loss, silent)
    assert gradient.isfinite().all()


def test_learning_rate_warms_up_and_falls() -> None:
    recipe = Recipe("band_split_bilstm", {}, time_budget=100.0, learning_rate=1.0)
    rates = [learning_rate(recipe, seconds) for seconds in (0, 2, 10, 50, 100, 200)]
    assert rates[0] < 0.1 < rates[1] < rates[2]
    assert rates[2] > rates[3] > rates[4] == pytest.approx(0.01)
    assert rates[5] == rates[4]


@pytest.fixture
def recipe(tiny_header: Header) -> Recipe:
    """Train a tiny network for as long as the test says."""
    return Recipe(
        "band_split_bilstm",
        tiny_header.config,
        time_budget=1e9,
        batch_size=2,
        segment_seconds=0.5,
        validate_every=4,
    )


def train(trainer: Trainer, steps: int) -> list[float]:
    """Take some steps on the mixtures that come next."""
    trainer.state.seconds = 1e8
    return [
        trainer.train_step(batch)
        for batch, _ in zip(trainer.batches(workers=0), range(steps), strict=False)
    ]


def test_a_run_that_stops_goes_on_as_if_it_had_not(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    straight = train(Trainer(recipe, recordings, tmp_path / "a"), 6)
    first = Trainer(recipe, recordings, tmp_path / "b")
    losses_before = train(first, 3)
    first.save()
    second = Trainer(recipe, recordings, tmp_path / "b")
    assert second.state.step == 3
    assert losses_before + train(second, 3) == straight


def test_a_run_starts_from_a_checkpoint(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    first = Trainer(recipe, recordings, tmp_path / "a")
    train(first, 3)
    first.report(0.0)
    checkpoint = tmp_path / "a" / "last.safetensors"
    header = read_header(checkpoint)
    assert header.config["magnitude_exponent"] == 0.3, "defaults are written out"
    second = Trainer(recipe, recordings, tmp_path / "b", start_from=checkpoint)
    assert second.state.step == 0
    for name, weight in second.network.state_dict().items():
        torch.testing.assert_close(weight, first.average.state_dict()[name], atol=0, rtol=0)


def test_a_run_learns_logs_and_writes_checkpoints(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    trainer = Trainer(recipe, recordings, tmp_path)
    batch = next(iter(trainer.batches(workers=0)))
    trainer.state.seconds = 1e8
    history = [trainer.train_step(batch) for _ in range(30)]
    assert np.mean(history[-5:]) < 0.9 * np.mean(history[:5])
    trainer.recipe = Recipe(**{**recipe.__dict__, "time_budget": 1.0})
    trainer.run(workers=0)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 31
    assert set(lines[-1]["si_sdr_gain_db"]) == {"two", "all"}
    network, header = load_checkpoint(tmp_path / "best.safetensors")
    assert header.stems == ("vocals",)
    assert network(torch.zeros(1, 2, 100)).shape == (1, 1, 2, 100)
    assert not list(tmp_path.glob("*.part"))


def test_two_processes_train_as_one_command(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    options = ["--time-budget", "0.01", "--workers", "0", "--cache", str(tmp_path / "cache")]
    command = [*torchrun, "-m", "karaoke.training", str(corpus), str(run), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (line,) = (run / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 1
    network, _ = load_checkpoint(run / "last.safetensors")
    assert sum(p.numel() for p in network.parameters()) == 1_843_218
