"""Mel-Band RoFormer: a transformer over overlapping bands that widen as hearing does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from karaoke.errors import ModelError
from karaoke.separation.fields import Within
from karaoke.separation.networks.roformer import MOST_BANDS, Roformer, RoformerConfig

#: The mel scale of Slaney's Auditory Toolbox: linear up to 1 kHz, logarithmic above.
LINEAR_HZ = 200 / 3
BREAK_HZ = 1000.0
LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True)
class MelBandRoformerConfig(RoformerConfig):
    """Shape of a :class:`MelBandRoformer`; the defaults are those of Kim's published vocal model.

    Parameters
    ----------
    bands
        K; see :class:`karaoke.separation.networks.roformer.RoformerConfig` for the rest.
    """

    bands: Annotated[int, Within(1, MOST_BANDS)] = 60


def mel_bands(bands: int, *, sample_rate: int, n_fft: int) -> tuple[tuple[int, int], ...]:
    """Find the bins in which each filter of a mel filter bank is positive.

    A filter reaches from the centre of the one below to that of the one above, so each bin is in
    two bands, but for those at the ends. The first and last bin, where filters are zero, count to
    the first and last band. Same as ``librosa.filters.mel`` gives.

    Parameters
    ----------
    bands
        K.
    sample_rate
        In Hz.
    n_fft
        Length of a frame in samples.

    Returns
    -------
    tuple
        First bin and end of each band.

    Raises
    ------
    ModelError
        A band would have no bin.
    """
    break_mel = BREAK_HZ / LINEAR_HZ
    top = break_mel + np.log(sample_rate / 2 / BREAK_HZ) / LOG_STEP
    if sample_rate / 2 < BREAK_HZ:
        top = sample_rate / 2 / LINEAR_HZ
    mels = np.linspace(0, top, bands + 2)
    above = BREAK_HZ * np.exp(LOG_STEP * (mels - break_mel))
    edges_hz = np.where(mels < break_mel, LINEAR_HZ * mels, above)
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    starts = np.searchsorted(bins_hz, edges_hz[:-2], side="right")
    ends = np.searchsorted(bins_hz, edges_hz[2:], side="left")
    starts[0], ends[-1] = 0, len(bins_hz)
    if (starts >= ends).any():
        raise ModelError(
            f"a band has no bin: {bands} bands, n_fft {n_fft}", hint="Use fewer bands."
        )
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


class MelBandRoformer(Roformer):
    """Separate with a transformer over mel bands.

    References
    ----------
    J.-C. Wang, W.-T. Lu and M. Won, "Mel-Band RoFormer for Music Source Separation", ISMIR 2023
    late-breaking, arXiv 2310.01809. Sizes, gates and norms are those of the package bs-roformer,
    which published models were trained with.
    """

    def __init__(
        self,
        config: MelBandRoformerConfig,
        *,
        sample_rate: int,
        channels: int,
        stems: tuple[str, ...],
    ) -> None:
        bands = mel_bands(config.bands, sample_rate=sample_rate, n_fft=config.n_fft)
        super().__init__(config, channels=channels, stems=stems, bands=bands, normed=True)
