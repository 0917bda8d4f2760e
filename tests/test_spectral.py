"""The transform: exact round trips; agreement with librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke.separation.spectral import Stft


@given(
    length=st.integers(1, 3000),
    hop_length=st.sampled_from([64, 100, 128, 256]),
    lead=st.sampled_from([(), (2,), (2, 3)]),
)
@settings(max_examples=150, deadline=None)
def test_round_trip(length: int, hop_length: int, lead: tuple[int, ...]) -> None:
    stft = Stft(512, hop_length)
    waveform = torch.from_numpy(np.random.default_rng(length).standard_normal((*lead, length)))
    waveform = waveform.float()
    spectrogram = stft(waveform)
    assert spectrogram.shape == (*lead, stft.bins, 1 + -(-length // hop_length))
    back = stft.inverse(spectrogram, length)
    assert back.shape == waveform.shape
    torch.testing.assert_close(back, waveform, atol=1e-5, rtol=0)


def test_agrees_with_librosa() -> None:
    waveform = np.random.default_rng(0).standard_normal(4096).astype(np.float32)
    expected = librosa.stft(waveform, n_fft=1024, hop_length=256, pad_mode="constant")
    ours = Stft(1024, 256)(torch.from_numpy(waveform)).numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-3)


@pytest.mark.parametrize("hop_length", [100, 128, 256])
def test_inverse_agrees_with_torch(hop_length: int) -> None:
    stft = Stft(512, hop_length)
    torch.manual_seed(hop_length)
    # Not the transform of any signal, as masked ones are.
    spectrogram = torch.randn(2, stft.bins, 9, dtype=torch.complex64)
    length = 8 * hop_length
    expected = torch.istft(spectrogram, 512, hop_length, window=stft.window, length=length)
    torch.testing.assert_close(stft.inverse(spectrogram, length), expected, atol=1e-6, rtol=1e-5)


def test_window_is_not_stored() -> None:
    assert not Stft(512, 128).state_dict()
    assert Stft(512, 128).to(torch.float64).window.dtype == torch.float64
    with pytest.raises(RuntimeError):
        Stft(512, 128).load_state_dict({"window": torch.ones(512)})
