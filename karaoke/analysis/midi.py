"""Melody, words, chords and beats of a song as a MIDI file.

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
    LYRIC,
    MARKER,
    NAME,
    TIME_SIGNATURE,
    Event,
    encoding_for,
    meta_event,
    midi_file,
    tempo_event,
    track,
)
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.placing import without_holds

TICKS_PER_BEAT = 480
TICKS_PER_SIXTEENTH = TICKS_PER_BEAT // 4
#: Ticks of MIDI's clock in a quarter, which tell a metronome when to click.
CLOCKS_PER_BEAT = 24
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
    """Turns seconds into ticks: beats are on multiples of a beat's ticks after the pickup.

    A file begins with the song. Beats go on to there from the first that was found, and what is
    left before them is written as so many sixteenths as come closest in tempo.

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
        inside = beats[beats >= 0]
        first = (first - (len(beats) - len(inside))) % per_bar
        if len(inside) < 2:
            inside = np.array([0.0, 60 / DEFAULT_BPM])
            first = 0
        step = inside[1] - inside[0]
        before = int(inside[0] / step)
        times = np.concatenate([inside[0] - step * np.arange(before, 0, -1), inside])
        lead = TICKS_PER_SIXTEENTH * round(4 * times[0] / step)
        ticks = lead + TICKS_PER_BEAT * np.arange(len(times))
        if lead:
            times, ticks = np.append(0.0, times), np.append(0, ticks)
        else:
            times[0] = 0.0
        self.times, self.marks = times, ticks
        #: Ticks before the first whole bar.
        self.pickup = (lead + TICKS_PER_BEAT * (before + first)) % (TICKS_PER_BEAT * per_bar)

    def ticks(self, seconds: float) -> int:
        """Give the tick of a second."""
        if seconds > self.times[-1]:
            beats = (seconds - self.times[-1]) / (self.times[-1] - self.times[-2])
            return round(float(self.marks[-1] + beats * TICKS_PER_BEAT))
        return round(float(np.interp(seconds, self.times, self.marks)))

    def tempi(self) -> list[tuple[int, int]]:
        """List the ticks at which another beat begins, and the microseconds of a whole one."""
        steps = np.diff(self.times) * TICKS_PER_BEAT / np.diff(self.marks)
        microseconds = np.clip(np.round(1e6 * steps), 1, 0xFFFFFF).astype(int)
        return list(zip(self.marks[:-1].tolist(), microseconds.tolist(), strict=True))


def write_midi(facts: SongFacts) -> bytes:
    """Write a file of format 1: tempi and signatures, the melody with its words, the chords.

    In 6/8 a quarter note of the file is three eighths of the song.
    """
    beats = facts.pulse.beats if facts.pulse is not None else np.zeros(0)
    first, per_bar = (facts.bars.first, facts.bars.beats) if facts.bars is not None else (0, 4)
    clock = Clock(beats, first, per_bar)
    lead: list[Event] = [(0, 0, bytes([0xC0 | MELODY, MELODY_PROGRAM]))]
    lead += words(facts.lyrics, clock)
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
    if clock.pickup:
        events.append((0, 0, short_bar(clock.pickup)))
    whole = meta_event(TIME_SIGNATURE, bytes([count, 2, CLOCKS_PER_BEAT, 8]))
    events.append((clock.pickup, 0, whole))
    if facts.key is not None:
        sharps = SHARPS_OF[(facts.key.tonic + 3 * facts.key.is_minor) % 12]
        minor = int(facts.key.is_minor)
        events.append((0, 0, meta_event(KEY_SIGNATURE, struct.pack(">bB", sharps, minor))))
    events += [(tick, 0, tempo_event(microseconds)) for tick, microseconds in clock.tempi()]
    return events


def short_bar(ticks: int) -> bytes:
    """Write the signature of a bar of so many ticks, in the longest notes that it is made of."""
    power, count = 4, ticks // TICKS_PER_SIXTEENTH
    while count % 2 == 0 and power > 2:
        power, count = power - 1, count // 2
    return meta_event(TIME_SIGNATURE, bytes([count, power, CLOCKS_PER_BEAT * 4 >> power, 8]))


def words(lyrics: Lyrics, clock: Clock) -> list[Event]:
    """List lyric events as RP-017 of the MIDI Association has them.

    Each is a syllable, and ends in a space where its word does; a carriage return ends a line, a
    line feed a stanza.
    """
    encoding = encoding_for(lyrics.text)
    events: list[tuple[int, str]] = []
    for number, line in enumerate(lyrics.lines):
        if number:
            # The end of the line before, when it is over or this one begins.
            ends = "\n" if line.starts_stanza else "\r"
            begins = clock.ticks(line.start_seconds or 0.0)
            over = clock.ticks(lyrics.lines[number - 1].end_seconds or 0.0)
            events.append((max(min(begins, over), events[-1][0] + 1), ends))
        for word in line.words:
            sung = without_holds(word)
            for syllable in sung:
                text = syllable.text + (" " if syllable is sung[-1] else "")
                after = events[-1][0] + 1 if events else 0
                events.append((max(clock.ticks(syllable.start_seconds or 0.0), after), text))
    return [(tick, 1, meta_event(LYRIC, text.encode(encoding))) for tick, text in events]


def held(channel: int, pitch: int, velocity: int, start: int, end: int) -> list[Event]:
    """Begin and end a note; at one time, notes end before others begin."""
    end = max(end, start + 1)
    return [(start, 2, bytes([0x90 | channel, pitch, velocity])),
            (end, 0, bytes([0x80 | channel, pitch, 0]))]  # fmt: skip
