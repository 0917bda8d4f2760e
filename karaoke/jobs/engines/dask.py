"""Work on songs on the workers of a Dask cluster."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from karaoke.errors import ClusterError, UsageError
from karaoke.jobs.engines import AGAIN, Call, Engine

if TYPE_CHECKING:
    import distributed

#: Patience with a scheduler that does not answer.
CONNECT_SECONDS = 10
#: Time between two reports of a song's progress.
REPORT_SECONDS = 1.0


class DaskCall(Call):
    """The line from the worker that runs this to the client that submitted it.

    Parameters
    ----------
    topic
        What the client listens to.
    name
        What the client calls the work.
    """

    def __init__(self, topic: str, name: str) -> None:
        super().__init__()
        from distributed import get_worker

        self.topic, self.name = topic, name
        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self._told = time.monotonic()

    def is_set(self) -> bool:
        """Return whether the client cancelled the work, or it will be done by another worker."""
        from distributed.core import Status

        # In another state, it has lost the scheduler, which gives its work to others.
        if self._worker.status not in (Status.running, Status.paused, Status.closing_gracefully):
            return True
        state = self._worker.state.tasks.get(self._key)
        return state is None or state.state == "cancelled"

    def progress(self, done: float, total: float | None) -> None:
        """Tell the client, but not too often."""
        if time.monotonic() - self._told >= REPORT_SECONDS:
            self._told = time.monotonic()
            self._worker.log_event(self.topic, [self.name, done, total])


def answer(work: Callable[..., Any], topic: str, name: str, *arguments: Any) -> Any:
    """Do on a worker what was submitted."""
    return work(*arguments, DaskCall(topic, name))


class DaskEngine(Engine):
    """The workers of a cluster, as an executor.

    Parameters
    ----------
    client
        Connected to its scheduler, and closed by the caller.
    """

    def __init__(self, client: distributed.Client) -> None:
        self.client = client
        self._topic = f"karaoke-{client.id}"
        self._names: dict[Future[Any], str] = {}
        self._known: dict[str, tuple[float, float | None]] = {}
        self._count = 0
        client.subscribe_topic(self._topic, self._hear)

    @property
    def size(self) -> int:
        """Number of threads of the workers, of which each takes a song at a time."""
        return sum(self.client.nthreads().values())

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        """Have a worker call a function with the arguments and a :class:`DaskCall`."""
        self._count += 1
        name = f"song-{self._count}"
        future: Future[Any] = Future()
        inner = self.client.submit(
            partial(answer, work, self._topic, name),
            *arguments,
            key=f"karaoke-{self.client.id}-{name}",
            pure=False,
        )
        self._names[future] = name
        inner.add_done_callback(partial(self._settle, future))
        future.add_done_callback(partial(self._forget, inner))
        return future

    def progress_of(self, future: Future[Any]) -> tuple[float, float | None] | None:
        """Return what the worker told last."""
        return self._known.get(self._names.get(future, ""))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: the client is its maker's to close."""

    def _hear(self, event: tuple[float, tuple[str, float, float | None]]) -> None:
        """Note what a worker told."""
        _, (name, done, total) = event
        self._known[name] = done, total

    @staticmethod
    def _settle(future: Future[Any], inner: distributed.Future) -> None:
        """Pass on what became of something."""
        if future.cancelled():
            return
        error: BaseException | None = None
        try:
            if inner.cancelled():  # without the client's doing: the scheduler is gone
                future.cancel()
                future.set_running_or_notify_cancel()
                return
            error = inner.exception()
            if error is None:
                future.set_result(inner.result())
        except Exception as lost:
            error = lost
        if error is not None and not future.done():
            future.set_exception(translated(error))

    def _forget(self, inner: distributed.Future, future: Future[Any]) -> None:
        """Let go of what is over, and cancel what nobody wants any more."""
        self._known.pop(self._names.pop(future, ""), None)
        if future.cancelled() and not inner.done():
            inner.cancel()


def translated(error: BaseException) -> BaseException:
    """Turn the loss of too many workers to one song into an error of ours."""
    from distributed import KilledWorker

    if not isinstance(error, KilledWorker):
        return error
    return ClusterError(
        f"{error.allowed_failures + 1} workers were lost, one after another, while they worked on"
        " this song",
        hint="Perhaps they lack memory; see their logs.",
    )


@contextmanager
def connected(address: str) -> Iterator[distributed.Client]:
    """Connect to the scheduler of a cluster.

    Parameters
    ----------
    address
        ``HOST:PORT``, perhaps with ``tcp://`` or ``tls://`` before it.

    Raises
    ------
    UsageError
        The address is none, or Dask is not installed.
    ClusterError
        Nobody answers there, or there are no workers.
    """
    if not re.fullmatch(r"([a-z]+://)?\S+:\d{1,5}", address):
        raise UsageError(f"--address {address}: not an address", hint="Give HOST:PORT.")
    try:
        from distributed import Client
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise UsageError(
            "--engine dask: Dask is not installed", hint="Run pip install 'karaoke[dask]'."
        ) from error
    # They would print tracebacks about connections; what matters comes as an error.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"{address}: no scheduler answers", hint="Start one: dask scheduler."
        ) from error
    try:
        if not client.nthreads():
            raise ClusterError(
                f"{address}: the scheduler has no workers",
                hint=f"Start some: dask worker {address}.",
            )
        yield client
    except CommClosedError as error:
        raise ClusterError(
            f"{address}: the connection to the scheduler was lost", hint=AGAIN
        ) from error
    finally:
        client.close(timeout=CONNECT_SECONDS)
