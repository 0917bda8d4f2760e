"""Tuning and chords of a band, from the strengths of its notes.

References
----------
.. [1] C. Harte, M. Sandler, S. Abdallah, E. Gómez, "Symbolic representation of musical chords",
   ISMIR 2005: the notation of chords.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.decoding import decode, runs
from karaoke.analysis.features import CHORD_FPS, HIGHEST_NOTE, LOWEST_NOTE, THIRDS
from karaoke.analysis.learned import learned, softmax

Curve = NDArray[np.float64]

SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
#: Chords that are told apart, and how their names end for people.
QUALITIES = ("maj", "min", "7", "maj7", "min7")
ENDINGS = {"maj": "", "min": "m", "7": "7", "maj7": "maj7", "min7": "m7"}
TONES = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11),
         "min7": (0, 3, 7, 10)}  # fmt: skip
#: The price of a chord that is another than in the beat before.
CHANGE_COST = 3.0
#: Strengths of notes are compared by this power of them.
POWER = 0.6
#: Notes of the bass, of the middle, and of what is above, from and to which MIDI number.
BASS, MIDDLE, TREBLE = (LOWEST_NOTE, 50), (45, 62), (57, HIGHEST_NOTE)
#: Chords that sound for less of a song, such as those of toms, tell neither key nor tuning.
FEWEST_SHARE = 0.3
#: Partials of music are more in tune with each other than this, those of speech, drums and noise
#: less; it is clear from so far above or below on.
IN_TUNE, CLEARLY = 0.035, 0.025
#: The natural logarithm by which the odds of a chord are then better or worse.
TUNE_ODDS = 2.5


@dataclass(frozen=True)
class Chord:
    """What sounds from one second to another.

    Parameters
    ----------
    start_seconds, end_seconds
        In the song.
    root
        Pitch class, 0 is C; None where no chord is heard.
    quality
        One of :data:`QUALITIES`; empty where none is heard.
    confidence
        0 to 1.
    """

    start_seconds: float
    end_seconds: float
    root: int | None
    quality: str
    confidence: float

    @property
    def label(self) -> str:
        """In Harte's notation [1]_: ``A:min7``, ``N`` for none."""
        return "N" if self.root is None else f"{SHARPS[self.root]}:{self.quality}"

    def name(self, flats: bool = False) -> str:
        """As musicians write it: ``Am7``; ``N.C.`` for none."""
        if self.root is None:
            return "N.C."
        return (FLATS if flats else SHARPS)[self.root] + ENDINGS[self.quality]

    def moved(self, semitones: int) -> Chord:
        """Transpose it."""
        if self.root is None:
            return self
        root = (self.root + semitones) % 12
        return Chord(self.start_seconds, self.end_seconds, root, self.quality, self.confidence)


def tuning(notes: NDArray[np.float32]) -> float:
    """Tell by how many semitones a band is sharp, or flat if negative; at most half of one."""
    return float(np.angle(turn_of(notes)) / (2 * np.pi))


def turn_of(notes: NDArray[np.float32]) -> complex:
    """Average where partials lie within their semitones, which are turned once around zero.

    The angle is the tuning. The absolute value is 1 if all are in tune with each other, and 0 if
    they lie anywhere.
    """
    by_third = notes.sum(axis=0).reshape(-1, THIRDS).sum(axis=0)
    turns = np.exp(2j * np.pi * np.arange(THIRDS) / THIRDS)
    return complex((by_third * turns).sum() / max(float(by_third.sum()), 1e-9))


def in_tune(notes: NDArray[np.float32]) -> float:
    """Tell whether the partials of a band have one tuning: from -1, not at all, to 1, clearly."""
    return float(np.clip((abs(turn_of(notes)) - IN_TUNE) / CLEARLY, -1, 1))


def in_semitones(notes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum the thirds of each semitone ``(T, notes)``, once the tuning is taken off."""
    moved = np.pad(np.roll(notes, -round(THIRDS * tuning(notes)), axis=1), ((0, 0), (1, 1)))
    return np.asarray(moved[:, 1:-1:THIRDS] + 0.5 * (moved[:, 0:-2:THIRDS] + moved[:, 2::THIRDS]))


def folded(semitones: NDArray[np.float32], between: tuple[int, int]) -> NDArray[np.float32]:
    """Sum the notes of a range by pitch class ``(T, 12)``."""
    midi = LOWEST_NOTE + np.arange(semitones.shape[1])
    inside = (midi >= between[0]) & (midi <= between[1])
    fold = np.zeros((len(midi), 12), np.float32)
    # Very high partials tell little of a chord.
    fold[np.arange(len(midi)), midi % 12] = inside * np.exp(
        -0.5 * (np.maximum(midi - 72, 0) / 10) ** 2
    )
    return np.asarray(semitones @ fold)


def bass_and_treble(notes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the pitch classes of the bass and of all above it, each ``(T, 12)``."""
    semitones = in_semitones(notes)
    return folded(semitones, BASS), folded(semitones, (MIDDLE[0], HIGHEST_NOTE))


def chord_features(notes: NDArray[np.float32], edges: Curve) -> Curve:
    """Describe the notes between edges ``(spans, 39)``.

    These are the pitch classes of bass, middle and treble, each compared with its strongest, and
    how evenly they are spread, which tells noise and drums from chords.
    """
    semitones = in_semitones(notes)
    parts, spreads = [], []
    for between in (BASS, MIDDLE, TREBLE):
        means = averages(folded(semitones, between), edges)
        parts.append((means / (means.max(axis=1, keepdims=True) + 1e-6)) ** POWER)
        shares = means / (means.sum(axis=1, keepdims=True) + 1e-9)
        spreads.append(-(shares * np.log(shares + 1e-9)).sum(axis=1) / np.log(12))
    return np.concatenate([*parts, np.stack(spreads, axis=1)], axis=1)


def averages(values: NDArray[np.float32], edges: Curve) -> Curve:
    """Average values ``(T, D)`` between seconds."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=float)])
    frames = np.clip(np.round(edges * CHORD_FPS).astype(int), 0, len(values))
    begins = np.minimum(frames[:-1], len(values) - 1)
    ends = np.maximum(frames[1:], begins + 1)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins)[:, None])


def turned(features: Curve) -> Curve:
    """See features from each of the twelve roots ``(spans, 12, 39)``."""
    blocks = [features[:, start : start + 12] for start in (0, 12, 24)]
    spread = features[:, 36:]
    views = [[np.roll(block, -root, axis=1) for block in blocks] for root in range(12)]
    return np.stack([np.concatenate([*view, spread], axis=1) for view in views], axis=1)


def chord_scores(features: Curve) -> Curve:
    """Score all chords ``(spans, 61)``: by quality, then root; the last is none."""
    model = learned("chords")
    parts = [features[n : n + 256] for n in range(0, max(len(features), 1), 256)]
    # All views of a long song at once would take far more memory than its features.
    scores = np.concatenate([model.score(turned(part)) for part in parts])
    named = scores[..., : len(QUALITIES)].transpose(0, 2, 1).reshape(len(features), -1)
    none = scores[..., -1].mean(axis=1, keepdims=True)
    return np.concatenate([named, none], axis=1)


def find_chords(notes: NDArray[np.float32], beats: Curve, seconds: float) -> list[Chord]:
    """Find the chords of a band; they change on beats.

    Parameters
    ----------
    notes
        Of :class:`karaoke.analysis.features.Features`.
    beats
        Seconds; without any, chords change every half second.
    seconds
        Length of the song.
    """
    if not len(notes):
        return []
    if len(beats) < 2:
        beats = np.arange(0.5, seconds, 0.5)
    inner = beats[(beats > 0.05) & (beats < seconds - 0.05)]
    edges = np.concatenate([[0.0], inner, [seconds]])
    scores = chord_scores(chord_features(notes, edges))
    scores[:, -1] -= TUNE_ODDS * in_tune(notes)
    shares = softmax(scores)
    # Where nothing sounds there is no chord.
    loud = averages(notes, edges).sum(axis=1)
    shares[loud < 0.02 * np.percentile(loud, 90) + 1e-6] = np.eye(shares.shape[1])[-1]
    path = decode(np.log(shares + 1e-12), CHANGE_COST)
    chords = []
    for first, after in runs(path):
        state = int(path[first])
        confidence = float(shares[first:after, state].mean())
        begin, end = float(edges[first]), float(edges[after])
        if state == len(QUALITIES) * 12:
            chords.append(Chord(begin, end, None, "", confidence))
        else:
            quality, root = divmod(state, 12)
            chords.append(Chord(begin, end, root, QUALITIES[quality], confidence))
    return chords


def has_harmony(chords: Sequence[Chord]) -> bool:
    """Tell whether chords sound for long enough to say anything of the song."""
    return sounding_share(chords) >= FEWEST_SHARE


def sounding_share(chords: Sequence[Chord]) -> float:
    """Tell for which share of the song chords sound."""
    sounding = [chord for chord in chords if chord.root is not None]
    return seconds_of(sounding) / max(seconds_of(chords), 1e-9)


def seconds_of(chords: Sequence[Chord]) -> float:
    """Add up how long chords last."""
    return sum(chord.end_seconds - chord.start_seconds for chord in chords)
