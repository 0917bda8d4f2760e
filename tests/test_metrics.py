"""The metrics against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from karaoke.metrics import sdr, si_sdr


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
