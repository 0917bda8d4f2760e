"""Work on one song, as a value: what the engine has to know of it, and what it lends to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from karaoke.errors import OutputExistsError
from karaoke.files import writing_to
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.planning import Job
from karaoke.separation.separator import Separator

#: Told the seconds of the song that are done and, where it is declared, its duration.
SongProgress = Callable[[float, float | None], None]


class Cancelled(BaseException):
    """Unwinds the work on a song that nobody wants any more."""


def unseen(_done: float, _total: float | None) -> None:
    """Show nothing of the progress."""


@dataclass(frozen=True)
class Space:
    """The bytes that the work on a song needs until it is done, and those that stay."""

    working_bytes: float = 0.0
    kept_bytes: float = 0.0


@dataclass(frozen=True)
class Tools:
    """What the engine lends to a task.

    Parameters
    ----------
    separator
        Gives the model, which is loaded once a process, on first use.
    progress
        To be told how far the work is.
    stopped
        Set when nobody wants the work any more; None where it cannot be stopped.
    """

    separator: Callable[[], Separator]
    progress: SongProgress = unseen
    stopped: Event | None = None

    def check(self) -> None:
        """Raise :class:`Cancelled` if the work is not wanted any more."""
        if self.stopped is not None and self.stopped.is_set():
            raise Cancelled


@dataclass(frozen=True)
class Result:
    """What was made, and what a user should know about it.

    Parameters
    ----------
    outputs
        Written files by what is in them.
    manifest
        What the manifest says about them; see :mod:`karaoke.jobs.manifest`.
    seconds
        Duration of the song.
    elapsed_seconds
        Time that it took.
    warnings
        Sentences without a full stop.
    facts
        Whatever else there is to say of them, for people and for JSON.
    """

    outputs: dict[str, Path]
    manifest: dict[str, Any]
    seconds: float
    elapsed_seconds: float
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """Work on one song. It can be pickled, and then done in another process."""

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
        """Open the song, which shows whether it is one, and tell what space the work takes.

        Parameters
        ----------
        stopped
            Ends the opening once it is set, and later the reading.
        keep_open
            Whether :meth:`run` is about to follow, and goes on with the open song.

        Raises
        ------
        KaraokeError
            The song cannot be worked on.
        """

    def run(self, tools: Tools) -> Result:
        """Do the work: all outputs are written, or none.

        Raises
        ------
        KaraokeError
            Any of its kinds; nothing was written then.
        """

    def close(self) -> None:
        """Let go of a song that was kept open and not worked on."""


def check_outputs(job: Job, overwrite: bool, *, others: bool = False) -> None:
    """Refuse to replace what exists, unless told to, and what is no file in any case.

    Parameters
    ----------
    job
        What is to be written.
    overwrite
        Whether to replace files.
    others
        Whether those that this command would have written were left out before.

    Raises
    ------
    OutputExistsError
        There is such a file.
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
