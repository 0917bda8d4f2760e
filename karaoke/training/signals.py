"""Signals to a run: the step is finished and the state saved before it obeys."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def finishing_steps(remember: Callable[[int], None]) -> Iterator[None]:
    """Finish the step and save before obeying a SIGINT or SIGTERM, of which ``remember`` hears."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _frame: remember(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def prepare_worker(_number: int) -> None:
    """Make one thread of a worker process, and leave Ctrl-C to the trainer."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
