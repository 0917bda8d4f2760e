"""Batches of songs: all are checked before any is worked on, and none stops the others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from karaoke.errors import WriteError
from karaoke.files import check_writable, writing_to
from karaoke.jobs.elsewhere import do_elsewhere
from karaoke.jobs.manifest import is_complete
from karaoke.jobs.outcomes import Display, Outcome, attempt, failure, no_display
from karaoke.jobs.task import Space, Task, check_outputs

if TYPE_CHECKING:
    from karaoke.separation.separator import Separator

#: Number of songs checked in parallel before the work begins.
LOOKS = 4


@dataclass(frozen=True)
class BatchOptions:
    """What to do about existing outputs and failures.

    Parameters
    ----------
    skip_existing
        Skip songs whose outputs are complete and were made with the same settings.
    dry_run
        Check everything and do nothing.
    fail_fast
        Stop at the first failure.
    jobs
        Number of songs worked on at a time. They take turns with the model, while the others
        decode, encode, read and write.
    """

    skip_existing: bool = False
    dry_run: bool = False
    fail_fast: bool = False
    jobs: int = 1


def run_batch(
    tasks: Sequence[Task],
    separator: Callable[[], Separator],
    options: BatchOptions,
    display: Display = no_display,
    executor: Executor | None = None,
    stopped: Event | None = None,
    begin: Callable[[float], object] = lambda seconds: None,
) -> Generator[Outcome, None, None]:
    """Run tasks and yield what became of each, in order.

    Parameters
    ----------
    tasks
        One per song.
    separator
        Returns the model, and loads it on first use.
    options
        What to do about existing outputs and failures.
    display
        Shows progress; of work elsewhere, as far as the executor tells of it.
    executor
        Where to work, and on how many songs at a time; by default ``options.jobs`` threads. Tasks
        and ``separator`` are pickled if it runs other processes.
    stopped
        Set to stop what is done in this process, which then raises
        :class:`karaoke.jobs.task.Cancelled`.
    begin
        Called before the model is loaded, if songs are to be separated in this process, with the
        seconds of music in them all, as far as they declare them.

    Raises
    ------
    ModelError
        The model cannot be loaded; nothing was done.
    WriteError
        The disk has too little space for all songs; nothing was done.
    """
    stopped = stopped or Event()
    try:
        kept_open = 0 if options.dry_run or executor is not None else options.jobs
        seen = check_space(tasks, look_at(tasks, options, stopped, kept_open), options.jobs)
        if options.dry_run:
            seen = [
                one if isinstance(one, Outcome) else Outcome(task.job, "planned")
                for task, one in zip(tasks, seen, strict=True)
            ]
        if executor is None:
            waiting = [
                one.music_seconds
                for task, one in zip(tasks, seen, strict=True)
                if isinstance(one, Space) and task.needs_model
            ]
            if waiting:
                begin(sum(waiting))
                separator()
            yield from do_here(tasks, seen, separator, options, display, stopped)
        else:
            yield from do_elsewhere(tasks, seen, separator, options.fail_fast, executor, display)
    finally:
        for task in tasks:
            task.close()


def do_here(
    tasks: Sequence[Task],
    seen: Sequence[Space | Outcome],
    separator: Callable[[], Separator],
    options: BatchOptions,
    display: Display,
    stopped: Event,
) -> Iterator[Outcome]:
    """Do what is left in this process, in threads if it is several songs at a time."""
    failed = Event()

    def do(task: Task, one: Space | Outcome) -> Outcome:
        if failed.is_set() and options.fail_fast:
            return Outcome(task.job, "not tried")
        outcome = one if isinstance(one, Outcome) else attempt(task, separator, stopped, display)
        if outcome.status == "failed":
            failed.set()
        return outcome

    if options.jobs == 1:
        yield from map(do, tasks, seen)
        return
    pool = ThreadPoolExecutor(options.jobs)
    try:
        yield from pool.map(do, tasks, seen)
    finally:
        # Even if interrupted: no thread may leave anything half-written.
        stopped.set()
        pool.shutdown(cancel_futures=True)


def look_at(
    tasks: Sequence[Task], options: BatchOptions, stopped: Event, kept_open: int
) -> list[Space | Outcome]:
    """Check the songs before the work: which are done, missing, or not songs.

    The first ``kept_open`` stay open.
    """

    def look(task: Task, first: bool) -> Space | Outcome:
        job = task.job
        if job.error is not None:
            return Outcome(job, "failed", error=job.error)
        if options.skip_existing and is_complete(job, task.settings):
            return Outcome(job, "skipped")
        try:
            space = task.estimate(stopped, keep_open=first)
            check_outputs(job, task.overwrite, others=options.skip_existing)
            for path in {path.parent for path in job.outputs.values()}:
                check_can_be_made(path)
            return space
        except Exception as error:
            task.close()
            return failure(job, error)

    with ThreadPoolExecutor(LOOKS) as pool:
        try:
            return list(pool.map(look, tasks, [n < kept_open for n in range(len(tasks))]))
        except BaseException:
            # Interrupted: do not wait while ffmpeg searches a file for sound.
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def nearest(folder: Path) -> Path:
    """Return a folder if it exists, or else its nearest existing parent."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def check_can_be_made(folder: Path) -> None:
    """Refuse a folder that cannot be created or written to.

    Raises
    ------
    OutputExistsError, PermissionDeniedError
        Something else has its name, or it may not be written to.
    """
    there = nearest(folder)
    with writing_to(there):
        if not there.is_dir():
            raise NotADirectoryError
    check_writable(there)


def check_space(
    tasks: Sequence[Task], seen: Sequence[Space | Outcome], at_a_time: int
) -> list[Space | Outcome]:
    """Refuse more than the disk can hold.

    A song that is too large by itself fails alone: it may be damaged and declare an absurd length.

    Parameters
    ----------
    tasks, seen
        All songs, and what checking them found.
    at_a_time
        Number of songs worked on in parallel.

    Returns
    -------
    list
        ``seen``, except that the outcome of songs that are too large is a failure.

    Raises
    ------
    WriteError
        The other songs together are too large.
    """
    found: list[Space | Outcome] = []
    needed: dict[int, tuple[Path, float, float]] = {}
    for task, one in zip(tasks, seen, strict=True):
        if isinstance(one, Space):
            there = nearest(task.job.manifest.parent)
            error = lack_of_space(there, one.working_bytes + one.kept_bytes)
            if error is not None:
                task.close()
                one = Outcome(task.job, "failed", error=error)
            else:
                device = os.stat(there).st_dev
                _, working, kept = needed.get(device, (there, 0.0, 0.0))
                most = max(working, at_a_time * one.working_bytes)
                needed[device] = (there, most, kept + one.kept_bytes)
        found.append(one)
    for folder, working, kept in needed.values():
        if error := lack_of_space(folder, working + kept):
            raise error
    return found


def lack_of_space(folder: Path, needed_bytes: float) -> WriteError | None:
    """Return an error if a folder's disk has too little space."""
    free = shutil.disk_usage(folder).free
    if needed_bytes <= free:
        return None
    return WriteError(
        f'"{folder}": {needed_bytes / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB free',
        hint="Free some space, choose another folder with --out, or --format flac.",
    )
