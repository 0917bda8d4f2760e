"""Where syllables may begin: rises of the voice, each with how clear it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from karaoke.analysis.activity import VOICE_BANDS, Mask, runs, without_gaps
from karaoke.analysis.levels import FRAMES_PER_SECOND, Curve, Levels

#: What lies so far under the loudest sound of a band is not heard.
RANGE_DB = 55.0
#: Two syllables begin at least so far apart.
APART_SECONDS = 0.06
#: Where nothing rises for as long, a syllable may begin all the same.
SPARSE_SECONDS = 0.16
#: A rise of all bands together by as many decibels is as clear as any.
CLEAR_DB = 13.0
WEAKEST = 0.08
#: Pauses of at least so long part phrases.
REST_SECONDS = 0.15


@dataclass(frozen=True)
class Onsets:
    """Places at which syllables may begin.

    Parameters
    ----------
    seconds
        In the song, ``(C,)``, in order.
    strength
        From 0 to 1, how clear each is.
    sung_seconds
        How long was sung before each, pauses left out.
    phrase
        Number of the phrase that each lies in.
    phrase_ends
        For each phrase, ``sung_seconds`` at its end.
    phrase_stops
        For each phrase, when it ends in the song.
    """

    seconds: NDArray[np.float64]
    strength: NDArray[np.float64]
    sung_seconds: NDArray[np.float64]
    phrase: NDArray[np.int64]
    phrase_ends: NDArray[np.float64]
    phrase_stops: NDArray[np.float64]


def rise(levels: Levels) -> Curve:
    """Measure how much louder the bands of the voice are getting, in decibels, ``(T,)``."""
    bands = levels.bands_db[:, VOICE_BANDS]
    loudest = np.percentile(bands, 98, axis=0) if len(bands) else np.zeros(bands.shape[1])
    bands = gaussian_filter1d(np.maximum(bands, loudest - RANGE_DB), 1.0, axis=0)
    step = 3
    ahead = np.concatenate([bands[step:], np.repeat(bands[-1:], step, axis=0)])
    behind = np.concatenate([np.repeat(bands[:1], step, axis=0), bands[:-step]])
    return np.asarray(np.maximum(0, ahead - behind).mean(axis=1), dtype=np.float32)


def find_onsets(
    levels: Levels, singing: Mask, more_seconds: NDArray[np.float64] | None = None
) -> Onsets:
    """Find where syllables may begin.

    Parameters
    ----------
    levels
        Of the vocals.
    singing
        Where somebody sings; elsewhere no syllable begins.
    more_seconds
        Further places, which are taken even where nothing rises.
    """
    singing = without_gaps(singing, REST_SECONDS)
    curve = rise(levels)
    reach = round(APART_SECONDS * FRAMES_PER_SECOND)
    peaks = (curve == maximum_filter1d(curve, 2 * reach + 1)) & singing
    peaks &= curve > WEAKEST * CLEAR_DB
    strength = np.where(peaks, np.minimum(curve / CLEAR_DB, 1), 0.0)
    places = peaks.copy()
    phrases = runs(singing)
    for start, _ in phrases:
        # Rises just before or after the gate opens are the beginning itself.
        near = slice(max(0, start - reach), start + reach + 1)
        strength[near], places[near] = 0, False
        strength[start], places[start] = 1, True
    if more_seconds is not None:
        wanted = np.round(more_seconds * FRAMES_PER_SECOND).astype(int).clip(0, len(places) - 1)
        places[wanted[singing[wanted]]] = True
    places = spread(places, phrases)
    frames = np.flatnonzero(places)
    phrase = np.cumsum(np.isin(np.arange(len(places)), [start for start, _ in phrases])) - 1
    sung = np.cumsum(singing) / FRAMES_PER_SECOND
    ends = np.array([stop for _, stop in phrases], dtype=int)
    return Onsets(
        frames / FRAMES_PER_SECOND,
        strength[frames],
        sung[frames],
        phrase[frames],
        sung[ends - 1] if len(ends) else np.zeros(0),
        ends / FRAMES_PER_SECOND,
    )


def spread(places: Mask, phrases: list[tuple[int, int]]) -> Mask:
    """Add places to phrases where there are none for long."""
    step = round(SPARSE_SECONDS * FRAMES_PER_SECOND)
    full = places.copy()
    for start, stop in phrases:
        known = [*np.flatnonzero(places[start:stop]), stop - start]
        for left, right in pairwise(known):
            full[start + left + step : start + right - step // 2 : step] = True
    return full
