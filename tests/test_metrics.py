"""The metrics against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from karaoke.evaluation.metrics import (
    GAIN_RANGE_DB,
    binary_mask,
    dice,
    has_music,
    leak_db,
    magnitude_mse,
    mask_accuracy,
    sdr,
    si_sdr,
    si_sdr_gain,
    si_snr,
)


@given(gain=st.floats(0.1, 10), noise_db=st.floats(-40, 20))
def test_against_the_definitions(gain: float, noise_db: float) -> None:
    rng = np.random.default_rng(0)
    target = rng.standard_normal(2000)
    noise = rng.standard_normal(2000)
    noise -= target * (noise @ target) / (target @ target)
    noise *= 10 ** (noise_db / 20) * np.linalg.norm(target) / np.linalg.norm(noise)
    estimate = torch.from_numpy(gain * (target + noise))
    truth = torch.from_numpy(target)
    # Orthogonal noise: SI-SDR is exactly the level ratio, whatever the gain.
    assert float(si_sdr(estimate, truth)) == pytest.approx(-noise_db, abs=1e-6)
    error = (1 - gain) ** 2 + gain**2 * 10 ** (noise_db / 10)
    assert float(sdr(estimate, truth)) == pytest.approx(-10 * math.log10(error), abs=1e-6)


def test_batches_and_silence() -> None:
    target = torch.randn(3, 2, 100)
    assert sdr(target, target).shape == (3, 2)
    assert sdr(target, target).min() > 60
    assert sdr(torch.zeros(100), torch.zeros(100)).isfinite()
    assert si_sdr(torch.zeros(100), torch.randn(100)).isfinite()
    assert si_sdr(torch.randn(100), torch.zeros(100)).isfinite()


def test_silence_and_nonsense_gain_the_least() -> None:
    torch.manual_seed(0)
    target, other = torch.randn(2, 2, 8000)
    mixture = target + 3 * other
    assert float(si_sdr(torch.zeros(16000), target.flatten())) > -1, "0 dB, above the mixture's"
    for level in (0.0, 1e-9, 1e-4):
        assert si_sdr_gain(level * target, target, mixture) == GAIN_RANGE_DB[0]
    assert si_sdr_gain(target * math.nan, target, mixture) == GAIN_RANGE_DB[0]
    assert si_sdr_gain(torch.randn(2, 8000), target, mixture) == GAIN_RANGE_DB[0]
    assert si_sdr_gain(target, target, mixture) == GAIN_RANGE_DB[1]
    assert si_sdr_gain(0.01 * target, target, mixture) == GAIN_RANGE_DB[1], "soft, but all there"


def test_levels() -> None:
    mixture = 0.1 * torch.randn(2, 8000)
    assert leak_db(0.01 * mixture, mixture) == pytest.approx(-40, abs=1e-3)
    assert leak_db(torch.zeros(2, 8000), mixture) == -200
    assert leak_db(mixture, 1e-5 * mixture) is None, "nothing can leak"
    assert has_music(mixture, 0.1 * mixture) and not has_music(mixture, 0.01 * mixture)


def test_centred_si_snr_does_not_hear_an_offset() -> None:
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.standard_normal((2, 4000)))
    estimate = target + 0.1 * torch.from_numpy(rng.standard_normal((2, 4000)))
    torch.testing.assert_close(si_snr(estimate + 3, target - 2), si_snr(estimate, target))
    torch.testing.assert_close(si_snr(estimate, target, centred=False), si_sdr(estimate, target))
    assert (si_snr(estimate + 3, target, centred=False) < 0).all()


def test_ratios_as_torchmetrics() -> None:
    audio = pytest.importorskip("torchmetrics.functional.audio")
    rng = np.random.default_rng(2)
    target = torch.from_numpy(0.3 + rng.standard_normal((3, 4000)))
    estimate = 0.5 * target + 0.2 * torch.from_numpy(rng.standard_normal((3, 4000)))
    for found, expected in (
        (sdr(estimate, target), audio.signal_noise_ratio(estimate, target)),
        (si_sdr(estimate, target), audio.scale_invariant_signal_distortion_ratio(estimate, target)),
        (si_snr(estimate, target), audio.scale_invariant_signal_noise_ratio(estimate, target)),
    ):
        torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


def test_masks_and_magnitudes() -> None:
    stem = torch.tensor([3, 1, 2j, 0, -4])
    rest = torch.tensor([1, 3, 1, 0, -4j])
    mask = binary_mask(stem, rest)
    assert mask.tolist() == [True, False, True, False, False]
    assert binary_mask(stem, rest, 0.3).tolist() == [True, False, True, False, True]
    ideal = torch.tensor([True, True, True, False, False])
    assert float(mask_accuracy(mask, ideal)) == pytest.approx(0.8)
    assert float(dice(mask, ideal)) == pytest.approx(2 * 2 / (2 + 3))
    nothing = torch.zeros(5, dtype=torch.bool)
    assert dice(mask, nothing) == 0 and dice(nothing, nothing).isnan()
    # Magnitudes 3 1 2 0 4 against 1 3 1 0 4; the phase does not matter.
    assert float(magnitude_mse(stem, rest)) == pytest.approx(9 / 5)
    assert float(magnitude_mse(stem, rest, 2.0)) == pytest.approx(9 / 20)
