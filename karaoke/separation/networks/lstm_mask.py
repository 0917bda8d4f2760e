"""Stacked LSTMs over spectra, and a mask layer whose masks add up to one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from karaoke.errors import ModelError
from karaoke.separation.networks.masking import EPSILON, MaskingNetwork
from karaoke.separation.networks.sizes import Depth, Dropout, Exponent, FftLength, HopLength, Width
from karaoke.separation.spectral import Stft


@dataclass(frozen=True)
class LSTMMaskConfig:
    """Shape of an :class:`LSTMMask`.

    Parameters
    ----------
    n_fft, hop_length
        The transform, in samples.
    features
        D, to which a frame's spectrum is reduced first.
    hidden
        Units per LSTM and direction.
    layers
        Number of stacked LSTMs.
    bidirectional
        Whether the LSTMs also run backwards.
    magnitude_exponent
        Power that magnitudes are raised to before the first layer.
    dropout
        Share of the features dropped between the LSTMs in training.
    """

    n_fft: FftLength = 2048
    hop_length: HopLength = 1024
    features: Width = 128
    hidden: Width = 128
    layers: Depth = 2
    bidirectional: bool = True
    magnitude_exponent: Exponent = 0.3
    dropout: Dropout = 0.0


class LSTMMask(MaskingNetwork):
    """Estimate a spectrum per stem with LSTMs, and mask the mixture by their shares.

    ``mask[s] = estimate[s] / sum(estimate)``: the masks of a bin sum to one by construction, so
    the stems add up to the mixture, and the mask layer is trained with the rest. All channels form
    one spectrum, so that stereo helps.

    Raises
    ------
    ModelError
        There are fewer than two stems, which together make up the song.

    References
    ----------
    P.-S. Huang, M. Kim, M. Hasegawa-Johnson and P. Smaragdis, "Joint Optimization of Masks and
    Deep Recurrent Neural Networks for Monaural Source Separation", IEEE/ACM TASLP 23, 2015
    (arXiv 1502.04149); there the recurrence is plain and the song is mono.
    """

    def __init__(
        self, config: LSTMMaskConfig, *, sample_rate: int, channels: int, stems: tuple[str, ...]
    ) -> None:
        if len(stems) < 2:
            raise ModelError(
                f"masks that add up to one need at least two stems, not {', '.join(stems)}",
                hint='Train with stems = ["vocals", "instrumental"].',
            )
        super().__init__(
            Stft(config.n_fft, config.hop_length),
            channels=channels,
            stems=stems,
            magnitude_exponent=config.magnitude_exponent,
        )
        spectrum = channels * self.stft.bins
        self.embed = nn.Sequential(nn.Linear(spectrum, config.features), nn.Tanh())
        self.lstm = nn.LSTM(
            config.features,
            config.hidden,
            config.layers,
            batch_first=True,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )
        states = config.hidden * (2 if config.bidirectional else 1)
        self.estimate = nn.Linear(states, len(stems) * spectrum)

    def masks(self, spectrogram: Tensor) -> Tensor:
        """Estimate the masks of a complex spectrogram ``(B, C, F, T)``: ``(B, S, C, F, T)``."""
        views = self.standardise(spectrogram)  # (B, C, F, T)
        states, _ = self.lstm(self.embed(views.flatten(1, 2).transpose(1, 2)))  # (B, T, 2 * D)
        spectra = nn.functional.softplus(self.estimate(states).float()) + EPSILON
        spectra = spectra.transpose(1, 2).reshape(len(views), self.stems, *views.shape[1:])
        masks: Tensor = spectra / spectra.sum(dim=1, keepdim=True)  # (B, S, C, F, T)
        return masks
