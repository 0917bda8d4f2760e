"""Training networks with more than one stem, by their masks, and with an encoder of another's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from karaoke.errors import ModelError, UsageError
from karaoke.separation.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.separation.headers import read_header
from karaoke.separation.spectral import Stft
from karaoke.training import masks
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.loop import Trainer
from karaoke.training.losses import Objective, Pair, weighted_loss
from karaoke.training.mixtures.data import MixtureConfig
from karaoke.training.precision import autocast
from karaoke.training.recipe import Recipe, read_recipe
from karaoke.training.traits import FULL_BAND_HZ
from karaoke.training.transfer import Start
from karaoke.training.validation import part_windows, to_line, validate

from .test_other_networks import FOUR, SMALL, small_header

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="session")
def with_parts(recordings: list[Recording]) -> list[Recording]:
    """Add two pieces in parts to the corpus, one to train and one to validate on."""
    rng = np.random.default_rng(0)
    pieces = [
        Recording(f"{piece}/{stem}", f"song-{stem}", piece, split,
                  (2000 * rng.standard_normal((2, 12 * SAMPLE_RATE))).astype(np.int16))
        for piece, split in (("piece-a", "train"), ("piece-b", "validation"))
        for stem in FOUR[1:]
    ]  # fmt: skip
    return [*recordings, *pieces]


def recipe_of(name: str) -> Recipe:
    """Take a recipe of the repository, for a network and mixtures that are small."""
    return replace(
        read_recipe(MODELS / f"{name}.toml"),
        config=SMALL[name][0],
        mixtures=MixtureConfig(segment_seconds=0.5),
        learning_rate=3e-3,
        time_budget=0.0,
        steps=1_000_000,
        warm_up=0.0,
        ema_decays=(0.9,),
        batch_size=2,
    )


@pytest.fixture
def spectra() -> tuple[torch.Tensor, torch.Tensor]:
    """Make spectrograms of mixtures and of their two targets."""
    targets = torch.randn(3, 2, 2, 33, 20, dtype=torch.complex64)
    return targets.sum(dim=1), targets


def test_ideal_masks(spectra: tuple[torch.Tensor, torch.Tensor]) -> None:
    mixture, targets = spectra
    ratio, binary = masks.ideal_ratio_mask(*spectra), masks.ideal_binary_mask(*spectra)
    assert ratio.min() >= 0 and ratio.max() <= 1
    quiet = targets.abs() < mixture.abs()[:, None]
    torch.testing.assert_close(
        (ratio * mixture.abs()[:, None])[quiet], targets.abs()[quiet], atol=1e-5, rtol=1e-4
    )
    assert (binary.sum(dim=1) == 1).all(), "of two stems one is louder"
    silent = masks.ideal_ratio_mask(torch.zeros_like(mixture), torch.zeros_like(targets))
    assert silent.abs().max() == 0


@pytest.mark.parametrize("name", masks.MASK_LOSSES)
def test_losses_of_masks_are_least_for_the_ideal(
    name: str, spectra: tuple[torch.Tensor, torch.Tensor]
) -> None:
    loss, binary = masks.MASK_LOSSES[name], name == "binary_mask_bce"
    ideal = (masks.ideal_binary_mask if binary else masks.ideal_ratio_mask)(*spectra)
    best = float(loss(ideal, *spectra))
    for other in (torch.zeros_like(ideal), torch.ones_like(ideal), ideal.flip(-1), 0.9 * ideal):
        assert float(loss(other, *spectra)) > best
    if name == "ratio_mask_mse":
        assert best == 0
        expected = (0.5 * ideal).square().mean()
        torch.testing.assert_close(loss(0.5 * ideal, *spectra), expected)


def test_figures_of_masks(spectra: tuple[torch.Tensor, torch.Tensor]) -> None:
    ideal = masks.ideal_binary_mask(*spectra)
    for figure in masks.MASK_FIGURES.values():
        assert figure(ideal, *spectra).equal(torch.ones(3, 2))
        assert figure(1 - ideal, *spectra).equal(torch.zeros(3, 2))
    shares = ideal.mean(dim=(2, 3, 4))
    everything = torch.ones_like(ideal)
    torch.testing.assert_close(masks.mask_accuracy(everything, *spectra), shares)
    torch.testing.assert_close(masks.mask_dice(everything, *spectra), 2 * shares / (1 + shares))
    mixture, targets = spectra
    nothing = torch.zeros_like(ideal)
    assert masks.mask_dice(nothing, mixture, 0 * targets).equal(torch.ones(3, 2)), "not nan"


def test_the_loss_of_waveforms_hears_all_stems() -> None:
    header = small_header("lstm_mask")
    network, stft = build_network(header), Stft(512, 128)
    parts = 0.1 * torch.randn(2, 2, 2, 8000)
    objective = Objective(network, {"waveform_l1": 1.0}, 2, stft)
    with autocast("cpu"):
        estimates = network(parts.sum(dim=1))
    expected = weighted_loss({"waveform_l1": 1.0}, Pair(estimates, parts, stft))
    everything = torch.full((2,), FULL_BAND_HZ)
    torch.testing.assert_close(objective(parts, everything), expected)


@pytest.mark.parametrize("name", SMALL)
def test_each_network_learns_a_batch(
    name: str, with_parts: list[Recording], tmp_path: Path
) -> None:
    recipe = recipe_of(name)
    if name == "cnn_binary_mask":  # each of its frames costs many times those of the others
        recipe = replace(recipe, mixtures=MixtureConfig(segment_seconds=0.15))
    trainer = Trainer(recipe, with_parts, tmp_path)
    batch = next(iter(trainer.batches(workers=0)))
    assert batch.parts.shape[1] == max(2, len(SMALL[name][1]))
    history = [trainer.train_step(batch) for _ in range(16)]
    assert np.mean(history[-5:]) < 0.95 * np.mean(history[:3])
    trainer.report()
    network, header = load_checkpoint(tmp_path / "best.safetensors")
    assert header.stems == SMALL[name][1]
    for one, other in zip(network.buffers(), trainer.average.buffers(), strict=True):
        assert one.equal(other), "statistics of norms are shipped with the weights"
    figures = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["figures"]
    assert {"vocals", "instrumental", "vocals_sdr", "instrumental_sdr"} <= set(figures["two"])
    for figure in trainer.recipe.mask_figures:
        for stem in header.stems:
            assert 0 <= figures["all"][f"{figure}_{stem}"] <= 1


def test_averages_follow_the_statistics_of_norms(
    with_parts: list[Recording], tmp_path: Path
) -> None:
    trainer = Trainer(recipe_of("unet_ratio_mask"), with_parts, tmp_path)
    norm = "encoder.1.2.running_var"
    before = trainer.average.state_dict()[norm].clone()
    batches = iter(trainer.batches(workers=0))
    for _ in range(3):
        trainer.train_step(next(batches))
    after, now = trainer.average.state_dict()[norm], trainer.network.state_dict()[norm]
    assert not after.equal(before)
    assert (after - now).abs().sum() < (before - now).abs().sum()


def test_parts_are_validated_under_borrowed_singing(with_parts: list[Recording]) -> None:
    ((piece, stems),) = part_windows(with_parts, FOUR[1:])
    assert piece == "piece-b" and {*stems} == {*FOUR}
    music = stems["drums"] + stems["bass"] + stems["other"]
    torch.testing.assert_close(stems["vocals"].norm(), music.norm(), atol=0, rtol=1e-3)
    network = build_network(small_header("cnn_binary_mask"))
    figures = validate(network, with_parts, "cpu", FOUR, ("accuracy",))
    assert {*figures} >= {"two", "piece-b", "all", "choose"}
    assert {*figures["piece-b"]} == {*FOUR[1:], *(f"accuracy_{stem}" for stem in FOUR)}
    assert "accuracy_drums" not in figures["two"], "nobody knows"
    for name in ("vocals", "drums"):
        (of_one,) = (figures[song][name] for song in ("two", "piece-b") if name in figures[song])
        assert figures["all"][name] == of_one, "songs that lack a figure stay out of its mean"
    said = to_line(figures["all"])
    assert said.index("drums") < said.index(" dB") < said.index("accuracy_vocals")


def test_a_song_with_all_stems_is_validated_as_it_is() -> None:
    samples = {stem: np.full((2, 11 * SAMPLE_RATE), 1000 * n, np.int16)
               for n, stem in enumerate(FOUR, 1)}  # fmt: skip
    song = [Recording(s, f"song-{s}", "song", "validation", a) for s, a in samples.items()]
    ((_, stems),) = part_windows(song, FOUR[1:])
    for n, stem in enumerate(FOUR, 1):
        assert float(stems[stem][0, 0]) == pytest.approx(1000 * n / 32768)


def checkpoint_of(name: str, path: Path, **changes: Any) -> Path:
    """Write a checkpoint with random weights."""
    torch.manual_seed(7)
    header = small_header(name)
    header = replace(header, config={**header.config, **changes})
    save_checkpoint(path, build_network(header), header)
    return path


def test_an_encoder_is_taken_over_and_held(with_parts: list[Recording], tmp_path: Path) -> None:
    source = checkpoint_of("unet_ratio_mask", tmp_path / "source.safetensors")
    given = load_checkpoint(source)[0].state_dict()
    recipe = replace(recipe_of("unet_ratio_mask"), freeze_encoder=True)
    trainer = Trainer(recipe, with_parts, tmp_path / "run", start=Start(init_encoder=source))
    fresh = Trainer(recipe, with_parts, tmp_path / "other")
    encoder = [name for name in given if name.startswith("encoder.")]
    decoder = [name for name in given if name.startswith("decoder.") and "weight" in name]
    for name in [*encoder, "input_mean"]:
        assert trainer.network.state_dict()[name].equal(given[name]), name
    for name in decoder:
        ours, others = (t.network.state_dict()[name] for t in (trainer, fresh))
        assert ours.equal(others), "the decoder is as it would have been"
    batch = next(iter(trainer.batches(workers=0)))
    losses = [trainer.train_step(batch) for _ in range(10)]
    assert losses[-1] < losses[0]
    for name, weight in trainer.network.state_dict().items():
        if name in encoder:
            assert weight.equal(given[name]), name
    assert any(
        not trainer.network.state_dict()[name].equal(fresh.network.state_dict()[name])
        for name in decoder
    )
    trainer.save()
    again = Trainer(recipe, with_parts, tmp_path / "run")
    again.train_step(batch)
    assert again.network.state_dict()[encoder[0]].equal(given[encoder[0]]), "and after resuming"


def test_without_freezing_the_encoder_learns_on(
    with_parts: list[Recording], tmp_path: Path
) -> None:
    source = checkpoint_of("unet_ratio_mask", tmp_path / "source.safetensors")
    recipe = recipe_of("unet_ratio_mask")
    trainer = Trainer(recipe, with_parts, tmp_path / "run", start=Start(init_encoder=source))
    trainer.train_step(next(iter(trainer.batches(workers=0))))
    name = "encoder.0.0.weight"
    assert not trainer.network.state_dict()[name].equal(
        load_checkpoint(source)[0].state_dict()[name]
    )


def test_an_encoder_that_does_not_fit_is_an_error(
    with_parts: list[Recording], tmp_path: Path, tiny_model: Path
) -> None:
    recipe = recipe_of("unet_ratio_mask")
    wider = checkpoint_of("unet_ratio_mask", tmp_path / "wider.safetensors", width=8)
    with pytest.raises(ModelError, match=r"8x2x4x4 there, 4x2x4x4 here"):
        Trainer(recipe, with_parts, tmp_path / "a", start=Start(init_encoder=wider))
    soft = checkpoint_of("unet_soft_mask", tmp_path / "soft.safetensors")
    with pytest.raises(ModelError, match="missing there"):
        Trainer(recipe, with_parts, tmp_path / "b", start=Start(init_encoder=soft))
    with pytest.raises(ModelError, match="band_split_bilstm has no encoder"):
        Trainer(recipe, with_parts, tmp_path / "c", start=Start(init_encoder=tiny_model))
    with pytest.raises(UsageError, match="LSTMMask has no encoder"):
        frozen = replace(recipe_of("lstm_mask"), freeze_encoder=True)
        Trainer(frozen, with_parts, tmp_path / "d")


def test_the_command_takes_and_holds_an_encoder(
    corpus: Path, tmp_path: Path, run_karaoke: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    source = checkpoint_of("unet_ratio_mask", tmp_path / "source.safetensors")
    recipe, run = tmp_path / "recipe.toml", tmp_path / "run"
    lines = [f"{key} = {value}" for key, value in SMALL["unet_ratio_mask"][0].items()]
    recipe.write_text(
        'architecture = "unet_ratio_mask"\noptimizer = "adam"\nmask_figures = ["dice"]\n'
        "steps = 2\nbatch_size = 1\n[loss]\nratio_mask_mse = 1.0\n"
        "[mixtures]\nsegment_seconds = 0.5\n[config]\n" + "\n".join(lines),
        encoding="utf-8",
    )
    options = ["--recipe", recipe, "-o", run, "--cache", tmp_path / "cache", "--workers", 0]
    encoder = ["--init-encoder", source, "--freeze-encoder", "--device", "cpu"]
    done = run_karaoke("train", corpus, *options, *encoder)
    assert done.returncode == 0, done.stderr
    assert "dice_vocals" in done.stderr
    assert json.loads((run / "best.json").read_text())["recipe"]["freeze_encoder"] is True
    assert read_header(run / "best.safetensors").architecture == "unet_ratio_mask"
    ours, theirs = (load_checkpoint(p)[0].state_dict() for p in (run / "best.safetensors", source))
    assert ours["encoder.0.0.weight"].equal(theirs["encoder.0.0.weight"])
