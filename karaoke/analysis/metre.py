"""How beats are grouped into bars, and where these begin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.features import BEAT_FPS
from karaoke.analysis.grids import sample
from karaoke.analysis.learned import learned, softmax
from karaoke.analysis.pulse import Accents

Curve = NDArray[np.float64]
#: Beats a bar; in 6/8 a beat is three eighths.
METRES = {"3/4": 3, "4/4": 4, "6/8": 2}


@dataclass(frozen=True)
class Bars:
    """The bars of a song.

    Parameters
    ----------
    metre
        A key of :data:`METRES`.
    first
        Number of the first beat that begins a bar.
    confidence
        0 to 1, that the metre is right, and that the bars begin where they are said to.
    """

    metre: str
    first: int
    confidence: float

    @property
    def beats(self) -> int:
        """Beats a bar."""
        return METRES[self.metre]


def ways() -> list[tuple[str, int]]:
    """List all metres with all beats that may be the first of a bar."""
    return [(metre, first) for metre, count in METRES.items() for first in range(count)]


def find_bars(accents: Accents, beats: Curve) -> Bars | None:
    """Group beats into bars; None where there are too few."""
    if len(beats) < 8:
        return None
    shares = softmax(learned("metre").score(describe(accents.curves, beats * BEAT_FPS)))
    metre, first = ways()[int(shares.argmax())]
    return Bars(metre, first, float(shares.max()))


def describe(curves: dict[str, Curve], path: Curve) -> Curve:
    """Describe all :func:`ways` ``(9, D)``: how first beats stand out, and what is in between."""
    steps = np.diff(path)
    levels = {name: sample(curve, path) for name, curve in curves.items()}
    halves = np.log(sample(curves["all"], path[:-1] + steps / 2).mean() + 0.05)
    thirds = np.concatenate([path[:-1] + share * steps for share in (1 / 3, 2 / 3)])
    parted = np.log(sample(curves["all"], thirds).mean() + 0.05) - halves
    tempo = np.log2(60 * BEAT_FPS / np.median(steps) / 100)
    return np.array(list(_rows(levels, parted, tempo)))


def _rows(levels: dict[str, Curve], parted: float, tempo: float) -> Iterator[list[float]]:
    for metre, first in ways():
        count = METRES[metre]
        row = []
        for name in METRES:
            row += [float(metre == name), parted * (metre == name), tempo * (metre == name)]
        for level in levels.values():
            mean = level.mean() + 0.05
            for ahead in range(2):
                firsts = level[first + ahead :: count]
                row.append(float((firsts.mean() if len(firsts) else 0.0) / mean))
            # In 4/4 the third beat is the strongest of the others.
            middle = level[first + 2 :: count] if count == 4 else level[:0]
            row.append(float(middle.mean() / mean) if len(middle) else 1.0)
        yield row
