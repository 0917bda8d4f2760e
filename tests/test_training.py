"""Training: losses, recipes, the loop, its interruption and resumption."""

from __future__ import annotations

import json
import math
import os
import pickle
import platform
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from karaoke.errors import (
    DamagedModelError,
    DivergedError,
    ModelError,
    NoInputError,
    UsageError,
    WriteError,
)
from karaoke.separation.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.separation.fields import Within, check_fields, hints_of
from karaoke.separation.headers import Header, read_header
from karaoke.separation.spectral import Stft
from karaoke.training import losses
from karaoke.training.corpus import Recording
from karaoke.training.loop import Trainer
from karaoke.training.losses import Pair
from karaoke.training.mixtures.data import STEMS, MixtureConfig
from karaoke.training.optimizers import OPTIMIZERS, Muon, MuonWithAdamW
from karaoke.training.recipe import Recipe, read_recipe
from karaoke.training.run import RunOptions
from karaoke.training.states import write_state
from karaoke.training.transfer import Start

TINY_RECIPE = """
batch_size = 2
validate_every = 4
log_every = 2
time_budget = 0
[config]
n_fft = 512
hop_length = 256
features = 8
hidden = 8
layers = 1
mask_hidden = 8
band_edges_hz = [0.0, 1000.0, 4000.0, 22050.0]
[mixtures]
segment_seconds = 0.5
"""


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_are_zero_for_the_target_and_positive_otherwise(name: str) -> None:
    stft, loss = Stft(512, 128), losses.LOSSES[name]
    target = 0.1 * torch.randn(2, 2, 9000)
    # The floor under a root is all that may be left.
    assert float(loss(Pair(target, target, stft))) <= 1.01e-4
    estimate = (0.5 * target).requires_grad_()
    value = loss(Pair(estimate, target, stft))
    assert float(value.detach()) > 1e-3
    (gradient,) = torch.autograd.grad(value, estimate)
    assert gradient.isfinite().all() and gradient.abs().max() > 0
    silent = torch.zeros(1, 2, 9000, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(Pair(silent, silent.detach(), stft)), silent)
    assert gradient.isfinite().all()


def test_losses_are_weighted() -> None:
    target, estimate = 0.1 * torch.randn(2, 1, 2, 4000)
    pair = Pair(estimate, target, Stft(512, 128))
    both = losses.weighted_loss({"error_norm": 2.0, "waveform_l1": 3.0}, pair)
    expected = 2 * losses.error_norm(pair) + 3 * losses.waveform_l1(pair)
    torch.testing.assert_close(both, expected)


def test_losses_share_two_transforms() -> None:
    target, estimate = 0.1 * torch.randn(2, 3, 2, 9000)
    estimate.requires_grad_()
    stft = Stft(512, 128)
    count = 0

    def transform(_module: object, _arguments: object, _result: object) -> None:
        nonlocal count
        count += 1

    stft.register_forward_hook(transform)
    weights = {"error_norm": 1.0, "spectrogram_l1": 0.5, "compressed_magnitude_mse": 2.0}
    found = losses.weighted_loss(weights, Pair(estimate, target, stft))
    assert count == 2
    # As the formulas say, one by one: the spectrum of the difference, and roots of magnitudes.
    scale = stft.window.square().sum().sqrt()
    error = estimate - target
    roots = [(stft(x).abs() / scale + 1e-4).sqrt() for x in (estimate, target)]
    expected = (error.square().flatten(1).mean(dim=1) + 1e-8).sqrt().mean()
    expected = expected + 0.5 * torch.view_as_real(stft(error)).abs().mean() / scale
    expected = expected + 2.0 * (roots[0] - roots[1]).square().mean()
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value, estimate)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-3)


def test_learning_rate_warms_up_and_falls() -> None:
    recipe = Recipe(time_budget=100.0, learning_rate=1.0)
    progress = [recipe.progress(0, seconds) for seconds in (0, 2, 10, 50, 100, 200)]
    rates = [recipe.learning_rate_at(0, share) for share in progress]
    assert rates[0] < 0.1 < rates[1] < rates[2]
    assert rates[2] > rates[3] > rates[4] == pytest.approx(0.01)
    assert rates[5] == rates[4]
    assert Recipe(steps=10, time_budget=100.0).progress(5, 20.0) == 0.5


def test_a_constant_rate_falls_at_the_end_alone() -> None:
    recipe = Recipe(
        steps=1000, time_budget=0.0, learning_rate=1.0, schedule="constant", decay_steps=100
    )
    rates = [
        recipe.learning_rate_at(step, recipe.progress(step, 0.0))
        for step in (0, 100, 500, 900, 925, 975, 999)
    ]
    assert rates[0] < 0.1 and rates[1:4] == [1.0] * 3
    assert rates[4] == pytest.approx(0.5) and 0 < rates[6] < rates[5] < rates[4]


def test_recipes_are_read_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(TINY_RECIPE, encoding="utf-8")
    settings = ["steps=7", "mixtures.aligned_share=1", "config.layers=2", "loss.error_norm=0.5"]
    recipe = read_recipe(path, settings)
    assert (recipe.batch_size, recipe.steps, recipe.config["layers"]) == (2, 7, 2)
    assert recipe.mixtures == MixtureConfig(segment_seconds=0.5, aligned_share=1.0)
    assert recipe.loss == {"error_norm": 0.5}
    assert read_recipe(None, ["clock=cpu"]).clock == "cpu"
    assert read_recipe(None) == Recipe()


def test_the_recipes_of_the_repository_can_be_read() -> None:
    paths = sorted((Path(__file__).parents[1] / "models").glob("*.toml"))
    assert "experiment" in {path.stem for path in paths}
    for path in paths:
        assert read_recipe(path).progress(1_000_000, 1e6) == 1  # it ends


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("nonsense=1", "no field 'nonsense'"),
        ("mixtures.nonsense=1", "no field 'mixtures.nonsense'"),
        ("config.nonsense=1", "no field 'config.nonsense'"),
        ("steps=many", "steps must be a whole number"),
        ("steps", "not key=value"),
        ("loss.nonsense=1", "unknown loss nonsense"),
        ("time_budget=0", "when the run ends"),
        ("clock=moon", "clock must be"),
        ("optimizer=hope", "optimizer must be"),
        ('stems=["drums"]', "stems must be"),
        ("stems=[1]", r"stems\[0\] must be text"),
        ("stems=vocals", "stems must be a list"),
        ("architecture=toaster", "architecture must be"),
        *(
            (f"{name}={value}", rf"{name.split('.')[-1]}(\[\d\])? must")
            for name, values in {
                "batch_size": (0, -1, 1.5, "true", 10**9),
                "accumulate": (0, -3),
                "steps": (-1, 10**12),
                "time_budget": (-1, "nan", "inf", "soon"),
                "learning_rate": (0, -1, "nan", "inf", "-inf", 1e9, "[1]"),
                "weight_decay": (-1, "nan"),
                "clip_norm": (0, -1, "nan", "inf"),
                "warm_up": (-0.1, 1.5, "nan"),
                "ema_decays": ("[-0.1]", "[0.9, 1]", "[nan]", 0.9),
                "decay_steps": (-1, 1.5),
                "hold": (-1, "nan"),
                "freeze_norms": (1,),
                "validate_every": (0, -5),
                "log_every": (0, -5),
                "patience": (-1, 2.5),
                "segment_seconds": (0, -1, "nan", 1e6),
                "overlap": (1, -0.1, "nan"),
                "freeze_encoder": (1, "yes"),
                "seed": (-1, 1 << 70, 0.5),
                "without_licenses": ("gpl", "[1]"),
                "mixtures": (3,),
                "mixtures.segment_seconds": (0, -1, "nan", 1e6),
                "mixtures.aligned_share": (-0.1, 1.1, "nan", "true"),
                "mixtures.wide_share": (2,),
                "mixtures.song_pitch_spread": (-1, "inf"),
                "mixtures.vocals_level_db": ("[1, 2, 3]", "[7, -9]", 5, "[nan, 1]", "[-999, 1]"),
                "mixtures.vocal_chain": (1,),
                "loss": (1,),
                "loss.error_norm": (-1, "nan", "inf", "much"),
                "config": (1,),
                "config.layers": (0, -1, 10**6, 1.5, "nan"),
                "config.hidden": (0, 10**9),
                "config.n_fft": (0, 10**9, "nan"),
                "config.hop_length": (0, 8192),
                "config.dropout": (1, "nan"),
            }.items()
            for value in values
        ),
        ("loss={error_norm=0}", "no loss has a weight"),
        ("ema_decays=[]", "names no average"),
        ("decay_steps=9", "exceeds the steps"),
        ("schedule=moon", "schedule must be"),
        ("config={features=16000,hidden=16000,layers=64}", "weights; at most"),
        ("config.band_edges_hz=[0.0, 100.0]", "bands must reach"),
        ("freeze_encoder=true", "has no encoder"),
        ("seed.many=1", "seed is not a table"),
        ("=3", "no field ''"),
        ('mask_figures=["beauty"]', "unknown mask figure beauty"),
        ("loss={error_norm=1.0,magnitude_l1=1.0}", "at once"),
    ],
)
def test_wrong_settings_are_usage_errors(setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_recipe(None, ["seed=2", setting])


def test_what_a_network_lacks_is_a_usage_error() -> None:
    for settings, says in (
        (["architecture=lstm_mask"], "two stems"),
        (["architecture=open_unmix", "loss={magnitude_l1=1}"], "has no masks"),
        (["architecture=open_unmix", 'mask_figures=["dice"]'], "has no masks"),
        (["architecture=open_unmix", "config.heard_bins=9999"], "cannot be heard"),
        (["architecture=unet_ratio_mask", "config.bands=9999"], "shared out"),
    ):
        with pytest.raises(UsageError, match=says):
            read_recipe(None, settings)


def test_every_number_of_a_recipe_has_a_range() -> None:
    for kind in (Recipe, MixtureConfig):
        for name, hint in hints_of(kind).items():
            default = getattr(kind(), name)
            if type(default) in (int, float):
                assert any(isinstance(one, Within) for one in hint.__metadata__), name
                for value in (float("nan"), float("inf"), -1e18, 10**40):
                    with pytest.raises(ValueError, match=f"{name} must be"):
                        check_fields(kind, {name: value})


@pytest.mark.parametrize(
    "changes",
    [
        *({"workers": value} for value in (-1, 10**6)),
        *({"stop_after": value} for value in (-1.0, math.nan)),
    ],
)
def test_wrong_options_are_refused_before_anything_is_decoded(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RunOptions([], Path("run"), Path("cache"), "cpu", **changes)


@pytest.mark.parametrize("name", ["start_from", "init_encoder", "teacher"])
def test_what_is_no_checkpoint_is_refused_before_anything_is_decoded(name: str) -> None:
    with pytest.raises(ModelError):
        Start(**{name: Path("nowhere")})


def test_wrong_recipes_are_errors(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("# Größe\nsteps = 3".encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin\.toml"):
        read_recipe(tmp_path / "latin.toml")
    with pytest.raises(NoInputError, match=r"gone\.toml"):
        read_recipe(tmp_path / "gone.toml")
    (tmp_path / "bad.toml").write_text("batch_size: 3", encoding="utf-8")
    with pytest.raises(UsageError, match=r"bad\.toml"):
        read_recipe(tmp_path / "bad.toml")


@pytest.fixture
def recipe(tiny_header: Header) -> Recipe:
    """Train a tiny network for as long as the test says."""
    return Recipe(
        config=tiny_header.config,
        mixtures=MixtureConfig(segment_seconds=0.5),
        time_budget=0.0,
        steps=1_000_000,
        warm_up=0.0,
        batch_size=2,
        validate_every=4,
        log_every=2,
    )


def train(trainer: Trainer, steps: int) -> list[float]:
    """Take some steps on the mixtures that come next."""
    return [
        trainer.train_step(batch)
        for batch, _ in zip(trainer.batches(workers=0), range(steps), strict=False)
    ]


def read_log(run: Path) -> list[dict[str, object]]:
    """Read a run's log without its times."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_a_run_that_stops_goes_on_as_if_it_had_not(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path, optimizer: str
) -> None:
    recipe = replace(recipe, optimizer=optimizer)
    straight = train(Trainer(recipe, recordings, tmp_path / "a"), 6)
    first = Trainer(recipe, recordings, tmp_path / "b")
    losses_before = train(first, 3)
    first.save()
    second = Trainer(recipe, recordings, tmp_path / "b")
    assert second.state.step == 3
    assert losses_before + train(second, 3) == straight


def test_muon_moves_matrices_alike_in_all_directions(tiny_header: Header) -> None:
    network = build_network(tiny_header)
    optimizer = MuonWithAdamW(network, lr=0.01, weight_decay=0.0)
    muon, adamw = (part.param_groups[0]["params"] for part in optimizer.parts)
    assert len(muon) + len(adamw) == len(list(network.parameters()))
    assert {weight.ndim for weight in muon} == {2}
    assert any(weight is network.band_embedding for weight in adamw)
    matrix = network.over_time[0].lstm.weight_hh_l0
    before = matrix.detach().clone()
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter) * torch.logspace(0, -1, parameter.shape[-1])
    optimizer.step()
    moves = torch.linalg.svdvals(matrix.detach() - before)
    assert moves.max() < 3 * moves.min()
    optimizer.zero_grad()
    assert matrix.grad is None


def matrices_after(optimizer: type[torch.optim.Optimizer], steps: int) -> list[torch.Tensor]:
    """Take steps down fixed slopes with an optimizer of matrices."""
    torch.manual_seed(0)
    shapes = [(64, 16), (16, 64), (24, 24)]
    weights = [torch.nn.Parameter(0.1 * torch.randn(shape)) for shape in shapes]
    options = {} if optimizer is Muon else {"adjust_lr_fn": "match_rms_adamw"}
    one = optimizer(weights, lr=0.01, weight_decay=0.1, **options)
    for _ in range(steps):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        one.step()
    return [weight.detach() for weight in weights]


def test_muon_follows_that_of_torch() -> None:
    started, ours, theirs = (
        matrices_after(kind, steps)
        for kind, steps in ((Muon, 0), (Muon, 20), (torch.optim.Muon, 20))
    )
    for start, one, other in zip(started, ours, theirs, strict=True):
        # bfloat16 has three digits.
        assert (one - other).norm() < 0.02 * (other - start).norm()


def test_the_state_of_torchs_muon_is_taken_over(tiny_header: Header) -> None:
    network = build_network(tiny_header)
    ours = MuonWithAdamW(network, lr=0.01, weight_decay=0.1)
    weights = ours.parts[0].param_groups[0]["params"]
    theirs = torch.optim.Muon(weights, lr=0.01, adjust_lr_fn="match_rms_adamw")
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    theirs.step()
    ours.load_state_dict({"parts": [theirs.state_dict(), ours.parts[1].state_dict()]})
    for weight in weights:
        moments = [one.state[weight]["momentum_buffer"] for one in (theirs, ours.parts[0])]
        assert moments[0].equal(moments[1])
    ours.step()
    assert ours.state_dict()["parts"][0]["state"].keys() == theirs.state_dict()["state"].keys()


def test_a_step_is_taken_without_bfloat16(corpus: Path, tmp_path: Path) -> None:
    # As a processor without AVX-512: oneDNN then has no LSTM in bfloat16.
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    path = tmp_path / "recipe.toml"
    path.write_text(TINY_RECIPE, encoding="utf-8")
    options = ["--recipe", path, "--set", "steps=1", "--workers", "0", "--device", "cpu"]
    command = [sys.executable, "-m", "karaoke", "train", corpus, "-o", tmp_path / "run", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_bfloat16_is_tried_before_it_is_used() -> None:
    code = (
        "import torch\n"
        "from karaoke.training.precision import autocast, has_bfloat16, runs_bfloat16\n"
        "torch.manual_seed(1); state = torch.get_rng_state()\n"
        "print(has_bfloat16('cpu'), runs_bfloat16('cpu'), autocast('cpu')._enabled)\n"
        "assert state.equal(torch.get_rng_state())\n"
    )
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")  # elsewhere there is no such limit
    without = "False False False\n" if on_x86 else None
    for limit, expected in (("AVX2", without), ("DEFAULT", None)):
        environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": limit}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        has, _, enabled = done.stdout.split()
        assert has == enabled
        assert expected is None or done.stdout == expected


def test_passes_add_up_to_the_batch(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    whole = Trainer(replace(recipe, batch_size=4), recordings, tmp_path / "a")
    parts = Trainer(replace(recipe, batch_size=4, accumulate=2), recordings, tmp_path / "b")
    np.testing.assert_allclose(train(whole, 3), train(parts, 3), rtol=1e-2)


def test_a_run_starts_from_a_checkpoint(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    first = Trainer(recipe, recordings, tmp_path / "a")
    train(first, 3)
    first.report()
    checkpoint = tmp_path / "a" / "last.safetensors"
    header = read_header(checkpoint)
    assert header.config["magnitude_exponent"] == 0.3, "defaults are written out"
    second = Trainer(recipe, recordings, tmp_path / "b", start=Start(start_from=checkpoint))
    assert second.state.step == 0
    for name, weight in second.network.state_dict().items():
        torch.testing.assert_close(weight, first.average.state_dict()[name], atol=0, rtol=0)


def test_a_network_is_held_to_what_it_knew(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    first = Trainer(recipe, recordings, tmp_path / "first")
    train(first, 3)
    first.report()
    start = tmp_path / "first" / "last.safetensors"
    mixture = 0.1 * torch.randn(1, 2, 20_000)

    def distance(hold: float) -> float:
        held = replace(recipe, hold=hold, learning_rate=3e-3, warm_up=0.0)
        trainer = Trainer(held, recordings, tmp_path / f"{hold}", start=Start(start_from=start))
        before = trainer.network.eval()(mixture).detach()
        train(trainer, 8)
        assert all(name.startswith("network.") for name in trainer.objective.state_dict())
        return float((trainer.network.eval()(mixture).detach() - before).norm())

    free, held = distance(0.0), distance(30.0)
    assert 0 < held < 0.7 * free
    with pytest.raises(UsageError, match="--teacher"):
        Trainer(replace(recipe, hold=1.0), recordings, tmp_path / "none")


def test_a_network_learns_from_a_teacher_of_another_shape(
    recipe: Recipe, recordings: list[Recording], tiny_header: Header, tmp_path: Path
) -> None:
    header = replace(tiny_header, config={**tiny_header.config, "features": 12})
    teacher = build_network(header)
    save_checkpoint(tmp_path / "teacher.safetensors", teacher, header)
    recipe = replace(recipe, hold=30.0, learning_rate=3e-3, warm_up=0.0)
    start = Start(teacher=tmp_path / "teacher.safetensors")
    trainer = Trainer(recipe, recordings, tmp_path / "run", start=start)
    mixture = 0.1 * torch.randn(1, 2, 20_000)
    taught = teacher.eval()(mixture).detach()

    def distance() -> float:
        return float((trainer.network.eval()(mixture).detach() - taught).norm())

    before = distance()
    trainer.network.train()
    train(trainer, 12)
    assert distance() < 0.9 * before


def test_a_teacher_of_other_stems_is_refused(
    recipe: Recipe, recordings: list[Recording], tiny_model: Path, tmp_path: Path
) -> None:
    recipe = replace(recipe, hold=1.0, stems=STEMS[1])
    with pytest.raises(UsageError, match="has the stems vocals, not vocals, instrumental"):
        Trainer(recipe, recordings, tmp_path / "run", start=Start(teacher=tiny_model))


def test_a_run_branches_off_and_goes_on(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    recipe = replace(recipe, steps=1000, schedule="constant", decay_steps=4, warm_up=0.0)
    trunk = Trainer(recipe, recordings, tmp_path / "trunk")
    train(trunk, 3)
    trunk.save()
    before = (tmp_path / "trunk" / "last.pt").read_bytes()
    branch = Trainer(
        recipe, recordings, tmp_path / "b", start=Start(branch_from=tmp_path / "trunk")
    )
    for one, other in zip(
        branch.network.state_dict().values(), trunk.network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    assert branch.run(workers=0) and branch.state.step == 7
    assert branch.optimizer.param_groups[0]["lr"] < 0.2 * recipe.learning_rate
    assert (tmp_path / "trunk" / "last.pt").read_bytes() == before
    train(trunk, 1)
    assert trunk.optimizer.param_groups[0]["lr"] == recipe.learning_rate
    # Called again when the trunk has gone on, it still ends where it ends.
    trunk.save()
    again = Trainer(recipe, recordings, tmp_path / "b", start=Start(branch_from=tmp_path / "trunk"))
    assert again.run(workers=0) and again.state.step == 7
    with pytest.raises(UsageError, match="no saved run"):
        Trainer(recipe, recordings, tmp_path / "c", start=Start(branch_from=tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="would not decay"):
        Trainer(
            replace(recipe, schedule="cosine"),
            recordings,
            tmp_path / "c",
            start=Start(branch_from=tmp_path / "trunk"),
        )


def test_averages_at_two_horizons(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    recipe = replace(recipe, ema_decays=(0.0, 0.5))
    trainer = Trainer(recipe, recordings, tmp_path)
    first = [w.detach().clone() for w in trainer.network.parameters()]
    train(trainer, 1)
    last, slow = trainer.averages.networks
    rows = zip(
        first,
        trainer.network.parameters(),
        last.parameters(),
        slow.parameters(),
        strict=True,
    )
    for before, now, none, half in rows:
        torch.testing.assert_close(none, now)
        # A young average follows quickly: 1/21 is left after the first step.
        torch.testing.assert_close(half, before + (now - before) * 20 / 21)
    trainer.save()
    again = Trainer(recipe, recordings, tmp_path)
    for one, other in zip(again.averages.networks[1].parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_a_deeper_network_begins_as_the_shallower_one(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    first = Trainer(recipe, recordings, tmp_path / "a")
    train(first, 3)
    first.report()
    checkpoint = tmp_path / "a" / "last.safetensors"
    deeper = replace(recipe, config={**recipe.config, "layers": 3})
    second = Trainer(deeper, recordings, tmp_path / "b", start=Start(start_from=checkpoint))
    mixture = 0.1 * torch.randn(1, 2, 20_000)
    with torch.no_grad():
        same = second.network.eval()(mixture)
        torch.testing.assert_close(same, first.average.eval()(mixture))
    before = second.network.over_time[2].linear.weight.clone()
    train(second, 3)
    assert not second.network.over_time[2].linear.weight.equal(before), "and it learns"
    wider = replace(recipe, config={**recipe.config, "features": 12})
    with pytest.raises(ModelError, match="mismatch"):
        Trainer(wider, recordings, tmp_path / "c", start=Start(start_from=checkpoint))


def test_a_folder_with_another_network_is_not_resumed(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    Trainer(recipe, recordings, tmp_path).save()
    for changes in ({"config": {**recipe.config, "layers": 2}}, {"optimizer": "muon"}):
        with pytest.raises(UsageError, match="another network or optimizer"):
            Trainer(replace(recipe, **changes), recordings, tmp_path)


def test_a_run_goes_on_when_networks_have_got_more_fields(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    first = Trainer(recipe, recordings, tmp_path)
    train(first, 1)
    first.save()
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    for field in ("over_bands", "half_rate_layers", "attention_heads"):
        del saved["header"]["config"][field]
    torch.save(saved, tmp_path / "last.pt")
    assert Trainer(recipe, recordings, tmp_path).state.step == 1
    for header in ({**saved["header"], "architecture": "moon"}, {}, "text"):
        torch.save({**saved, "header": header}, tmp_path / "last.pt")
        with pytest.raises(UsageError, match="another network"):
            Trainer(recipe, recordings, tmp_path)


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "text", "pickle", "other", "stateless", "wider"]
)
def test_what_is_no_state_of_a_run_is_named(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path, damage: str
) -> None:
    Trainer(recipe, recordings, tmp_path).save()
    path = tmp_path / "last.pt"
    content, saved = path.read_bytes(), torch.load(path, weights_only=True)
    contents = {
        "cut": content[:2000],
        "empty": b"",
        "text": b"<html>",
        "pickle": pickle.dumps(os.system),
    }
    if damage in contents:
        path.write_bytes(contents[damage])
    else:
        wider = {name: torch.cat([t, t]) for name, t in saved["network"].items()}
        changed = {
            "other": [1, 2],
            "stateless": {**saved, "state": {"moon": 1}},
            "wider": {**saved, "network": wider},
        }
        torch.save(changed[damage], path)
    with pytest.raises(DamagedModelError, match=r"last\.pt.*not the state of a run.*Delete it"):
        Trainer(recipe, recordings, tmp_path)


def test_a_state_that_cannot_be_written_leaves_the_one_of_before(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    trainer = Trainer(recipe, recordings, tmp_path)
    trainer.save()
    before = (tmp_path / "last.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # as a full disk
    try:
        with pytest.raises(WriteError, match=r"last\.pt"):
            trainer.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not list(tmp_path.glob(".karaoke-*"))


def test_part_files_of_killed_runs_do_not_pile_up(tmp_path: Path) -> None:
    code = "import os\nfrom pathlib import Path\nfrom karaoke.files import PartFile\n"
    code += "with PartFile(Path('last.pt')): os._exit(9)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert len(list(tmp_path.glob(".karaoke-*"))) == 2
    write_state(tmp_path / "last.pt", {"step": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("saved", [False, True])
def test_a_loss_that_is_no_number_keeps_the_weights_of_before(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path, saved: bool
) -> None:
    trainer = Trainer(recipe, recordings, tmp_path)
    train(trainer, 3)
    if saved:
        trainer.report()
    before = [weight.clone() for weight in trainer.average.parameters()]
    with torch.no_grad():  # as a step that was far too large leaves a weight
        trainer.network.over_time[0].linear.bias[0] = math.nan
    with pytest.raises(DivergedError, match="at step 4") as caught:
        train(trainer, 1)
    for weight, kept in zip(trainer.average.parameters(), before, strict=True):
        assert weight.equal(kept)
    if saved:
        assert "the weights of step 3 are kept" in str(caught.value)
        assert "best.safetensors, last.pt" in str(caught.value)
        load_checkpoint(tmp_path / "best.safetensors")
    else:
        assert "no weights were saved" in str(caught.value)


def test_a_run_learns_logs_and_writes_checkpoints(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    trainer = Trainer(recipe, recordings, tmp_path)
    batch = next(iter(trainer.batches(workers=0)))
    history = [trainer.train_step(batch) for _ in range(30)]
    assert np.mean(history[-5:]) < 0.9 * np.mean(history[:5])
    trainer.recipe = replace(recipe, steps=31)
    assert trainer.run(workers=0)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 31
    assert set(lines[-1]["figures"]) == {"two", "all", "choose"}
    network, header = load_checkpoint(tmp_path / "best.safetensors")
    assert header.stems == ("vocals",)
    assert network(torch.zeros(1, 2, 100)).shape == (1, 1, 2, 100)
    facts = json.loads((tmp_path / "best.json").read_text(encoding="utf-8"))
    assert facts["steps"] == 31 and facts["recipe"]["config"]["layers"] == 1
    assert facts["data"]["song-vocals"]["recordings"] == 1
    assert facts["figures"]["all"]["vocals_sdr"] < 30
    assert not list(tmp_path.glob("*.part"))


def test_the_best_weights_are_chosen_by_the_score(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    trainer = Trainer(recipe, recordings, tmp_path)
    train(trainer, 1)
    trainer.report()
    assert (trainer.state.stale, trainer.state.quiet) == (0, trainer.state.best > 0)
    best = (tmp_path / "best.safetensors").read_bytes()
    train(trainer, 1)
    trainer.state = replace(trainer.state, best=-100.0, quiet=True)
    trainer.recipe = replace(recipe, leak_limit_db=-200.0)
    trainer.report()
    assert (trainer.state.stale, trainer.state.best) == (1, -100), "it leaks, the best did not"
    assert (tmp_path / "best.safetensors").read_bytes() == best
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    del saved["state"]["quiet"]
    torch.save(saved, tmp_path / "last.pt")
    assert Trainer(recipe, recordings, tmp_path).state.best == -math.inf, "of another measure"


def test_patience_ends_a_run_that_gets_no_better(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    # At a learning rate of nothing, no validation beats the first.
    patient = replace(recipe, learning_rate=0.0, weight_decay=0.0, ema_decays=(0.0,), patience=2)
    trainer = Trainer(patient, recordings, tmp_path)
    assert trainer.run(workers=0)
    assert trainer.state.step == 3 * recipe.validate_every


def test_a_run_without_validation_songs_keeps_its_last_weights(
    recipe: Recipe, recordings: list[Recording], tmp_path: Path
) -> None:
    only = [r for r in recordings if r.split == "train"]
    trainer = Trainer(replace(recipe, steps=5), only, tmp_path)
    assert trainer.run(workers=0)
    best, last = (load_checkpoint(tmp_path / f"{n}.safetensors")[0] for n in ("best", "last"))
    for one, other in zip(best.parameters(), last.parameters(), strict=True):
        assert one.equal(other)


def test_interrupted_command_goes_on_to_the_same_losses(
    program: Path, corpus: Path, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(TINY_RECIPE, encoding="utf-8")

    def command(run: Path, *workers: str) -> list[str]:
        cache = ["--cache", str(tmp_path / "cache"), "--device", "cpu"]
        steps = ["--recipe", str(path), "--set", "steps=40", "--set", "validate_every=16"]
        return [str(program), "train", str(corpus), "--out", str(run), *cache, *steps, *workers]

    # Who makes the batches, another process or the same one, makes no difference.
    straight = subprocess.run(
        command(tmp_path / "a", "--workers", "0"), capture_output=True, text=True, check=False
    )
    assert straight.returncode == 0, straight.stderr
    run = tmp_path / "b"
    process = subprocess.Popen(command(run), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (run / "log.jsonl").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said and "the same command resumes" in said
    stopped_at = torch.load(run / "last.pt", weights_only=True)["state"]["step"]
    assert 2 <= stopped_at < 40
    again = subprocess.run(
        command(run, "--workers", "0"), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert read_log(run) == read_log(tmp_path / "a")
    one, other = (load_checkpoint(tmp_path / n / "last.safetensors")[0] for n in ("a", "b"))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert a.equal(b)


def test_two_processes_train_as_one_command(corpus: Path, tmp_path: Path) -> None:
    run, path = tmp_path / "run", tmp_path / "recipe.toml"
    path.write_text(TINY_RECIPE, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    options = ["--set", "steps=5", "--workers", "0", "--cache", str(tmp_path / "cache")]
    options += ["--recipe", str(path), "--tensorboard"]
    train = ["-m", "karaoke", "train", str(corpus), "--out", str(run), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*torchrun, *train, *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in read_log(run)] == [2, 4, 5]
    facts = json.loads((run / "last.json").read_text(encoding="utf-8"))
    assert facts["processes"] == 2 and facts["steps"] == 5
    load_checkpoint(run / "last.safetensors")
    (events,) = (run / "tensorboard").iterdir()
    content = events.read_bytes()
    for name in (b"learning rate", b"vocals/all", b"mixture", b"estimate"):
        assert name in content
