"""Signals to a run, which finishes its step and saves its state before it obeys."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def finishing_steps(remember: Callable[[int], None]) -> Iterator[None]:
    """Pass SIGINT and SIGTERM to ``remember`` instead of stopping at once."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _frame: remember(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def prepare_worker(_number: int) -> None:
    """Use one thread in a worker process, and leave Ctrl-C to the trainer."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
