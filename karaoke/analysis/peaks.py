"""Peaks, finer than the steps between values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def peak_offset(before: Any, here: Any, after: Any) -> NDArray[Any]:
    """Locate the peak of the parabola through three values, relative to the middle one."""
    offset: NDArray[Any] = 0.5 * (after - before) / np.maximum(2 * here - before - after, 1e-9)
    return offset
