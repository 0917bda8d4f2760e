"""Songs whose key, tempo, metre, beats and chords are known: to learn to hear them by.

FluidSynth plays them, with a soundfont that is under the MIT license (Debian: ``fluidsynth
fluid-soundfont-gm``).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from karaoke.errors import NoInputError
from karaoke.training.mixtures.augment import Rng

Audio = NDArray[np.float32]
#: Turns beats into seconds.
Clock = Callable[[float], float]
RATE = 44_100

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
QUALITIES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
}
#: Degrees of the scale and triads on them, by bars.
TURNS = {
    "major": (
        (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 3), (0, 3, 0, 4), (1, 4, 0, 0),
        (0, 2, 3, 4), (0, 5, 1, 4), (3, 4, 2, 5), (0, 3, 5, 4),
    ),
    "minor": (
        (0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 4), (0, 5, 3, 4), (0, 3, 6, 2), (0, 2, 6, 3),
        (0, 6, 5, 6), (0, 0, 3, 4),
    ),
}  # fmt: skip
TRIADS = {
    "major": ("maj", "min", "min", "maj", "maj", "min", "dim"),
    "minor": ("min", "dim", "maj", "min", "min", "maj", "maj"),
}
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
#: General MIDI programs of what plays chords, the bass and what else goes along.
COMPING = (0, 1, 4, 5, 16, 24, 25, 26, 27, 29, 30, 48, 50, 80, 89)
BASSES = (32, 33, 34, 35, 36, 38)
#: What sounds like a voice, and is left behind as one is by a separator.
LEADS = (52, 53, 54, 40, 65, 68, 73, 80, 85)
DRUM_KEYS = {"kick": 36, "snare": 38, "hat": 42}


@dataclass(frozen=True)
class Chord:
    """A chord from one second to another; the bass is a pitch class."""

    start: float
    end: float
    root: int
    quality: str
    bass: int

    @property
    def label(self) -> str:
        """In the notation of mir_eval: ``A:min7``."""
        return f"{NAMES[self.root]}:{self.quality}"


@dataclass(frozen=True)
class Note:
    """A note from one second on, for some, at a loudness from 0 to 1."""

    start: float
    seconds: float
    pitch: float
    level: float = 0.8


@dataclass
class Song:
    """What is played, and what it is.

    Parameters
    ----------
    beats, downbeats
        Seconds; in 6/8 a beat is three eighths.
    beats_per_bar
        2 in 6/8.
    bpm
        Median of the beats.
    """

    key: str
    metre: str
    bpm: float
    seconds: float
    beats: list[float]
    downbeats: list[float]
    chords: list[Chord]
    parts: dict[str, list[Note]] = field(default_factory=dict)
    drums: list[tuple[float, str, float]] = field(default_factory=list)
    programs: dict[str, int] = field(default_factory=dict)


def draw_song(
    rng: Rng,
    *,
    seconds: float = 40.0,
    key: int | None = None,
    bpm: float | None = None,
    metre: str | None = None,
    drift: float | None = None,
) -> Song:
    """Draw a song.

    Parameters
    ----------
    rng
        Decides what is not said.
    seconds
        At least so long.
    key
        0 to 11 are the major keys from C on, 12 to 23 the minor ones.
    bpm
        Beats a minute.
    metre
        ``3/4``, ``4/4`` or ``6/8``.
    drift
        How far the tempo moves up or down in all, as a share.
    """
    key = int(rng.integers(24)) if key is None else key
    tonic, mode = key % 12, "major" if key < 12 else "minor"
    metre = str(rng.choice(["4/4", "4/4", "4/4", "3/4", "6/8"])) if metre is None else metre
    if bpm is None:
        bpm = float(rng.uniform(60, 180) if metre != "6/8" else rng.uniform(45, 100))
    if drift is None:
        drift = float(rng.choice([0.0, 0.0, rng.uniform(-0.1, 0.1)]))
    per_bar = {"4/4": 4, "3/4": 3, "6/8": 2}[metre]
    bars = max(8, int(np.ceil(seconds * bpm / 60 / per_bar / 4)) * 4)
    count = bars * per_bar + 1
    lengths = 60 / bpm * (1 + drift * np.linspace(-0.5, 0.5, count))
    beats = float(rng.uniform(0.1, 1.5)) + np.concatenate([[0], np.cumsum(lengths)])
    clock = np.arange(len(beats))

    def at(beat: float) -> float:
        return float(np.interp(beat, clock, beats))

    song = Song(
        key=f"{NAMES[tonic]} {mode}",
        metre=metre,
        bpm=60 / float(np.median(np.diff(beats[:-1]))),
        seconds=at(count) + 1.0,
        beats=[float(b) for b in beats[:count]],
        downbeats=[float(b) for b in beats[:count:per_bar]],
        chords=draw_chords(rng, tonic, mode, bars, per_bar, at),
    )
    swing = float(rng.choice([0.5, 0.5, 0.5, rng.uniform(0.58, 0.67)])) if metre != "6/8" else 0.5
    steps = {"4/4": (0, swing), "3/4": (0, swing), "6/8": (0, 1 / 3, 2 / 3)}[metre]
    play_band(rng, song, bars, per_bar, steps, at)
    draw_tune(rng, song, tonic, mode, bars, per_bar, steps, at)
    return song


def draw_chords(rng: Rng, tonic: int, mode: str, bars: int, per_bar: int, at: Clock) -> list[Chord]:
    """Draw a turn of chords for the verse and one for the chorus, and a cadence at the end."""
    degrees: list[tuple[int, float]] = []
    verse, chorus = (TURNS[mode][n] for n in rng.choice(len(TURNS[mode]), 2, replace=False))
    halves = rng.random() < 0.25 and per_bar % 2 == 0
    for bar in range(bars):
        turn = verse if (bar // 8) % 2 == 0 else chorus
        if halves:
            degrees += [(turn[2 * bar % 4], 0.5), (turn[(2 * bar + 1) % 4], 0.5)]
        else:
            degrees.append((turn[bar % 4], 1.0))
    sevenths, inversions = rng.choice([0.0, 0.3, 0.9]), rng.choice([0.0, 0.2])
    chords, beat = [], 0.0
    for number, (degree, share) in enumerate(degrees):
        if number == len(degrees) - 1:
            degree = 0
        root = (tonic + SCALES[mode][degree]) % 12
        quality = TRIADS[mode][degree]
        if mode == "minor" and degree == 4 and number % 2 == 0:
            quality = "maj"  # the dominant of a minor key
        if rng.random() < sevenths:
            dominant = degree == 4 or (mode == "minor" and degree == 6)
            quality = {"maj": "7" if dominant else "maj7", "min": "min7"}.get(quality, quality)
        if quality == "dim":
            quality = "min"
        tones = QUALITIES[quality]
        bass = (root + int(tones[rng.integers(1, 3)] if rng.random() < inversions else 0)) % 12
        end = beat + share * per_bar
        chords.append(Chord(at(beat), at(end), root, quality, bass))
        beat = end
    merged: list[Chord] = []
    for chord in chords:
        if merged and (merged[-1].root, merged[-1].quality, merged[-1].bass) == (
            chord.root, chord.quality, chord.bass,
        ):  # fmt: skip
            merged[-1] = Chord(merged[-1].start, chord.end, chord.root, chord.quality, chord.bass)
        else:
            merged.append(chord)
    return merged


def play_band(
    rng: Rng, song: Song, bars: int, per_bar: int, steps: tuple[float, ...], at: Clock
) -> None:
    """Play drums, bass and chords."""
    chord_at = {round(chord.start, 6): chord for chord in song.chords}
    starts = sorted(chord_at)
    manner = rng.choice(["block", "pulse", "offbeat", "broken", "pad"])
    bass_manner = rng.choice(["root", "pulse", "fifth"])
    drums = rng.random() < 0.85
    hats, backbeat = rng.choice([1, 1, 2]), 1 if per_bar == 2 else int(rng.choice([1, 1, 2]))
    pickup = rng.random() < 0.4
    comp, bass = [], []
    low = int(rng.integers(52, 60))
    for beat in range(bars * per_bar):
        place, here = beat % per_bar, at(beat)
        chord = chord_at[max(s for s in starts if s <= here + 1e-4)]
        tones = [low + (chord.root + step - low) % 12 for step in QUALITIES[chord.quality]]
        root = 36 + (chord.bass - 36) % 12
        begins = abs(chord.start - here) < 1e-4
        ends = min(chord.end, song.seconds)
        loud = 0.8 if place == 0 else 0.65
        for number, step in enumerate(steps):
            now, later = at(beat + step), at(beat + (*steps, 1.0)[number + 1])
            if manner == "pulse" or (manner == "offbeat" and number):
                comp += [Note(now, 0.8 * (later - now), t, loud) for t in tones]
            elif manner == "broken":
                tone = sorted(tones)[(beat * len(steps) + number) % len(tones)]
                comp.append(Note(now, 1.5 * (later - now), tone, loud))
            if bass_manner == "pulse":
                bass.append(Note(now, 0.9 * (later - now), root, loud))
            if drums and (number == 0 or hats == 2 or len(steps) == 3):
                song.drums.append((now, "hat", 0.5 if number == 0 else 0.35))
        if (manner in ("block", "pad") or (manner == "offbeat" and place == 0)) and (
            begins or place == 0
        ):
            stop = ends if manner == "pad" else min(ends, at(beat + per_bar))
            comp += [Note(here, 0.95 * (stop - here), t, loud) for t in tones]
        if bass_manner == "root" and (begins or place == 0):
            stop = min(ends, at(beat - place + per_bar))
            bass.append(Note(here, 0.95 * (stop - here), root, 0.85))
        if bass_manner == "fifth":
            step = 0 if begins or place == 0 or rng.random() < 0.5 else 7
            fifth = chord.bass == chord.root
            bass.append(Note(here, 0.9 * (at(beat + 1) - here), root + step * fifth, 0.8))
        if drums:
            if place == 0 or (per_bar == 4 and place == 2 and backbeat == 1):
                song.drums.append((here, "kick", 0.9 if place == 0 else 0.75))
            if (per_bar == 4 and place in (1, 3) and backbeat == 1) or (
                (per_bar == 4 and place == 2 and backbeat == 2)
                or (per_bar == 3 and place in (1, 2))
                or (per_bar == 2 and place == 1)
            ):
                song.drums.append((here, "snare", 0.8 if per_bar != 3 else 0.45))
            if pickup and rng.random() < 0.3:
                song.drums.append((at(beat + steps[-1]), "kick", 0.6))
    song.parts |= {"comp": comp, "bass": bass}
    song.programs |= {"comp": int(rng.choice(COMPING)), "bass": int(rng.choice(BASSES))}


def draw_tune(
    rng: Rng,
    song: Song,
    tonic: int,
    mode: str,
    bars: int,
    per_bar: int,
    steps: tuple[float, ...],
    at: Clock,
) -> None:
    """Draw a tune of phrases of two bars: chord tones on beats, steps between, rests after."""
    scale = [p for p in range(40, 90) if (p - tonic) % 12 in SCALES[mode]]
    middle = int(rng.choice([52, 57, 62, 66]))
    notes: list[Note] = []
    pitch = min(scale, key=lambda p: abs(p - middle))
    for phrase in range(bars // 2):
        if phrase == 0 or rng.random() < 0.15:
            continue
        beat, end = 2.0 * per_bar * phrase, 2.0 * per_bar * (phrase + 1) - rng.choice([0.5, 1, 1.5])
        places = [b + s for b in range(int(beat), int(np.ceil(end))) for s in steps]
        places = [p for p in places if p < end]
        index = int(rng.integers(0, 2))
        while index < len(places):
            hold = int(rng.choice([1, 1, 2, 2, 3, 4]))
            start = at(places[index])
            after = min(index + hold, len(places))
            stop = at(places[after] if after < len(places) else end)
            chord = max((c for c in song.chords if c.start <= start + 1e-4), key=lambda c: c.start)
            near = scale
            if places[index] == round(places[index]):
                tones = {(chord.root + t) % 12 for t in QUALITIES[chord.quality]}
                near = [p for p in range(40, 90) if p % 12 in tones]
            step = int(rng.choice([-4, -3, -2, -1, 0, 1, 2, 3, 4]))
            aim = np.clip(pitch + step, middle - 8, middle + 8)
            pitch = min(near, key=lambda p: (abs(p - aim), p))
            if stop - start > 0.1:
                notes.append(Note(start, stop - start, float(pitch), 0.8))
            index = after
    song.parts["tune"] = notes
    song.programs["tune"] = int(rng.choice(LEADS))


def play(song: Song, levels: Mapping[str, float]) -> Audio:
    """Play the parts of a song ``(2, samples)`` at levels from 0 to 1; ``drums`` are one of them.

    Raises
    ------
    NoInputError
        The soundfont is not installed.
    """
    if not SOUNDFONT.is_file():
        raise NoInputError(
            f'"{SOUNDFONT}": not there', hint="Install fluidsynth and fluid-soundfont-gm."
        )
    events: list[tuple[float, mido.Message]] = []
    for channel, (name, notes) in enumerate(song.parts.items()):
        program = song.programs[name]
        events.append((0.0, mido.Message("program_change", channel=channel, program=program)))
        for note in notes:
            velocity = max(1, int(127 * note.level * levels[name]))
            pitch = {"channel": channel, "note": int(note.pitch)}
            events.append((note.start, mido.Message("note_on", velocity=velocity, **pitch)))
            events.append((note.start + note.seconds, mido.Message("note_off", **pitch)))
    for second, kind, level in song.drums:
        velocity = max(1, int(127 * level * levels["drums"]))
        hit = mido.Message("note_on", channel=9, note=DRUM_KEYS[kind], velocity=velocity)
        events.append((second, hit))
    lane = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000)])
    now = 0
    for second, message in sorted(events, key=lambda e: (e[0], e[1].type != "note_off")):
        tick = max(now, round(1000 * second))
        lane.append(message.copy(time=tick - now))
        now = tick
    midi = mido.MidiFile(ticks_per_beat=1000)
    midi.tracks.append(lane)
    with tempfile.TemporaryDirectory() as folder:
        midi.save(f"{folder}/song.mid")
        subprocess.run(
            ["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", str(RATE), "-F", f"{folder}/song.wav",
             str(SOUNDFONT), f"{folder}/song.mid"],
            check=True, capture_output=True,
        )  # fmt: skip
        sound, _ = soundfile.read(f"{folder}/song.wav", always_2d=True, dtype="float32")
    whole = np.zeros((2, round(song.seconds * RATE)), np.float32)
    part = sound.T[:, : whole.shape[1]]
    whole[:, : part.shape[1]] = part
    return whole
