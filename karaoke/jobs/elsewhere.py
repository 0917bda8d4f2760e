"""Have songs worked on elsewhere: in other processes, or on other machines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from karaoke.errors import ClusterError, LockedError, OutputExistsError
from karaoke.files import sweep
from karaoke.jobs.engines import AGAIN, Call, Engine
from karaoke.jobs.manifest import is_complete
from karaoke.jobs.outcomes import Display, Outcome, attempt, failure
from karaoke.jobs.task import Cancelled, SongProgress, Space, Task, unseen

if TYPE_CHECKING:
    from karaoke.separation.separator import Separator

#: Most songs that are submitted before the first of them is done: enough for any cluster to be
#: busy, and few enough that a million songs are no burden to its scheduler.
MOST_AHEAD = 2000
#: Time between looks at the progress of a song.
LOOK_SECONDS = 0.5
#: How long a song waits for a worker that was given up for lost but still holds its files.
PATIENCE_SECONDS = 120.0


def do_elsewhere(
    tasks: Sequence[Task],
    seen: Sequence[Space | Outcome],
    separator: Callable[[], Separator],
    fail_fast: bool,
    executor: Executor,
    display: Display,
) -> Iterator[Outcome]:
    """Have an executor do what is left.

    Raises
    ------
    ClusterError
        There is nobody left to do it.
    """
    pending: deque[Outcome | Future[Outcome]] = deque()
    coming = zip(tasks, seen, strict=True)
    failed = False
    try:
        for task in tasks:
            for later, found in islice(coming, MOST_AHEAD - len(pending)):
                if isinstance(found, Outcome):
                    pending.append(found)
                else:
                    pending.append(executor.submit(work, later.from_anywhere(), separator))
            first = pending[0]
            if failed and fail_fast and (isinstance(first, Outcome) or first.cancel()):
                outcome = Outcome(task.job, "not tried")
            elif isinstance(first, Outcome):
                outcome = first
            else:
                with display(task.job) as progress:
                    outcome = wait_for(first, task, executor, progress)
            pending.popleft()
            failed = failed or outcome.status == "failed"
            yield outcome
    finally:
        for one in pending:
            if isinstance(one, Future):
                one.cancel()


def wait_for(
    future: Future[Outcome], task: Task, executor: Executor, progress: SongProgress
) -> Outcome:
    """Wait for what becomes of a song, and show its progress as far as it is known."""
    shown = None
    while isinstance(executor, Engine) and not wait([future], LOOK_SECONDS).done:
        known = executor.progress_of(future)
        if known is not None and known != shown:
            progress(*known)
        shown = known
    try:
        return replace(future.result(), job=task.job)
    except (CancelledError, BrokenExecutor) as error:
        raise ClusterError("the connection to the workers was lost", hint=AGAIN) from error
    except Exception as error:
        return failure(task.job, error)


def work(task: Task, separator: Callable[[], Separator], call: Call | None = None) -> Outcome:
    """Do a task that was submitted; it may be one that a lost worker had already begun or done.

    What that worker published is not done again, and nobody waits for ever for what it holds.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    tell = unseen if call is None else call.progress
    while True:
        try:
            outcome = attempt(task, separator, call, lambda _: nullcontext(tell))
        except Cancelled:
            return Outcome(task.job, "not tried")
        begun = isinstance(outcome.error, (LockedError, OutputExistsError))
        if begun and not task.overwrite and is_complete(task.job, task.settings):
            for folder in {path.parent for path in task.job.outputs.values()}:
                sweep(folder)
            return Outcome(task.job, "skipped")
        if not isinstance(outcome.error, LockedError) or time.monotonic() > deadline:
            return outcome
        time.sleep(LOOK_SECONDS)
