"""The U-Net of Spleeter: padding, masks, and weights that come from elsewhere."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from karaoke.errors import ForeignModelError, ModelError
from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.networks.spleeter_unet import (
    DoublingConvolution,
    HalvingConvolution,
    SpleeterUNet,
    SpleeterUNetConfig,
)
from karaoke.store.conversion import convert
from tests.published import spleeter_arrays

SMALL = {"n_fft": 512, "hop_length": 128, "heard_bins": 128, "widths": (2, 3, 4)}


def small(**changes: object) -> SpleeterUNet:
    """Build a small network with random weights."""
    torch.manual_seed(0)
    config = SpleeterUNetConfig(**{**SMALL, **changes})  # type: ignore[arg-type]
    return SpleeterUNet(config, sample_rate=8000, channels=2, stems=("vocals",)).eval()


def test_convolutions_are_padded_as_by_tensorflow() -> None:
    # Of five taps the second lies on the even positions: one of padding before, two after.
    image = torch.randn(1, 1, 8, 12)
    halving, doubling = HalvingConvolution(1, 1), DoublingConvolution(1, 1).eval()
    for layer in (halving, doubling):
        torch.nn.init.zeros_(layer.convolution.weight)
        torch.nn.init.zeros_(layer.convolution.bias)
        layer.convolution.weight.data[0, 0, 1, 1] = 1
    torch.testing.assert_close(halving(image), image[..., ::2, ::2])
    doubled = doubling(image)
    assert doubled.shape == (1, 1, 16, 24)
    torch.testing.assert_close(doubled[..., ::2, ::2] * (1 + 1e-3) ** 0.5, image.relu())
    assert not doubled[..., 1::2, :].any() and not doubled[..., 1::2].any()


@pytest.mark.parametrize("rivals", [True, False])
@pytest.mark.parametrize("length", [1, 100, 5000, 16_384])
def test_songs_of_any_length(rivals: bool, length: int) -> None:
    network = small(rivals=rivals)
    mixture = torch.randn(2, 2, length)
    with torch.no_grad():
        masks = network.masks(network.stft(mixture))
        vocals = network(mixture)
        silence = network(torch.zeros_like(mixture))
    assert vocals.shape == (2, 1, 2, length)
    assert masks.shape[:4] == (2, 1, 2, network.stft.bins)
    assert masks.min() >= 0 and masks.max() <= 1
    above = masks[:, :, :, 128:]
    torch.testing.assert_close(above, masks[:, :, :, :128].mean(3, keepdim=True).expand_as(above))
    assert torch.isfinite(vocals).all() and not silence.any()


def test_networks_that_cannot_be() -> None:
    for changes in ({"heard_bins": 100}, {"heard_bins": 512}, {"widths": ()}):
        with pytest.raises(ModelError):
            small(**changes)
    with pytest.raises(ModelError, match="one stem"):
        SpleeterUNet(SpleeterUNetConfig(), sample_rate=44100, channels=2, stems=("vocals", "other"))


@pytest.mark.parametrize("rivals", [True, False])
def test_weights_from_elsewhere(tmp_path: Path, rivals: bool) -> None:
    torch.manual_seed(0)
    network = SpleeterUNet(
        SpleeterUNetConfig(rivals=rivals), sample_rate=44100, channels=2, stems=("vocals",)
    ).eval()
    files = {}
    for stem, one in zip(("vocals", "accompaniment"), network.networks, strict=False):
        files[stem] = tmp_path / f"{stem}.ckpt"
        files[stem].write_bytes(pickle.dumps(spleeter_arrays(one), protocol=2))
    header = convert(files, "spleeter_unet", tmp_path / "spleeter.safetensors")
    assert (header.stems, header.config) == (("vocals",), {"rivals": rivals})
    taken, _ = load_checkpoint(tmp_path / "spleeter.safetensors")
    mixture = torch.randn(1, 2, 66_000)
    with torch.no_grad():
        torch.testing.assert_close(taken(mixture), network(mixture))


def test_weights_that_are_no_spleeter(tmp_path: Path) -> None:
    path, target = tmp_path / "weights", tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps({"fc1.weight": np.ones((3, 3), np.float32)}))
    with pytest.raises(ForeignModelError, match="not a weight of Spleeter's U-Net"):
        convert({"vocals": path}, "spleeter_unet", target)
    path.write_bytes(pickle.dumps({"down1_conv.1.weight": np.ones((3, 3), np.float32)}))
    with pytest.raises(ForeignModelError, match="do not fit"):
        convert({"vocals": path}, "spleeter_unet", target)
    with pytest.raises(ForeignModelError, match="vocals=FILE"):
        convert({"drums": path}, "spleeter_unet", target)
    assert not target.exists()


def test_a_single_channel_doubles_as_several_do(rng: np.random.Generator) -> None:
    image = torch.from_numpy(rng.standard_normal((2, 3, 4, 6)).astype(np.float32))
    one, two = DoublingConvolution(3, 1).eval(), DoublingConvolution(3, 2).eval()
    with torch.no_grad():
        two.convolution.weight[:, :1] = one.convolution.weight
        assert one.convolution.bias is not None and two.convolution.bias is not None
        two.convolution.bias[:1] = one.convolution.bias
        torch.testing.assert_close(one(image), two(image)[:, :1], atol=1e-6, rtol=1e-5)
