"""How far the times of a line are to be trusted: by evidence of its own, not by a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.activity import Mask
from karaoke.analysis.laying import Found, Opinion
from karaoke.analysis.levels import FRAMES_PER_SECOND

#: Up to this doubt a line is not named.
SURE = 0.5
#: Before any evidence. It and the weights come from a logistic regression on songs that were sung
#: by a synthesiser, with right words and with lines left out, added and replaced.
PRIOR = -1.35
#: What it counts that the recogniser says the same.
AGREED = -0.8
#: How much of the doubt on a line its neighbours share.
NEIGHBOUR_WEIGHT = 0.6
#: How much all lines share of the doubt on the song, beyond what is usual for right words.
SONG_WEIGHT, USUAL_MEAN = 2.0, -0.3
#: What is further off is just as wrong.
FAR_SECONDS = 3.0


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against the times of a line.

    Parameters
    ----------
    unsung_share
        Of its time, how much nobody sings in.
    pace
        Natural logarithm of its seconds per syllable against the song's median.
    uneven
        Standard deviation of the natural logarithms of how long its syllables last.
    passed
        Clear rises of the voice within it at which no syllable begins, per syllable.
    blurred
        How far from clear the rises are at which its syllables begin, from 0 to 1.
    broken_seconds
        The longest pause within one of its words.
    paused_seconds
        The longest pause between its words.
    moved_seconds
        How far its words move when the song is taken otherwise, as a median over its words; the
        most of all ways.
    contradicted_seconds
        How far they lay from where the recogniser has them before it had its say, as a median
        over its words; 0 where it said nothing.
    silent_share
        Of its words, how many the recogniser does not find; None if it was not asked.
    """

    unsung_share: float
    pace: float
    uneven: float
    passed: float
    blurred: float
    broken_seconds: float
    paused_seconds: float
    moved_seconds: float
    contradicted_seconds: float
    silent_share: float | None


def gather(
    found: Found, others: Sequence[Found], opinions: Sequence[Opinion], singing: Mask
) -> list[Evidence]:
    """Collect the evidence on every line."""
    sung = np.concatenate([[0.0], np.cumsum(singing)]) / FRAMES_PER_SECOND
    at = [np.append(s, e) for s, e in zip(found.starts, found.ends, strict=True)]
    frames = [(FRAMES_PER_SECOND * s).astype(int).clip(0, len(singing)) for s in at]
    paces = [float(sung[f[-1]] - sung[f[0]]) / (len(f) - 1) for f in frames]
    usual = float(np.median(paces))
    evidence, word = [], 0
    for number, (line, seconds, frame) in enumerate(zip(found.lines, at, frames, strict=True)):
        own = np.array(found.words(number))
        said = [opinion[word : word + len(own)] for opinion in opinions]
        word += len(own)
        moves = [np.median(np.abs(own - other.words(number))) for other in others]
        lasts, voiced = seconds[-1] - seconds[0], sung[frame[-1]] - sung[frame[0]]
        silent = np.diff(seconds) - np.diff(sung[frame])
        inner = [len(w.syllables) - 1 for w in line.words]
        places = np.searchsorted(found.onsets.seconds, found.starts[number] - 1e-6)
        stop = np.searchsorted(found.onsets.seconds, found.ends[number] - 1e-6)
        taken = found.onsets.strength[places]
        every = float(found.onsets.strength[places[0] : stop].sum())
        lengths = np.log(np.maximum(np.diff(sung[frame]), 0.02))[:-1]
        within = np.concatenate([[True] * count + [False] for count in inner])
        evidence.append(
            Evidence(
                unsung_share=float(1 - voiced / lasts) if lasts > 0 else 1.0,
                pace=float(np.log(max(paces[number], 0.02) / max(usual, 0.02))),
                uneven=float(np.std(lengths)) if len(lengths) > 1 else 0.0,
                passed=max(0.0, every - float(taken.sum())) / len(taken),
                blurred=float(1 - taken.mean()),
                broken_seconds=float(silent[within].max(initial=0.0)),
                paused_seconds=float(silent[:-1][~within[:-1]].max(initial=0.0)),
                moved_seconds=float(max(moves, default=0.0)),
                contradicted_seconds=contradiction(np.array(others[-1].words(number)), said),
                silent_share=silence(said),
            )
        )
    return evidence


def contradiction(own: NDArray[np.float64], said: Sequence[Opinion]) -> float:
    """Measure how far words lie from the opinions on them."""
    away = [
        abs(start - second)
        for opinion in said
        for start, second in zip(own, opinion, strict=True)
        if second is not None
    ]
    return float(np.median(away)) if away else 0.0


def silence(said: Sequence[Opinion]) -> float | None:
    """Tell on which share of words there is no opinion; None if nobody was asked."""
    missing = [second is None for opinion in said for second in opinion]
    return sum(missing) / len(missing) if missing else None


def doubts(evidence: Sequence[Evidence]) -> tuple[float, ...]:
    """Weigh the evidence on the lines of a song, for each from 0, no doubt, to 1.

    A line beside a doubtful one is doubtful, too: where one is in the wrong place, it takes that
    of another. And where most lines are odd, they are all more likely to be of another song.
    """
    own = np.array([weighed(line) for line in evidence])
    around = np.maximum(np.append(own[1:], -np.inf), np.append(-np.inf, own[:-1]))
    total = own + NEIGHBOUR_WEIGHT * np.maximum(around, 0)
    total += SONG_WEIGHT * max(0.0, float(own.mean()) - USUAL_MEAN)
    return tuple(float(value) for value in 1 / (1 + np.exp(-total)))


def weighed(line: Evidence) -> float:
    """Give the logarithm of the odds that a line is more than a second off."""
    heard = 0.0
    if line.silent_share is not None:
        far = min(line.contradicted_seconds, FAR_SECONDS)
        heard = AGREED + 1.5 * far + line.silent_share
    return (
        PRIOR
        + heard
        + 0.5 * max(0.0, line.unsung_share - 0.1)
        + 1.2 * abs(line.pace)
        + 0.8 * line.uneven
        - 0.3 * line.passed
        + 2.2 * line.blurred
        + min(line.broken_seconds, 1.0)
        + 1.6 * min(line.paused_seconds, 1.5)
        + 0.85 * min(line.moved_seconds, FAR_SECONDS)
    )
