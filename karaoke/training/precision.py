"""Choose the precision for training: bfloat16 where the hardware supports it, else float32."""

from __future__ import annotations

import functools

import torch
from torch import nn

from karaoke.separation.devices import has_bfloat16_units


@functools.cache
def has_bfloat16(kind: str) -> bool:
    """Return whether a kind of device (``cpu``, ``cuda``, ``mps``) supports bfloat16 natively.

    If emulated, it takes 1.7 times as long as float32; if missing, LSTMs fail. The hardware is
    asked first, then a small LSTM is tried, since a library may not support what hardware does.
    """
    return (kind == "mps" or has_bfloat16_units(kind)) and runs_bfloat16(kind)


def runs_bfloat16(kind: str) -> bool:
    """Return whether an LSTM and its gradient can be computed in bfloat16."""
    with torch.random.fork_rng(devices=[]):  # leaves a run's random numbers as they are
        lstm = nn.LSTM(16, 16, batch_first=True, bidirectional=True)
    try:
        lstm = lstm.to(kind)
        with torch.autocast(kind, dtype=torch.bfloat16), torch.enable_grad():
            states, _ = lstm(torch.zeros(2, 3, 16, device=kind))
            torch.autograd.backward(states.float().sum())
    except RuntimeError:
        return False
    return True


def autocast(kind: str) -> torch.autocast:
    """Return a context in which networks run in the best precision for a kind of device."""
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=has_bfloat16(kind))
