"""The U-Nets, the LSTM and the CNN: sizes, masks, lengths, in the engine, as a command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from karaoke.audio.blocks import Block
from karaoke.errors import ModelError
from karaoke.separation.checkpoints import build_network, save_checkpoint
from karaoke.separation.headers import Header
from karaoke.separation.networks.bands import growing_band_widths
from karaoke.separation.networks.cnn_binary_mask import (
    CNNBinaryMask,
    CNNBinaryMaskConfig,
    MiddleFrameCNN,
)
from karaoke.separation.networks.lstm_mask import LSTMMask, LSTMMaskConfig
from karaoke.separation.networks.masking import MaskingNetwork
from karaoke.separation.networks.unet_ratio_mask import UNetRatioMask, UNetRatioMaskConfig
from karaoke.separation.networks.unet_soft_mask import UNetSoftMask, UNetSoftMaskConfig
from karaoke.separation.separator import Separator

FOUR = ("vocals", "drums", "bass", "other")
SMALL: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unet_soft_mask": (
        {"n_fft": 512, "hop_length": 256, "width": 4, "levels": 3},
        ("vocals",),
    ),
    "lstm_mask": (
        {"n_fft": 512, "hop_length": 256, "features": 8, "hidden": 8},
        ("vocals", "instrumental"),
    ),
    "cnn_binary_mask": ({"n_fft": 256, "hop_length": 128, "hidden": 8}, FOUR),
    "unet_ratio_mask": (
        {"n_fft": 512, "hop_length": 256, "bands": 64, "width": 4, "levels": 4},
        ("vocals",),
    ),
}


def small_header(name: str) -> Header:
    """Describe a network that is small enough to build in a test."""
    config, stems = SMALL[name]
    return Header(name, config, 44100, 2, stems, 1.0, 0.25)


@pytest.fixture(params=SMALL)
def header(request: pytest.FixtureRequest) -> Header:
    """Describe each of the networks in turn."""
    return small_header(request.param)


@pytest.fixture
def network(header: Header) -> MaskingNetwork:
    """Build it with random weights that make masks on both sides of a half."""
    torch.manual_seed(3)
    network = build_network(header)
    assert isinstance(network, MaskingNetwork)
    network.calibrate(torch.randn(4, 2, 20_000))
    return network.eval()


def count(network: nn.Module) -> int:
    """Count weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def test_sizes_are_those_of_the_sources() -> None:
    audio: dict[str, Any] = {"sample_rate": 44100, "channels": 2}
    assert count(MiddleFrameCNN(513, 128, 0.25)) == 323_233
    cnn = CNNBinaryMask(CNNBinaryMaskConfig(), stems=FOUR, **audio)
    assert count(cnn) == 4 * 323_233
    ratio = UNetRatioMask(UNetRatioMaskConfig(), stems=("vocals",), **audio)
    assert 41.5e6 < count(ratio) < 42.5e6
    soft = UNetSoftMask(UNetSoftMaskConfig(), stems=("vocals",), **audio)
    assert soft.stft(torch.zeros(2, round(6.8 * 44100))).shape == (2, 1025, 587)
    lstm = LSTMMask(LSTMMaskConfig(), stems=("vocals", "instrumental"), **audio)
    assert count(soft) + count(lstm) < 4e6


def test_a_patch_of_the_ratio_network_is_256_by_256() -> None:
    network = UNetRatioMask(
        UNetRatioMaskConfig(width=2), sample_rate=44100, channels=2, stems=("vocals",)
    )
    image = network.standardise(network.stft(torch.randn(1, 2, round(2.96 * 44100))))
    assert image.shape == (1, 2, 256, 256)
    assert network.encoder(image)[-1].shape[2:] == (2, 2)


@pytest.mark.parametrize(("bands", "bins"), [(256, 1025), (64, 257), (1, 9), (9, 9)])
def test_growing_bands_share_out_all_bins(bands: int, bins: int) -> None:
    widths = growing_band_widths(bands, bins=bins)
    assert len(widths) == bands and sum(widths) == bins and min(widths) >= 1
    if bands == 256:
        assert widths[:90] == (1,) * 90 and widths[-1] > 10
    with pytest.raises(ModelError, match="shared out"):
        growing_band_widths(bins + 1, bins=bins)


def test_a_band_has_the_mean_power_of_its_bins() -> None:
    config = UNetRatioMaskConfig(n_fft=512, hop_length=128, bands=32, width=2, levels=2)
    network = UNetRatioMask(config, sample_rate=44100, channels=2, stems=("vocals",))
    spectrogram = torch.randn(3, 2, 257, 5, dtype=torch.complex64)
    bands = network.power(spectrogram)
    widths = growing_band_widths(32, bins=257)
    split = spectrogram.abs().square().split(list(widths), dim=2)
    expected = torch.stack([band.mean(dim=2) for band in split], dim=2)
    torch.testing.assert_close(bands, expected)
    masks = network.eval().masks(spectrogram).split(list(widths), dim=3)
    assert all((band == band[..., :1, :]).all() for band in masks)


@pytest.mark.parametrize("length", [1, 127, 5000, 100_001])
def test_any_length_comes_back(network: MaskingNetwork, header: Header, length: int) -> None:
    with torch.no_grad():
        stems = network(torch.randn(2, 2, length))
    assert stems.shape == (2, len(header.stems), 2, length)
    assert stems.isfinite().all()


def test_masks_are_real_and_between_zero_and_one(network: MaskingNetwork, header: Header) -> None:
    spectrogram = network.stft(torch.randn(2, 2, 9000))
    for mode in (True, False):
        masks = network.train(mode).masks(spectrogram)
        assert masks.shape == (2, len(header.stems), 2, *spectrogram.shape[2:])
        assert masks.dtype == torch.float32
        assert masks.min() >= 0 and masks.max() <= 1
        assert masks.std() > 0


def test_level_does_not_matter_and_silence_stays(network: MaskingNetwork) -> None:
    mixture = 0.1 * torch.randn(1, 2, 9000)
    with torch.no_grad():
        # A power of two, or a rounding decides a bin of a binary mask.
        torch.testing.assert_close(network(8 * mixture), 8 * network(mixture), atol=1e-4, rtol=1e-3)
        assert network(torch.zeros(1, 2, 4000)).abs().max() == 0


def test_every_weight_is_trained(network: MaskingNetwork) -> None:
    network.train()
    network.masks(network.stft(torch.randn(2, 2, 9000)))[:, 0].square().mean().backward()
    for name, parameter in network.named_parameters():
        if not name.startswith(("networks.1", "networks.2", "networks.3")):  # of other stems
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("channels", [1, 2])
def test_the_masks_of_the_lstm_add_up_to_one(channels: int) -> None:
    config = LSTMMaskConfig(n_fft=512, hop_length=256, features=8, hidden=8, bidirectional=False)
    network = LSTMMask(
        config, sample_rate=44100, channels=channels, stems=("vocals", "instrumental")
    )
    mixture = torch.randn(2, channels, 7000)
    masks = network.masks(network.stft(mixture))
    torch.testing.assert_close(masks.sum(dim=1), torch.ones_like(masks[:, 0]))
    torch.testing.assert_close(network(mixture).sum(dim=1), mixture, atol=1e-5, rtol=1e-5)
    with pytest.raises(ModelError, match="two stems"):
        LSTMMask(config, sample_rate=44100, channels=1, stems=("vocals",))


def test_all_frames_at_once_are_each_window_by_itself() -> None:
    torch.manual_seed(0)
    network = MiddleFrameCNN(513, 128, 0.25).eval()
    image = torch.randn(1, 1, 513, 40)
    # The same weights as one window of 25 frames sees them: strides instead of dilations.
    layers = [layer for layer in network.features if not isinstance(layer, nn.Dropout)]
    strides = iter([(3, 2), (3, 3)])
    plain = nn.Sequential()
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            conv = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=(1, 0))
            conv.load_state_dict(layer.state_dict())
            plain.append(conv)
        else:
            pool = isinstance(layer, nn.MaxPool2d)
            plain.append(nn.MaxPool2d(3, stride=next(strides)) if pool else layer)
    with torch.no_grad():
        together = network(image)
        assert together.shape == (1, 513, 16)
        for frame in range(16):
            features = plain(image[..., frame : frame + 25])
            assert features.shape == (1, 16, 57, 2)
            alone = network.judge(features.flatten(1))
            torch.testing.assert_close(together[..., frame], alone, atol=1e-5, rtol=1e-4)


def test_the_masks_of_the_cnn_are_binary_when_separating_and_soft_in_training() -> None:
    header = small_header("cnn_binary_mask")
    network = build_network(header)
    assert isinstance(network, CNNBinaryMask)
    spectrogram = network.stft(torch.randn(1, 2, 9000))
    assert len(network.train().masks(spectrogram).unique()) > 100
    binary = network.eval().masks(spectrogram)
    assert set(binary.unique().tolist()) == {0.0, 1.0}
    assert binary[:, :, 0].equal(binary[:, :, 1]), "one mask for both channels"


def test_streaming_gives_stems_of_the_inputs_length_that_add_up(
    network: MaskingNetwork, header: Header, noise: Callable[..., Block]
) -> None:
    separator = Separator(network, header, device=torch.device("cpu"))
    mixture = noise(2, 70_001)
    whole = separator.separate(mixture, 48000)
    assert set(whole) == {*header.stems, "instrumental"}
    assert all(stem.shape == mixture.shape for stem in whole.values())
    np.testing.assert_allclose(whole["vocals"] + whole["instrumental"], mixture, atol=1e-6)
    blocks = [mixture[:, start : start + 9999] for start in range(0, 70_001, 9999)]
    pieces = list(separator.stream(blocks, sample_rate=48000))
    for name, stem in whole.items():
        streamed = np.concatenate([piece[name] for piece in pieces], axis=1)
        np.testing.assert_allclose(streamed, stem, atol=1e-5)


def test_the_lstm_agrees_with_the_engines_instrumental(noise: Callable[..., Block]) -> None:
    header = small_header("lstm_mask")
    network = build_network(header).eval()
    mixture = noise(2, 44100)
    stems = Separator(network, header, device=torch.device("cpu")).separate(mixture)
    with torch.no_grad():
        own = network(torch.from_numpy(mixture)[None])[0, 1].numpy()
    np.testing.assert_allclose(stems["instrumental"], own, atol=1e-6)


def test_each_splits_a_song_on_the_command_line(
    header: Header,
    wav: Callable[..., Path],
    noise: Callable[..., Block],
    run_karaoke: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    checkpoint, song = tmp_path / "tiny.safetensors", wav(noise(2, 100_000), name="song.wav")
    save_checkpoint(checkpoint, build_network(header), header)
    out = tmp_path / "out"
    done = run_karaoke("split", song, "-o", out, "--model", checkpoint, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    stems = {path.stem: soundfile.read(path)[0] for path in out.rglob("*.wav")}
    assert len(stems) >= 2 and all(stem.shape == (100_000, 2) for stem in stems.values())
