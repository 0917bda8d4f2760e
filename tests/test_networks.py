"""The networks: bands partition the bins; masks, shapes, phase, level, stereo."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from karaoke.errors import ModelError
from karaoke.separation.networks import NETWORKS
from karaoke.separation.networks.band_split_bilstm import HINTS, BandSplitBiLSTM, BandSplitConfig
from karaoke.separation.networks.bands import VOICE_BAND_EDGES_HZ, band_widths


@given(
    edges=st.lists(st.floats(50, 21_000), min_size=0, max_size=40, unique=True),
    n_fft=st.sampled_from([512, 1000, 2048, 4096]),
)
def test_bands_partition_the_bins(edges: list[float], n_fft: int) -> None:
    edges_hz = [0.0, *sorted(edges), 22050.0]
    try:
        widths = band_widths(edges_hz, sample_rate=44100, n_fft=n_fft)
    except ModelError as error:
        assert "no bin" in error.message  # bands closer than two bins are refused, not merged
        return
    assert len(widths) == len(edges_hz) - 1
    assert min(widths) >= 1
    assert sum(widths) == n_fft // 2 + 1
    first_bin = 0
    for low_hz, width in zip(edges_hz, widths, strict=False):
        assert abs(first_bin * 44100 / n_fft - low_hz) <= 22050 / n_fft + 1e-6
        first_bin += width


@pytest.mark.parametrize("edges", [[], [0.0], [10.0, 22050.0], [0.0, 20000.0], [0, 5, 6, 22050]])
def test_bands_that_do_not_cover_the_spectrum_are_refused(edges: list[float]) -> None:
    with pytest.raises(ModelError):
        band_widths(edges, sample_rate=44100, n_fft=512)


def test_default_size() -> None:
    network = BandSplitBiLSTM(BandSplitConfig(), sample_rate=44100, channels=2, stems=("vocals",))
    assert len(network.widths) == len(VOICE_BAND_EDGES_HZ) - 1 == 25
    assert sum(p.numel() for p in network.parameters()) == 1_843_218


@pytest.fixture(
    params=[
        {},
        {"shared_bands": True},
        {"shared_bands": True, "stereo_centre": True, "local_channels": 4, "local_layers": 2},
        {"over_bands": "attention"},
        {"over_bands": "mixer"},
        {"layers": 3, "half_rate_layers": 1},
        {"layers": 4, "half_rate_layers": 2, "over_bands": "mixer"},
    ],
    ids=[
        "own layers",
        "shared layers",
        "convolutions",
        "attention",
        "mixer",
        "half rate",
        "half rate, mixer",
    ],
)
def network(request: pytest.FixtureRequest) -> BandSplitBiLSTM:
    """Build a small network with random weights."""
    torch.manual_seed(1)
    shape: dict[str, Any] = {
        "n_fft": 512,
        "hop_length": 128,
        "band_edges_hz": (0.0, 500.0, 1000.0, 1500.0, 4000.0, 22050.0),
        "features": 8,
        "hidden": 8,
        "layers": 2,
        "mask_hidden": 16,
    }
    config = BandSplitConfig(**(shape | request.param))
    built = BandSplitBiLSTM(config, sample_rate=44100, channels=2, stems=("vocals", "drums"))
    for name, parameter in built.named_parameters():
        adds = name.startswith(("local_", "over_bands.", "half_rates.")) and "norm" not in name
        if adds and not parameter.any():  # and so add nothing before training
            torch.nn.init.normal_(parameter, std=0.1)
    return built.eval()


def test_the_difference_of_the_channels_is_an_input_of_its_own(network: BandSplitBiLSTM) -> None:
    mixture = torch.randn(1, 2, 3000)
    views = network.compress(network.stft(mixture))
    assert views.shape[1] == network.views == 3 + network.config.stereo_centre
    centred = network.compress(network.stft(mixture[:, :1].expand(-1, 2, -1)))
    assert centred[:, 2].max() < 0.1 * centred[:, 0].mean()
    without = dataclasses.replace(network.config, stereo_difference=False)
    plain = BandSplitBiLSTM(without, sample_rate=44100, channels=2, stems=("vocals",))
    assert plain.compress(plain.stft(mixture)).shape[1] == network.views - 1
    assert plain(mixture).shape == (1, 1, 2, 3000)


def test_the_centre_is_what_the_channels_have_in_common() -> None:
    config = BandSplitConfig(n_fft=512, hop_length=128, stereo_centre=True, magnitude_exponent=1.0,
                             band_edges_hz=(0.0, 500.0, 22050.0))  # fmt: skip
    network = BandSplitBiLSTM(config, sample_rate=44100, channels=2, stems=("vocals",))
    mono = torch.randn(1, 1, 3000)
    left, _, _, centre = network.power(network.stft(mono.expand(-1, 2, -1)))[0]
    torch.testing.assert_close(centre, 4 * left)
    for other in (0 * mono, -mono):
        aside = network.power(network.stft(torch.cat([mono, other], dim=1)))
        assert aside[0, 3].max() == 0


def test_convolutions_add_nothing_before_training() -> None:
    bands = (0.0, 500.0, 1000.0, 9000.0, 22050.0)
    config = BandSplitConfig(n_fft=512, hop_length=128, band_edges_hz=bands, local_channels=4)
    network = BandSplitBiLSTM(config, sample_rate=44100, channels=2, stems=("vocals",))
    assert network.local_bins == sum(network.widths[:3])  # bands that begin below 8 kHz
    spectrogram = network.stft(torch.randn(1, 2, 3000))
    masks, hints = network.model_bands(network.standardise(spectrogram))
    assert hints.shape[1:3] == (HINTS, network.local_bins)
    # Not to the bit: the sigmoid of another memory layout is rounded otherwise.
    found, alone = network.masks(spectrogram)[0, 0], masks[0].sigmoid()
    torch.testing.assert_close(found, alone, atol=1e-6, rtol=0)


def test_bands_of_one_width_may_share_their_layers(network: BandSplitBiLSTM) -> None:
    shared = network.config.shared_bands
    assert network.widths[:3] == (6, 6, 5)  # the third needs padding
    if shared:
        assert network.groups == [slice(0, 3), slice(3, 4), slice(4, 5)]
    else:
        assert network.groups == [slice(band, band + 1) for band in range(5)]
    assert len(network.embed) == len(network.estimate) == (3 if shared else 5)


def test_dropout_is_for_training_only(network: BandSplitBiLSTM) -> None:
    config = dataclasses.replace(network.config, dropout=0.5)
    dropping = BandSplitBiLSTM(config, sample_rate=44100, channels=2, stems=("vocals", "drums"))
    dropping.load_state_dict(network.state_dict())
    mixture = torch.randn(1, 2, 3000)
    assert dropping.eval()(mixture).equal(network(mixture))
    assert not dropping.train()(mixture).equal(dropping(mixture))


@pytest.mark.parametrize("length", [1, 100, 512, 5000])
def test_any_length_comes_back(network: BandSplitBiLSTM, length: int) -> None:
    stems = network(torch.randn(3, 2, length))
    assert stems.shape == (3, 2, 2, length)
    assert stems.isfinite().all()


def test_masks_are_real_and_between_zero_and_one(network: BandSplitBiLSTM) -> None:
    spectrogram = network.stft(torch.randn(2, 2, 3000))
    masks = network.masks(spectrogram)
    assert masks.shape == (2, 2, 2, *spectrogram.shape[2:])
    assert not masks.is_complex()
    assert masks.min() >= 0 and masks.max() <= 1
    assert masks.std() > 0


def test_stems_keep_the_phase_of_the_mixture(network: BandSplitBiLSTM) -> None:
    spectrogram = network.stft(torch.randn(1, 2, 3000))
    masked = network.masks(spectrogram) * spectrogram[:, None]
    turned = (masked * spectrogram[:, None].conj()).angle()
    torch.testing.assert_close(turned, torch.zeros_like(turned), atol=1e-5, rtol=0)


def test_level_does_not_matter(network: BandSplitBiLSTM) -> None:
    mixture = 0.1 * torch.randn(1, 2, 4000)
    torch.testing.assert_close(network(8 * mixture), 8 * network(mixture), atol=1e-4, rtol=1e-3)


def test_silence_stays_silent(network: BandSplitBiLSTM) -> None:
    stems = network(torch.zeros(1, 2, 4000))
    assert stems.abs().max() == 0


def test_side_matters(network: BandSplitBiLSTM) -> None:
    torch.manual_seed(0)
    left, right = torch.randn(2, 1, 1, 4000)
    wide = network.masks(network.stft(torch.cat([left, right], 1)))
    narrow = network.masks(network.stft(torch.cat([left, left], 1)))
    assert (wide[:, :, 0] - narrow[:, :, 0]).abs().max() > 1e-4


def test_calibration_standardises_the_input(network: BandSplitBiLSTM) -> None:
    mixture = torch.randn(4, 2, 20_000)
    network.calibrate(mixture)
    views = network.compress(network.stft(mixture))
    views = (views - network.input_mean[..., None]) / network.input_scale[..., None]
    assert views.mean(dim=(0, 3)).abs().max() < 1e-3
    assert (views.std(dim=(0, 3)) - 1).abs().max() < 1e-3


def test_every_weight_is_trained(network: BandSplitBiLSTM) -> None:
    network(torch.randn(2, 2, 2000)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_mono_network() -> None:
    config = BandSplitConfig(n_fft=512, hop_length=256, band_edges_hz=(0.0, 1000.0, 22050.0))
    network = BandSplitBiLSTM(config, sample_rate=44100, channels=1, stems=("vocals",))
    assert network(torch.randn(1, 1, 999)).shape == (1, 1, 1, 999)


def test_every_config_is_a_frozen_dataclass() -> None:
    for _, config in NETWORKS.values():
        assert dataclasses.is_dataclass(config)
        assert dataclasses.fields(config)
        with pytest.raises(dataclasses.FrozenInstanceError):
            config().n_fft = 1
