"""Compare the RoFormers of this project with those of the packages that define them.

    python tests/benchmarks/roformer.py
    python tests/benchmarks/roformer.py --runs 3 --set dim=96 --set depth=2 --seconds 4

All have the same random weights, by default of the shape of Kim's published vocal model, and hear
the same segment of noise, each in a process of its own and on one thread, in turn. The packages
hold weights in single precision, this project in half precision, as ``karaoke models pull`` stores
them. ``exact`` is this project without bfloat16, which is what a processor without units for it
runs.

Time is CPU time of the forward pass, since other programs make wall time longer; memory is the peak
of the whole process from just before that pass to its end, with Python, torch and weights; of Linux
alone. The last column says how far the output is from that of ``bs-roformer``. Needs the packages
``bs-roformer`` and ``melband-roformer-infer``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

# The heavy imports are in the functions that run in a child, so that memory is that of one network.

PEER = "bs-roformer"
WAYS = ("karaoke", "exact", PEER, "melband-roformer-infer")
CHECKPOINT, WEIGHTS, SEGMENT = "ours.safetensors", "theirs.ckpt", "segment.npy"
KIM: dict[str, Any] = {
    **{"dim": 384, "depth": 6, "stereo": True, "num_stems": 1, "num_bands": 60},
    **{"time_transformer_depth": 1, "freq_transformer_depth": 1, "mask_estimator_depth": 2},
    **{"dim_head": 64, "heads": 8, "stft_n_fft": 2048, "stft_hop_length": 441},
}


def build_theirs(way: str, model: dict[str, Any]) -> Any:
    """Build the network of a package."""
    if way == PEER:
        from bs_roformer import MelBandRoformer

        plain = {"linear_transformer_depth": 0, "add_value_residual": False}
        return MelBandRoformer(
            **model, **plain, num_residual_streams=1, match_input_audio_length=True
        )
    from mel_band_roformer.mel_band_roformer import MelBandRoformer as Inferring

    return Inferring(**model, match_input_audio_length=True)


def prepare(folder: Path, model: dict[str, Any], seconds: float) -> None:
    """Write a segment, and random weights as a published file and as a checkpoint of ours."""
    import torch

    from karaoke.store.conversion import convert

    rng = np.random.default_rng(0)
    length = round(seconds * 44100)
    np.save(folder / SEGMENT, 0.1 * rng.standard_normal((1, 2, length), dtype=np.float32))
    torch.manual_seed(0)
    torch.save(build_theirs(WAYS[-1], model).state_dict(), folder / WEIGHTS)
    config = {"model": model, "training": {"instruments": ["vocals"]}}
    convert({"x": folder / WEIGHTS}, "mel_band_roformer", folder / CHECKPOINT, config)


def load_theirs(way: str, folder: Path, model: dict[str, Any]) -> Any:
    """Build the network of a package with the weights, by the names that it has for them."""
    import torch

    weights = torch.load(folder / WEIGHTS, weights_only=True)
    network = build_theirs(way, model)
    if way == PEER:  # wraps layers, and counts the transformer that it lacks
        renamed = {}
        for name in network.state_dict():
            parts = [part for part in name.split(".") if part != "branch"]
            if parts[0] == "layers":
                parts[2] = str(int(parts[2]) - 1)
            renamed[name] = weights[".".join(parts)]
        weights = renamed
    network.load_state_dict(weights)
    return network.eval()


def run(way: str, folder: Path, model: dict[str, Any]) -> dict[str, float]:
    """Run one network on the segment, and return what it took."""
    import torch

    torch.set_num_threads(1)
    if way in ("karaoke", "exact"):
        from karaoke.separation.checkpoints import load_checkpoint
        from karaoke.separation.networks import roformer

        if way == "exact":
            roformer.has_bfloat16_units = lambda kind: False
        network, _ = load_checkpoint(folder / CHECKPOINT)
    else:
        network = load_theirs(way, folder, model)
    segment = torch.from_numpy(np.load(folder / SEGMENT))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    start, wall = time.process_time(), time.perf_counter()
    with torch.inference_mode():
        output = network(segment)
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    np.save(folder / f"{way}.npy", output.numpy().reshape(2, -1))
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_rss_mb": int(status) / 1000}


def off_by_db(folder: Path, way: str) -> float:
    """Return the level of the difference from the peer's output, relative to that, in dB."""
    ours, theirs = np.load(folder / f"{way}.npy"), np.load(folder / f"{PEER}.npy")
    return float(20 * np.log10(np.std(ours - theirs) / np.std(theirs) + 1e-12))


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Run all in turn, as often as wanted, and print medians and ratios."""
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(options.runs):
        for way in WAYS:
            command = [sys.executable, "-W", "ignore", __file__, "--child", way, str(folder)]
            command += [f"--set={item}" for item in options.set]
            done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
            figures[way].append(json.loads(done.stdout.splitlines()[-1]))
    middle = {
        way: {key: median(run[key] for run in runs) for key in runs[0]}
        for way, runs in figures.items()
    }
    print(f"{'network':24}{'CPU s':>8}{'wall s':>8}{'MB':>7}{'x time':>8}{'x memory':>10}{'dB':>8}")
    for way, row in middle.items():
        times = row["cpu_seconds"] / middle[PEER]["cpu_seconds"]
        memory = row["peak_rss_mb"] / middle[PEER]["peak_rss_mb"]
        off = "-" if way == PEER else f"{off_by_db(folder, way):.1f}"
        print(
            f"{way:24}{row['cpu_seconds']:8.1f}{row['wall_seconds']:8.1f}{row['peak_rss_mb']:7.0f}"
            f"{times:8.2f}{memory:10.2f}{off:>8}"
        )


def main() -> None:
    """Parse options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1, help="of each, in turn")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the segment")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    changes = {name: int(value) for name, value in (item.split("=") for item in options.set)}
    model = {**KIM, **changes}
    if options.child:
        way, folder = options.child
        print(json.dumps(run(way, Path(folder), model)))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), model, options.seconds)
        compare(Path(folder), options)


if __name__ == "__main__":
    main()
