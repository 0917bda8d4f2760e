"""Where a network runs: on a GPU, or on the cores of the processor, a thread each."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from karaoke.errors import UsageError


def choose_device(wanted: str = "auto") -> tuple[torch.device, str]:
    """Choose where to run, and say why.

    Parameters
    ----------
    wanted
        ``auto`` (CUDA, then MPS, then the CPU), or a device of torch.

    Raises
    ------
    UsageError
        The device is unknown or not there.
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
        raise UsageError(f"device {wanted!r} is not there", hint="Choose --device auto or cpu.")
    return device, "as asked"


def single_threads(count: int) -> ThreadPoolExecutor:
    """Start threads in which torch uses one core each, and leave the process' setting alone.

    ``torch.set_num_threads`` speaks to the calling thread and to all that begin later. Hence all
    are started here, and then the caller's number is set again.
    """
    before = torch.get_num_threads()
    ready = Barrier(count)
    pool = ThreadPoolExecutor(count, "separator")

    def prepare(_number: int) -> None:
        torch.set_num_threads(1)
        ready.wait()  # else one thread might take the place of two

    list(pool.map(prepare, range(count)))
    torch.set_num_threads(before)
    return pool


def usable_cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
