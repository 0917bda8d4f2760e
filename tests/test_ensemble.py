"""Networks that vote: the masks are the mean of the members', and one file holds them all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from karaoke.errors import ModelError
from karaoke.evaluation.methods import model_method
from karaoke.separation.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.separation.headers import Header
from karaoke.separation.networks.band_split_ensemble import BandSplitEnsembleConfig
from karaoke.separation.networks.mask_vote import MaskVote
from karaoke.separation.qualities import QUALITIES
from karaoke.store.catalogue import find_model
from karaoke.store.loading import load_model
from karaoke.training.workshop.combine import combine, halve, interpolate, take_out
from tests.launching import run_karaoke


@pytest.fixture
def members(tmp_path: Path, tiny_header: Header) -> list[Path]:
    """Write two networks of different sizes and weights."""
    paths = []
    for seed, hidden in enumerate((8, 12)):
        torch.manual_seed(seed)
        header = replace(tiny_header, config={**tiny_header.config, "hidden": hidden})
        network = build_network(header)
        network.calibrate(0.1 * torch.randn(4, 2, 8000))  # type: ignore[operator]
        paths.append(tmp_path / f"member{seed}.safetensors")
        save_checkpoint(paths[-1], network, header)
    return paths


def test_the_masks_are_the_mean_of_the_members(members: list[Path], tmp_path: Path) -> None:
    combine(members, tmp_path / "ensemble.safetensors")
    ensemble, header = load_checkpoint(tmp_path / "ensemble.safetensors")
    assert header.architecture == "mask_vote"
    mixture = torch.randn(2, 2, 7000)
    with torch.no_grad():
        first, second = (load_checkpoint(path)[0](mixture) for path in members)
        voted = ensemble(mixture)
    assert (first - second).norm() > 0.05 * first.norm()  # else the mean says nothing
    # Half precision, and no more than that, is lost.
    assert (voted - (first + second) / 2).norm() < 1e-3 * voted.norm()


def test_a_lower_exponent_asks_for_agreement(members: list[Path], tmp_path: Path) -> None:
    spectrogram = torch.randn(1, 2, 257, 20, dtype=torch.complex64)
    path = tmp_path / "ensemble.safetensors"
    with torch.no_grad():
        masks = [load_checkpoint(member)[0].masks(spectrogram) for member in members]
        votes = []
        for exponent in (1.0, 0.5):
            combine(members, path, exponent)
            votes.append(load_checkpoint(path)[0].masks(spectrogram))
    geometric = (masks[0] * masks[1]).sqrt()
    assert (votes[1] <= votes[0] + 1e-3).all() and (votes[1] >= geometric - 1e-3).all()
    expected = ((masks[0].sqrt() + masks[1].sqrt()) / 2).square()
    torch.testing.assert_close(votes[1], expected, atol=1e-3, rtol=0)
    for nonsense in (0.0, np.inf, np.nan):
        with pytest.raises(ModelError, match="exponent"):
            combine(members, path, nonsense)


def test_networks_of_two_kinds_vote_by_weight(members: list[Path], tmp_path: Path) -> None:
    _, header = load_checkpoint(members[0])
    sizes = {"n_fft": header.config["n_fft"], "hop_length": header.config["hop_length"]}
    config = {**sizes, "heard_bins": 128, "widths": (2, 3), "rivals": False, "treble_bands": 4}
    other = replace(header, architecture="spleeter_unet", config=config, segment_seconds=3.0)
    torch.manual_seed(3)
    save_checkpoint(tmp_path / "unet.safetensors", build_network(other).eval(), other)
    both = [tmp_path / "unet.safetensors", members[0]]
    combine(both, tmp_path / "vote.safetensors", weights=[3.0, 1.0])
    vote, described = load_checkpoint(tmp_path / "vote.safetensors")
    assert described.segment_seconds == 3.0
    mixture = 0.1 * torch.randn(1, 2, 20_000)
    with torch.no_grad():
        first, second = (load_checkpoint(path)[0](mixture) for path in both)
        voted = vote(mixture)
        assert (first - second).norm() > 0.05 * first.norm()
        assert (voted - (0.75 * first + 0.25 * second)).norm() < 2e-3 * voted.norm()
        vote.keep(1)  # type: ignore[operator]
        assert (vote(mixture) - first).norm() < 2e-3 * first.norm()
    for number, path in enumerate(both, 1):
        take_out(tmp_path / "vote.safetensors", tmp_path / "taken.safetensors", number)
        taken, of_taken = load_checkpoint(tmp_path / "taken.safetensors")
        assert of_taken.architecture == load_checkpoint(path)[1].architecture
        with torch.no_grad():
            same = load_checkpoint(path)[0](mixture)
            assert (taken(mixture) - same).norm() < 2e-3 * same.norm()
    for weights in ([0.0, 1.0], [float("nan"), 1.0]):
        with pytest.raises(ModelError, match="weight"):
            combine(both, tmp_path / "none.safetensors", weights=weights)
    with pytest.raises(ModelError, match="cannot vote"):
        build_network(
            replace(described, config={"members": [{"architecture": "lstm_mask", "config": {}}]})
        )


def test_the_ensembles_of_old_still_load() -> None:
    network, header = load_checkpoint(find_model("open-v4"))
    assert header.architecture == "band_split_ensemble"
    assert isinstance(network, MaskVote) and len(list(network)) == 4


def test_an_ensemble_may_be_small(members: list[Path], tmp_path: Path) -> None:
    combine(members, tmp_path / "ensemble.safetensors")
    apart = sum(path.stat().st_size for path in members)
    assert (tmp_path / "ensemble.safetensors").stat().st_size < 0.7 * apart


def test_a_member_can_be_taken_out_again(members: list[Path], tmp_path: Path) -> None:
    ensemble, taken = tmp_path / "ensemble.safetensors", tmp_path / "taken.safetensors"
    combine(members, ensemble)
    for number, path in enumerate(members, start=1):
        take_out(ensemble, taken, number)
        (network, header), (original, known) = load_checkpoint(taken), load_checkpoint(path)
        assert header.architecture == "band_split_bilstm"
        assert build_network(header).config == build_network(known).config
        for name, weights in original.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], weights, rtol=1e-3, atol=1e-5)
    for path, number in ((ensemble, 0), (ensemble, 3), (members[0], 1)):
        with pytest.raises(ModelError, match=f"no member {number}"):
            take_out(path, taken, number)


def test_an_ensemble_splits_songs(members: list[Path], tmp_path: Path, song: Path) -> None:
    combine(members, tmp_path / "ensemble.safetensors")
    done = run_karaoke(
        *("split", song, "-o", tmp_path / "out", "-n", tmp_path / "ensemble.safetensors", "-q")
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_a_lower_quality_asks_fewer_members(members: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "ensemble.safetensors"
    combine(members, path)
    mixture = 0.1 * torch.randn(2, 30_000).numpy()
    vocals = {
        name: load_model(path, device="cpu", quality=name).separate(mixture)["vocals"]
        for name in QUALITIES
    }
    alone = load_model(members[0], device="cpu").separate(mixture)["vocals"]
    assert np.linalg.norm(vocals["fast"] - alone) < 1e-3 * np.linalg.norm(alone)
    assert not np.allclose(vocals["fast"], vocals["default"], rtol=0.01)
    methods = [model_method(f"{path}@{name}", device="cpu") for name in QUALITIES]
    assert methods[1].identity == model_method(str(path), device="cpu").identity
    assert len({method.identity for method in methods}) == 2
    assert (methods[0].parameters or 0) < (methods[1].parameters or 0)


def test_members_that_cannot_vote_are_refused(members: list[Path], tmp_path: Path) -> None:
    network, header = load_checkpoint(members[1])
    save_checkpoint(members[1], network, replace(header, stems=("other",)))
    with pytest.raises(ModelError, match=r"member1.*cannot vote"):
        combine(members, tmp_path / "ensemble.safetensors")
    assert not (tmp_path / "ensemble.safetensors").exists()


def test_members_need_one_transform() -> None:
    with pytest.raises(ModelError, match="one transform"):
        BandSplitEnsembleConfig(({}, {"n_fft": 2048, "hop_length": 512}))
    with pytest.raises(ModelError, match="one transform"):
        BandSplitEnsembleConfig(())


def test_a_network_in_half_precision(tiny_model: Path, tmp_path: Path) -> None:
    halve(tiny_model, tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * tiny_model.stat().st_size
    whole, half = (load_checkpoint(path) for path in (tiny_model, tmp_path / "half.safetensors"))
    assert half[1] == whole[1]
    for weight, rounded in zip(whole[0].parameters(), half[0].parameters(), strict=True):
        torch.testing.assert_close(weight, rounded, rtol=1e-3, atol=1e-6)


def test_weights_between_two_states_of_a_network(members: list[Path], tmp_path: Path) -> None:
    out, after = tmp_path / "between.safetensors", tmp_path / "after.safetensors"
    network, header = load_checkpoint(members[0])
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1
    save_checkpoint(after, network, header)
    for share in (0.0, 0.25, 1.0):
        interpolate(members[0], after, out, share)
        found = load_checkpoint(out)[0].state_dict()
        for name, weight in found.items():
            expected = torch.lerp(before[name], network.state_dict()[name], share)
            torch.testing.assert_close(weight, expected)
    combine(members, tmp_path / "ensemble.safetensors")
    with pytest.raises(ModelError, match="two states"):
        interpolate(members[0], tmp_path / "ensemble.safetensors", out, 0.5)
