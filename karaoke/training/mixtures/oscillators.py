"""Synthesised waves: oscillators with varying pitch, and tunes for them to play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.training.mixtures.augment import Rng, join_steps

Wave = NDArray[np.float32]
Pitch = NDArray[np.float64]

#: Step of the grid on which tunes are drawn; fine enough for pitch and loudness.
GRID_SECONDS = 0.005
#: Steps of scales in semitones.
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))


def turns(pitch_hz: Pitch, sample_rate: int, start: float = 0.0) -> Pitch:
    """Return the phase in turns of a varying pitch."""
    counted: Pitch = start + np.cumsum(pitch_hz) / sample_rate
    return counted


def sine(phase: Pitch) -> Wave:
    """Make a sine wave from a phase in turns."""
    return np.sin((2 * np.pi * (phase - np.floor(phase))).astype(np.float32))


def saw(phase: Pitch) -> Wave:
    """Make a saw wave between -1 and 1 from a phase in turns, with little aliasing.

    It is the slope of a parabolic wave, which has far less aliasing than a plain saw wave
    (V. Välimäki, "Discrete-time synthesis of the sawtooth waveform with reduced aliasing", IEEE
    Signal Processing Letters 12, 2005).
    """
    parabola = np.square(2 * (phase - np.floor(phase)) - 1)  # many times as fast as % 1
    advance = np.diff(phase)
    wave = np.diff(parabola) / (4 * np.maximum(advance, 1e-6))
    return np.concatenate([wave[:1], wave]).astype(np.float32)


def pulse(phase: Pitch, width: float = 0.5) -> Wave:
    """Make a zero-mean pulse wave from a phase in turns; a width of 0.5 is a square wave."""
    return 0.5 * (saw(phase) - saw(phase + width))


@dataclass(frozen=True)
class Tune:
    """What one instrument plays.

    Parameters
    ----------
    pitch_hz
        ``(N,)``; continues through rests.
    level
        ``(N,)`` in [0, 1]; zero in rests.
    since
        ``(N,)``: seconds since the note started.
    """

    pitch_hz: Pitch
    level: Wave
    since: Wave


def compose(
    rng: Rng,
    length: int,
    sample_rate: int,
    *,
    low: float,
    high: float,
    glide_seconds: tuple[float, float] = (0.01, 0.08),
    vibrato: tuple[float, float] = (0.0, 0.5),
    bends: float = 0.2,
    attack_seconds: tuple[float, float] = (0.01, 0.06),
) -> Tune:
    """Draw a tune: phrases separated by rests, with glides, bends and vibrato.

    Parameters
    ----------
    low, high
        Lowest and highest MIDI note; 69 is A at 440 Hz.
    glide_seconds
        Shortest and longest glide from one note to the next.
    vibrato
        Smallest and largest depth in semitones.
    bends
        Probability that a note is approached from below or above.
    attack_seconds
        Shortest and longest attack of a note.
    """
    grid = np.arange(0, length / sample_rate + GRID_SECONDS, GRID_SECONDS)
    note, level = np.zeros(len(grid)), np.zeros(len(grid))
    since, offset = np.zeros(len(grid)), np.zeros(len(grid))
    scale, root = SCALES[rng.integers(len(SCALES))], int(rng.integers(12))
    notes = [n for n in range(int(low), int(high) + 1) if (n - root) % 12 in scale]
    beat = 60 / rng.uniform(70, 170)
    attack, legato = rng.uniform(*attack_seconds), rng.random() < 0.5
    at, degree = -rng.uniform(0, 1.0), int(rng.integers(len(notes)))
    left, begun = (
        int(rng.integers(2, 9)),
        False,
    )  # notes left in the phrase, and whether it has started
    while at < grid[-1]:
        seconds = beat * rng.choice([0.25, 0.5, 0.5, 1.0, 1.0, 1.5, 2.0, 3.0])
        here = slice(*np.searchsorted(grid, [at, at + seconds]))
        time = grid[here] - at
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, len(notes) - 1))
        sounding = left > 0
        note[here], since[here] = notes[degree], time
        if sounding:
            begins = 1.0 if legato and begun else np.minimum(1, time / attack)
            ends = 1.0 if legato and left > 1 else np.minimum(1, (seconds - time) / 0.03)
            level[here] = rng.uniform(0.6, 1.0) * np.minimum(begins, ends)
        if rng.random() < bends:
            offset[here] = rng.choice([-2, -1, -1, 1, 2]) * np.exp(-time / rng.uniform(0.03, 0.2))
        # Vibrato starts late and swells.
        depth = rng.uniform(*vibrato) * np.clip((time - 0.15) / 0.3, 0, 1)
        offset[here] += depth * np.sin(2 * np.pi * rng.uniform(4.5, 7) * time)
        left, begun = (left - 1, True) if sounding else (int(rng.integers(2, 9)), False)
        at += seconds
    glide = max(1, int(rng.uniform(*glide_seconds) / GRID_SECONDS))
    line = join_steps(note, glide) + offset
    time = np.arange(length) / sample_rate
    pitch_hz: Pitch = 440.0 * 2.0 ** ((np.interp(time, grid, line) - 69) / 12)
    smoothed = np.convolve(np.pad(level, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    return Tune(
        pitch_hz,
        np.interp(time, grid, smoothed * (level > 0)).astype(np.float32),
        np.interp(time, grid, since).astype(np.float32),
    )


def compose_chord(rng: Rng, low: float, high: float, *, size: int) -> list[float]:
    """Draw a chord as MIDI notes."""
    root = rng.integers(int(low), int(high))
    kinds = ((0, 4, 7, 12), (0, 3, 7, 12), (0, 7, 12, 16), (0, 5, 7, 12), (0, 3, 7, 10))
    return [float(root + step) for step in kinds[rng.integers(len(kinds))][:size]]
