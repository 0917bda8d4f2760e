"""Draw songs: a score with its truth - key, beats, bars, chords and tune - in a style of a table.

All is drawn from one generator; times are beats until a :class:`Clock` turns them into seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
from band_styles import BEATS, BLUES, MAJOR_TURNS, MINOR_TURNS, POOLS, STYLES, Style

Rng = np.random.Generator
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NUMERALS = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
MAJOR_SCALE, MINOR_SCALE = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
TONES = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11),
         "min7": (0, 3, 7, 10), "dim": (0, 3, 6), "hdim7": (0, 3, 6, 10)}  # fmt: skip
#: A song is about so long.
SECONDS = 44.0


@dataclass(frozen=True)
class Chord:
    """A chord of the score.

    Parameters
    ----------
    beat, beats
        Where it begins, and how long it lasts.
    root, quality
        Pitch class, and a key of :data:`TONES`: what it counts as.
    colour
        What is played in place of its tones: semitones above the root; empty for its own.
    bass
        Pitch class of the lowest note.
    """

    beat: float
    beats: float
    root: int
    quality: str
    colour: tuple[int, ...]
    bass: int

    @property
    def tones(self) -> tuple[int, ...]:
        """Pitch classes that are played."""
        return tuple((self.root + t) % 12 for t in self.colour or TONES[self.quality])


@dataclass(frozen=True)
class Section:
    """Bars that belong together: where, which, whether sung, with drums, and moved how far."""

    name: str
    bar: int
    bars: int
    shift: int = 0


@dataclass
class Score:
    """A song, before it is played.

    Parameters
    ----------
    style, bpm, tonic, is_minor, swing
        As drawn.
    beats
        Seconds of all beats and of the one after the last.
    sections, chords
        In order.
    breaks
        Bars in which the band stops after the first beat.
    tune
        Beat, beats and MIDI number of the notes that are sung.
    sharp
        Semitones that all is tuned above 440 Hz.
    """

    style: Style
    bpm: float
    tonic: int
    is_minor: bool
    swing: float
    timing: str
    beats: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sections: list[Section] = field(default_factory=list)
    chords: list[Chord] = field(default_factory=list)
    breaks: set[int] = field(default_factory=set)
    tune: list[tuple[float, float, int]] = field(default_factory=list)
    sharp: float = 0.0

    @property
    def per_bar(self) -> int:
        """Beats a bar."""
        return BEATS[self.style.metre]

    @property
    def bars(self) -> int:
        """How many there are."""
        return self.sections[-1].bar + self.sections[-1].bars

    @property
    def key(self) -> str:
        """As mir_eval reads it."""
        return f"{NAMES[self.tonic]} {'minor' if self.is_minor else 'major'}"

    def seconds(self, beat: float) -> float:
        """Give the time of a beat with its swing."""
        unit = self.style.swing[2]
        whole, part = divmod(beat / unit, 1.0)
        late = (
            2 * part * self.swing if part < 0.5 else self.swing + (2 * part - 1) * (1 - self.swing)
        )
        return float(np.interp((whole + late) * unit, np.arange(len(self.beats)), self.beats))

    def chord_at(self, beat: float) -> Chord:
        """Give the chord that sounds at a beat."""
        return next(c for c in reversed(self.chords) if c.beat <= beat + 1e-6)


def compose(rng: Rng, number: int) -> Score:
    """Draw a song; numbers in a row go through all styles, and through all 24 keys."""
    style = STYLES[number % len(STYLES)]
    key = 7 * number % 24
    timing = str(rng.choice(["machine", "human", "drifting"], p=[0.4, 0.35, 0.25]))
    score = Score(
        style=style,
        bpm=float(rng.uniform(*style.bpm)),
        tonic=key // 2,
        is_minor=bool(key % 2),
        swing=float(rng.uniform(*style.swing[:2])),
        timing=timing,
        sharp=float(rng.uniform(-0.4, 0.4)) if rng.random() < 0.25 else 0.0,
    )
    score.sections = draw_sections(rng, score)
    score.beats = draw_beats(rng, score)
    score.chords = draw_chords(rng, score)
    for section in score.sections:
        last = section.bar + section.bars - 1
        if section.name == "verse" and rng.random() < 0.35:
            score.breaks.add(last)
    for section in score.sections:
        if section.name in ("verse", "chorus"):
            score.tune += draw_tune(rng, score, section)
    return score


def draw_sections(rng: Rng, score: Score) -> list[Section]:
    """Draw an order of sections that fills the time."""
    bar_seconds = score.per_bar * 60 / score.bpm
    wanted = max(10, round(SECONDS / bar_seconds))
    unit = 4 if wanted < 20 else 8
    blues = score.style.name == "shuffle" and not score.is_minor
    if blues:
        unit = 12
    sections = [Section("intro", 0, 2 if unit == 4 else 4)]
    names = ("verse", "chorus", "verse", "chorus", "solo", "chorus")
    for name in names[: max(2, round((wanted - 3) / unit))]:
        sections.append(Section(name, sections[-1].bar + sections[-1].bars, unit))
    if rng.random() < 0.2 and len(sections) > 3:
        # A modulation: the last section is higher than all before.
        sections[-1] = replace(sections[-1], shift=int(rng.choice([1, 2, 2, 3])))
    last = sections[-1]
    sections.append(Section("ending", last.bar + last.bars, 1, last.shift))
    return sections


def draw_beats(rng: Rng, score: Score) -> np.ndarray:
    """Draw the times of the beats: by a machine, by people, or by people who drift."""
    count = score.bars * score.per_bar + 1
    place = np.arange(count) / count
    factor = np.ones(count)
    if score.timing != "machine":
        noise = rng.standard_normal(count)
        slow = np.zeros(count)
        for n in range(1, count):
            slow[n] = 0.9 * slow[n - 1] + 0.003 * noise[n]
        factor += slow + 0.004 * rng.standard_normal(count)
    if score.timing == "drifting":
        size, waves = rng.uniform(0.04, 0.10), rng.uniform(0.5, 2.0)
        factor += size * np.sin(2 * np.pi * (waves * place + rng.random()))
    if rng.random() < 0.3:
        factor[-score.per_bar - 3 :] *= np.linspace(1.0, 0.8, score.per_bar + 3)
    steps = 60 / (score.bpm * factor)
    return rng.uniform(0.05, 1.2) + np.concatenate([[0.0], np.cumsum(steps)[:-1]])


def draw_chords(rng: Rng, score: Score) -> list[Chord]:
    """Draw the harmony: a turn for all verses, one for all choruses, and home at the end."""
    turns = MINOR_TURNS if score.is_minor else MAJOR_TURNS
    picked = {name: str(turns[int(rng.integers(len(turns)))]) for name in ("verse", "chorus")}
    picked["intro"] = picked["solo"] = picked["verse"]
    picked["ending"] = "i" if score.is_minor else "I"
    if score.style.name == "shuffle" and not score.is_minor:
        picked |= dict.fromkeys(("verse", "chorus", "solo"), BLUES)
    drawn: dict[tuple[str, int], tuple[int, str, tuple[int, ...], int]] = {}
    chords = []
    for section in score.sections:
        bars = picked[section.name].split()
        for bar in range(section.bars):
            names = bars[bar % len(bars)].split(",")
            for place, name in enumerate(names):
                # The same place of a turn is played the same way each time.
                spot = (section.name, 10 * (bar % len(bars)) + place)
                if spot not in drawn:
                    drawn[spot] = draw_chord(rng, score, name)
                root, quality, colour, bass = drawn[spot]
                lasts = score.per_bar / len(names)
                beat = (section.bar + bar) * score.per_bar + place * lasts
                moved = [(pc + score.tonic + section.shift) % 12 for pc in (root, bass)]
                chords.append(Chord(beat, lasts, moved[0], quality, colour, moved[1]))
    return chords


def draw_chord(rng: Rng, score: Score, name: str) -> tuple[int, str, tuple[int, ...], int]:
    """Spell a numeral: root above the tonic, quality, colour and bass."""
    found = re.fullmatch(r"(b?)([ivIV]+)(o?)(/3)?", name)
    assert found, name
    flat, numeral, diminished, slash = found.groups()
    root = NUMERALS[numeral.lower()] - bool(flat)
    quality = "maj" if numeral.isupper() else "min"
    blues = score.style.name == "shuffle"
    if diminished:
        quality = "hdim7" if rng.random() < score.style.sevenths else "dim"
    elif rng.random() < score.style.sevenths:
        dominant = root % 12 in (7, 2, 4, 9) or blues
        quality = "min7" if quality == "min" else "7" if dominant else "maj7"
    colour: tuple[int, ...] = ()
    if quality in ("maj", "min") and rng.random() < 0.1:
        third = 4 if quality == "maj" else 3
        colour = (0, 2, third, 7) if rng.random() < 0.6 else (0, 5 if quality == "maj" else 2, 7)
    bass = root
    if slash:
        bass = root + TONES[quality][1]
    elif rng.random() < 0.06:
        bass = root + TONES[quality][int(rng.integers(1, 3))]
    return root, quality, colour, bass


def draw_rhythm(rng: Rng, score: Score, bars: int) -> list[tuple[float, float]]:
    """Draw when syllables begin in a phrase of some bars, and how long they last, in beats."""
    six = score.style.metre == "6/8"
    beat_seconds = 60 / score.bpm
    unit = 1 / 3 if six else 0.5
    while unit * beat_seconds < 0.17:
        unit *= 2
    if not six and unit * beat_seconds > 0.45:
        unit /= 2
    steps = round(bars * score.per_bar / unit)
    now = int(rng.choice([0, 0, 0, 1, 2]))
    breath = round(rng.uniform(0.12, 0.3) * steps)
    rhythm = []
    while now < steps - breath:
        lasts = int(rng.choice([1, 1, 1, 2, 2, 2, 3, 4]))
        if now + lasts >= steps - breath:
            lasts = max(2, min(lasts + 2, steps - now - 1))
        rhythm.append((now * unit, lasts * unit))
        now += lasts
    return rhythm


def draw_tune(rng: Rng, score: Score, section: Section) -> list[tuple[float, float, int]]:
    """Draw a tune: two rhythms that take turns, chord tones where it is strong, else steps."""
    length = 2 if section.bars % 2 == 0 else 1
    while length * score.per_bar * 60 / score.bpm < 3.2 and section.bars % (2 * length) == 0:
        length *= 2
    rhythms = [draw_rhythm(rng, score, length) for _ in range(2)]
    order = rng.choice(["ab", "aab", "abb", "aaab"])
    centre = 52 + int(rng.integers(0, 14)) + (3 if section.name == "chorus" else 0)
    pitch, notes = centre, []
    for phrase in range(section.bars // length):
        begin = (section.bar + phrase * length) * score.per_bar
        rhythm = rhythms["ab".index(order[phrase % len(order)])]
        for place, (beat, lasts) in enumerate(rhythm):
            now = begin + beat
            strong = abs(beat - round(beat)) < 1e-6 or place == len(rhythm) - 1
            pitch = next_pitch(rng, score, section, now, pitch, centre, strong)
            notes.append((now, lasts, pitch))
    return notes


def next_pitch(
    rng: Rng, score: Score, section: Section, beat: float, before: int, centre: int, strong: bool
) -> int:
    """Go on from a note to one near it that fits the chord."""
    chord = score.chord_at(beat)
    tones = {(chord.root + t) % 12 for t in TONES[chord.quality][:3]}
    scale = MINOR_SCALE if score.is_minor else MAJOR_SCALE
    within = {(score.tonic + section.shift + s) % 12 for s in scale} | tones
    # What lies a semitone beside a tone of the chord that is not of the key would grate.
    foreign = tones - {(score.tonic + section.shift + s) % 12 for s in scale}
    within -= {(t + way) % 12 for t in foreign for way in (-1, 1)} - tones
    allowed = tones if strong and rng.random() < 0.8 else within
    choices = [p for p in range(centre - 9, centre + 10) if p % 12 in allowed]
    away = np.array([abs(p - before) for p in choices], float)
    back = np.array([abs(p - centre) for p in choices], float)
    leap = rng.random() < 0.12
    weights = np.exp(-((away - (5 if leap else 1.7)) ** 2) / 4 - (back / 7) ** 2)
    return int(rng.choice(choices, p=weights / weights.sum()))


def pick(rng: Rng, pool: str) -> int:
    """Draw a program of a pool."""
    return int(rng.choice(POOLS[pool]))
