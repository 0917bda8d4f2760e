"""Where songs are worked on if not in this process: executors that can do a little more."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import Executor, Future
from threading import Event
from typing import Any

#: What to do once a connection was lost.
AGAIN = "What is done is kept: try again with --skip-existing."


class Call(Event):
    """The line between work elsewhere and who wants it: set once nobody wants it any more."""

    def progress(self, done: float, total: float | None) -> None:
        """Tell the seconds of the song that are done and, if known, its duration."""


class Engine(Executor):
    """An executor on other machines; what it calls gets a :class:`Call` as one more argument."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of calls at a time."""

    @abstractmethod
    def progress_of(self, future: Future[Any]) -> tuple[float, float | None] | None:
        """Return what was last told of the progress of something submitted."""
