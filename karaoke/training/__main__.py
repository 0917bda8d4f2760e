"""Train the default model.

``torchrun --nproc-per-node 2 -m karaoke.training CORPUS RUN --time-budget SECONDS``; without
``torchrun`` it is one process. On a CPU take one process per core: the LSTMs' many small steps
gain almost nothing from a second thread, and everything from a second process.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from torch import distributed

from karaoke.training.data import load_corpus
from karaoke.training.loop import Recipe, Trainer, rank_and_world


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m karaoke.training", description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder with a manifest.tsv")
    parser.add_argument("run", type=Path, help="folder of the run; an existing one is resumed")
    parser.add_argument("--cache", type=Path, help="decoded corpus (default: RUN/cache)")
    parser.add_argument("--start-from", type=Path, help="checkpoint to begin with")
    parser.add_argument("--time-budget", type=float, default=3600.0, help="seconds of training")
    parser.add_argument("--validate-every", type=int, default=150, help="in steps")
    parser.add_argument("--workers", type=int, default=1, help="processes that make mixtures")
    arguments = parser.parse_args()
    recipe = Recipe(
        "band_split_bilstm",
        {},
        time_budget=arguments.time_budget,
        validate_every=arguments.validate_every,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    rank, world = rank_and_world()
    if rank > 0:
        distributed.barrier()  # the first process decodes for all
    recordings = load_corpus(arguments.corpus, arguments.cache or arguments.run / "cache")
    if rank == 0 and world > 1:
        distributed.barrier()
    trainer = Trainer(recipe, recordings, arguments.run, device, arguments.start_from)
    trainer.run(arguments.workers)
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
