"""Words on a voice: what was measured of it, and when each syllable begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.activity import Mask, find_phrases
from karaoke.analysis.fitting import fit
from karaoke.analysis.levels import Levels
from karaoke.analysis.onsets import REST_SECONDS, Onsets, find_onsets
from karaoke.analysis.units import units_of
from karaoke.lyrics.model import Line

#: A line may begin so much sooner than its time says, and go on so much longer than until the next.
EARLY_SECONDS, LATE_SECONDS = 0.4, 0.2
#: A line whose end nobody states is looked for until so long after its time.
LONGEST_SECONDS = 12.0

Floats = NDArray[np.float64]
#: For every word, the second at which somebody says that it begins, or None.
Opinion = Sequence[float | None]


@dataclass(frozen=True)
class Found:
    """When each syllable begins, in seconds of the sound, line by line.

    Parameters
    ----------
    lines
        Divided into syllables.
    starts
        Of the syllables of each line.
    ends
        Of the lines.
    onsets
        Where syllables could have begun.
    """

    lines: tuple[Line, ...]
    starts: tuple[Floats, ...]
    ends: Floats
    onsets: Onsets

    def words(self, line: int) -> list[float]:
        """Give the starts of the words of a line."""
        firsts = np.cumsum([0, *(len(word.syllables) for word in self.lines[line].words[:-1])])
        return [float(self.starts[line][first]) for first in firsts]


class Listening:
    """What was measured of a voice, and what words are laid on it.

    Parameters
    ----------
    lines
        Divided into syllables, with times of the sound.
    levels, singing
        Of the vocals.
    """

    def __init__(self, lines: Sequence[Line], levels: Levels, singing: Mask) -> None:
        self.lines, self.levels, self.singing = tuple(lines), levels, singing
        self.units = [
            replace(unit, span=span)
            for line, span in zip(lines, spans(lines), strict=True)
            for unit in units_of([line])
        ]
        self.stops = [phrase.end_seconds for phrase in find_phrases(singing, REST_SECONDS)]

    def lay(self, opinions: Sequence[Opinion] = (), haste: float = 1.0) -> Found | None:
        """Lay the words on the voice; None where it is too short for them.

        Parameters
        ----------
        opinions
            Of the recogniser, each a second, or None, for every word.
        haste
            As in :func:`karaoke.analysis.fitting.fit`.
        """
        units, word = [], -1
        for unit in self.units:
            said: tuple[float, ...] = ()
            if unit.after:
                word += 1
                said = tuple(x for opinion in opinions if (x := opinion[word]) is not None)
            units.append(replace(unit, opinions=said))
        more = np.array([second for unit in units for second in unit.opinions])
        onsets = find_onsets(self.levels, self.singing, more)
        places = fit(units, onsets, haste)
        if not len(places):
            return None
        counts = np.cumsum([len(line.syllables) for line in self.lines])[:-1]
        starts = tuple(np.split(onsets.seconds[places], counts))
        return Found(self.lines, starts, self.ends(starts), onsets)

    def ends(self, starts: Sequence[Floats]) -> Floats:
        """Find when each line ends: with the phrase of its last syllable, or as the next begins."""
        ends = []
        for own, after in zip(starts, [*starts[1:], np.array([np.inf])], strict=True):
            last = float(own[-1])
            stop = next((stop for stop in self.stops if stop > last), last)
            ends.append(min(stop, float(after[0])))
        return np.array(ends)


def spans(lines: Sequence[Line]) -> Iterator[tuple[float, float] | None]:
    """Give the span in which each line is sung, where its time is known."""
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        if line.start_seconds is None:
            yield None
            continue
        end = line.start_seconds + LONGEST_SECONDS
        if after is not None and after.start_seconds is not None:
            end = min(end, after.start_seconds + LATE_SECONDS)
        yield line.start_seconds - EARLY_SECONDS, max(end, line.start_seconds + 0.5)
