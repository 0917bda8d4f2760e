"""A batch of songs: all are looked at before any is split, and none stops the others."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from karaoke.audio import AudioReader, OutputFormat
from karaoke.audio.checking import check_readable
from karaoke.errors import DeviceMemoryError, KaraokeError, WriteError
from karaoke.files import check_writable, writing_to
from karaoke.jobs.manifest import Settings, is_complete
from karaoke.jobs.planning import Job
from karaoke.jobs.splitting import SongProgress, SplitResult, check_outputs, split_song
from karaoke.separation.separator import Separator

#: Bytes a second of a lossy file of the highest rate; more than any bit rate that is offered.
LOSSY_BYTES_PER_SECOND = 64_000
#: Files that are looked at side by side before the work begins.
PROBES = 4

#: Called for each song; gives its progress display.
Display = Callable[[Job], AbstractContextManager[SongProgress | None]]


@dataclass(frozen=True)
class Options:
    """What to do about what is there already, and about failures.

    Parameters
    ----------
    overwrite
        Replace outputs that exist.
    skip_existing
        Leave songs alone whose stems are complete and made with the same settings.
    dry_run
        Look at everything and split nothing.
    fail_fast
        Stop at the first failure.
    strict
        A song that is damaged or shorter than it declares is a failure.
    jobs
        Songs that are worked on at a time. They take turns with the model; decoding, encoding and
        the disk go on beside it.
    """

    overwrite: bool = False
    skip_existing: bool = False
    dry_run: bool = False
    fail_fast: bool = False
    strict: bool = False
    jobs: int = 1


class Cancelled(BaseException):
    """Unwinds the work on a song beside which another was interrupted."""


@dataclass(frozen=True)
class Outcome:
    """What became of a song.

    Parameters
    ----------
    job
        Its plan.
    status
        ``done``, ``skipped``, ``planned`` (in a dry run), ``failed``, or ``not tried`` after a
        failure with ``fail_fast``.
    result
        Of the work, when done.
    error
        Why it failed.
    """

    job: Job
    status: str
    result: SplitResult | None = None
    error: KaraokeError | None = None


@dataclass(frozen=True)
class Probe:
    """What a look at a song brought: the bytes that its work needs, and those that stay."""

    outcome: Outcome | None
    working_bytes: float = 0.0
    output_bytes: float = 0.0


def run_batch(
    jobs: Sequence[Job],
    load: Callable[[], Separator],
    chosen: OutputFormat,
    settings: Settings,
    options: Options,
    display: Display,
) -> Generator[Outcome, None, None]:
    """Split songs in their order and yield what became of each, in the same order.

    Parameters
    ----------
    jobs
        From :func:`karaoke.jobs.planning.plan`.
    load
        Loads the model, once, when the first song needs it.
    chosen
        Format of the outputs.
    settings
        For the manifests.
    options
        See there.
    display
        For progress.

    Raises
    ------
    WriteError
        The disk has too little space for all of it; nothing was done.
    """
    probes = look_at(jobs, chosen, settings, options)
    probes = check_space(jobs, probes, options.jobs)
    needed = not options.dry_run and any(probe.outcome is None for probe in probes)
    worker = Worker(load() if needed else None, chosen, settings, options, display)
    if options.jobs == 1:
        yield from map(worker.work, jobs, probes)
        return
    pool = ThreadPoolExecutor(options.jobs)
    try:
        yield from pool.map(worker.work, jobs, probes)
    finally:
        # Also when we are interrupted: nothing half-written may be left by any of them.
        worker.stopped.set()
        pool.shutdown(cancel_futures=True)


class Worker:
    """Works on songs, one or several at a time; the parameters are those of :func:`run_batch`.

    Attributes
    ----------
    stopped
        Set to end the work on all songs.
    """

    def __init__(
        self,
        separator: Separator | None,
        chosen: OutputFormat,
        settings: Settings,
        options: Options,
        display: Display,
    ) -> None:
        self.separator, self.chosen, self.settings = separator, chosen, settings
        self.options, self.display = options, display
        self.stopped = threading.Event()
        self._failed = threading.Event()

    def work(self, job: Job, probe: Probe) -> Outcome:
        """Do what is left to do about a song."""
        if self._failed.is_set() and self.options.fail_fast:
            return Outcome(job, "not tried")
        outcome = probe.outcome
        if outcome is None and self.separator is not None:
            outcome = self._attempt(job, self.separator)
        if outcome is not None and outcome.status == "failed":
            self._failed.set()
        return outcome or Outcome(job, "planned")

    def _check(self) -> None:
        """Raise :class:`Cancelled` when told to stop."""
        if self.stopped.is_set():
            raise Cancelled

    def _attempt(self, job: Job, separator: Separator) -> Outcome:
        """Split one song; any error is its outcome, but that of being told to stop."""
        try:
            with self.display(job) as progress:
                result = split_song(
                    job,
                    separator,
                    self.chosen,
                    self.settings,
                    overwrite=self.options.overwrite,
                    strict=self.options.strict,
                    progress=progress,
                    check=self._check,
                    cancelled=self.stopped,
                )
        except Exception as error:
            return Outcome(job, "failed", error=as_karaoke_error(error, job.source))
        return Outcome(job, "done", result)


def look_at(
    jobs: Sequence[Job], chosen: OutputFormat, settings: Settings, options: Options
) -> list[Probe]:
    """Find what can be known before the work: songs that are done, missing, or no songs."""

    def look(job: Job) -> Probe:
        if job.error is not None:
            return Probe(Outcome(job, "failed", error=job.error))
        if options.skip_existing and is_complete(job, settings):
            return Probe(Outcome(job, "skipped"))
        try:
            check_readable(job.source)
            if options.skip_existing:
                refuse_others(job, options)
            else:
                check_outputs(job, options.overwrite)
            for path in {path.parent for path in job.outputs.values()}:
                check_can_be_made(path)
            return measure(job, chosen, settings.track, stopped)
        except Exception as error:
            return Probe(Outcome(job, "failed", error=as_karaoke_error(error, job.source)))

    stopped = threading.Event()
    with ThreadPoolExecutor(PROBES) as pool:
        try:
            return list(pool.map(look, jobs))
        except BaseException:
            # Interrupted: a file that ffmpeg searches for its sound must not be waited for.
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def nearest(folder: Path) -> Path:
    """Give the folder, or what is there already of the way to it."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def check_can_be_made(folder: Path) -> None:
    """Refuse a folder that is not there and cannot be made, or may not be written.

    Raises
    ------
    OutputExistsError, PermissionDeniedError
        So it is.
    """
    there = nearest(folder)
    with writing_to(there):
        if not there.is_dir():
            raise NotADirectoryError
    check_writable(there)


def refuse_others(job: Job, options: Options) -> None:
    """Refuse to replace files that are not what this command would write.

    Raises
    ------
    OutputExistsError
        There are such files and nobody said ``overwrite``.
    """
    try:
        check_outputs(job, options.overwrite)
    except KaraokeError as error:
        error.hint = "It is not what this command would write; add --overwrite to replace it."
        raise


def measure(job: Job, chosen: OutputFormat, track: int | None, stopped: threading.Event) -> Probe:
    """Open a song, which shows whether it is one, and estimate the space that it takes."""
    with AudioReader(job.source, track=track, cancelled=stopped) as reader:
        chosen.check_channels(reader.channels)
        samples = (reader.declared_seconds or 0.0) * reader.sample_rate * reader.channels
        if chosen.encoder is None:
            each = samples * chosen.bit_depth / 8
        else:
            each = (reader.declared_seconds or 0.0) * LOSSY_BYTES_PER_SECOND
    stems = len(job.outputs)
    return Probe(None, working_bytes=4 * samples * stems, output_bytes=each * stems)


def check_space(jobs: Sequence[Job], probes: Sequence[Probe], at_a_time: int) -> list[Probe]:
    """Refuse what the disk cannot hold.

    A song that is too large by itself fails alone: it may be damaged, and declare an absurd length.

    Parameters
    ----------
    jobs, probes
        Of all songs.
    at_a_time
        Songs that are worked on side by side.

    Returns
    -------
    list
        The probes, those of songs that are too large with their failure.

    Raises
    ------
    WriteError
        The others are too much together.
    """
    found = []
    needed: dict[int, tuple[Path, float, float]] = {}
    for job, probe in zip(jobs, probes, strict=True):
        if probe.outcome is None:
            there = nearest(job.manifest.parent)
            error = lack_of_space(there, probe.working_bytes + probe.output_bytes)
            if error is not None:
                probe = Probe(Outcome(job, "failed", error=error))
            else:
                device = os.stat(there).st_dev
                _, working, kept = needed.get(device, (there, 0.0, 0.0))
                most = max(working, at_a_time * probe.working_bytes)
                needed[device] = (there, most, kept + probe.output_bytes)
        found.append(probe)
    for folder, working, kept in needed.values():
        if error := lack_of_space(folder, working + kept):
            raise error
    return found


def lack_of_space(folder: Path, needed_bytes: float) -> WriteError | None:
    """Give an error if a folder's disk has too little space."""
    free = shutil.disk_usage(folder).free
    if needed_bytes <= free:
        return None
    return WriteError(
        f'"{folder}": {needed_bytes / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} free',
        hint="Free some space, choose another folder with --out, or --format flac.",
    )


def as_karaoke_error(error: Exception, source: Path) -> KaraokeError:
    """Make one of ours of any error, so that a bug in one song does not stop the others."""
    if isinstance(error, KaraokeError):
        return error
    if isinstance(error, MemoryError):
        return DeviceMemoryError(f'"{source}": out of memory', hint="Close other programs.")
    told = KaraokeError(f'"{source}": {type(error).__name__}: {error}', hint="This is a bug.")
    told.__cause__ = error
    return told
