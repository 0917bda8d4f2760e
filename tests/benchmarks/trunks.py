"""How long the layers of the band-split network take, and how many weights they have.

``python tests/benchmarks/trunks.py [--set KEY=VALUE[,KEY=VALUE...]]...`` compares networks that
differ in their config, such as ``--set over_bands=mixer,features=64``; without ``--set``, those
that differ in their trunk alone. *Layer* is the second one on 10 s of sound without gradients, and
*bands* the part of it over bands; *step* is the whole network on 4 mixtures of 3 s with gradients.
All are medians, in milliseconds of the process's own time with one thread on a CPU, in the
precision of training (``--float32`` for the other one), taken in turn so that other programs weigh
on all alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from karaoke.separation.fields import check_fields
from karaoke.separation.networks.band_split_bilstm import BandSplitBiLSTM, BandSplitConfig
from karaoke.training.precision import autocast, has_bfloat16

#: As networks are trained.
COMMON = "shared_bands=true"
VARIANTS = (
    "over_bands=attention",
    "over_bands=mixer",
    "half_rate_layers=2",
    "over_bands=attention,half_rate_layers=2",
    "over_bands=mixer,half_rate_layers=2",
)
SAMPLE_RATE = 44_100


def build(settings: str) -> BandSplitBiLSTM:
    """Build a network from settings ``key=value,key=value``."""
    values: dict[str, Any] = {}
    for setting in filter(None, f"{COMMON},{settings}".split(",")):
        key, _, value = setting.partition("=")
        kinds = {"true": True, "false": False}
        values[key] = kinds.get(value, int(value) if value.isdigit() else value)
    config = BandSplitConfig(**check_fields(BandSplitConfig, values))
    return BandSplitBiLSTM(config, sample_rate=SAMPLE_RATE, channels=2, stems=("vocals",))


def tasks(network: BandSplitBiLSTM) -> list[Callable[[], None]]:
    """List what is timed: a layer, its part over bands, a step."""
    config, bands = network.config, len(network.widths)
    frames = 10 * SAMPLE_RATE // config.hop_length + 1
    features = torch.randn(1, bands, frames, config.features)
    mixtures = 0.1 * torch.randn(4, 2, 3 * SAMPLE_RATE)

    @torch.no_grad()
    def layer() -> None:
        if config.half_rate_layers:
            network.half_rates[0](features, lambda pairs: network.model_layer(1, pairs))
        else:
            network.model_layer(1, features)

    @torch.no_grad()
    def over_bands() -> None:
        rate = 2 if config.half_rate_layers else 1
        network.over_bands[1](features[0, :, ::rate].transpose(0, 1))

    def step() -> None:
        network.zero_grad()
        spectrogram = network.stft(mixtures)
        network.masks(spectrogram).square().mean().backward()

    return [layer, over_bands, step]


def weights(module: nn.Module) -> int:
    """Count the weights."""
    return sum(weight.numel() for weight in module.parameters())


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE[,KEY=VALUE...]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    networks = {
        settings or "default": build(settings) for settings in ["", *(options.set or VARIANTS)]
    }
    timed = {name: tasks(network) for name, network in networks.items()}
    times: dict[str, list[list[float]]] = {name: [[], [], []] for name in networks}
    with torch.autocast("cpu", enabled=False) if options.float32 else autocast("cpu"):
        for _ in range(options.rounds + 1):  # the first round warms up
            for name, works in timed.items():
                for work, taken in zip(works, times[name], strict=True):
                    started = time.process_time()
                    work()
                    taken.append(1000 * (time.process_time() - started))
    precision = "bfloat16" if has_bfloat16("cpu") and not options.float32 else "float32"
    table = Table(title=f"{precision}, ms; {COMMON}")
    table.add_column("network", overflow="fold")
    for heading in ("layer", "bands", "weights of it", "step", "ratio", "weights of all"):
        table.add_column(heading, justify="right", no_wrap=True)
    medians = {name: [statistics.median(t[1:]) for t in taken] for name, taken in times.items()}
    for name, network in networks.items():
        layer, bands, step = medians[name]
        parts = [network.over_time[1], network.over_bands[1], *network.half_rates[:1]]
        size = sum(weights(part) for part in parts)
        ratio = step / medians["default"][2]
        figures = (f"{layer:.1f}", f"{bands:.1f}", f"{size:,}", f"{step:.0f}", f"{ratio:.2f}")
        table.add_row(name, *figures, f"{weights(network):,}")
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    main()
