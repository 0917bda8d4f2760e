"""Ranges of the numbers that describe networks: generous, but safe for any machine."""

from __future__ import annotations

from typing import Annotated

from karaoke.separation.fields import Within

#: Sizes of a transform, in samples.
FftLength = Annotated[int, Within(64, 1 << 16)]
HopLength = Annotated[int, Within(16, 1 << 15)]
#: Units, features or channels of one layer.
Width = Annotated[int, Within(1, 1 << 14)]
#: Number of stacked layers.
Depth = Annotated[int, Within(1, 64)]
#: Power that magnitudes are raised to.
Exponent = Annotated[float, Within(0, 4, open_low=True)]
#: Share of the features dropped in training.
Dropout = Annotated[float, Within(0, 1, open_high=True)]
