"""A training run, from folders of recordings to weights, in one or several processes."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from karaoke.errors import UsageError
from karaoke.training.corpus import load_corpus
from karaoke.training.listening import Listener
from karaoke.training.loop import NOTHING, Trainer
from karaoke.training.recipe import Recipe
from karaoke.training.transfer import Start
from karaoke.training.validation import rank_and_world

MOST_WORKERS = 1024


@dataclass(frozen=True)
class RunOptions:
    """Where and how to run a recipe; these options do not change what is learned.

    Parameters
    ----------
    corpora
        Folders with recordings.
    run
        Folder of the run; an existing one is resumed.
    cache
        Folder for the decoded recordings.
    device
        A torch device.
    start
        What the run starts from, and its teacher.
    workers
        Number of processes that make mixtures for each training process; None for what suits the
        device.
    stop_after
        Seconds after which to stop and save.
    warn
        Called with the reason for each recording that is left out.
    """

    corpora: Sequence[Path]
    run: Path
    cache: Path
    device: str
    start: Start = NOTHING
    workers: int | None = None
    stop_after: float = math.inf
    warn: Callable[[str], None] = warnings.warn

    def __post_init__(self) -> None:
        """Raise UsageError for a number out of range, before hours of decoding."""
        if self.workers is not None and not 0 <= self.workers <= MOST_WORKERS:
            raise UsageError(f"--workers must be from 0 to {MOST_WORKERS:,}, not {self.workers}")
        if not self.stop_after >= 0:
            raise UsageError(f"--stop-after must be at least 0 seconds, not {self.stop_after}")


def train(
    recipe: Recipe, options: RunOptions, listeners: Callable[[], Sequence[Listener]] = tuple
) -> tuple[Trainer, bool]:
    """Start or resume a run.

    Under ``torchrun``, every process calls this and takes its share. On a CPU, use one process per
    core: the many small steps of LSTMs gain almost nothing from a second thread.

    Parameters
    ----------
    recipe
        What to train, and how.
    options
        Where to do it.
    listeners
        Makes the listeners; only called in the first process.

    Returns
    -------
    tuple
        The trainer, and whether the run is over.

    Raises
    ------
    KaraokeError
        The recordings, the recipe or a checkpoint cannot be used.
    """
    workers = options.workers
    if options.device == "cpu":
        torch.set_num_threads(1)
    if workers is None:
        workers = 1 if options.device == "cpu" else max(1, (os.cpu_count() or 2) - 1)
    alone = "WORLD_SIZE" not in os.environ
    if not alone:
        distributed.init_process_group("nccl" if options.device == "cuda" else "gloo")
    rank, _ = rank_and_world()
    if options.device == "cuda" and not alone:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        if rank > 0:
            distributed.barrier()  # the first process decodes for all
        recordings = load_corpus(
            options.corpora,
            options.cache,
            workers=os.cpu_count() or 1,
            without_licenses=recipe.without_licenses,
            warn=options.warn if rank == 0 else lambda problem: None,
        )
        if rank == 0 and not alone:
            distributed.barrier()
        trainer = Trainer(
            recipe,
            recordings,
            options.run,
            options.device,
            options.start,
            listeners() if rank == 0 else (),
        )
        return trainer, trainer.run(workers, options.stop_after)
    finally:
        if not alone:
            distributed.destroy_process_group()
