"""Open-Unmix: the mask's contract, and parity with the authors' package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.networks.open_unmix import OpenUnmix, OpenUnmixConfig
from karaoke.store.conversion import convert
from tests.published import write_open_unmix

SMALL = OpenUnmixConfig(n_fft=512, hop_length=128, heard_bins=180, hidden=16)


@pytest.fixture
def network() -> OpenUnmix:
    """Build a small network with random weights."""
    torch.manual_seed(1)
    built = OpenUnmix(SMALL, sample_rate=44100, channels=2, stems=("vocals", "drums"))
    return built.eval()


def test_published_size() -> None:
    network = OpenUnmix(OpenUnmixConfig(), sample_rate=44100, channels=2, stems=("vocals",))
    assert sum(p.numel() for p in network.parameters()) == 8_893_348


@pytest.mark.parametrize("length", [1, 100, 512, 5000])
def test_any_length_comes_back(network: OpenUnmix, length: int) -> None:
    stems = network(torch.randn(3, 2, length))
    assert stems.shape == (3, 2, 2, length)
    assert stems.isfinite().all()


def test_masks_are_real_and_never_negative(network: OpenUnmix) -> None:
    magnitudes = network.stft(torch.randn(2, 2, 3000)).abs()
    for target in network.targets.values():
        mask = target(magnitudes)
        assert mask.shape == magnitudes.shape
        assert not mask.is_complex()
        assert mask.min() >= 0
        assert mask.std() > 0


def test_stems_are_the_masked_mixture(network: OpenUnmix) -> None:
    mixture = torch.randn(1, 2, 3000)
    for target in network.targets.values():  # masks of one give the mixture back
        torch.nn.init.zeros_(target.output_scale)
        torch.nn.init.ones_(target.output_mean)
    stems = network(mixture)
    torch.testing.assert_close(stems[:, 0], mixture, atol=1e-5, rtol=0)
    torch.testing.assert_close(stems[:, 1], mixture, atol=1e-5, rtol=0)


def test_only_the_lowest_bins_are_heard_but_all_are_masked(network: OpenUnmix) -> None:
    magnitudes = network.stft(torch.randn(1, 2, 3000)).abs()
    target = network.targets["vocals"]
    before = target(magnitudes)
    magnitudes[:, :, SMALL.heard_bins :] *= 3
    assert target(magnitudes).equal(before)
    magnitudes[:, :, : SMALL.heard_bins] *= 3
    assert not target(magnitudes).equal(before)
    assert before[:, :, SMALL.heard_bins :].std() > 0


def test_every_weight_is_trained(network: OpenUnmix) -> None:
    network.train()(torch.randn(2, 2, 2000)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_parity_with_the_package(tmp_path: Path) -> None:
    # OSError: a torchaudio, which it imports, that was built for another torch.
    theirs = pytest.importorskip("openunmix.model", exc_type=(ImportError, OSError))
    files, networks = {}, {}
    for seed, stem in enumerate(("vocals", "drums", "bass", "other")):
        files[stem] = write_open_unmix(tmp_path / f"{stem}.pth", seed=seed)
        networks[stem] = theirs.OpenUnmix(nb_bins=2049, hidden_size=512, max_bin=1487).eval()
        weights = torch.load(files[stem], weights_only=True)
        missing, unexpected = networks[stem].load_state_dict(weights, strict=False)
        assert not missing
        assert set(unexpected) == {"sample_rate", "stft.window", "transform.0.window"}
    convert(files, "open_unmix", tmp_path / "ours.safetensors")
    ours, header = load_checkpoint(tmp_path / "ours.safetensors")
    assert header.stems == ("vocals", "drums", "bass", "other")
    with torch.inference_mode():
        magnitudes = torch.rand(2, 2, 2049, 40)
        for stem, network in networks.items():
            masked = ours.targets[stem](magnitudes) * magnitudes
            torch.testing.assert_close(masked, network(magnitudes), atol=1e-5, rtol=1e-5)
        # Silent ends, since they pad with mirrored audio and we with silence.
        mixture = torch.nn.functional.pad(0.1 * torch.randn(1, 2, 40 * 1024), (8192, 8192))
        whole = theirs.Separator(networks, niter=0).eval()
        torch.testing.assert_close(ours(mixture), whole(mixture), atol=1e-5, rtol=0)
