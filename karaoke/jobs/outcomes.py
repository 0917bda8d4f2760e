"""What becomes of a song: done, skipped, or failed for a reason that a user can act on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from karaoke.errors import DeviceMemoryError, KaraokeError
from karaoke.jobs.planning import Job
from karaoke.jobs.task import Result, SongProgress, Task, Tools, unseen

if TYPE_CHECKING:
    from karaoke.separation.separator import Separator

#: Called for each song; returns a context manager that yields a function to call with progress.
Display = Callable[[Job], AbstractContextManager[SongProgress]]


@dataclass(frozen=True)
class Outcome:
    """What became of a song.

    Parameters
    ----------
    job
        The song's plan.
    status
        ``done``, ``skipped``, ``planned`` (in a dry run), ``failed``, or ``not tried`` after a
        failure with ``fail_fast``.
    result
        Result of the work, if done.
    error
        Why it failed, if it did.
    """

    job: Job
    status: str
    result: Result | None = None
    error: KaraokeError | None = None


def no_display(_job: Job) -> AbstractContextManager[SongProgress]:
    """Show no progress."""
    return nullcontext(unseen)


def attempt(
    task: Task,
    separator: Callable[[], Separator],
    stopped: Event | None = None,
    display: Display = no_display,
) -> Outcome:
    """Run one task; any error becomes its outcome, except being told to stop."""
    try:
        with display(task.job) as progress:
            return Outcome(task.job, "done", task.run(Tools(separator, progress, stopped)))
    except Exception as error:
        return failure(task.job, error)


def failure(job: Job, error: Exception) -> Outcome:
    """Turn an error into an outcome."""
    return Outcome(job, "failed", error=as_karaoke_error(error, job.source))


def as_karaoke_error(error: Exception, source: Path) -> KaraokeError:
    """Turn any error into one of ours, so that a bug in one song does not stop the others."""
    if isinstance(error, KaraokeError):
        return error
    if isinstance(error, MemoryError):
        return DeviceMemoryError(f'"{source}": out of memory', hint="Close other programs.")
    told = KaraokeError(f'"{source}": {type(error).__name__}: {error}', hint="This is a bug.")
    told.__cause__ = error
    return told
