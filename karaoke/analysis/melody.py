"""The notes that a voice sings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from karaoke.analysis.decoding import decode, runs
from karaoke.analysis.pitch import PITCH_FPS, Pitch

Curve = NDArray[np.float64]
LOWEST_NOTE, HIGHEST_NOTE = 36, 90
#: The price of another note, and of the distance of a frame from its note, in semitones.
CHANGE_COST, OFF_PRICE, HIGHEST_PRICE = 6.0, 1.6, 3.0
#: The price of a note in a frame without a pitch, and of silence in one with.
GAP_PRICE, SILENCE_PRICE = 1.5, 1.2
SHORTEST_SECONDS = 0.13
#: A note that goes on without a pitch for so long would cost more than silence, by far.
PAUSE_SECONDS = 0.5
#: A dip of the level so deep within so long, on both sides, parts two notes of one pitch.
DIP_DB, DIP_SECONDS = 5.0, 0.15
#: A note that glides so far in all, in semitones, is half as sure as one that stays.
GLIDE = 0.4
#: Of a note, this share at each end is on the way to or from another.
ENDS_SHARE = 0.15
#: Not more often than this.
APART_SECONDS = 0.08


@dataclass(frozen=True)
class Note:
    """A note of a melody.

    Parameters
    ----------
    start_seconds, end_seconds
        In the song.
    pitch
        MIDI number, 60 is middle C.
    confidence
        0 to 1: the share of its frames that have this pitch, and less where it glides, as speech
        does.
    text
        The syllable that begins with it, if words are known; empty where one is held.
    goes_on
        Whether its word has another syllable.
    """

    start_seconds: float
    end_seconds: float
    pitch: int
    confidence: float
    text: str = ""
    goes_on: bool = False


def find_notes(pitch: Pitch, tuning: float = 0.0) -> list[Note]:
    """Cut the pitch of a voice into notes.

    Parameters
    ----------
    pitch
        Of the separated vocals.
    tuning
        By how many semitones the song is sharp.
    """
    if not len(pitch.midi):
        return []
    sung = pitch.midi - tuning
    dips = np.array(find_dips(pitch.level), dtype=np.intp)
    notes = []
    for start, stop in stretches(np.isfinite(sung)):
        for first, after, number in cut(sung[start:stop]):
            first, after = first + start, after + start
            inner = dips[np.searchsorted(dips, first + 6) : np.searchsorted(dips, after - 5)]
            for begin, end in pairwise([first, *map(int, inner), after]):
                if end - begin >= SHORTEST_SECONDS * PITCH_FPS:
                    heard = sung[begin:end]
                    sure = steadiness(heard) * float((np.abs(heard - number) < 0.5).mean())
                    notes.append(Note(begin / PITCH_FPS, end / PITCH_FPS, number, sure))
    return notes


def stretches(known: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Part a song in the middle of pauses, across which no note is held, to save memory."""
    frames = np.flatnonzero(known)
    pauses = np.flatnonzero(np.diff(frames) > PAUSE_SECONDS * PITCH_FPS)
    middles = (frames[pauses] + frames[pauses + 1]) // 2
    yield from pairwise([0, *map(int, middles), len(known)])


def cut(sung: Curve) -> Iterator[tuple[int, int, int]]:
    """Find where the notes of a stretch begin and end, and their numbers."""
    numbers = np.arange(LOWEST_NOTE, HIGHEST_NOTE + 1)
    known = np.isfinite(sung)
    off = np.abs(np.where(known, sung, 0.0)[:, None] - numbers[None, :])
    prices = np.where(known[:, None], np.minimum(OFF_PRICE * off**1.5, HIGHEST_PRICE), GAP_PRICE)
    silence = np.where(known, SILENCE_PRICE, 0.0)
    path = decode(-np.concatenate([prices, silence[:, None]], axis=1), CHANGE_COST)
    for first, after in runs(path):
        if path[first] < len(numbers):
            yield first, after, int(numbers[path[first]])


def steadiness(heard: Curve) -> float:
    """Tell from 1 to 0 how little a note glides, by its frames' pitch, NaN where it has none."""
    ends = round(ENDS_SHARE * len(heard))
    times = np.flatnonzero(np.isfinite(heard[ends : len(heard) - ends]))
    if len(times) < 5:
        return 0.0
    inner = heard[ends + times]
    slope = np.polyfit(times, inner, 1)[0]
    return float(1 / (1 + (slope * len(heard) * (1 - 2 * ENDS_SHARE) / GLIDE) ** 2))


def find_dips(level: Curve) -> list[int]:
    """Find where a voice is much softer than before and after: it begins anew there."""
    db = uniform_filter1d(20 * np.log10(level + 1e-7), 3)
    reach = round(DIP_SECONDS * PITCH_FPS)
    lowest = db == minimum_filter1d(db, 13)
    # The highest of the frames before, and after.
    before = maximum_filter1d(db, reach, origin=(reach - 1) // 2)
    after = maximum_filter1d(db, reach, origin=-(reach // 2))
    places = np.flatnonzero(lowest & (before - db > DIP_DB) & (after - db > DIP_DB))
    found: list[int] = []
    for place in places:
        if not found or place - found[-1] > APART_SECONDS * PITCH_FPS:
            found.append(int(place))
    return found
