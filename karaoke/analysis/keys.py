"""The key of a song, from its chords, the notes of the band and the melody.

References
----------
.. [1] J. Albrecht, D. Shanahan, "The use of large corpora to train a new type of key-finding
   algorithm", Music Perception 31, 2013: how much each note belongs to a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.harmony import (
    FEWEST_SHARE,
    FLATS,
    SHARPS,
    Chord,
    bass_and_treble,
    has_harmony,
    in_tune,
    seconds_of,
    sounding_share,
)
from karaoke.analysis.learned import softmax
from karaoke.analysis.melody import Note

Curve = NDArray[np.float64]

#: Majors whose signature has flats; minors as their relatives.
FLAT_MAJORS = frozenset({1, 3, 5, 8, 10})
#: How much each chord of a key speaks for it, by its degree and whether it is minor.
MAJOR_WEIGHTS = {(0, False): 1.0, (5, False): 0.8, (7, False): 0.9, (9, True): 0.55,
                 (2, True): 0.5, (4, True): 0.35}  # fmt: skip
MINOR_WEIGHTS = {(0, True): 1.0, (5, True): 0.75, (7, True): 0.7, (7, False): 0.7, (8, False): 0.6,
                 (10, False): 0.65, (3, False): 0.5}  # fmt: skip
STRANGE = -0.3
#: What the first and the last chord, and a step from the dominant home, add, by seconds.
LAST_SHARE, FIRST_SHARE, CADENCE_SECONDS = 0.08, 0.05, 1.0
#: Shares of time of the notes of a major and of a minor from their tonic on [1]_.
PROFILES = (
    (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
)
#: How much the notes of the band and those of the melody count beside chords that sound throughout.
BAND_WEIGHT, MELODY_WEIGHT = 0.2, 0.3
#: Notes that fit no key better than this tell none without chords; nor do fewer seconds of melody.
CLEAR_FIT, FEWEST_SECONDS = 0.7, 10.0
#: Notes so much weaker than the strongest are not heard.
FAINT = 0.02
#: Notes of speech are less sure than the first, those of singing mostly surer than the second.
SPOKEN, SUNG = 0.5, 0.7
#: How fast confidence in a key grows with its lead.
KEY_SHARPNESS = 12.0


@dataclass(frozen=True)
class Key:
    """The key of a song.

    Parameters
    ----------
    tonic
        Pitch class, 0 is C.
    is_minor
        Whether it is minor.
    confidence
        0 to 1.
    """

    tonic: int
    is_minor: bool
    confidence: float

    @property
    def flats(self) -> bool:
        """Whether its signature has flats."""
        return (self.tonic + 3 * self.is_minor) % 12 in FLAT_MAJORS

    @property
    def name(self) -> str:
        """As musicians say it: ``Bb major``."""
        names = FLATS if self.flats else SHARPS
        return f"{names[self.tonic]} {'minor' if self.is_minor else 'major'}"

    @property
    def short_name(self) -> str:
        """As tags have it: ``Bb``, ``F#m``."""
        return (FLATS if self.flats else SHARPS)[self.tonic] + "m" * self.is_minor

    def moved(self, semitones: int) -> Key:
        """Transpose it."""
        return Key((self.tonic + semitones) % 12, self.is_minor, self.confidence)


@dataclass(frozen=True)
class Witness:
    """What one side of a song says of its key.

    Parameters
    ----------
    scores
        ``(24,)``: for C major to B major, then C minor to B minor.
    trust
        0 to 1.
    """

    scores: Curve
    trust: float = 0.0


UNHEARD = Witness(np.zeros(24))


def find_key(
    chords: Sequence[Chord],
    band: NDArray[np.float32] | None = None,
    melody: Sequence[Note] = (),
) -> Key | None:
    """Find the key for which most speaks; None where nothing speaks clearly for any.

    Parameters
    ----------
    chords
        In order.
    band
        Strengths of its notes, of :class:`karaoke.analysis.features.Features`.
    melody
        What is sung.
    """
    by_chords = chords_say(chords)
    by_band = UNHEARD if band is None else band_says(band)
    by_melody = melody_says(melody)
    trust = max(by_chords.trust, by_band.trust, by_melody.trust)
    if not trust:
        return None
    scores = sounding_share(chords) * by_chords.scores + BAND_WEIGHT * by_band.scores
    shares = softmax(KEY_SHARPNESS * (scores + MELODY_WEIGHT * by_melody.scores))
    best = int(shares.argmax())
    return Key(best % 12, best >= 12, float(shares[best] * trust))


def chords_say(chords: Sequence[Chord]) -> Witness:
    """Ask the chords."""
    sounding = [chord for chord in chords if chord.root is not None]
    if len(sounding) < 2:
        return UNHEARD
    heard = seconds_of(sounding)
    scores = np.array([key_score(sounding, heard, number) for number in range(24)])
    sure = sum(c.confidence * (c.end_seconds - c.start_seconds) for c in sounding) / heard
    return Witness(scores, sure if has_harmony(chords) else 0.0)


def band_says(notes: NDArray[np.float32]) -> Witness:
    """Ask the notes of the band, each frame as much as any other."""
    bass, treble = (
        (part / (part.sum(axis=1, keepdims=True) + 1e-6)).sum(axis=0, dtype=float)
        for part in bass_and_treble(notes)
    )
    fits = profile_fits(treble + 0.5 * bass)
    tuned = max(0.0, in_tune(notes))
    loud = notes.sum(axis=1)
    often = (loud > FAINT * loud.max(initial=0)).mean() >= FEWEST_SHARE
    return Witness(tuned * fits, tuned * fits.max() if often and fits.max() >= CLEAR_FIT else 0.0)


def melody_says(notes: Sequence[Note]) -> Witness:
    """Ask what is sung; what is spoken has no key."""
    if not notes:
        return UNHEARD
    lasts = np.array([note.end_seconds - note.start_seconds for note in notes])
    sure = float(np.average([note.confidence for note in notes], weights=lasts))
    sung = float(np.clip((sure - SPOKEN) / (SUNG - SPOKEN), 0, 1))
    strengths = np.zeros(12)
    np.add.at(strengths, [note.pitch % 12 for note in notes], lasts)
    fits = profile_fits(strengths)
    clear = fits.max() >= CLEAR_FIT and lasts.sum() >= FEWEST_SECONDS
    return Witness(sung * fits, sung * fits.max() if clear else 0.0)


def profile_fits(strengths: Curve) -> Curve:
    """Correlate the strengths of the pitch classes ``(12,)`` with the profile of each key."""
    off = strengths - strengths.mean()
    profiles = np.array([np.roll(profile, k) for profile in PROFILES for k in range(12)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(profiles, axis=1) * np.linalg.norm(off)
    return np.asarray(profiles @ off / (lengths + 1e-9))


def key_score(chords: Sequence[Chord], heard: float, number: int) -> float:
    """Score a key, 0 to 11 major from C on, 12 to 23 minor, by the chords, ends and cadences."""
    tonic, is_minor = number % 12, number >= 12
    weights = MINOR_WEIGHTS if is_minor else MAJOR_WEIGHTS
    total, before = 0.0, (-1, False)
    for chord in chords:
        assert chord.root is not None
        place = ((chord.root - tonic) % 12, chord.quality.startswith("min"))
        lasts = chord.end_seconds - chord.start_seconds
        total += lasts * weights.get(place, STRANGE)
        if place == (0, is_minor) and before == (7, False):
            total += 0.5 * min(lasts, 2 * CADENCE_SECONDS)
        before = place
    for chord, share in ((chords[0], FIRST_SHARE), (chords[-1], LAST_SHARE)):
        if chord.root == tonic and chord.quality.startswith("min") == is_minor:
            total += share * heard
    return total / heard
