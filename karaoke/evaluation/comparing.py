"""Averages over songs in which each counts once, and whether a difference is more than luck.

Songs are split into halves, one to choose a model by and one to report: a model that was chosen for
being the best on some songs looks better on them than it is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Halves of the songs of any data set: to choose by, and to report.
HALVES = ("choose", "report")
RESAMPLES = 10_000
#: Share of the resamples that the interval covers.
CONFIDENCE = 0.95
#: Lowest level in dB in a mean over songs; nobody hears anything below it.
INAUDIBLE_DB = -80.0


def half_of(song: str) -> str:
    """Return which of ``HALVES`` a song is in, from the part of its name after any slash.

    So it stays in its half, whatever other songs there are and in whatever order.
    """
    name = song.rpartition("/")[2].encode("utf-8", "surrogateescape")
    return HALVES[hashlib.md5(name, usedforsecurity=False).digest()[0] & 1]


def halves(songs: Iterable[str]) -> dict[str, list[str]]:
    """Sort songs into ``choose`` and ``report``; if one is empty, all go into ``choose``."""
    found: dict[str, list[str]] = {half: [] for half in HALVES}
    for song in songs:
        found[half_of(song)].append(song)
    if not all(found.values()):
        return {HALVES[0]: [*found[HALVES[0]], *found[HALVES[1]]]}
    return found


def mean_level(levels_db: Sequence[float]) -> float:
    """Average levels in dB by power, with a floor of ``INAUDIBLE_DB``.

    Silence in nine windows must not make up for noise in the tenth, as it would in a mean of dB.
    """
    power = float(np.mean(10.0 ** (np.asarray(levels_db, dtype=np.float64) / 10)))
    return max(10 * math.log10(max(power, 1e-30)), INAUDIBLE_DB)


@dataclass(frozen=True)
class Difference:
    """How far one method is ahead of another.

    Parameters
    ----------
    mean
        Mean over songs of the means over windows.
    low, high
        Ends of the interval; None for a single song, which says nothing about others.
    songs, ahead
        How many songs there are, and in how many of them the method is ahead.
    """

    mean: float
    low: float | None
    high: float | None
    songs: int
    ahead: int


def bootstrap(
    differences: Sequence[NDArray[np.float64]], resamples: int = RESAMPLES, seed: int = 0
) -> list[Difference]:
    """Estimate mean differences over songs, counting each once, and how certain they are.

    Songs are resampled with replacement, and so are the windows in each: both could have been
    others. Few songs spread less than the population that they come from, so plain percentiles of
    3 to 6 songs are too narrow: the interval is stretched by ``sqrt(n / (n - 1))`` and by the ratio
    of Student's quantile to the normal one.

    Parameters
    ----------
    differences
        For each song ``(windows, figures)``: the figures of one method minus those of the other
        in the same windows. At least one song, and one window of each.
    resamples
        How often to resample.
    seed
        Of the resampling.

    Returns
    -------
    list
        A :class:`Difference` for each figure.

    References
    ----------
    B. Efron, R. Tibshirani, "An introduction to the bootstrap", 1993; T. Hesterberg, "What teachers
    should know about the bootstrap", The American Statistician 69, 2015, section 5.3.
    """
    from scipy.stats import norm, t

    count = len(differences)
    songs = np.stack([one.mean(axis=0) for one in differences])  # (songs, figures)
    means = songs.mean(axis=0)
    ahead = (songs > 0).sum(axis=0)
    if count == 1:
        alone = zip(means.tolist(), ahead.tolist(), strict=True)
        return [Difference(mean, None, None, 1, better) for mean, better in alone]
    rng = np.random.default_rng(seed)
    picks = rng.integers(count, size=(resamples, count))
    drawn = np.empty((resamples, count, len(means)))
    for index, song in enumerate(differences):
        here = picks == index
        drawn[here] = song[rng.integers(len(song), size=(here.sum(), len(song)))].mean(axis=1)
    tail = (1 - CONFIDENCE) / 2
    stretch = math.sqrt(count / (count - 1)) * t.ppf(1 - tail, count - 1) / norm.ppf(1 - tail)
    ends = np.quantile(drawn.mean(axis=1), [tail, 1 - tail], axis=0)
    low, high = means + stretch * (ends - means)
    return [
        Difference(float(means[i]), float(low[i]), float(high[i]), count, int(ahead[i]))
        for i in range(len(means))
    ]
