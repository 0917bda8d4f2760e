"""Frequency bands: edges in Hz become ranges of bins that partition the spectrum."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from karaoke.errors import ModelError

#: Edges in Hz of 25 bands: narrow where sung fundamentals and first formants are, wide in the
#: treble (after the scheme "V7" of Luo & Yu 2023, thinned out).
VOICE_BAND_EDGES_HZ = (
    *(0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 625.0, 750.0, 875.0, 1000.0),
    *(1250.0, 1500.0, 1750.0, 2000.0, 2500.0, 3000.0, 3500.0, 4000.0),
    *(5000.0, 6000.0, 7000.0, 8000.0, 10000.0, 12000.0, 16000.0, 22050.0),
)


def band_widths(edges_hz: Sequence[float], *, sample_rate: int, n_fft: int) -> tuple[int, ...]:
    """Count the bins of each band.

    Bin ``f`` stands for the frequency ``f * sample_rate / n_fft``; an edge belongs to the band
    above it, and the last band also takes the Nyquist bin.

    Parameters
    ----------
    edges_hz
        Strictly increasing, from 0 to ``sample_rate / 2``.
    sample_rate
        In Hz.
    n_fft
        Length of a frame in samples.

    Returns
    -------
    tuple of int
        Bins per band, lowest band first; each at least 1, ``n_fft // 2 + 1`` in total.

    Raises
    ------
    ModelError
        The edges do not cover the spectrum, or a band would have no bin.
    """
    edges = list(edges_hz)
    if len(edges) < 2 or edges[0] != 0 or edges[-1] != sample_rate / 2:
        raise ModelError(
            f"bands must reach from 0 Hz to {sample_rate / 2:g} Hz, not {edges}",
            hint="Correct band_edges_hz.",
        )
    starts = [round(edge * n_fft / sample_rate) for edge in edges[:-1]]
    starts.append(n_fft // 2 + 1)
    widths = tuple(high - low for low, high in itertools.pairwise(starts))
    if min(widths) < 1:
        raise ModelError(
            f"a band has no bin at n_fft {n_fft} and {sample_rate} Hz: widths {widths}",
            hint="Use wider bands or a larger n_fft.",
        )
    return widths


def growing_band_widths(bands: int, *, bins: int, growth: float = 30.0) -> tuple[int, ...]:
    """Share out bins among bands: one each at first, then more and more.

    Above the single bins, the edges lie on an exponential curve whose slope at the top is
    ``growth`` times that at the bottom.

    Returns
    -------
    tuple of int
        Bins per band, lowest band first; each at least 1, ``bins`` in total.

    Raises
    ------
    ModelError
        There are more bands than bins.
    """
    if not 1 <= bands <= bins:
        raise ModelError(f"{bins} bins cannot be shared out among {bands} bands")
    curve = (bins * (growth ** (band / bands) - 1) / (growth - 1) for band in range(bands + 1))
    # Where the curve rises by less than a bin per band, it lies below the band's index.
    edges = [max(band, round(edge)) for band, edge in enumerate(curve)]
    return tuple(high - low for low, high in itertools.pairwise(edges))
