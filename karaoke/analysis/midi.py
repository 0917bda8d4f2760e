"""Melody, chords and beats of a song as a MIDI file.

Its tempo map follows the beats, so that bars and beats of a sequencer are those of the song.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.harmony import TONES
from karaoke.analysis.song import SongFacts
from karaoke.lyrics.midi import (
    KEY_SIGNATURE,
    MARKER,
    NAME,
    TIME_SIGNATURE,
    Event,
    meta_event,
    midi_file,
    tempo_event,
    track,
)

TICKS_PER_BEAT = 480
#: Where no pulse was found.
DEFAULT_BPM = 120.0
MELODY, CHORDS = 0, 1
MELODY_VELOCITY, CHORD_VELOCITY = 100, 60
#: Programs of General MIDI: a lead, and a piano.
MELODY_PROGRAM, CHORD_PROGRAM = 80, 0
#: Chords lie around this note.
CHORD_FLOOR = 48
#: Sharps of the major keys from C on, flats if negative.
SHARPS_OF = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)


class Clock:
    """Turns seconds into ticks: beats are on multiples of a beat's ticks.

    Parameters
    ----------
    beats
        Seconds; may be empty.
    first
        Number of the first one that begins a bar.
    per_bar
        Beats a bar.
    """

    def __init__(self, beats: NDArray[np.float64], first: int, per_bar: int) -> None:
        if len(beats) < 2:
            beats = np.array([0.0, 60 / DEFAULT_BPM])
            first = 0
        step = beats[1] - beats[0]
        # Beats before the first one that was found, to the beginning of a bar at or before zero.
        before = int(np.ceil(beats[0] / step)) if beats[0] > 0 else 0
        before += (-first - before) % per_bar
        ahead = beats[0] - step * np.arange(before, 0, -1)
        self.beats = np.concatenate([ahead, beats])
        # MIDI begins at its first tick: what is before the song is squeezed out.
        self.beats = np.maximum(self.beats, 0.0) if self.beats[0] < 0 else self.beats
        self.numbers = np.arange(len(self.beats))

    def ticks(self, seconds: float) -> int:
        """Give the tick of a second."""
        beat = float(np.interp(seconds, self.beats, self.numbers))
        if seconds > self.beats[-1]:
            beat += (seconds - self.beats[-1]) / (self.beats[-1] - self.beats[-2])
        return round(beat * TICKS_PER_BEAT)


def write_midi(facts: SongFacts) -> bytes:
    """Write a file of format 1: tempi and signatures, the melody, the chords.

    In 6/8 a quarter note of the file is three eighths of the song.
    """
    beats = facts.pulse.beats if facts.pulse is not None else np.zeros(0)
    first, per_bar = (facts.bars.first, facts.bars.beats) if facts.bars is not None else (0, 4)
    clock = Clock(beats, first, per_bar)
    lead: list[Event] = [(0, 0, bytes([0xC0 | MELODY, MELODY_PROGRAM]))]
    for note in facts.notes:
        pair = clock.ticks(note.start_seconds), clock.ticks(note.end_seconds)
        lead += held(MELODY, note.pitch, MELODY_VELOCITY, *pair)
    comping: list[Event] = [(0, 0, bytes([0xC0 | CHORDS, CHORD_PROGRAM]))]
    for chord in facts.chords:
        if chord.root is None:
            continue
        start, end = clock.ticks(chord.start_seconds), clock.ticks(chord.end_seconds)
        flats = facts.key is not None and facts.key.flats
        comping.append((start, 1, meta_event(MARKER, chord.name(flats).encode())))
        for tone in TONES[chord.quality]:
            pitch = CHORD_FLOOR + (chord.root + tone - CHORD_FLOOR) % 12
            comping += held(CHORDS, pitch, CHORD_VELOCITY, start, end)
    tracks = {"Tempo": conducted(facts, clock), "Melody": lead, "Chords": comping}
    named = [
        # At one tick, what has the same rank goes by its bytes.
        track([(0, -1, meta_event(NAME, name.encode())), *sorted(events)])
        for name, events in tracks.items()
    ]
    return midi_file(named, TICKS_PER_BEAT)


def conducted(facts: SongFacts, clock: Clock) -> list[Event]:
    """List the tempi from beat to beat, and the signatures."""
    events: list[Event] = []
    # A beat is a quarter, in 6/8, too, where three eighths make a beat.
    count = facts.bars.beats if facts.bars is not None else 4
    events.append((0, 0, meta_event(TIME_SIGNATURE, bytes([count, 2, 24, 8]))))
    if facts.key is not None:
        sharps = SHARPS_OF[(facts.key.tonic + 3 * facts.key.is_minor) % 12]
        minor = int(facts.key.is_minor)
        events.append((0, 0, meta_event(KEY_SIGNATURE, struct.pack(">bB", sharps, minor))))
    for number, step in enumerate(np.diff(clock.beats)):
        microseconds = int(np.clip(round(1e6 * step), 1, 0xFFFFFF))
        events.append((number * TICKS_PER_BEAT, 0, tempo_event(microseconds)))
    return events


def held(channel: int, pitch: int, velocity: int, start: int, end: int) -> list[Event]:
    """Begin and end a note; at one time, notes end before others begin."""
    end = max(end, start + 1)
    return [(start, 2, bytes([0x90 | channel, pitch, velocity])),
            (end, 0, bytes([0x80 | channel, pitch, 0]))]  # fmt: skip
