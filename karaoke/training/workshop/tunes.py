"""Made-up tunes: notes in phrases, and the pitch of a voice that sings them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.training.mixtures.augment import Rng, join_steps
from karaoke.training.mixtures.oscillators import SCALES
from karaoke.training.workshop.vocoder import FRAMES_PER_SECOND

#: Lengths of notes in beats; short ones are more common.
BEATS = (0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Note:
    """A note, in frames of the vocoder.

    Parameters
    ----------
    start, stop
        In frames.
    semitones
        Semitones above the singer's usual pitch.
    phrase
        Number of its phrase.
    """

    start: int
    stop: int
    semitones: float
    phrase: int


def compose(rng: Rng, frames: int) -> list[Note]:
    """Compose phrases separated by rests; some are repeated, like choruses."""
    scale = SCALES[rng.integers(len(SCALES))]
    beat = FRAMES_PER_SECOND * 60 / rng.uniform(65, 160)
    notes: list[Note] = []
    phrases: list[list[tuple[float, float]]] = []
    at = float(rng.uniform(0, beat))
    for phrase in range(frames):
        if not phrases or rng.random() < 0.6:
            phrases.append(compose_phrase(rng, scale))
        for semitones, beats in phrases[rng.integers(len(phrases))]:
            stop = at + beats * beat
            if stop >= frames:
                return notes
            notes.append(Note(round(at), round(stop), semitones, phrase))
            at = stop
        at += rng.choice([0.5, 1.0, 1.0, 2.0]) * beat
    return notes


def compose_phrase(rng: Rng, scale: tuple[int, ...]) -> list[tuple[float, float]]:
    """Compose three to twelve notes, as semitones and lengths in beats."""
    step = int(rng.integers(-3, 4))
    phrase = []
    for _ in range(int(rng.integers(3, 13))):
        octave, degree = divmod(step, len(scale))
        phrase.append((12.0 * octave + scale[degree] - 3, float(rng.choice(BEATS))))
        # Small steps and occasional leaps, with a tendency back to the middle.
        leap = rng.choice([-2, -1, -1, 0, 1, 1, 2]) if rng.random() < 0.85 else rng.integers(-5, 6)
        step = int(np.clip(round(0.9 * step + leap), -7, 9))
    semitones, beats = phrase[-1]
    phrase[-1] = (semitones, beats + 1.0)
    return phrase


def pitch_line(rng: Rng, notes: list[Note], frames: int) -> NDArray[np.float64]:
    """Draw the pitch in semitones of a voice that sings notes: ``(frames,)``.

    It has portamento between notes, scoops up to the first note of a phrase, vibrato that swells on
    long notes, and the unsteadiness of a human voice.
    """
    line = np.zeros(frames)
    vibrato = np.zeros(frames)
    rate_hz, depth = rng.uniform(4.5, 6.8), rng.uniform(0, 0.7)
    scoops = np.zeros(frames)
    for index, note in enumerate(notes):
        # The pitch moves to the next note during a rest.
        line[notes[index - 1].stop if index else 0 : note.stop] = note.semitones
        seconds = np.arange(note.stop - note.start) / FRAMES_PER_SECOND
        swell = ((seconds - 0.2) / 0.4).clip(0, 1)
        wave = np.sin(2 * np.pi * rate_hz * seconds + rng.uniform(0, 2 * np.pi))
        vibrato[note.start : note.stop] = depth * rng.uniform(0.3, 1) * swell * wave
        begins = index == 0 or notes[index - 1].phrase != note.phrase
        if begins and rng.random() < 0.6:
            scoops[note.start : note.stop] = -rng.uniform(0.5, 3.5) * np.exp(-seconds / 0.06)
    if notes:
        line[notes[-1].stop :] = notes[-1].semitones
    glide = int(rng.uniform(0.03, 0.14) * FRAMES_PER_SECOND)
    drift = np.convolve(rng.standard_normal(frames + 80), np.hanning(81), "valid")
    drift *= rng.uniform(0.03, 0.15) / max(drift.std(), 1e-9)
    return join_steps(line, glide) + vibrato + scoops + drift
