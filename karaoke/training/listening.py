"""Whoever wants to hear how a run goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from karaoke.training.validation import SongFigures

if TYPE_CHECKING:
    from karaoke.training.loop import Trainer


class Listener:
    """Hears about a run; this one does nothing with it."""

    def on_step(self, trainer: Trainer, loss: float) -> None:
        """Hear of a step."""

    def on_validation(self, trainer: Trainer, figures: SongFigures) -> None:
        """Hear of a validation."""

    def on_end(self) -> None:
        """Hear that there is no more."""
