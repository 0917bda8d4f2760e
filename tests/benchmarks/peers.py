"""Run a network of another package, with random weights, on a whole clip.

    python tests/benchmarks/peers.py openunmix|htdemucs CLIP OUT.wav

Speed does not depend on the values of weights. ``htdemucs`` needs the packages demucs, openunmix,
julius and einops (``pip install --no-deps`` leaves torchaudio out, which it does not need).
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Open-Unmix's umxhq: size of its spectra, and the bins below 16 kHz that its network hears.
N_FFT, HOP, BINS, HEARD_BINS, HIDDEN = 4096, 1024, 2049, 1487, 512
PEER_PARAMETERS = 8_893_348
#: HTDemucs as its authors train it; the rest are the defaults.
HTDEMUCS = {"sources": ["drums", "bass", "other", "vocals"], "bottom_channels": 512}


def umxhq_shape() -> nn.Module:
    """Build a network of exactly the shape of Open-Unmix's umxhq, with random weights.

    Magnitudes ``(1, 2, BINS, frames)`` in, magnitudes of the vocals out; the order of the steps is
    that of the paper of Stöter et al., "Open-Unmix", JOSS 2019.
    """
    import torch
    from torch import nn

    class UmxhqShape(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input_mean = nn.Parameter(torch.zeros(HEARD_BINS))
            self.input_scale = nn.Parameter(torch.ones(HEARD_BINS))
            self.squeeze = nn.Linear(2 * HEARD_BINS, HIDDEN, bias=False)
            self.squeeze_norm = nn.BatchNorm1d(HIDDEN)
            self.lstm = nn.LSTM(HIDDEN, HIDDEN // 2, num_layers=3, bidirectional=True)
            self.mix = nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
            self.mix_norm = nn.BatchNorm1d(HIDDEN)
            self.expand = nn.Linear(HIDDEN, 2 * BINS, bias=False)
            self.expand_norm = nn.BatchNorm1d(2 * BINS)
            self.output_scale = nn.Parameter(torch.ones(BINS))
            self.output_mean = nn.Parameter(torch.ones(BINS))

        def forward(self, magnitude: Tensor) -> Tensor:
            # Frames first: (frames, 1, 2, bins), as the LSTM wants them.
            mixture = magnitude.permute(3, 0, 1, 2)
            frames = len(mixture)
            heard = (mixture[..., :HEARD_BINS] + self.input_mean) * self.input_scale
            squeezed = self.squeeze_norm(self.squeeze(heard.reshape(frames, -1))).tanh()
            context = self.lstm(squeezed[:, None])[0][:, 0]
            mixed = self.mix_norm(self.mix(torch.cat([squeezed, context], -1))).relu()
            mask = self.expand_norm(self.expand(mixed)).reshape(frames, 1, 2, BINS)
            mask = (mask * self.output_scale + self.output_mean).relu()
            vocals: Tensor = (mask * mixture).permute(1, 2, 3, 0)
            return vocals

    return UmxhqShape()


def peer_network() -> tuple[nn.Module, str]:
    """Build the peer's network with random weights: speed does not depend on their values.

    Returns
    -------
    Module, str
        The network, and where it came from.
    """
    import torch

    torch.manual_seed(0)
    try:
        from openunmix.model import OpenUnmix  # type: ignore[import-not-found,unused-ignore]
    except (ImportError, OSError):  # OSError: a torchaudio made for another torch
        network, variant = umxhq_shape(), "a network of umxhq's shape (no usable package openunmix)"
    else:
        network = OpenUnmix(nb_bins=BINS, nb_channels=2, hidden_size=HIDDEN, max_bin=HEARD_BINS)
        variant = f"umxhq's network from openunmix {version('openunmix')}"
    count = sum(parameter.numel() for parameter in network.parameters())
    assert abs(count / PEER_PARAMETERS - 1) < 0.01, f"{count} parameters are not umxhq's"
    return network.eval(), f"{variant}, random weights, {count} parameters"


def be_openunmix(mixture: Tensor) -> tuple[Tensor, str]:
    """Separate ``(channels, samples)`` as Open-Unmix does, without a Wiener filter."""
    import torch

    network, variant = peer_network()
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(mixture, N_FFT, HOP, window=window, return_complex=True)
    vocals = torch.polar(network(spectrum.abs()[None])[0], spectrum.angle())
    return torch.istft(vocals, N_FFT, HOP, window=window, length=mixture.shape[1]), variant


def be_htdemucs(mixture: Tensor) -> tuple[Tensor, str]:
    """Separate ``(channels, samples)`` as demucs does, in its segments and with its overlap."""
    import torch
    from demucs.apply import apply_model  # type: ignore[import-not-found,unused-ignore]
    from demucs.htdemucs import HTDemucs  # type: ignore[import-not-found,unused-ignore]

    torch.manual_seed(0)
    network = HTDemucs(**HTDEMUCS).eval()
    count = sum(parameter.numel() for parameter in network.parameters())
    vocals = apply_model(network, mixture[None], shifts=0, overlap=0.25)[0, -1]
    return vocals, f"demucs {version('demucs')}, random weights, {count} parameters"


PEERS = {"openunmix": be_openunmix, "htdemucs": be_htdemucs}


def be_peer(name: str, clip: str, out: str) -> None:
    """Split a clip as a peer does."""
    import soundfile
    import torch

    samples, rate = soundfile.read(clip, dtype="float32", always_2d=True)
    with torch.inference_mode():
        sound, variant = PEERS[name](torch.from_numpy(samples.T.copy()))
    soundfile.write(out, sound.T.numpy(), rate, subtype="PCM_24")
    print(variant)


if __name__ == "__main__":
    be_peer(*sys.argv[1:])
