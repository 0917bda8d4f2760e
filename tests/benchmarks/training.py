"""How fast training is: mixtures made and heard, in seconds of audio per second, and steps.

``python tests/benchmarks/training.py CORPUS... --cache DIR [--recipe TOML] [--set KEY=VALUE]``
times, one after the other and over again, how long a worker takes to make mixtures and how long the
network takes to learn from them, in one process with one thread on a CPU, whose own time it is
there: other programs do not count. Give ``--set`` several times to compare networks; medians and
the ratio to the first are printed. Rows is the batch size. ``ONEDNN_MAX_CPU_ISA=AVX2`` before the
command makes an older processor of a new one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from karaoke.training.corpus import load_corpus
from karaoke.training.loop import Trainer
from karaoke.training.precision import has_bfloat16
from karaoke.training.recipe import read_recipe


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--recipe", type=Path, help="to start from; the defaults if none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE[,KEY=VALUE...]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    recordings = load_corpus(options.corpora, options.cache)
    with tempfile.TemporaryDirectory() as folder:
        trainers = {}
        for index, settings in enumerate(["", *options.set]):
            recipe = read_recipe(options.recipe, [s for s in settings.split(",") if s])
            run = Path(folder, str(index))
            trainers[settings or "default"] = Trainer(recipe, recordings, run, options.device)
        make: dict[str, list[float]] = {name: [] for name in trainers}
        learn: dict[str, list[float]] = {name: [] for name in trainers}
        for _ in range(options.rounds + 1):  # the first round warms up
            for name, trainer in trainers.items():
                started = clock()
                batch = next(iter(trainer.batches(workers=0)))
                made = clock()
                trainer.train_step(batch)  # ends with the loss on the CPU: all work is done
                heard = batch.parts.shape[0] * trainer.recipe.mixtures.segment_seconds
                make[name].append(heard / (made - started))
                learn[name].append(heard / (clock() - made))
    precision = "bfloat16" if has_bfloat16(torch.device(options.device).type) else "float32"
    headings = ("network", "rows", "parameters", "made", "heard", "steps/min", "ratio")
    table = Table(*headings, title=f"{options.device}, {precision}")
    first = statistics.median(learn["default"][1:])
    for name, trainer in trainers.items():
        size = sum(p.numel() for p in trainer.network.parameters())
        made, heard = (statistics.median(rates[name][1:]) for rates in (make, learn))
        rows = trainer.recipe.batch_size
        steps = 60 * heard / (rows * trainer.recipe.mixtures.segment_seconds)
        figures = (f"{size:,}", f"{made:.0f}", f"{heard:.1f}", f"{steps:.1f}")
        table.add_row(name, str(rows), *figures, f"{heard / first:.2f}")
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    main()
