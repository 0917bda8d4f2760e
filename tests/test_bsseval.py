"""BSSEval against the reference implementations, and against what it must say."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from karaoke.evaluation.bsseval import BssEval, FilteredSdr, Nsdr, correlate

RATE = 8000
Signals = NDArray[np.float64]


def signals(stems: int, channels: int, seconds: float, seed: int = 0) -> tuple[Signals, Signals]:
    """Make stems of coloured noise, with the noise of 16 bits, and estimates of them."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((stems, channels, round(RATE * seconds)))
    spectrum = np.fft.rfft(white)
    slopes = np.linspace(0, 3, stems)[:, None, None]
    spectrum *= np.linspace(0.05, 1, spectrum.shape[-1]) ** slopes
    stems_ = 0.2 * np.fft.irfft(spectrum, white.shape[-1])
    stems_[:, -1] += 0.5 * stems_[:, 0]
    stems_ = np.round(stems_ * 2**15) / 2**15
    leak = 0.2 * (stems_.sum(axis=0) - stems_)
    late = np.roll(stems_, 3, axis=-1)
    return stems_, 0.7 * stems_ + 0.1 * late + leak + 0.01 * rng.standard_normal(white.shape)


def reference_metrics() -> Any:
    """Load museval's metrics alone: the package reads stems, which wants ffmpeg on the PATH."""
    package = importlib.util.find_spec("museval")
    if package is None or package.origin is None:
        pytest.skip("museval is not installed")
    path = Path(package.origin).with_name("metrics.py")
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("stems", "channels"), [(2, 2), (4, 1), (2, 1)])
def test_frames_as_museval(stems: int, channels: int) -> None:
    museval = reference_metrics()
    references, estimates = signals(stems, channels, 3.2)
    references[1, :, RATE : 2 * RATE] = 0  # a frame without a ratio
    expected = museval.bss_eval(
        references.swapaxes(1, 2), estimates.swapaxes(1, 2), window=RATE, hop=RATE
    )[:4]
    measure = BssEval(torch.from_numpy(references), RATE)
    found = measure.frames(torch.from_numpy(estimates)).numpy()
    assert found.shape == (stems, 4, 3)
    assert np.isnan(found[..., 1]).all() and np.isfinite(found[..., [0, 2]]).all()
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=0.01)


def test_whole_sources_as_mir_eval() -> None:
    separation = pytest.importorskip("mir_eval.separation")
    references, estimates = signals(2, 1, 2.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it refers to museval
        sdrs, *_ = separation.bss_eval_sources(
            references[:, 0], estimates[:, 0], compute_permutation=False
        )
    for reference, estimate, expected in zip(references, estimates, sdrs, strict=True):
        measure = FilteredSdr(torch.from_numpy(reference[0]))
        assert float(measure(torch.from_numpy(estimate[0]))) == pytest.approx(expected, abs=0.01)
    mixture = references.sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        before, *_ = separation.bss_eval_sources(references[0], mixture, compute_permutation=False)
    gain = Nsdr(torch.from_numpy(references[0]), torch.from_numpy(mixture))
    found = gain(torch.from_numpy(estimates[0]))
    assert found == pytest.approx(sdrs[0] - before[0], abs=0.01)


def test_correlation_does_not_see_the_blocks() -> None:
    one, two = np.random.default_rng(0).standard_normal((2, 150_000))
    found = correlate(torch.from_numpy(one[None]), torch.from_numpy(two[None]), 4)[0, 0]
    expected = np.correlate(np.pad(two, 3), one, "valid")
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_stems_that_are_filtered_are_still_theirs() -> None:
    references, _ = signals(2, 2, 3)
    filtered = 0.5 * np.roll(references, 20, axis=-1)
    found = BssEval(torch.from_numpy(references), RATE).frames(torch.from_numpy(filtered))
    sdr, isr, sir, sar = found.nanquantile(0.5, dim=-1).T
    assert sdr.max() < 5 and isr.max() < 5, "a delay is a distortion"
    # The frames are cut before they are filtered, which leaves something at their edges.
    assert sir.min() > 20 and sar.min() > 15, "but neither interference nor an artifact"


def test_perfection_equal_channels_and_silence_are_finite_or_left_out() -> None:
    references, estimates = signals(2, 2, 2)
    references[:, 1] = references[:, 0]  # no filters can tell the channels apart
    measure = BssEval(torch.from_numpy(references), RATE)
    perfect = measure.frames(torch.from_numpy(references.copy()))
    assert perfect.isfinite().all() and perfect[:, 0].min() > 100
    assert measure.frames(torch.from_numpy(estimates)).isfinite().all()
    references[0] = 0
    silent = BssEval(torch.from_numpy(references), RATE).frames(torch.from_numpy(estimates))
    assert silent.isnan().all()
    assert FilteredSdr(torch.zeros(RATE))(torch.ones(RATE)).isnan()
    gain = Nsdr(torch.from_numpy(references[1]), torch.from_numpy(references.sum(axis=0)))
    left = estimates[1] * [[1], [0]]
    assert np.isfinite(gain(torch.from_numpy(left))), "a silent channel is left out"
    assert np.isnan(gain(torch.zeros(2, 2 * RATE))), "and of silence nothing is left"
