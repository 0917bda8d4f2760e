"""Work on one song as a value: what the engine needs to know about it and provides for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from karaoke.errors import OutputExistsError
from karaoke.files import writing_to
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.planning import Job

if TYPE_CHECKING:
    from karaoke.separation.separator import Separator

#: Called with the seconds of the song that are done and, if known, its duration.
SongProgress = Callable[[float, float | None], None]


class Cancelled(BaseException):
    """Unwinds the work on a song that is no longer wanted."""


def unseen(_done: float, _total: float | None) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class Space:
    """The bytes that a song needs while it is worked on, and those that its outputs keep.

    And its length, as far as it declares one.
    """

    working_bytes: float = 0.0
    kept_bytes: float = 0.0
    music_seconds: float = 0.0


@dataclass(frozen=True)
class Tools:
    """What the engine provides for a task.

    Parameters
    ----------
    separator
        Returns the model, which is loaded once per process, on first use.
    progress
        Called with how far the work is.
    stopped
        Set when the work is no longer wanted; None where it cannot be stopped.
    """

    separator: Callable[[], Separator]
    progress: SongProgress = unseen
    stopped: Event | None = None

    def check(self) -> None:
        """Raise :class:`Cancelled` if the work is no longer wanted."""
        if self.stopped is not None and self.stopped.is_set():
            raise Cancelled


@dataclass(frozen=True)
class Result:
    """What was made, and what a user should know about it.

    Parameters
    ----------
    outputs
        Written files by what they contain.
    manifest
        What the manifest says about them; see :mod:`karaoke.jobs.manifest`.
    seconds
        Duration of the song.
    elapsed_seconds
        Time that the work took.
    warnings
        Sentences without a full stop.
    facts
        Further facts about them, for people and for JSON.
    """

    outputs: dict[str, Path]
    manifest: dict[str, Any]
    seconds: float
    elapsed_seconds: float
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """Work on one song. It can be pickled and run in another process."""

    @property
    def job(self) -> Job:
        """The song, what it becomes, and where."""

    @property
    def settings(self) -> SplitSettings:
        """What the outputs depend on besides the song."""

    @property
    def overwrite(self) -> bool:
        """Whether to replace outputs that exist."""

    @property
    def needs_model(self) -> bool:
        """Whether the work calls for the separator."""

    def estimate(self, stopped: Event, *, keep_open: bool) -> Space:
        """Open the song, which checks that it is one, and estimate the space that the work takes.

        Parameters
        ----------
        stopped
            Aborts opening, and later reading, once it is set.
        keep_open
            Whether to keep the song open for :meth:`run`, which is about to follow.

        Raises
        ------
        KaraokeError
            The song cannot be used.
        """

    def run(self, tools: Tools) -> Result:
        """Do the work: all outputs are written, or none.

        Raises
        ------
        KaraokeError
            The work failed, and nothing was written.
        """

    def from_anywhere(self) -> Task:
        """Return the same task for a process whose current folder is another."""

    def close(self) -> None:
        """Close a song that was kept open but not worked on."""


def check_outputs(job: Job, overwrite: bool, *, others: bool = False) -> None:
    """Refuse to replace folders, and files unless told to.

    Parameters
    ----------
    job
        What is to be written.
    overwrite
        Whether to replace files.
    others
        Whether outputs that match what this command would write were already skipped.

    Raises
    ------
    OutputExistsError
        An output already exists.
    """
    way_out = "It is not what this command would write; add" if others else "Add"
    for path in job.outputs.values():
        with writing_to(path):
            if path.is_dir():
                raise IsADirectoryError
            if path.exists() and not overwrite:
                raise OutputExistsError(
                    f'"{path}": exists', hint=f"{way_out} --overwrite to replace it."
                )
