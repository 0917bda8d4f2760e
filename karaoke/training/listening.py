"""Listeners: told how a run goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from karaoke.training.validation import SongFigures

if TYPE_CHECKING:
    from karaoke.training.loop import Trainer


class Listener:
    """Is told about a run; this one ignores it."""

    def on_step(self, trainer: Trainer, loss: float) -> None:
        """Take note of a step."""

    def on_validation(self, trainer: Trainer, figures: SongFigures) -> None:
        """Take note of a validation."""

    def on_end(self) -> None:
        """Take note of the end."""
