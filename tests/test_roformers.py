"""The RoFormers: parity with the packages, bands, lengths, precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from karaoke.audio.blocks import Block
from karaoke.errors import ModelError
from karaoke.separation.checkpoints import build_network, load_checkpoint, save_checkpoint
from karaoke.separation.devices import has_bfloat16_units
from karaoke.separation.headers import Header, read_safetensors
from karaoke.separation.networks import roformer
from karaoke.separation.networks.bs_roformer import BSRoformerConfig
from karaoke.separation.networks.mel_band_roformer import mel_bands
from karaoke.separation.separator import Separator
from karaoke.store.catalogue import read_entry
from karaoke.store.conversion import convert
from karaoke.store.roformers import rename_roformer
from tests.roformers import BS, MEL, RATE, small

#: Leaves out what newer versions of the package have added.
PLAIN = {"linear_transformer_depth": 0, "add_value_residual": False, "num_residual_streams": 1}


@pytest.fixture(params=["mel_band_roformer", "bs_roformer"])
def architecture(request: pytest.FixtureRequest) -> str:
    """Name each of them in turn."""
    name: str = request.param
    return name


def theirs(package: str, stems: int) -> tuple[nn.Module, str, dict[str, Any]]:
    """Build a network of a package, with weights far from those it starts with."""
    training = {"instruments": ["vocals", "drums", "bass"][:stems]}
    if package == "melband-roformer-infer":
        module = pytest.importorskip("mel_band_roformer.mel_band_roformer")
        name, model = "mel_band_roformer", {**MEL, "num_stems": stems}
        network = module.MelBandRoformer(**model)
    else:
        module = pytest.importorskip("bs_roformer")
        name = "mel_band_roformer" if "mel" in package else "bs_roformer"
        if name == "mel_band_roformer":
            model = {**MEL, **PLAIN, "num_stems": stems}
            network = module.MelBandRoformer(**model)
        else:
            model = {**BS, "num_residual_streams": 1, "num_stems": stems}
            bins = tuple(model["freqs_per_bands"])
            network = module.BSRoformer(**{**model, "freqs_per_bands": bins})
            for part in network.modules():  # which no published model has
                if hasattr(part, "to_value_residual_mix"):
                    part.to_value_residual_mix = None
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    return network.eval(), name, {"model": model, "training": training}


@pytest.mark.filterwarnings("ignore")  # the packages' own
@pytest.mark.parametrize("package", ["melband-roformer-infer", "bs-roformer, mel", "bs-roformer"])
def test_parity_with_the_packages(package: str, tmp_path: Path, rng: np.random.Generator) -> None:
    torch.manual_seed(int(rng.integers(1 << 31)))
    network, name, config = theirs(package, stems := int(rng.integers(1, 4)))
    torch.save(network.state_dict(), tmp_path / "theirs.ckpt")
    header = convert({"x": tmp_path / "theirs.ckpt"}, name, tmp_path / "ours", config)
    assert header.stems == ("vocals", "drums", "bass")[:stems]
    ours, _ = load_checkpoint(tmp_path / "ours")
    halved = load_file(tmp_path / "ours")
    whole = rename_roformer(network.state_dict())
    assert {weight.dtype for weight in halved.values()} == {torch.float16}
    assert all(halved[key].equal(weight.half()) for key, weight in whole.items())
    mixture = 0.3 * torch.randn(2, 2, 110 * 60)
    with torch.no_grad():
        expected = network(mixture).view(2, stems, 2, -1)
    assert expected.std() > 1e-3
    half = ours(mixture).detach()
    ours.load_state_dict(whole, assign=True)
    # Gradients ask for full precision.
    torch.testing.assert_close(ours(mixture).detach(), expected, atol=1e-4, rtol=0)
    assert (ours(mixture) - expected).std() < 1e-5 * expected.std()
    assert (half - expected).std() < 5e-3 * expected.std()
    with torch.inference_mode():
        fast = ours(mixture)
    # bfloat16 where there are units for it; 38 dB are far below what any separation gets wrong.
    assert (fast - expected).std() < (1.2e-2 if has_bfloat16_units("cpu") else 1e-5) * (
        expected.std()
    )


def filters(bands: int, rate: int, n_fft: int) -> NDArray[np.bool_]:
    """Mark the bins of each band as the package does."""
    bank = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands)
    bank[0, 0] = bank[-1, -1] = 1
    return bank > 0


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("rate", [44100, 48000, 16000, 1500])
def test_mel_bands_are_those_of_librosa(rate: int) -> None:
    for bands, n_fft in ((60, 2048), (20, 512), (128, 4096), (7, 256), (1, 64)):
        expected = filters(bands, rate, n_fft)
        if not expected.any(axis=1).all():
            with pytest.raises(ModelError, match="has no bin"):
                mel_bands(bands, sample_rate=rate, n_fft=n_fft)
            continue
        found = np.zeros_like(expected)
        for band, (start, end) in enumerate(mel_bands(bands, sample_rate=rate, n_fft=n_fft)):
            found[band, start:end] = True
        assert (found == expected).all(), (bands, n_fft)


def test_the_published_size() -> None:
    entry = read_entry(Path(__file__).parents[1] / "models" / "mel-roformer-kim.json")
    with torch.device("meta"):
        network = build_network(Header(stems=entry.stems, **entry.outline))
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert entry.parameters == weights == 228_202_788
    (file,) = entry.downloads
    # The rest is names and rotary frequencies.
    assert file.size_bytes is not None
    assert 0 < file.size_bytes - 4 * weights < 400_000


@pytest.mark.parametrize("length", [1, 200, 256, 5000])
def test_any_length_comes_back(architecture: str, length: int) -> None:
    network = small(architecture, ("vocals", "drums"))
    stems = network(torch.randn(2, 2, length))
    assert stems.shape == (2, 2, 2, length)
    assert stems.isfinite().all()


def test_silence_stays_silent(architecture: str) -> None:
    network = small(architecture)
    assert network(torch.zeros(1, 2, 4000)).abs().max() == 0
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, 4000)).abs().max() == 0


def test_masks_are_complex(architecture: str) -> None:
    network = small(architecture)
    mixture = torch.randn(1, 2, 5000)
    turned = network.stft(network(mixture)[:, 0]) * network.stft(mixture).conj()
    assert turned.angle()[..., 5:-5].abs().mean() > 0.2


def test_a_bin_in_two_bands_gets_the_mean_of_their_masks() -> None:
    network = small("mel_band_roformer")
    with torch.no_grad():
        for band, estimator in enumerate(network.estimators[0]):
            for parameter in estimator.mask.parameters():
                parameter.zero_()
            # A gated linear unit: half of its first half, which are pairs of real and imaginary.
            real = estimator.mask.bias[: len(estimator.mask.bias) // 2 : 2]
            real += 2.0 if band % 2 else 6.0
    spectrogram = torch.randn(1, 3, network.stft.bins, 2, 2)
    tokens = torch.randn(1, 20, 3, 24)
    mask = network.mask(network.estimators[0], tokens, spectrogram, torch.float32)
    assert mask[..., 1].abs().max() == 0
    found = mask[0, 0, :, 0, 0]
    for bin_ in range(network.stft.bins):
        inside = [b for b, (start, end) in enumerate(network.bands) if start <= bin_ < end]
        assert found[bin_] == np.mean([1.0 if band % 2 else 3.0 for band in inside])


def test_rows_at_a_time_do_not_matter(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small(architecture)
    mixture = torch.randn(2, 2, 3000)
    monkeypatch.setattr(roformer, "has_bfloat16_units", lambda kind: False)
    at_once = network(mixture)
    for tokens in (1, 100, 1 << 20):
        monkeypatch.setattr(roformer, "TOKENS", {"cpu": tokens})
        with torch.inference_mode():
            torch.testing.assert_close(network(mixture), at_once, atol=1e-5, rtol=0)


def test_every_weight_is_trained(architecture: str) -> None:
    network = small(architecture, ("vocals", "drums"))
    network(torch.randn(2, 2, 3000)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("mel_band_roformer", {"head_features": 7}, "must be even"),
        ("mel_band_roformer", {"bands": 200}, "has no bin"),
        ("bs_roformer", {"band_bins": [100, 156]}, "add up to 257, not 256"),
        ("bs_roformer", {"band_bins": [1] * 257}, "more than 256"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        small(name, **changes)


def test_weights_stay_as_stored_unless_they_are_whole_numbers(
    architecture: str, tmp_path: Path
) -> None:
    network = small(architecture)
    name = "turns.0.time.layers.0.attention.project.weight"
    state = {key: weight.half() for key, weight in network.state_dict().items()}
    state[name] = torch.ones_like(state[name])
    network.load_state_dict(state)
    config, mixture = dataclasses.asdict(network.config), torch.randn(1, 2, 3000)
    header = Header(architecture, config, RATE, 2, ("vocals",), 0.3, 0.5)
    save_checkpoint(tmp_path / "single", network, header)
    metadata, _ = read_safetensors(tmp_path / "single")
    save_file({**state, name: state[name].long()}, tmp_path / "whole", metadata)
    loaded, _ = load_checkpoint(tmp_path / "whole")
    assert {p.dtype for p in loaded.parameters()} == {torch.float16, torch.float32}
    torch.testing.assert_close(loaded(mixture), network(mixture))


def test_bs_config_takes_lists() -> None:
    assert BSRoformerConfig(n_fft=64, band_bins=[16, 17]).band_bins == (16, 17)  # type: ignore
    assert dataclasses.replace(BSRoformerConfig()).band_bins[-1] == 129


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_gpu_gives_what_the_cpu_gives(architecture: str, noise: Callable[..., Block]) -> None:
    torch.manual_seed(0)
    network = small(architecture)
    header = Header(architecture, {}, RATE, 2, ("vocals",), 0.3, 0.5)
    song = noise(2, 50_000)
    on_gpu = Separator(network, header, device="cuda").separate(song)["vocals"]
    on_cpu = Separator(network, header, device="cpu").separate(song)["vocals"]
    assert np.std(on_cpu) > 1e-3
    # Either may compute in bfloat16.
    assert np.std(on_gpu - on_cpu) < 2e-2 * np.std(on_cpu)
