"""When each syllable of known words is sung, by the voice's rises, pauses and pace alone.

No language is assumed: syllables are counted, and laid on the places where one may begin so that
they last about as long as the song's others, clear rises are used, and pauses fall between words,
lines and stanzas. The best way through all places is found by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.onsets import Onsets

#: How many times as long a syllable may be as another is, as a standard deviation of logarithms.
SPREAD = 0.45
#: Up to so many of these deviations it is usual.
USUAL = 1.5
#: The most that the length of a line's last syllable costs.
HELD_COST = 4.0
#: Last syllables of lines are held so much longer.
LAST_FACTOR = 2.5
#: Of a clear rise at which a syllable begins, and at which none does.
ONSET_REWARD, ONSET_COST = 4.0, 0.8
#: Of a pause within a word, between words, between lines, and between stanzas.
PAUSE_SCORES = (-9.0, -1.1, 0.4, 1.5)
#: Of none between lines, and between stanzas; nobody misses one elsewhere.
NO_PAUSE_SCORES = (0.0, 0.0, -2.8, -3.5)
#: A pause counts in full from this length on; between stanzas more is expected.
FULL_PAUSES_SECONDS = (0.4, 0.4, 0.4, 1.5)
#: Of singing that no word is sung on, per second, and for each stretch.
UNSUNG_COST, UNSUNG_STRETCH_COST = 2.5, 2.0
#: Of places that a syllable lasts across; what is longer is no syllable.
MOST_PASSED = 64
#: Between which the pace of a song lies, per syllable.
PACE_SECONDS = (0.1, 0.7)
#: Fewer syllables say nothing about it.
FEW = 8
#: Of a second opinion on when a syllable begins, where it is met, and how far it reaches.
OPINION_REWARD, OPINION_SECONDS = 3.2, 0.09
#: Of a place outside of the span that a syllable should lie in, and per second.
OUTSIDE_COST = 40.0
IMPOSSIBLE = -1e9

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
INSIDE, WORD, LINE, STANZA = range(4)


@dataclass(frozen=True)
class Unit:
    """A syllable to be placed.

    Parameters
    ----------
    after
        What lies between it and the one before: nothing, a space, a line's or a stanza's end.
    last
        Whether it is its line's last.
    opinions
        Seconds at which others say that it begins.
    span
        Seconds between which it should begin; None for anywhere.
    """

    after: int
    last: bool
    opinions: tuple[float, ...] = ()
    span: tuple[float, float] | None = None


def fit(units: Sequence[Unit], onsets: Onsets, haste: float = 1.0) -> Places:
    """Find at which place each syllable begins.

    Parameters
    ----------
    units
        Syllables in order.
    onsets
        Where they may begin.
    haste
        How much faster to expect them than the song suggests, for a second opinion.

    Returns
    -------
    array
        Numbers of places, one for each, that go up; empty if there are fewer than syllables.
    """
    if len(units) > len(onsets.seconds) or not units:
        return np.zeros(0, dtype=np.int64)
    pace = onsets.phrase_ends[-1] / (len(units) + 0.8 * sum(unit.last for unit in units))
    found = best_way(units, onsets, bounded(pace / haste))
    if len(found) <= FEW:
        return found
    pace = float(np.median(np.diff(onsets.sung_seconds[found])))
    return best_way(units, onsets, bounded(pace / haste))


def bounded(pace: float) -> float:
    """Give a pace at which somebody can sing."""
    return float(np.clip(pace, *PACE_SECONDS))


def best_way(units: Sequence[Unit], onsets: Onsets, pace: float) -> Places:
    """Find the best place of each syllable, at a pace in seconds."""
    steps = Steps(onsets, pace)
    score = steps.first() + met(units[0], onsets)
    columns: list[NDArray[np.uint8]] = []
    leaps: list[dict[int, int]] = []
    for before, unit in pairwise(units):
        score, column, leap = steps.on(score, before, unit)
        score += met(unit, onsets)
        columns.append(column)
        leaps.append(leap)
    at = int(np.argmax(score + steps.last(units[-1])))
    way = [at]
    for column, leap in zip(reversed(columns), reversed(leaps), strict=True):
        at = leap[at] if at in leap else at - 1 - int(column[at])
        way.append(at)
    return np.array(way[::-1])


def met(unit: Unit, onsets: Onsets) -> Floats:
    """Give what every place earns a syllable that begins there."""
    earned = ONSET_REWARD * onsets.strength
    for opinion in unit.opinions:
        away = (onsets.seconds - opinion) / OPINION_SECONDS
        earned += OPINION_REWARD / len(unit.opinions) * np.exp(-(away**2) / 2)
    if unit.span is not None:
        early, late = unit.span[0] - onsets.seconds, onsets.seconds - unit.span[1]
        away = np.maximum(early, late)
        earned -= np.where(away > 0, OUTSIDE_COST * (1 + away), 0)
    return earned


class Steps:
    """What it costs to go from the place of a syllable to that of the next.

    Parameters
    ----------
    onsets
        All places.
    pace
        Seconds of a syllable.
    """

    def __init__(self, onsets: Onsets, pace: float) -> None:
        self.onsets, self.pace = onsets, pace
        sung, count = onsets.sung_seconds, len(onsets.seconds)
        at = np.arange(count)[:, None]
        origin = at - 1 - np.arange(min(MOST_PASSED, count))
        self.origin = origin.clip(0)
        lasts = sung[:, None] - sung[self.origin]
        pause = onsets.seconds[:, None] - onsets.seconds[self.origin] - lasts
        passed = np.concatenate([[0.0], np.cumsum(onsets.strength)])
        ways = ONSET_COST * (passed[self.origin + 1] - passed[at])
        ways[origin < 0] = IMPOSSIBLE
        between = [ways + pausing(pause, kind) for kind in range(4)]
        #: By what lies before the next syllable, and whether the one before is its line's last.
        self.ways = [[way + self.lasting(lasts, last) for last in (False, True)] for way in between]
        self.firsts = np.unique(onsets.phrase, return_index=True)[1]
        self.left = onsets.phrase_ends[onsets.phrase] - sung

    def lasting(self, sung: Floats, last: bool) -> Floats:
        """Score how long a syllable lasts."""
        usual = self.pace * (LAST_FACTOR if last else 1.0)
        apart = np.abs(np.log(np.maximum(sung, 0.01) / usual)) / SPREAD
        # Beyond what is usual any length is about as likely: some notes are held for long.
        within = np.minimum(apart, USUAL)
        cost = 0.5 * within**2 + USUAL * (apart - within)
        return np.asarray(-np.minimum(cost, HELD_COST) if last else -cost)

    def first(self) -> Floats:
        """Score the places of the first syllable, by what is sung before it."""
        return np.asarray(-UNSUNG_COST * (self.onsets.sung_seconds - self.onsets.sung_seconds[0]))

    def last(self, unit: Unit) -> Floats:
        """Score the places of the last syllable, by what is sung after it."""
        after = self.onsets.phrase_ends[-1] - self.onsets.phrase_ends[self.onsets.phrase]
        return np.asarray(self.lasting(self.left, unit.last) - UNSUNG_COST * after)

    def on(
        self, score: Floats, before: Unit, unit: Unit
    ) -> tuple[Floats, NDArray[np.uint8], dict[int, int]]:
        """Go on to the next syllable.

        Returns
        -------
        tuple
            The best score of each place; how many places lie between it and that of the syllable
            before; and for places that are reached past whole phrases, where from.
        """
        ways = score[self.origin] + self.ways[unit.after][before.last]
        column = ways.argmax(axis=1)
        found = np.take_along_axis(ways, column[:, None], axis=1)[:, 0]
        leaps = self.leave_out(score, before, unit, found) if unit.after >= LINE else {}
        return found, column.astype(np.uint8), leaps

    def leave_out(self, score: Floats, before: Unit, unit: Unit, found: Floats) -> dict[int, int]:
        """Consider that whole phrases between two lines are none of these words.

        Scores that are better so are changed in place; for each the place before is returned.
        """
        ended = score + self.lasting(self.left, before.last)
        ends, leaps = self.onsets.phrase_ends, {}
        best, place = IMPOSSIBLE, 0
        for earlier, (first, following, then) in enumerate(
            zip(self.firsts, self.firsts[1:], self.firsts[2:], strict=False)
        ):
            better = first + int(ended[first:following].argmax())
            gained = float(ended[better] + UNSUNG_COST * ends[earlier])
            if gained > best:
                best, place = gained, better
            total = best - UNSUNG_COST * float(ends[earlier + 1]) - UNSUNG_STRETCH_COST
            total += PAUSE_SCORES[unit.after]
            if total > found[then]:
                found[then], leaps[int(then)] = total, place
        return leaps


def pausing(pause: Floats, kind: int) -> Floats:
    """Score pauses before a syllable, by what the text has there."""
    share = np.clip(pause / FULL_PAUSES_SECONDS[kind], 0, 1)
    return np.asarray(PAUSE_SCORES[kind] * share + NO_PAUSE_SCORES[kind] * (1 - share))
