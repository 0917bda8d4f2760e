"""Songs with words, drawn from a seed, whose every syllable has a known time.

The voice is made of formants and noise, and the band of plucked chords, bass and drums; it takes
numpy and scipy alone. Whoever wants a voice that says the words has the score sung by another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Audio = NDArray[np.float64]
Rng = np.random.Generator
RATE = 44_100

#: Words, their parts as they are sung, parted by dots.
WORDS = (  # noqa: SIM905 (a list to read)
    "the and you me we all now here gone home night light road rain stone heart dream fire song"
    " sing call fall stand hold run walk turn burn long strong way day sea sky moon star blue cold"
    " warm soft slow time mind blind find word world land hand deep keep sleep street feet love"
    " good wood river riv.er sum.mer win.ter shad.ow win.dow morn.ing danc.ing sing.ing noth.ing"
    " some.where for.ev.er re.mem.ber to.geth.er to.mor.row yes.ter.day a.way a.lone a.gain be.fore"
    " ne.ver o.ver un.der wait.ing gold.en sil.ver o.pen pa.per mo.ment but with from in on my your"
).split()
#: Formants in Hz that vowels are drawn from.
VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (530, 1840, 2480),
    (570, 840, 2410),
    (300, 870, 2240),
)


@dataclass(frozen=True)
class Sung:
    """A syllable: its second, seconds, MIDI note, text, line, word in its line; none is held on."""

    start: float
    seconds: float
    note: float
    text: str
    line: int
    word: int


@dataclass(frozen=True)
class Score:
    """What is sung in a song.

    Parameters
    ----------
    notes
        In order; one with an empty text holds the syllable before on another pitch.
    seconds
        Of the song.
    beat
        Seconds.
    stanzas
        Which lines begin one.
    """

    notes: tuple[Sung, ...]
    seconds: float
    beat: float
    stanzas: tuple[int, ...]

    @property
    def line_count(self) -> int:
        """How many lines it has."""
        return self.notes[-1].line + 1

    def words(self, line: int) -> list[tuple[str, float]]:
        """List the words of a line with their starts."""
        found: dict[int, tuple[str, float]] = {}
        for note in (note for note in self.notes if note.line == line):
            text, start = found.get(note.word, ("", note.start))
            found[note.word] = text + note.text, start
        return list(found.values())

    @property
    def text(self) -> str:
        """The words alone: a row a line, stanzas apart."""
        rows = []
        for line in range(self.line_count):
            gap = "\n" if line in self.stanzas and line else ""
            rows.append(gap + " ".join(word for word, _ in self.words(line)))
        return "\n".join(rows) + "\n"

    def phrases(self, pause: float) -> list[float]:
        """Give the starts of what is sung without a pause of as long."""
        starts, end = [], -np.inf
        for note in self.notes:
            if note.start - end >= pause:
                starts.append(note.start)
            end = note.start + note.seconds
        return starts


def draw_score(rng: Rng, *, seconds: float = 40.0, words: tuple[str, ...] = WORDS) -> Score:
    """Draw stanzas of lines, some without a rest between them, some with a breath within."""
    beat = 60 / rng.uniform(72, 140)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    tonic = rng.integers(48, 60)
    at = beat * rng.integers(2, 9)
    notes: list[Sung] = []
    stanzas, line, degree = [0], 0, 7
    while True:
        count = int(rng.integers(3, 8))
        first = len(notes)
        for word in range(count):
            for text in words[rng.integers(len(words))].split("."):
                degree = int(np.clip(degree + rng.integers(-2, 3), 3, 13))
                length = beat * float(rng.choice([0.5, 0.75, 1.0], p=[0.6, 0.15, 0.25]))
                length = max(length, 0.25)
                note = tonic + 12 * (degree // 7) + scale[degree % 7]
                notes.append(Sung(at, length, float(note), text, line, word))
                at += length
            if rng.random() < 0.08:  # another pitch for the same syllable
                notes.append(Sung(at, beat / 2, float(note + 2), "", line, word))
                at += beat / 2
            if rng.random() < 0.06 and word < count - 1:  # a breath
                at += 0.5 * beat
        last = notes[-1]
        longer = beat * float(rng.choice([0.5, 1, 2]))
        notes[-1] = Sung(last.start, last.seconds + longer, last.note, last.text, line, last.word)
        at += longer
        if at > seconds - 3:
            if len(notes) > first and line:
                notes = [note for note in notes if note.line < line]
            break
        line += 1
        if line % 4 == 0 or rng.random() < 0.1:
            at += beat * rng.integers(4, 13)
            stanzas.append(line)
        elif rng.random() < 0.75:
            at += beat * float(rng.choice([0.5, 1, 1.5, 2]))
    stanzas = [start for start in stanzas if start <= notes[-1].line]
    return Score(tuple(notes), seconds, beat, tuple(stanzas))


def draw_long_score(rng: Rng, *, seconds: float, fewest: int) -> Score:
    """Draw scores until one has enough notes to count on."""
    while len((score := draw_score(rng, seconds=seconds)).notes) < fewest:
        pass
    return score


def hertz(note: float | Audio) -> Audio:
    """Give the frequency of a MIDI note."""
    return np.asarray(440 * 2 ** ((np.asarray(note) - 69) / 12))


def add(bus: Audio, sound: Audio, second: float) -> None:
    """Add a sound to a bus ``(samples,)`` from a second on."""
    first = max(0, round(second * RATE))
    sound = sound[: max(0, len(bus) - first)]
    bus[first : first + len(sound)] += sound


def vowel(rng: Rng, note: float, seconds: float) -> Audio:
    """Sing a vowel: pulses through three resonances, with vibrato where it is long."""
    t = np.arange(round(seconds * RATE)) / RATE
    bend = 0.25 * np.sin(2 * np.pi * 5.5 * t) * np.clip((t - 0.25) / 0.3, 0, 1)
    phase = np.cumsum(hertz(note + bend)) / RATE
    pulses = np.diff(np.floor(phase), prepend=0.0)
    sound = np.zeros(len(t))
    for gain, hz in zip((1.0, 0.6, 0.25), VOWELS[rng.integers(len(VOWELS))], strict=True):
        radius = np.exp(-np.pi * (80 + hz / 20) / RATE)
        poles = [1, -2 * radius * np.cos(2 * np.pi * hz / RATE), radius**2]
        sound += gain * signal.lfilter([1 - radius], poles, pulses)
    edge = np.clip(t / 0.025, 0, 1) * np.clip((seconds - t) / 0.05, 0, 1)
    sound *= edge
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))


def consonant(rng: Rng, seconds: float) -> Audio:
    """Make a hiss or a burst."""
    t = np.arange(round(seconds * RATE)) / RATE
    sos = signal.butter(2, float(rng.uniform(2000, 6000)), "highpass", fs=RATE, output="sos")
    hiss = signal.sosfilt(sos, rng.standard_normal(len(t)))
    return np.asarray(hiss * np.exp(-((t / seconds - 0.5) ** 2) / 0.1))


def sing(rng: Rng, score: Score) -> Audio:
    """Sing a score on vowels with consonants before them, ``(samples,)``."""
    voice = np.zeros(round(score.seconds * RATE))
    for note in score.notes:
        add(voice, vowel(rng, note.note, note.seconds - 0.03), note.start)
        if note.text:
            long = float(rng.uniform(0.03, 0.08))
            add(voice, rng.uniform(0.1, 0.5) * consonant(rng, long), note.start - long)
    return 0.12 * voice


def pluck(note: float, seconds: float) -> Audio:
    """Pluck a string: harmonics that die away, the high ones first."""
    t = np.arange(round(seconds * RATE)) / RATE
    parts = [
        np.sin(2 * np.pi * k * hertz(note) * t) * np.exp(-t * (2 + k)) / k
        for k in range(1, 7)
        if k * hertz(note) < RATE / 2
    ]
    return np.asarray(sum(parts) * np.clip((seconds - t) / 0.02, 0, 1))


def drum(rng: Rng, kind: str) -> Audio:
    """Beat a kick, a snare or a hat."""
    t = np.arange(round(0.3 * RATE)) / RATE
    noise = rng.standard_normal(len(t))
    if kind == "kick":
        return np.sin(2 * np.pi * (48 * t - 4 * np.exp(-t / 0.03))) * np.exp(-t / 0.1)
    edge, fall = (1200, 0.06) if kind == "snare" else (7000, 0.02)
    sos = signal.butter(2, edge, "highpass", fs=RATE, output="sos")
    return np.asarray(0.5 * signal.sosfilt(sos, noise) * np.exp(-t / fall))


def play(rng: Rng, score: Score) -> Audio:
    """Play a band to a score from its first second to its last, ``(samples,)``."""
    bus = np.zeros(round(score.seconds * RATE))
    beats = int(score.seconds / score.beat)
    root = int(rng.integers(36, 48))
    for beat in range(beats):
        at = beat * score.beat
        if beat % 4 == 0:
            degree = int(rng.choice([0, 5, 7, 9]))
            chord = [root + 12 + degree + step for step in (0, 4 if degree != 9 else 3, 7)]
            for note in chord:
                add(bus, 0.09 * pluck(note + 12, 4 * score.beat), at)
        add(bus, 0.22 * pluck(root + degree, score.beat), at)
        for note in chord:
            add(bus, 0.05 * pluck(note + 12, score.beat / 2), at + score.beat / 2)
        add(bus, 0.3 * drum(rng, "kick" if beat % 2 == 0 else "snare"), at)
        add(bus, 0.12 * drum(rng, "hat"), at)
        add(bus, 0.08 * drum(rng, "hat"), at + score.beat / 2)
    return bus
