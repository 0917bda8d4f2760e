"""The likeliest sequence of states where changing the state has a price."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def decode(scores: NDArray[np.floating], change_cost: float) -> NDArray[np.intp]:
    """Choose a state for every step, so that the sum of scores less the changes is highest.

    Parameters
    ----------
    scores
        ``(T, S)``: how well each state fits each step, as logarithms.
    change_cost
        Taken off wherever the state changes.

    Returns
    -------
    array
        ``(T,)``: numbers of states.
    """
    steps, states = scores.shape
    if not steps:
        return np.zeros(0, np.intp)
    stay = np.arange(states)
    back = np.zeros((steps, states), np.int16)
    best = scores[0].astype(np.float64)
    for step in range(1, steps):
        highest = int(best.argmax())
        moved = best[highest] - change_cost
        moves = moved > best
        back[step] = np.where(moves, highest, stay)
        best = np.where(moves, moved, best) + scores[step]
    path = np.zeros(steps, np.intp)
    state = int(best.argmax())
    for step in range(steps - 1, -1, -1):
        path[step] = state
        state = int(back[step, state])
    return path


def runs(path: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Yield where each state begins and ends."""
    edges = np.flatnonzero(np.diff(path)) + 1
    yield from zip([0, *map(int, edges)], [*map(int, edges), len(path)], strict=True)
