"""A run on TensorBoard: curves, and one window of the validation songs to hear and see."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from karaoke.separation.spectral import Stft
from karaoke.training.corpus import SAMPLE_RATE
from karaoke.training.listening import Listener
from karaoke.training.loop import Trainer
from karaoke.training.validation import SongFigures, singing_windows

#: Range of levels in pictures; what is quieter is hardly audible.
PICTURE_RANGE_DB = 60.0


class Board(Listener):
    """Writes TensorBoard events to a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def on_step(self, trainer: Trainer, loss: float) -> None:
        """Plot the loss and the learning rate."""
        step = trainer.state.step
        if step % trainer.recipe.log_every == 0:
            rate = trainer.optimizer.param_groups[0]["lr"]
            self.writer.add_scalar("loss", loss, step)
            self.writer.add_scalar("learning rate", rate, step)

    @torch.no_grad()
    def on_validation(self, trainer: Trainer, figures: SongFigures) -> None:
        """Plot the figures; add the first window with singing as sound and as pictures."""
        step = trainer.state.step
        for song, values in figures.items():
            for name, value in values.items():
                self.writer.add_scalar(f"{name}/{song}", value, step)
        for _, vocals, accompaniment in singing_windows(trainer.recordings):
            mixture = vocals + accompaniment
            estimate = trainer.average(mixture[None].to(trainer.device))[0, 0].float().cpu()
            sounds = {"mixture": mixture, "target": vocals, "estimate": estimate}
            for name, sound in sounds.items():
                mono = sound.mean(dim=0).clamp(-1, 1)
                self.writer.add_audio(name, mono, step, SAMPLE_RATE)
                self.writer.add_image(name, picture(mono), step)
            break
        self.writer.flush()

    def on_end(self) -> None:
        """Close the file."""
        self.writer.close()


def picture(mono: Tensor) -> Tensor:
    """Draw the spectrogram of ``(N,)`` in grey: ``(1, F, T)``, low notes at the bottom."""
    level_db = 20 * (Stft(1024, 512)(mono).abs() + 1e-6).log10()
    grey = (level_db - level_db.max()) / PICTURE_RANGE_DB + 1
    shown: Tensor = grey.clamp(0, 1).flip(0)[None]
    return shown
