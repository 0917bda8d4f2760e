"""Play a score: the band by FluidSynth, the voice by espeak-ng, and both mixed to a song."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import soundfile
from band_styles import DRUMS, TOMS
from composing import Chord, Rng, Score, pick
from numpy.typing import NDArray
from scipy.signal import fftconvolve

sys.path.append(str(Path(__file__).parents[1] / "data"))
from singer import sing

Audio = NDArray[np.float64]
RATE = 44_100
TICKS = 960
DRUM_CHANNEL = 9
#: Seconds after the last beat.
TAIL_SECONDS = 2.5
VELOCITIES = {"X": 104, "x": 84, "o": 58}
#: Syllables in the phonemes of espeak-ng; they make lines that nobody has written.
SYLLABLES = (
    "l'aIt n'aIt D@2 r'oUd r'eIn h'A@t w'aIld h'oUm t'aIm st'A@ m'u:n s'Vn w'eI d'eI f'aI@ w'In "
    "k'oUld n'oU j'u: m'i: w'i: 'aI g'oU k'Vm st'eI d'aUn tu: In w'ID f@2 lI m'i sI b'aI r'Vn "
    "dr'i:m b'lu: d'A@k l'Vv l'3:n f'O:l w'O:k s'eIl b'3:n r'oUl n'aU 'oU eI 'E@ n'eIm"
)


@dataclass(frozen=True)
class Note:
    """A note that an instrument plays: seconds, MIDI number, velocity."""

    start: float
    end: float
    pitch: int
    velocity: int


@dataclass
class Part:
    """An instrument and what it plays."""

    program: int
    channel: int
    notes: list[Note]
    pan: int = 64
    volume: int = 100


@dataclass(frozen=True)
class Arrangement:
    """How a score is to be heard; the notes of the band, the voice's, and the mix.

    Parameters
    ----------
    parts
        Of the band.
    sung
        Start, seconds, MIDI number and syllable of each note.
    soundfont
        What the band's sounds are of.
    voice_db
        Level of the voice above that of the band.
    seed
        Of what is drawn while it sounds.
    """

    parts: list[Part]
    sung: list[tuple[float, float, int, str]]
    soundfont: Path
    voice_db: float
    seed: int


def arrange(rng: Rng, score: Score, soundfonts: list[Path]) -> Arrangement:
    """Draw who plays what and how."""
    style = score.style
    count = min(len(style.comps), int(rng.integers(2, 4)))
    comps = [style.comps[int(n)] for n in rng.choice(len(style.comps), count, replace=False)]
    groove = dict(style.grooves[int(rng.integers(len(style.grooves)))])
    bass_how, bass_pattern, bass_pool = style.basses[int(rng.integers(len(style.basses)))]
    quiet_intro = bool(rng.random() < 0.4)
    parts = []
    for channel, (how, pattern, pool) in enumerate(comps):
        part = Part(pick(rng, pool), channel, [], int(rng.integers(24, 104)))
        part.volume = int(rng.integers(72, 104))
        part.notes = list(comping(rng, score, how, pattern, centre=int(rng.integers(56, 66))))
        # Not everybody plays from the beginning.
        if channel and rng.random() < 0.4:
            begin = score.seconds(score.sections[1].bar * score.per_bar) - 0.05
            part.notes = [note for note in part.notes if note.start > begin]
        parts.append(part)
    bass = Part(pick(rng, bass_pool), 5, list(bass_line(rng, score, bass_how, bass_pattern)))
    lead = Part(pick(rng, "lead"), 6, list(lead_line(rng, score)), int(rng.integers(30, 98)))
    lead.volume = int(rng.integers(70, 96))
    drums = Part(0, DRUM_CHANNEL, list(drumming(rng, score, groove)))
    drums.volume = int(rng.integers(80, 116))
    if quiet_intro:
        begin = score.seconds(score.sections[1].bar * score.per_bar) - 0.05
        for part in (drums, bass) if rng.random() < 0.5 else (drums,):
            part.notes = [note for note in part.notes if note.start > begin]
    parts += [part for part in (bass, lead, drums) if part.notes]
    return Arrangement(
        parts=[stopped(score, part) for part in parts],
        sung=words(rng, score),
        soundfont=soundfonts[int(rng.integers(len(soundfonts)))],
        voice_db=float(rng.uniform(-2, 4)),
        seed=int(rng.integers(2**32)),
    )


def stopped(score: Score, part: Part) -> Part:
    """Leave out what would sound while the band stops."""
    notes = part.notes
    for bar in score.breaks:
        begin = score.seconds(bar * score.per_bar + 0.9)
        end = score.seconds((bar + 1) * score.per_bar) - 0.06
        notes = [
            replace(note, end=min(note.end, begin)) if note.start < begin < note.end else note
            for note in notes
            if not begin <= note.start < end
        ]
    return replace(part, notes=notes)


def hits(score: Score, pattern: str) -> Iterator[tuple[int, float, float, str]]:
    """Yield bar, beat in the song, beats to the next hit, and strength, of a pattern each bar."""
    places = [n for n, mark in enumerate(pattern) if mark != "."]
    steps = score.style.steps
    for bar in range(score.bars - 1):
        for place, after in pairwise([*places, len(pattern)]):
            lasts = (after - place) / steps
            yield bar, bar * score.per_bar + place / steps, lasts, pattern[place]


def human(rng: Rng, score: Score, beat: float) -> float:
    """Give the time of a beat as somebody plays it."""
    spread = 0.002 if score.timing == "machine" else 0.008
    return max(0.0, score.seconds(beat) + float(np.clip(rng.normal(0, spread), -0.025, 0.025)))


def voicing(chord: Chord, centre: float, size: int) -> list[int]:
    """Lay a chord closely around a note."""
    tones = list(dict.fromkeys(chord.tones))
    notes = [p for p in range(int(centre) - 8, int(centre) + 12) if p % 12 in tones]
    first = min(range(max(1, len(notes) - size + 1)),
                key=lambda n: abs(np.mean(notes[n : n + size]) - centre))  # fmt: skip
    return notes[first : first + size]


def comping(rng: Rng, score: Score, how: str, pattern: str, centre: int) -> Iterator[Note]:
    """Play the chords: held, in blocks, strummed or one tone after the other."""
    size = 5 if how == "strum" else int(rng.integers(3, 5))
    gate = float(rng.uniform(0.5, 0.98))
    middle, turn = float(centre), 0
    if how == "held":
        for chord in score.chords[:-1]:
            notes = voicing(chord, middle, size)
            middle = 0.5 * centre + 0.5 * float(np.mean(notes))
            start = human(rng, score, chord.beat)
            end = score.seconds(chord.beat + chord.beats) - 0.03
            yield from (Note(start, end, p, int(rng.integers(62, 86))) for p in notes)
    else:
        for _, beat, lasts, mark in hits(score, pattern):
            chord = score.chord_at(beat)
            notes = voicing(chord, middle, size)
            middle = 0.5 * centre + 0.5 * float(np.mean(notes))
            velocity = VELOCITIES[mark] - 12 + int(rng.integers(-7, 8))
            start = human(rng, score, beat)
            # A chord does not sound into the next one.
            until = min(
                beat + lasts * (1.8 if how == "arpeggio" else gate), chord.beat + chord.beats
            )
            end = max(score.seconds(until) - 0.01, start + 0.06)
            if how == "arpeggio":
                turn += 1
                notes = [notes[(0, 2, 1, 3, 2, 1)[turn % 6] % len(notes)]]
            if how == "strum" and (beat * 2) % 1 > 0.1:
                notes = notes[::-1]
            lag = float(rng.uniform(0.006, 0.016)) if how == "strum" else 0.0
            for number, p in enumerate(notes):
                yield Note(start + lag * number, end, p, velocity)
    last = score.chords[-1]
    start = human(rng, score, last.beat)
    for p in voicing(last, middle, size):
        yield Note(start, float(score.beats[-1]) + 1.0, p, 84)


def bass_line(rng: Rng, score: Score, how: str, pattern: str) -> Iterator[Note]:
    """Play roots, octaves, roots and fifths, or walk from chord to chord."""

    def low(pitch_class: int) -> int:
        return 28 + (pitch_class - 28) % 12

    for _, beat, lasts, mark in hits(score, pattern):
        chord = score.chord_at(beat)
        pitch, since = low(chord.bass), beat - chord.beat
        left = chord.beat + chord.beats - beat
        if how == "octaves" and (beat * 2) % 2 >= 1:
            pitch += 12
        elif how == "fifths" and since >= chord.beats / 2 - 0.01 and since > 0:
            fifth = [t for t in chord.tones if (t - chord.root) % 12 in (6, 7)]
            pitch = low(fifth[0]) if fifth else pitch
        elif how == "walk" and since > 0.01:
            coming = low(score.chord_at(beat + left).bass) if left <= lasts + 0.01 else None
            if coming is not None:
                pitch = coming + int(rng.choice([-2, -1, 1, 2]))
            else:
                pitch = low(int(rng.choice(chord.tones)))
        start = human(rng, score, beat)
        end = max(score.seconds(beat + min(lasts, left) * 0.92), start + 0.08)
        yield Note(start, end, pitch, VELOCITIES[mark] + int(rng.integers(-6, 7)))
    last = score.chords[-1]
    start = human(rng, score, last.beat)
    yield Note(start, float(score.beats[-1]) + 1.0, low(last.root), 90)


def drumming(rng: Rng, score: Score, groove: dict[str, str]) -> Iterator[Note]:
    """Play a groove with fills before new sections, and a crash after."""
    if not groove:
        return
    firsts = {section.bar for section in score.sections[1:]}
    wild = rng.random()
    for drum, pattern in groove.items():
        for bar, beat, _, mark in hits(score, pattern):
            fill = bar + 1 in firsts and wild > 0.3
            if fill and beat >= (bar + 1) * score.per_bar - 1 and drum != "kick":
                continue
            loud = VELOCITIES[mark] + int(rng.integers(-9, 10))
            start = human(rng, score, beat)
            yield Note(start, start + 0.1, DRUMS[drum], loud)
    for bar in sorted(firsts):
        start = human(rng, score, bar * score.per_bar)
        if rng.random() < 0.7:
            yield Note(start, start + 0.5, DRUMS["crash"], 96)
        if wild > 0.3 and bar:
            steps = 3 if score.style.metre == "6/8" else int(rng.choice([2, 4]))
            for n in range(steps):
                hit = human(rng, score, bar * score.per_bar - 1 + n / steps)
                drum = DRUMS["snare"] if wild < 0.5 else TOMS[n * len(TOMS) // steps]
                yield Note(hit, hit + 0.1, drum, 80 + 5 * n)


def lead_line(rng: Rng, score: Score) -> Iterator[Note]:
    """Answer the singer where he rests, and play a tune where nobody sings."""
    if rng.random() < 0.25:
        return
    ends = [beat + lasts for beat, lasts, _ in score.tune]
    starts = [beat for beat, _, _ in score.tune]
    home = int(rng.integers(68, 80))
    beat, pitch = 0.0, home
    limit = float(score.bars * score.per_bar - score.per_bar)
    while beat < limit:
        inside = any(s - 0.1 <= beat < e + 0.1 for s, e in zip(starts, ends, strict=True))
        lasts = float(rng.choice([0.5, 1.0, 1.0, 1.5])) if score.style.metre != "6/8" else 1 / 3
        if not inside and rng.random() < 0.7:
            chord = score.chord_at(beat)
            tones = [p for p in range(home - 9, home + 10) if p % 12 in chord.tones]
            pitch = min(tones, key=lambda p: abs(p - pitch + rng.integers(-4, 5)))
            start = human(rng, score, beat)
            yield Note(start, score.seconds(beat + lasts * 0.9), pitch, int(rng.integers(70, 96)))
        beat += lasts


def words(rng: Rng, score: Score) -> list[tuple[float, float, int, str]]:
    """Put syllables to the tune, and sing it as people do, not quite on time."""
    # Few of them for a song, as songs repeat their words.
    some = rng.choice(SYLLABLES.split(), 14, replace=False)
    lag = rng.uniform(-0.005, 0.025)
    sung = []
    for beat, lasts, pitch in score.tune:
        start = score.seconds(beat) + float(np.clip(rng.normal(lag, 0.012), -0.03, 0.06))
        end = score.seconds(beat + lasts) - 0.02
        sung.append((start, max(end - start, 0.1), pitch, str(rng.choice(some))))
    return sung


def write_midi(path: Path, score: Score, parts: list[Part], shift: int = 0) -> None:
    """Write the band for FluidSynth."""
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    for part in parts:
        track = mido.MidiTrack()
        midi.tracks.append(track)
        moved = 0 if part.channel == DRUM_CHANNEL else shift
        events: list[tuple[float, int, mido.Message]] = []

        def control(number: int, value: int, part: Part = part) -> mido.Message:
            return mido.Message("control_change", channel=part.channel, control=number, value=value)

        first = [mido.Message("program_change", channel=part.channel, program=part.program),
                 control(7, part.volume), control(10, part.pan)]  # fmt: skip
        if part.channel != DRUM_CHANNEL and score.sharp:
            # Fine tuning: 14 bits for two semitones.
            value = round(8192 * (1 + score.sharp))
            pairs = ((101, 0), (100, 1), (6, value >> 7), (38, value & 127))
            first += [control(number, data) for number, data in pairs]
        events += [(0.0, 0, message) for message in first]
        for note in part.notes:
            pitch = int(np.clip(note.pitch + moved, 0, 127))
            velocity = int(np.clip(note.velocity, 1, 127))
            for kind, when, order in (("note_on", note.start, 2), ("note_off", note.end, 1)):
                message = mido.Message(kind, channel=part.channel, note=pitch, velocity=velocity)
                events.append((when, order, message))
        now = 0
        for when, _, message in sorted(events, key=lambda event: event[:2]):
            tick = round(when * 2 * TICKS)
            track.append(message.copy(time=tick - now))
            now = tick
    midi.save(path)


def play_band(score: Score, sound: Arrangement, folder: Path, shift: int = 0) -> Audio:
    """Render the band: ``(samples, 2)``."""
    midi, wave = folder / "band.mid", folder / "band.wav"
    write_midi(midi, score, sound.parts, shift)
    command = ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", str(RATE), "-F", str(wave)]
    done = subprocess.run(
        [*command, str(sound.soundfont), str(midi)], check=False, capture_output=True, text=True
    )
    if done.returncode or not wave.exists():
        raise SystemExit(f"fluidsynth failed: {done.stderr.strip()}")
    samples, _ = soundfile.read(wave, always_2d=True)
    length = round((float(score.beats[-1]) + TAIL_SECONDS) * RATE)
    samples = samples[:length]
    return np.pad(samples, ((0, length - len(samples)), (0, 0)))


def play_voice(score: Score, sound: Arrangement, length: int, shift: int = 0) -> Audio:
    """Sing the tune in a small room: ``(samples, 2)``."""
    rng = np.random.default_rng(sound.seed)
    notes = [(start, lasts, pitch + shift + score.sharp, text)
             for start, lasts, pitch, text in sound.sung]  # fmt: skip
    dry = sing(notes, length, rng)  # type: ignore[arg-type]
    size = round(rng.uniform(0.3, 1.2) * RATE)
    fall = np.exp(-6 * np.arange(size) / size)[:, None]
    room = rng.standard_normal((size, 2)) * fall
    room *= 10 ** (rng.uniform(-18, -10) / 20) / np.sqrt((room**2).sum(axis=0))
    wet = np.stack([fftconvolve(dry, room[:, n])[:length] for n in (0, 1)], axis=1)
    return dry[:, None] + wet


def mix(band: Audio, voice: Audio, voice_db: float) -> Audio:
    """Add them, at levels of where they sound, and limit the sum softly."""

    def level(sound: Audio) -> float:
        power = (sound**2).mean(axis=1)
        power = power[: len(power) // RATE * RATE].reshape(-1, RATE // 10).mean(axis=1)
        return float(np.sqrt(power[power > 0.05 * power.max()].mean()))

    total = band / level(band) + voice / level(voice) * 10 ** (voice_db / 20)
    total *= 0.2
    return np.asarray(np.tanh(total))
