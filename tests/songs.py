"""A small song that is drawn from a seed and known, and made-up facts of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.harmony import SHARPS, TONES, Chord
from karaoke.analysis.keys import find_key
from karaoke.analysis.melody import Note
from karaoke.analysis.metre import Bars
from karaoke.analysis.pulse import Pulse
from karaoke.analysis.song import SongFacts
from karaoke.analysis.sounds import Sound

RATE = 44_100


def tone(pitch: float, seconds: float, voice: bool = False) -> NDArray[np.float64]:
    """Sound a note: a string that dies away, or a steady voice."""
    t = np.arange(round(seconds * RATE)) / RATE
    hz = 440 * 2 ** ((pitch - 69) / 12)
    sound = np.zeros(len(t))
    for k in range(1, 9):
        fall = 1.0 if voice else np.exp(-t * (1 + k / 2))
        sound += np.sin(2 * np.pi * k * hz * t + k) * fall / k**1.3
    return sound * np.clip(t / 0.01, 0, 1) * np.clip((seconds - t) / 0.03, 0, 1)


def a_song(
    rng: np.random.Generator, shift: int = 0, beat: float | None = None, times: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, object]]:
    """Draw a cadence of eight bars, perhaps repeated, with drums and a tune; give both stems."""
    beat = float(rng.uniform(0.45, 0.6)) if beat is None else beat
    tonic = int(rng.integers(12))
    turn = [(0, "maj"), (5, "maj"), (7, "maj"), (0, "maj"), (9, "min"), (2, "min"), (7, "7"),
            (0, "maj")]  # fmt: skip
    bars = turn * times
    length = round((len(bars) * 4 * beat + 1) * RATE)
    band, voice = np.zeros(length), np.zeros(length)

    def add(bus: NDArray[np.float64], sound: NDArray[np.float64], second: float) -> None:
        first = round(second * RATE)
        bus[first : first + len(sound)] += sound[: max(0, len(bus) - first)]

    chords, notes, now = [], [], 0.2
    for bar, (degree, quality) in enumerate(bars):
        root = (tonic + degree) % 12
        start = now + bar * 4 * beat
        chords.append((start, start + 4 * beat, (root + shift) % 12, quality))
        for n in range(4):
            for step in TONES[quality]:
                pitch = 55 + (root + step - 55) % 12 + shift
                add(band, 0.05 * tone(pitch, 0.9 * beat), start + n * beat)
            add(band, 0.12 * tone(36 + (root - 36) % 12 + shift, 0.9 * beat), start + n * beat)
            hit = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300)
            add(band, (0.25 if n % 2 else 0.1) * hit, start + n * beat)
            if n == 0:
                t = np.arange(8000) / RATE
                add(band, 0.5 * np.sin(2 * np.pi * 55 * t) * np.exp(-t / 0.05), start)
        if bar % 4 != 3:
            for n in range(3):
                step = int(rng.choice(TONES[quality]))
                pitch = 60 + (root + step - 60) % 12 + shift
                notes.append((start + n * beat, pitch))
                add(voice, 0.1 * tone(pitch, 0.85 * beat, voice=True), start + n * beat)
    truth: dict[str, object] = {
        "key": f"{SHARPS[(tonic + shift) % 12]} major",
        "bpm": 60 / beat,
        "chords": chords,
        "notes": notes,
        "beats": now + beat * np.arange(4 * len(bars)),
    }
    stereo = [np.stack([bus, bus]).astype(np.float32) for bus in (voice, band)]
    return stereo[0], stereo[1], truth


def sound_of(samples: NDArray[np.float32]) -> Sound:
    """Read samples ``(channels, samples)`` as a stem."""
    return Sound(lambda at, count: samples[:, at : at + count], samples.shape[1], RATE)


def facts_of(beat: float = 0.5, first: int = 0) -> SongFacts:
    """Make up what may be found."""
    beats = 0.7 + beat * np.arange(24)
    chords = (Chord(0.7, 2.7, 9, "min", 0.9), Chord(2.7, 4.7, None, "", 0.5),
              Chord(4.7, 6.7, 10, "7", 0.8))  # fmt: skip
    notes = (Note(0.7, 1.2, 60, 1.0), Note(1.2, 1.6, 60, 0.9), Note(5.0, 6.0, 64, 0.8))
    key = find_key(chords[:1] + chords[2:])
    pulse = Pulse(beats, 60 / beat, 0.9, ((30 / beat, 0.1),))
    return SongFacts(13.0, 441.0, key, pulse, Bars("4/4", first, 0.8), chords, notes)
