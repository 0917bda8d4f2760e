"""Weights in the form in which others publish theirs, with random values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def open_unmix_weights(
    *, seed: int = 0, bins: int = 2049, heard: int = 1487, hidden: int = 512
) -> dict[str, Tensor]:
    """Make a state dict with the names and shapes of Open-Unmix's files, which are of 2019."""
    torch.manual_seed(seed)
    layers = {
        "fc1": nn.Linear(2 * heard, hidden, bias=False),
        "bn1": nn.BatchNorm1d(hidden),
        "lstm": nn.LSTM(hidden, hidden // 2, num_layers=3, bidirectional=True),
        "fc2": nn.Linear(2 * hidden, hidden, bias=False),
        "bn2": nn.BatchNorm1d(hidden),
        "fc3": nn.Linear(hidden, 2 * bins, bias=False),
        "bn3": nn.BatchNorm1d(2 * bins),
    }
    window = torch.hann_window(2 * (bins - 1))
    weights: dict[str, Tensor] = {
        "input_mean": -torch.rand(heard),
        "input_scale": 0.5 + torch.rand(heard),
        "output_scale": 0.5 + torch.rand(bins),
        "output_mean": torch.rand(bins),
        "stft.window": window,
        "transform.0.window": window,
        "sample_rate": torch.tensor(44100.0),
    }
    for name, layer in layers.items():
        for key, tensor in layer.state_dict().items():
            if key == "running_var":
                tensor = 0.5 + torch.rand_like(tensor)
            elif key == "running_mean":
                tensor = 0.1 * torch.randn_like(tensor)
            weights[f"{name}.{key}"] = tensor
    return weights


def write_open_unmix(path: Path, **shape: int) -> Path:
    """Write them as torch did in 2019."""
    torch.save(open_unmix_weights(**shape), path, _use_new_zipfile_serialization=False)
    return path


def spleeter_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """Name the weights of one network of Spleeter as its port to PyTorch does."""
    arrays = {}
    for name, tensor in network.state_dict().items():
        place, *rest = name.split(".")
        kind = rest[-1]
        if kind == "num_batches_tracked":
            continue
        level = int(rest[0]) + 1 if place != "mask" else 7
        if place == "mask":
            theirs = "up7.0"
        elif place == "halving":
            theirs = f"down{level}_conv.1"
        elif place == "norms":
            theirs = f"down{level}_act.0"
        else:
            theirs = f"up{level}.{0 if rest[1] == 'convolution' else 3}"
        arrays[f"{theirs}.{kind}"] = tensor.numpy()
    # A norm that is published but never used.
    arrays |= {f"down6_act.0.{kind}": np.ones(512, np.float32) for kind in ("weight", "bias")}
    return arrays
