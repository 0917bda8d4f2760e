"""Beats that a machine keeps: songs made to a click have them at equal distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

#: The interval is looked for around the usual one, as a share, in steps of which all beats together
#: make up this share of a beat.
AROUND, STEP = 0.02, 0.1
#: Beats at equal distances are the true ones if onsets on them are at least so strong, compared
#: with those on the beats that were followed: a band without a click has at most 0.83.
STRONG_SHARE = 0.88
#: Beats closer to the grid than this share of its interval are on it.
NEAR = 0.15
#: Fewer beats tell nothing.
FEWEST_BEATS = 20
#: Beats over which an interval is measured.
SPAN = 8


def on_grid(path: Curve, onsets: Curve) -> Curve:
    """Put beats at equal distances if the onsets of the whole song are at such.

    A path that follows onsets slips where a song breaks off or plays around the beat; the click
    that it was made to does not.

    Parameters
    ----------
    path
        Beats, in frames.
    onsets
        Strength of what begins in each frame.
    """
    if len(path) < FEWEST_BEATS:
        return path
    usual = usual_interval(path)
    count = int(2 * AROUND * (path[-1] - path[0]) / (STEP * usual)) + 1
    intervals = usual * np.linspace(1 - AROUND, 1 + AROUND, count)
    turns = np.array([np.exp(2j * np.pi * path / interval).sum() for interval in intervals])
    best = int(np.abs(turns).argmax())
    interval, first = float(intervals[best]), float(np.angle(turns[best]) / (2 * np.pi))
    counts = np.round(path / interval - first)
    # Beats that slipped have pulled at the grid; it is that of the others.
    near = np.abs(path / interval - first - counts) < NEAR
    interval, begin = np.polyfit(counts[near], path[near], 1)
    grid = np.asarray(begin + interval * np.arange(counts[0], counts[-1] + 1), np.float64)
    inside = grid[(grid >= 0) & (grid < len(onsets))]
    strong = STRONG_SHARE * sample(onsets, path).mean()
    return inside if sample(onsets, inside).mean() >= strong else path


def usual_interval(path: Curve) -> float:
    """Give the usual interval between beats; over several of them, it is finer than a frame."""
    span = min(SPAN, len(path) - 1)
    return float(np.median(path[span:] - path[:-span])) / span


def sample(curve: Curve, frames: Curve) -> Curve:
    """Read a curve between its frames."""
    return np.asarray(np.interp(frames, np.arange(len(curve)), curve))
