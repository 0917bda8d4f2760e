"""Where a song comes to stand on paper: systems of a few bars each, below one another on pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from karaoke.analysis.song import SongFacts

#: A4 with 200 dots an inch.
DPI, PAGE = 200, (1654, 2339)
LEFT, RIGHT, TOP, BOTTOM = 150, PAGE[0] - 90, 90, PAGE[1] - 90
#: Above the first system: title and facts.
HEADING = 170
#: Many viewers show no more than 32,767 pixels: systems of longer songs hold more of them.
MOST_PAGES = 14
#: Of a system; of one that still has room for words; and of bars where none are known.
MOST_SECONDS, WORDS_SECONDS, GRID_SECONDS = 12.0, 26.0, 2.0
#: What is left of a song is not worth a system of its own, as a share of one.
REST_SHARE = 0.35
#: Heights of the parts of a system, from the top.
CHORDS, WAVE, GAP = 58, 44, 30
#: Heights of a piano roll: the highest is chosen that takes no more pages than the lowest. What a
#: semitone has of it at most.
ROLLS, MOST_SEMITONE = (165.0, 200.0, 235.0, 270.0), 11.0
#: Rows of words.
LANES, LANE = 2, 26


@dataclass(frozen=True)
class Bar:
    """A line between bars: where, and the number of the bar that begins; 0 for none."""

    second: float
    number: int


@dataclass(frozen=True)
class System:
    """A stretch of a song that stands side by side.

    Parameters
    ----------
    start_seconds, end_seconds
        In the song.
    shown_seconds
        What the width of the page stands for.
    """

    start_seconds: float
    end_seconds: float
    shown_seconds: float

    def x(self, second: float) -> float:
        """Tell how far to the right a second is."""
        return LEFT + (second - self.start_seconds) / self.shown_seconds * (RIGHT - LEFT)

    def holds(self, second: float) -> bool:
        """Tell whether something begins in it."""
        return self.start_seconds <= second < self.end_seconds


@dataclass(frozen=True)
class Pages:
    """A song on paper.

    Parameters
    ----------
    bars
        All of its lines between bars.
    systems
        With the number of their page, from 0, and where they begin on it.
    lowest, highest
        MIDI notes of the piano roll; the highest is lower if there are no notes.
    semitone
        Height of a note.
    has_words
        Whether there is room for words.
    """

    bars: tuple[Bar, ...]
    systems: tuple[tuple[System, int, float], ...]
    lowest: int
    highest: int
    semitone: float
    has_words: bool

    @property
    def count(self) -> int:
        """How many there are."""
        return self.systems[-1][1] + 1

    @property
    def roll(self) -> float:
        """Height of the piano roll."""
        return (self.highest - self.lowest + 1) * self.semitone


def pages_of(facts: SongFacts, seconds: float) -> Pages:
    """Lay a song out on as many pages as it takes, and on no more than there may be."""
    least, *higher = (pages_with(facts, seconds, roll) for roll in ROLLS)
    fit = [one for one in higher if one.count == least.count and one.has_words == least.has_words]
    return fit[-1] if fit else least


def pages_with(facts: SongFacts, seconds: float, roll: float) -> Pages:
    """Lay a song out with piano rolls that are no higher than this."""
    pitches = [note.pitch for note in facts.notes]
    lowest, highest = (min(pitches) - 1, max(pitches) + 1) if pitches else (0, -1)
    semitone = min(MOST_SEMITONE, roll / max(highest - lowest + 1, 1))
    has_words = any(note.text for note in facts.notes)
    high = CHORDS + WAVE + (highest - lowest + 1) * semitone
    bars, step = bars_of(facts, seconds)
    each = 1
    while 2 * each * step <= MOST_SECONDS:
        each *= 2
    while True:
        has_words = has_words and each * step <= WORDS_SECONDS
        systems = tuple(
            paged(systems_of(bars, seconds, each, step), high + LANES * LANE * has_words)
        )
        if systems[-1][1] < MOST_PAGES:
            return Pages(tuple(bars), systems, lowest, highest, semitone, has_words)
        each *= 2


def bars_of(facts: SongFacts, seconds: float) -> tuple[list[Bar], float]:
    """List the lines between bars, with those before and after the beats, and give a bar's length.

    Where none were heard, seconds are counted.
    """
    heard = facts.downbeats.tolist()
    if len(heard) < 2:
        grid = np.arange(0, max(seconds, GRID_SECONDS), GRID_SECONDS)
        return [Bar(float(second), 0) for second in grid], GRID_SECONDS
    step = float(np.median(np.diff(heard)))
    ahead = np.arange(heard[0] - step, 0.1 * step, -step)[::-1].tolist()
    after = np.arange(heard[-1] + step, seconds - 0.1 * step, step).tolist()
    heard = [second for second in heard if second < seconds - 0.1 * step]
    bars = [Bar(second, 0) for second in ahead]
    return bars + [Bar(second, n) for n, second in enumerate([*heard, *after], 1)], step


def systems_of(bars: Sequence[Bar], seconds: float, each: int, step: float) -> Iterator[System]:
    """Part a song into systems of so many bars; the first bar that counts begins one."""
    first = next((n for n, bar in enumerate(bars) if bar.number == 1), 0)
    usual = each * step
    cuts = [bars[n].second for n in range(first % each, len(bars), each)] or [0.0]
    if cuts[0] > REST_SHARE * usual:
        cuts.insert(0, 0.0)
    cuts[0] = 0.0
    if len(cuts) > 1 and seconds - cuts[-1] < REST_SHARE * usual:
        del cuts[-1]
    for start, end in zip(cuts, [*cuts[1:], max(seconds, cuts[-1] + 0.01)], strict=True):
        yield System(start, end, max(end - start, usual))


def paged(systems: Iterator[System], high: float) -> Iterator[tuple[System, int, float]]:
    """Give systems of a height their pages and places, evenly below one another."""
    page, place = 0, 0
    for system in systems:
        top = TOP + (0 if page else HEADING)
        room = int((BOTTOM - top + GAP) / (high + GAP))
        if place == room:
            page, place, top = page + 1, 0, TOP
            room = int((BOTTOM - top + GAP) / (high + GAP))
        yield system, page, top + place * (BOTTOM - top + GAP) / room
        place += 1
