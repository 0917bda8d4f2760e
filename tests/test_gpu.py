"""What suits a GPU: batches by memory, half precision where it is safe; and what GPUs compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from karaoke import load_model
from karaoke.audio.blocks import Block
from karaoke.separation import gpu
from karaoke.separation.gpu import MOST_GPU_BATCH, SHARE_OF_MEMORY, Fit, batch_for, fit_to_gpu
from karaoke.separation.headers import Header
from karaoke.separation.networks import NETWORKS
from karaoke.separation.separator import Separator
from karaoke.store.catalogue import shipped_models

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use")


class Product(nn.Module):
    """Scales the mixture by a product, which half precision rounds, between two gains."""

    def __init__(self, before: float = 1.0, after: float = 0.5) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.layer.weight, 1.0)

    def forward(self, mixture: Tensor) -> Tensor:
        scaled = self.layer(self.before * mixture[..., None])[..., 0]
        return (self.after * scaled.float())[:, None]


class Difference(nn.Module):
    """Gives what two equal products of large numbers differ by, which rounding changes most."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        nn.init.constant_(self.layer.weight, 1.0)
        nn.init.constant_(self.layer.bias, 100.0)

    def forward(self, mixture: Tensor) -> Tensor:
        return (self.layer(mixture[..., None])[..., 0].float() - 100)[:, None]


def test_a_batch_fills_the_memory_and_no_more(rng: np.random.Generator) -> None:
    for _ in range(100):
        free, needed = rng.integers(1, 10**11), rng.integers(1, 10**10)
        batch = batch_for(free, needed)
        assert 1 <= batch <= MOST_GPU_BATCH
        assert batch == 1 or batch * needed <= SHARE_OF_MEMORY * free
        assert batch == MOST_GPU_BATCH or (batch + 1) * needed > SHARE_OF_MEMORY * free
    assert batch_for(8e9, 0) == MOST_GPU_BATCH


def test_half_precision_is_judged_by_what_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gpu.HALF, "cpu", torch.float16)
    mixture = gpu.probe(2, 44_100)

    def safe(network: nn.Module) -> bool:
        with torch.inference_mode():
            return gpu.is_safe(network, mixture, network(mixture))

    assert safe(Product())
    assert not safe(Difference())
    assert not safe(Product(before=1e6)), "beyond the largest number"
    # What cannot run in half precision is not safe in it, and no error.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: (_ for _ in ()).throw(RuntimeError))
    assert not safe(Product())


def test_numbers_out_of_range_are_computed_again(
    tiny_header: Header, monkeypatch: pytest.MonkeyPatch, noise: Callable[..., Block]
) -> None:
    monkeypatch.setitem(gpu.HALF, "cpu", torch.float16)
    song = noise(2, 100_000)
    separator = Separator(Product(before=1e6, after=1e-6), tiny_header)
    expected = separator.separate(song)["vocals"]
    separator.half = True
    np.testing.assert_array_equal(separator.separate(song)["vocals"], expected)
    assert not separator.half, "it does not try again"
    assert np.abs(expected - song).max() < 1e-6


def test_shipped_networks_bear_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that decides yes or no for each bin does not: that is what measuring is for."""
    monkeypatch.setitem(gpu.HALF, "cpu", torch.float16)
    # oneDNN has LSTMs in half precision for some processors only.
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    for name, safe in {"duo-v1": True, "lstm_mask": True, "cnn_binary_mask": False}.items():
        separator = load_model(name, device="cpu")
        mixture = gpu.probe(separator.network_channels, 66_150)
        with torch.inference_mode():
            expected = separator.network(mixture).float()
            assert gpu.is_safe(separator.network, mixture, expected) is safe, name


def test_other_devices_than_cuda_are_left_at_single_precision() -> None:
    for name in ("meta", "mps"):
        fit = fit_to_gpu(nn.Identity(), torch.device(name), channels=2, segment_length=100)
        assert fit == Fit(gpu.GPU_BATCH, half=False)


@pytest.mark.gpu
@on_cuda
@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_a_gpu_gives_what_the_cpu_gives(name: str, noise: Callable[..., Block]) -> None:
    song = noise(2, 700_000)
    on_cpu = load_model(name, device="cpu").separate(song)
    separator = load_model(name, device="cuda")
    assert 1 <= separator.batch_size <= MOST_GPU_BATCH
    on_gpu = separator.separate(song)
    for stem, samples in on_cpu.items():
        error = np.sqrt(np.mean((samples - on_gpu[stem]) ** 2) / np.mean(song**2))
        # A bin of a binary mask falls to one side or the other on the smallest difference.
        assert error < (3e-2 if name == "cnn_binary_mask" else 2e-3), stem


@pytest.mark.gpu
@on_cuda
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_computes_on_a_gpu_what_it_does_elsewhere(name: str) -> None:
    torch.manual_seed(0)
    kind, config = NETWORKS[name]
    stems = ("vocals", "instrumental") if name == "lstm_mask" else ("vocals",)
    network = kind(config(), sample_rate=44_100, channels=2, stems=stems).eval()
    mixture = gpu.probe(2, 44_100)
    with torch.inference_mode():
        expected = network(mixture)
        estimates = network.to("cuda")(mixture.to("cuda")).cpu()
    # Some compute in bfloat16 by themselves, where the hardware has units for it.
    limit = -35 if "roformer" in name else -30 if name == "cnn_binary_mask" else -60
    assert gpu.error_db(estimates, expected, mixture) < limit
    fit = fit_to_gpu(network, torch.device("cuda"), channels=2, segment_length=44_100)
    assert fit.batch_size >= 1
    print(f"{name}: {fit}")


@pytest.mark.gpu
@on_cuda
def test_a_batch_takes_no_more_of_the_gpu_than_its_share() -> None:
    separator = load_model(device="cuda")
    assert separator.half
    free, _ = torch.cuda.mem_get_info()
    torch.cuda.reset_peak_memory_stats()
    length = separator.segment_length * (MOST_GPU_BATCH + 2)
    separator.separate(np.random.default_rng(0).standard_normal((2, length)).astype(np.float32))
    assert torch.cuda.max_memory_allocated() < free
    assert separator.batch_size == MOST_GPU_BATCH or free < 64e9
