"""The layers between bands and masks: what each knows, keeps, and begins as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from karaoke.errors import ModelError
from karaoke.separation.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.separation.headers import Header
from karaoke.separation.networks.band_split_bilstm import BandSplitBiLSTM, BandSplitConfig
from karaoke.separation.networks.band_split_ensemble import BandSplitEnsemble
from karaoke.separation.networks.trunks import OVER_BANDS, HalfRate, layer_over_bands
from karaoke.store.catalogue import find_model
from karaoke.training.optimizers import MuonWithAdamW
from karaoke.training.precision import autocast, has_bfloat16
from karaoke.training.workshop.combine import combine, take_out

SMALL: dict[str, Any] = {
    "n_fft": 512,
    "hop_length": 256,
    "band_edges_hz": (0.0, 500.0, 1000.0, 4000.0, 22050.0),
    "features": 8,
    "hidden": 6,
    "layers": 3,
    "mask_hidden": 8,
}
TRUNKS: list[dict[str, Any]] = [
    {},
    {"over_bands": "attention"},
    {"over_bands": "mixer"},
    {"half_rate_layers": 1},
    {"over_bands": "attention", "half_rate_layers": 1},
    {"over_bands": "mixer", "half_rate_layers": 1},
]


def small(**changes: Any) -> BandSplitBiLSTM:
    """Build a small network with random weights."""
    torch.manual_seed(1)
    config = BandSplitConfig(**(SMALL | changes))
    return BandSplitBiLSTM(config, sample_rate=44100, channels=2, stems=("vocals",))


def layer(kind: str, bands: int = 5, dropout: float = 0.0) -> nn.Module:
    """Build a layer over bands with 8 features."""
    torch.manual_seed(2)
    return layer_over_bands(kind, 8, 6, bands=bands, heads=2, dropout=dropout)


@torch.no_grad()
def train_a_little(module: nn.Module) -> None:
    """Move all weights, those that are zero before training too."""
    for weight in module.parameters():
        weight += 0.3 * torch.randn_like(weight)


def test_without_options_the_trunk_is_pairs_of_bilstms() -> None:
    network = small()
    views = torch.randn(2, 3, 257, 7)
    parts = torch.split(views.permute(0, 3, 1, 2), list(network.widths), dim=-1)
    pairs = zip(network.embed, parts, strict=True)
    features = torch.stack([embed(part.flatten(2)) for embed, part in pairs], dim=1)
    features = features + network.band_embedding[:, None]
    for along_time, along_bands in zip(network.over_time, network.over_bands, strict=True):
        features = along_time(features.reshape(2 * 4, 7, 8)).reshape(2, 4, 7, 8)
        rows = features.transpose(1, 2).reshape(2 * 7, 4, 8)
        features = along_bands(rows).reshape(2, 7, 4, 8).transpose(1, 2)
    bands = zip(network.estimate, features.unbind(1), network.widths, strict=True)
    masks = [net(band).view(2, 7, 2, width) for net, band, width in bands]
    assert network.model_bands(views)[0].equal(torch.cat(masks, dim=-1).permute(0, 2, 3, 1))


def test_the_default_model_has_the_weights_that_it_had() -> None:
    network, _ = load_checkpoint(find_model("open-v4"))
    assert isinstance(network, BandSplitEnsemble)
    for member in network:
        known = {"band_embedding", "input_mean", "input_scale"}
        directions = [f"{part}_l0{way}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                      for way in ("", "_reverse")]  # fmt: skip
        parts = ["norm.weight", "norm.bias", *(f"lstm.{name}" for name in directions)]
        parts += ["linear.weight", "linear.bias"]
        for index in range(member.config.layers):
            known |= {f"{along}.{index}.{part}" for along in ("over_time", "over_bands")
                      for part in parts}  # fmt: skip
        held = {n for n in member.state_dict() if not n.startswith(("embed", "estimate", "local"))}
        assert held == known
        assert (member.config.over_bands, member.config.half_rate_layers) == ("lstm", 0)


@pytest.mark.parametrize("kind", ["attention", "mixer"])
def test_new_layers_over_bands_begin_as_the_identity(kind: str) -> None:
    built, rows = layer(kind), torch.randn(3, 5, 8)
    assert built(rows).equal(rows)
    train_a_little(built)
    assert (built(rows) - rows).abs().mean() > 0.1


@pytest.mark.parametrize("kind", OVER_BANDS)
def test_every_band_hears_all_others_of_its_frame_alone(kind: str) -> None:
    built = layer(kind)
    train_a_little(built)
    rows = torch.randn(3, 5, 8)
    for band in range(5):
        changed = rows.clone()
        changed[1, band] += torch.randn(8)
        moved = (built(changed) - built(rows)).abs().amax(dim=-1)
        assert (moved[1] > 1e-5).all()
        assert moved[[0, 2]].max() < 1e-6


@pytest.mark.parametrize("kind", OVER_BANDS)
def test_bands_are_told_apart(kind: str) -> None:
    built, rows, order = layer(kind), torch.randn(3, 5, 8), torch.tensor([2, 0, 1, 4, 3])
    train_a_little(built)
    assert (built(rows[:, order]) - built(rows)[:, order]).abs().mean() > 0.05
    if kind == "attention":  # by their embedding, and nothing else
        torch.nn.init.zeros_(built.get_parameter("band_embedding"))
        torch.testing.assert_close(built(rows[:, order]), built(rows)[:, order])


def test_attention_weighs_the_bands() -> None:
    built, rows = layer("attention"), torch.randn(3, 5, 8)
    train_a_little(built)
    known = built.norm(rows) + built.band_embedding  # type: ignore[operator]
    attended = []
    for head in (slice(0, 4), slice(4, 8)):
        query, key, value = (
            (known @ built.get_parameter(f"{name}.weight").T)[..., head]
            for name in ("query", "key", "value")
        )
        query = query + built.get_parameter("query.bias")[head]
        value = value + built.get_parameter("value.bias")[head]
        attended.append((query @ key.transpose(1, 2) / 2).softmax(-1) @ value)
    residual = torch.cat(attended, -1) @ built.get_parameter("linear.weight").T
    expected = built.mlp(rows + residual + built.get_parameter("linear.bias"))  # type: ignore[operator]
    torch.testing.assert_close(built(rows), expected)


@pytest.mark.parametrize("kind", OVER_BANDS)
def test_layers_drop_in_training_only(kind: str) -> None:
    built, rows = layer(kind, dropout=0.5), torch.randn(3, 5, 8)
    train_a_little(built)
    assert not built(rows).equal(built(rows))
    assert built.eval()(rows).equal(built(rows))


@given(frames=st.integers(1, 9), at=st.integers(0, 8), seed=st.integers(0, 99))
def test_an_impulse_stays_in_its_pair_of_frames(frames: int, at: int, seed: int) -> None:
    torch.manual_seed(seed)
    half, heard = HalfRate(8), torch.zeros(1, 2, frames, 8)
    train_a_little(half)
    at = at % frames
    heard[:, :, at] = torch.randn(8)
    seen = []

    def double(pairs: Tensor) -> Tensor:
        seen.append(pairs)
        return 2 * pairs

    changed = (half(heard, double) - heard).abs().amax(dim=(0, 1, 3)) > 1e-6
    pair = at // 2
    assert seen[0].shape == (1, 2, (frames + 1) // 2, 8)
    assert (seen[0].abs().amax(dim=(0, 1, 3)) > 1e-6).nonzero().tolist() == [[pair]]
    assert changed.nonzero().flatten().tolist() == list(range(frames))[2 * pair : 2 * pair + 2]


@given(frames=st.integers(1, 9))
def test_half_the_rate_begins_as_the_mean_of_pairs(frames: int) -> None:
    half, heard = HalfRate(8), torch.randn(2, 3, frames, 8)
    assert half(heard, lambda pairs: pairs).equal(heard)
    flipped = half(heard.flip(2), lambda pairs: pairs.tanh()).flip(2)
    if frames % 2 == 0:  # nothing lags: time may as well run backwards
        torch.testing.assert_close(flipped, half(heard, lambda pairs: pairs.tanh()))
    steady = heard[:, :, :1].expand(-1, -1, frames, -1)
    torch.testing.assert_close(half(steady, lambda pairs: pairs.tanh()), steady.tanh())


def test_the_first_and_the_last_layers_are_at_the_full_rate() -> None:
    network, lengths = small(layers=5, half_rate_layers=2), []
    for module in network.over_time:
        module.register_forward_hook(lambda _, heard, __: lengths.append(heard[0].shape[1]))
    with torch.no_grad():
        network.model_bands(torch.randn(1, 3, 257, 11))
    assert lengths == [11, 6, 6, 11, 11]


@pytest.mark.parametrize("trunk", TRUNKS, ids=str)
def test_every_weight_learns_from_the_first_steps(trunk: dict[str, Any]) -> None:
    network = small(**trunk)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    optimizer = MuonWithAdamW(network, lr=0.01, weight_decay=0.0)
    by_muon = {id(weight) for weight in optimizer.parts[0].param_groups[0]["params"]}
    for _ in range(3):  # the first moves the layers that begin with zeros, the next what is behind
        optimizer.zero_grad()
        network(torch.randn(2, 2, 3000)).square().mean().backward()
        optimizer.step()
    for name, weight in network.named_parameters():
        assert not weight.equal(before[name]), name
        assert (id(weight) in by_muon) == (weight.ndim == 2 and "embedding" not in name), name


@pytest.mark.parametrize("kind", ["attention", "mixer"])
def test_counts_of_weights(kind: str) -> None:
    bands, features, hidden = 25, 48, 64
    norms, mlp = 2 * 2 * features, 2 * features * 2 * hidden + 2 * hidden + features
    over = {
        "attention": bands * features + 4 * features**2 + 3 * features,
        "mixer": 2 * bands * hidden + hidden + bands,
    }
    default = BandSplitConfig()
    built = BandSplitBiLSTM(
        replace(default, over_bands=kind, half_rate_layers=2),
        sample_rate=44100,
        channels=2,
        stems=("vocals",),
    )
    for made in built.over_bands:
        assert sum(w.numel() for w in made.parameters()) == norms + mlp + over[kind]
    assert sum(w.numel() for w in built.half_rates.parameters()) == 2 * features**2
    lstm = (
        2 * features + 2 * 4 * hidden * (features + hidden + 2) + 2 * hidden * features + features
    )
    assert sum(w.numel() for w in built.parameters()) == 1_843_218 + 2 * features**2 + 4 * (
        norms + mlp + over[kind] - lstm
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"over_bands": "conformer"}, "lstm or attention or mixer, not 'conformer'"),
        ({"over_bands": "attention", "attention_heads": 3}, "8 features .* 3 heads"),
        ({"over_bands": "attention", "attention_heads": 16}, "8 features .* 16 heads"),
        ({"half_rate_layers": 2}, "first and the last layer of 3"),
        ({"layers": 2, "half_rate_layers": 1}, "first and the last layer of 2"),
        ({"layers": 1, "half_rate_layers": 1}, "first and the last layer of 1"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        small(**changes)
    assert small(layers=1).config.half_rate_layers == 0


@pytest.mark.parametrize("trunk", TRUNKS, ids=str)
def test_a_deeper_network_begins_as_the_shallower_one(trunk: dict[str, Any]) -> None:
    shallow, deep, mixture = small(**trunk), small(**trunk, layers=5), torch.randn(1, 2, 4000)
    train_a_little(shallow)
    train_a_little(deep)
    deep.adopt(shallow.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(deep(mixture), shallow(mixture))
    for other in TRUNKS:
        if other != trunk:
            with pytest.raises(RuntimeError, match=r"do not fit|size mismatch"):
                small(**other, layers=5).adopt(shallow.state_dict())


def test_networks_with_different_trunks_vote(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.safetensors" for index in range(len(TRUNKS))]
    for path, trunk in zip(paths, TRUNKS, strict=True):
        network = small(**trunk)
        train_a_little(network)
        config = asdict(network.config)
        header = Header("band_split_bilstm", config, 44100, 2, ("vocals",), 1.0, 0.25)
        save_checkpoint(path, network, header)
    combine(paths, tmp_path / "all.safetensors")
    mixture = torch.randn(1, 2, 5000)
    with torch.no_grad():
        alone = torch.stack([load_checkpoint(path)[0](mixture) for path in paths])
        voted = load_checkpoint(tmp_path / "all.safetensors")[0](mixture)
    assert (voted - alone.mean(0)).norm() < 2e-3 * voted.norm()
    take_out(tmp_path / "all.safetensors", tmp_path / "taken.safetensors", len(TRUNKS))
    header = load_checkpoint(tmp_path / "taken.safetensors")[1]
    assert build_network(header).config == network.config


@pytest.mark.parametrize("trunk", TRUNKS, ids=str)
def test_half_precision_is_near_full_precision(trunk: dict[str, Any]) -> None:
    if not has_bfloat16("cpu"):
        pytest.skip("a processor without bfloat16")
    network, mixture = small(**trunk), torch.randn(2, 2, 6000)
    spectrogram = network.stft(mixture)
    with autocast("cpu"):
        masks = network.masks(spectrogram)
    assert masks.dtype == torch.float32
    torch.testing.assert_close(masks, network.masks(spectrogram), atol=0.02, rtol=0)
    masks.square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """Be a group of processes of one's own."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("trunk", TRUNKS[3:], ids=str)
def test_side_by_side_no_weight_is_waited_for(group: None, trunk: dict[str, Any]) -> None:
    parallel = DistributedDataParallel(small(**trunk))
    for length in (3000, 200):  # it refuses the second step if the first left a weight out
        parallel(torch.randn(2, 2, length)).square().mean().backward()
