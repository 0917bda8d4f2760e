"""What a change of a recipe does to real songs: runs of the same length, with several seeds.

``python tests/benchmarks/ablations.py RUNS CORPUS... --cache DIR --run NAME=KEY=VALUE,...``
trains each variant of a recipe with each seed by ``karaoke train``, in folders ``RUNS/NAME-SEED``,
and prints what the weights at the end gain on the validation songs, and how far each variant is
ahead of the first one. A variant with no settings is written ``NAME=``. What is trained already is
not trained again, so that the command goes on where it was stopped and finds further variants. The
interval takes songs, and within each song the seeds, as drawn from others. The length is given in
steps: other programs make it slower, not different.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from karaoke.evaluation.comparing import HALVES, bootstrap
from karaoke.training.validation import LEAK

#: Of the figures of a song.
GAINS = ("vocals", "instrumental")


def figures_at_end(folder: Path) -> dict[str, dict[str, float]] | None:
    """Read the figures of each song at the end of a run, or None while it is not over."""
    log = folder / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    figures = [line["figures"] for line in map(json.loads, lines) if "figures" in line]
    return figures[-1] if figures else None


def train(folder: Path, settings: list[str], seed: int, options: argparse.Namespace) -> None:
    """Train a network to the end by ``karaoke train``, with one thread."""
    command = [sys.executable, "-m", "karaoke", "train", *map(str, options.corpora)]
    command += ["-o", str(folder), "--cache", str(options.cache), "-q"]
    if options.recipe:
        command += ["--recipe", str(options.recipe)]
    if options.start_from:
        command += ["--start-from", str(options.start_from)]
    for setting in [
        *(f"steps={options.steps}", "time_budget=0", f"validate_every={options.steps}"),
        *(f"seed={seed}", *options.set, *settings),
    ]:
        command += ["--set", setting]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command)}: exit status {ran.returncode}\n{ran.stderr}")
    print(f"{folder.name}: trained", file=sys.stderr, flush=True)


def main() -> None:
    """Parse the command line, train, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--start-from", type=Path)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, for all variants")
    parser.add_argument("--run", action="append", required=True, help="NAME=[KEY=VALUE,...]")
    parser.add_argument("--steps", type=int, default=130)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    variants = {}
    for run in options.run:
        name, _, settings = run.partition("=")
        variants[name] = [setting for setting in settings.split(",") if setting]
    seeds = range(1, options.seeds + 1)
    # All variants with one seed before the next seed: what is stopped early can be compared.
    with ThreadPoolExecutor(options.jobs) as pool:
        trainings = [
            pool.submit(train, options.runs / f"{name}-{seed}", settings, seed, options)
            for seed in seeds
            for name, settings in variants.items()
            if figures_at_end(options.runs / f"{name}-{seed}") is None
        ]
        for training in trainings:
            training.result()
    found = {
        name: [figures_at_end(options.runs / f"{name}-{seed}") or {} for seed in seeds]
        for name in variants
    }
    first = next(iter(variants))
    songs = [song for song, values in found[first][0].items() if GAINS[0] in values]
    songs = [song for song in songs if song not in (*HALVES, "all")]
    table = Table(title=f"{options.steps} steps, {len(seeds)} seeds, {len(songs)} songs; dB")
    table.add_column("variant", overflow="fold")
    for heading in ("vocals", "instrumental", "leak", "seeds differ by", f"sum less {first}'s"):
        table.add_column(heading, justify="right", no_wrap=True)
    sums = {
        name: np.array([[sum(f[s][g] for g in GAINS) for f in figures] for s in songs])
        for name, figures in found.items()
    }
    for name, figures in found.items():
        gains = [statistics.fmean(f[s][g] for f in figures for s in songs) for g in GAINS]
        leak = statistics.fmean(f["all"][LEAK] for f in figures)
        spread = float(np.ptp(sums[name].mean(axis=0)))
        cells = [f"{gains[0]:.2f}", f"{gains[1]:.2f}", f"{leak:.1f}", f"{spread:.2f}", ""]
        if name != first:
            (ahead,) = bootstrap(list((sums[name] - sums[first])[:, :, None]))
            cells[-1] = f"{ahead.mean:+.2f} [{ahead.low or 0:+.2f}, {ahead.high or 0:+.2f}]"
        table.add_row(name, *cells)
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    main()
