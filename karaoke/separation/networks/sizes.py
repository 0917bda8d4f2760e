"""Ranges of the numbers that describe networks: generous, and far from what a machine chokes on."""

from __future__ import annotations

from typing import Annotated

from karaoke.separation.fields import Within

#: Of a transform, in samples.
FftLength = Annotated[int, Within(64, 1 << 16)]
HopLength = Annotated[int, Within(16, 1 << 15)]
#: Units, features, channels: of one layer.
Width = Annotated[int, Within(1, 1 << 14)]
#: Layers on top of each other.
Depth = Annotated[int, Within(1, 64)]
#: That magnitudes are raised to.
Exponent = Annotated[float, Within(0, 4, open_low=True)]
#: Share of the features that are lost in training.
Dropout = Annotated[float, Within(0, 1, open_high=True)]
