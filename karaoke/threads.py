"""How many cores there are to use, and threads that use one of them each."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch


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
