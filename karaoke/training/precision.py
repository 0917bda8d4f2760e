"""Which precision a network is trained in: bfloat16 where the processor has it, else float32."""

from __future__ import annotations

import functools
import platform

import torch
from torch import nn


@functools.cache
def has_bfloat16(kind: str) -> bool:
    """Tell whether a kind of device (``cpu``, ``cuda``, ``mps``) computes in bfloat16 by itself.

    Where it is emulated, it works but takes 1.7 times as long as float32; where it is missing,
    LSTMs fail. Processors are asked; then a small LSTM tries it, since what they say does not
    bind the library that runs it.
    """
    if kind == "cpu":
        says = cpu_says_bfloat16()
    elif kind == "cuda":
        says = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        says = True
    return says and runs_bfloat16(kind)


def cpu_says_bfloat16() -> bool:
    """Ask oneDNN, and on x86, where it also emulates, the processor itself."""
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(native())


def runs_bfloat16(kind: str) -> bool:
    """Try whether an LSTM and its gradient can be computed in bfloat16."""
    with torch.random.fork_rng(devices=[]):  # a run's random numbers stay what they were
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
    """Give a context in which networks run as fast as a kind of device allows."""
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=has_bfloat16(kind))
