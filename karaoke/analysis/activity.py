"""Where somebody sings: phrases, from the levels of separated vocals.

What a separator leaves in the vocals of music without a voice lies far under the music, so the
level of the instrumental decides whether there is a voice at all, and the vocals' own level when.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from karaoke.analysis.levels import FLOOR, FRAMES_PER_SECOND, Curve, Levels, decibels

#: Bands in which voices have most of their power, 200 Hz to 4.5 kHz: no kick, no cymbal.
VOICE_BANDS = slice(1, 10)
#: Over which levels are taken.
SMOOTHING_SECONDS = 0.05
#: A voice is at most so far under the loudest one of the song ...
SOFTEST_DB = 27.0
#: ... and at least so far under, that none is cut off where there are no pauses.
HARDEST_DB = 15.0
#: Within a second of a louder sound, what lies so far under it is its echo.
ECHO_DB = 20.0
ECHO_SECONDS = 0.8
#: A voice that lies so far under the band is the separator's mistake, not a voice.
BURIED_DB = -12.0
#: What is shorter in a whole song is the separator's mistake, too.
LEAST_SECONDS = 2.0
#: A pause in singing is at least so long, and a phrase, too.
PAUSE_SECONDS = 0.3
SHORTEST_SECONDS = 0.18

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Phrase:
    """What is sung without a pause, in seconds of the song."""

    start_seconds: float
    end_seconds: float


def voice_level(levels: Levels, seconds: float = SMOOTHING_SECONDS) -> Curve:
    """Give the level of what may be a voice, in dBFS, averaged over a time."""
    power = (10 ** (levels.bands_db[:, VOICE_BANDS] / 10)).sum(axis=1)
    return decibels(uniform_filter1d(power, round(seconds * FRAMES_PER_SECOND)).clip(0) + FLOOR)


def find_singing(vocals: Levels, instrumental: Levels | None = None) -> Mask:
    """Tell in which frames somebody sings.

    Parameters
    ----------
    vocals, instrumental
        The stems, of one length; without the instrumental all vocals are taken for a voice.

    Returns
    -------
    array
        ``(T,)``, true where somebody sings.
    """
    if not len(vocals):
        return np.zeros(0, dtype=bool)
    level = voice_level(vocals)
    loud = float(np.percentile(level, 98))
    singing = level > max(threshold(level, loud), -70.0)
    nearby = maximum_filter1d(level, round(2 * ECHO_SECONDS * FRAMES_PER_SECOND) + 1)
    singing &= level > nearby - ECHO_DB
    singing = without_gaps(singing, PAUSE_SECONDS / 2)
    if instrumental is not None:
        above = voice_level(vocals, 0.3) - voice_level(instrumental, 0.3)[: len(vocals)]
        for start, stop in runs(without_gaps(singing, PAUSE_SECONDS)):
            if np.percentile(above[start:stop], 75) < BURIED_DB:
                singing[start:stop] = False
        if singing.sum() < LEAST_SECONDS * FRAMES_PER_SECOND:
            singing[:] = False
    return singing


def threshold(level: Curve, loud: float) -> float:
    """Find the level between singing and what is left of the band in pauses."""
    values = level.clip(loud - 60, loud)
    low, high = loud - 60, loud
    for _ in range(20):
        middle = (low + high) / 2
        below, above = values[values < middle], values[values >= middle]
        low = float(below.mean()) if len(below) else low
        high = float(above.mean()) if len(above) else high
    return float(np.clip((low + high) / 2, loud - SOFTEST_DB, loud - HARDEST_DB))


def find_phrases(singing: Mask, pause_seconds: float = PAUSE_SECONDS) -> list[Phrase]:
    """List what is sung without a pause of a length, in order."""
    shortest = round(SHORTEST_SECONDS * FRAMES_PER_SECOND)
    return [
        Phrase(start / FRAMES_PER_SECOND, stop / FRAMES_PER_SECOND)
        for start, stop in runs(without_gaps(singing, pause_seconds))
        if stop - start >= shortest
    ]


def without_gaps(mask: Mask, seconds: float) -> Mask:
    """Fill gaps that are shorter than a time."""
    filled = mask.copy()
    for start, stop in runs(~mask):
        if start and stop < len(mask) and stop - start < seconds * FRAMES_PER_SECOND:
            filled[start:stop] = True
    return filled


def runs(mask: Mask) -> list[tuple[int, int]]:
    """List where a mask is true, as starts and ends."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
