"""Short-time Fourier transform as a module: forward and inverse."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Stft(nn.Module):
    """Transform waveforms to complex spectrograms and back.

    Frames are centred and the signal is padded at both ends, so that a signal of any length, even
    one shorter than a window, is restored exactly. The window is periodic Hann, as in
    ``librosa.stft``.

    Parameters
    ----------
    n_fft
        Length of a frame in samples.
    hop_length
        Distance between frames in samples; at most ``n_fft // 2``.
    mirrored
        Whether the signal is padded with its mirror image, if it is long enough to have one,
        instead of zeros.

    Attributes
    ----------
    bins
        Number of frequency bins.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, *, mirrored: bool = False) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.mirrored = mirrored
        self.bins = n_fft // 2 + 1
        # Non-persistent: it follows from n_fft, so a checkpoint must not be able to disagree.
        # On the CPU even for outlines of networks: on the meta device, it takes torch a second.
        window = torch.hann_window(n_fft, device="cpu")
        self.register_buffer("window", window, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform a waveform.

        Parameters
        ----------
        waveform
            Real, ``(..., N)``, N >= 1.

        Returns
        -------
        Tensor
            Complex spectrogram, ``(..., F, T)`` with ``T = 1 + ceil(N / hop_length)``.
        """
        lead, length = waveform.shape[:-1], waveform.shape[-1]
        # Whole hops, so that the last frame's window is not zero at the last sample.
        flat = nn.functional.pad(waveform.reshape(-1, length), (0, -length % self.hop_length))
        mirror = self.mirrored and flat.shape[-1] > self.n_fft // 2
        spectrogram = torch.stft(
            flat,
            self.n_fft,
            self.hop_length,
            window=self.window,
            center=True,
            pad_mode="reflect" if mirror else "constant",
            return_complex=True,
        )
        return spectrogram.reshape(*lead, *spectrogram.shape[-2:])

    def inverse(self, spectrogram: Tensor, length: int) -> Tensor:
        """Transform a spectrogram back.

        Parameters
        ----------
        spectrogram
            Complex, ``(..., F, T)``.
        length
            N, the number of samples to return.

        Returns
        -------
        Tensor
            Waveform ``(..., N)``.
        """
        lead = spectrogram.shape[:-2]
        flat = spectrogram.reshape(-1, *spectrogram.shape[-2:])
        frames = torch.fft.irfft(flat.transpose(1, 2), self.n_fft).mul_(self.window)
        del spectrogram, flat  # what follows needs their room
        squares = self.window.square().expand(1, frames.shape[1], -1)
        half = self.n_fft // 2
        waveform = self._overlap(frames)[:, half : half + length]
        # Not torch.istft, which takes twice as long.
        return (waveform / self._overlap(squares)[:, half : half + length]).reshape(*lead, length)

    def _overlap(self, frames: Tensor) -> Tensor:
        """Add frames ``(rows, T, n_fft)`` up, each a hop after the previous one."""
        hops = -(-self.n_fft // self.hop_length)
        missing = hops * self.hop_length - self.n_fft
        whole = nn.functional.pad(frames, (0, missing)) if missing else frames
        rows, count = frames.shape[:2]
        parts = whole.reshape(rows, count, hops, self.hop_length)
        total = frames.new_zeros(rows, count + hops - 1, self.hop_length)
        for hop, part in enumerate(parts.unbind(2)):
            total[:, hop : hop + count] += part
        return total.flatten(1)
