"""Where a network runs: on a GPU, or on the cores of the CPU, one thread each."""

from __future__ import annotations

import functools
import platform
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from karaoke.errors import UsageError


def choose_device(wanted: str = "auto") -> tuple[torch.device, str]:
    """Choose a device, and say why.

    Parameters
    ----------
    wanted
        ``auto`` (CUDA, then MPS, then the CPU), or the name of a torch device.

    Raises
    ------
    UsageError
        The device is unknown or not available.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        if cuda:
            return torch.device("cuda"), f"found {torch.cuda.get_device_name()}"
        if mps:
            return torch.device("mps"), "found Apple's Metal"
        return torch.device("cpu"), "no GPU that torch can use was found"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(
            f"unknown device {wanted!r}", hint="Choose auto, cpu, cuda or mps."
        ) from error
    there = {"cuda": cuda, "mps": mps, "cpu": True}.get(device.type, False)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        there = False
    if not there:
        raise UsageError(f"device {wanted!r} is not available", hint="Choose --device auto or cpu.")
    return device, "as asked"


def single_threads(count: int) -> ThreadPoolExecutor:
    """Start threads that use one core each in torch, leaving the process's setting alone.

    ``torch.set_num_threads`` affects the calling thread and all threads started later, so all are
    started here before the caller's number is restored.
    """
    before = torch.get_num_threads()
    ready = Barrier(count)
    pool = ThreadPoolExecutor(count, "separator")

    def prepare(_number: int) -> None:
        torch.get_num_threads()  # a thread's first question would undo what was set before it
        torch.set_num_threads(1)
        ready.wait()  # or one thread might run prepare twice

    list(pool.map(prepare, range(count)))
    torch.set_num_threads(before)
    return pool


@functools.cache
def has_bfloat16_units(kind: str) -> bool:
    """Return whether a kind of device (``cpu``, ``cuda``) multiplies bfloat16 in hardware.

    For a CPU, this asks oneDNN and, on x86, where oneDNN may emulate, the processor itself.
    """
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu":
        return False
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(native())
