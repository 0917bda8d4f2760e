"""What was learned of rendered songs: weights of the linear models that choose beats and chords.

``karaoke workshop listen`` wrote ``learned.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).with_name("learned.json")


@dataclass(frozen=True)
class Linear:
    """A linear model of standardised features, whose scores are compared by a softmax.

    Parameters
    ----------
    mean, scale
        ``(D,)``: what is taken off the features, and what they are divided by.
    weights
        ``(D,)``, or ``(classes, D)``.
    bias
        ``(classes,)``, or empty.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def score(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Score features ``(..., D)``; gives ``(...)``, or ``(..., classes)``."""
        scores = ((features - self.mean) / self.scale) @ self.weights.T
        return np.asarray(scores + self.bias if self.bias.size else scores)


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn scores into shares of one along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@cache
def learned(name: str) -> Linear:
    """Look a model up: ``level``, ``metre``, ``chords``."""
    entry = json.loads(PATH.read_text(encoding="utf-8"))[name]
    return Linear(**{part: np.asarray(entry[part], np.float64) for part in entry})


def written(models: dict[str, Linear]) -> str:
    """Write models as the file that :func:`learned` reads."""
    parts = ("mean", "scale", "weights", "bias")
    whole = {
        name: {part: np.round(getattr(model, part), 4).tolist() for part in parts}
        for name, model in models.items()
    }
    return json.dumps(whole) + "\n"
