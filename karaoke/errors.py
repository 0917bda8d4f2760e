"""Everything that can go wrong, as one tree; the numbers are the exit codes of the process.

::

    KaraokeError              70  internal
    +-- UsageError             2  usage
    +-- BatchError             3  batch              (some of several songs failed)
    +-- NotAudioError         65  not-audio          (nothing can be decoded from it)
    +-- CorpusError           65  corpus             (recordings to train on, or their manifest)
    +-- DivergedError         65  diverged           (a loss that is NaN or infinite)
    +-- LyricsError           65  lyrics             (nothing to sing in it, or without times)
    +-- NoInputError          66  no-input
    +-- ToolMissingError      69  ffmpeg
    +-- ModelError            69  model              (unknown model, or not downloaded yet)
    |   +-- DamagedModelError 65  damaged-model      (not a checkpoint, or contradicts its header)
    |   +-- ForeignModelError 65  foreign-model      (weights that cannot be imported)
    +-- UnavailableError      69  unavailable        (offline, or not at its URL)
    +-- DeviceMemoryError     71  memory
    +-- OutputExistsError     73  exists
    +-- WriteError            74  write              (also a full disk)
    +-- LockedError           75  locked             (another process is writing the same files)
    +-- NetworkError          75  network            (no connection, or it broke)
    +-- ClusterError          75  cluster            (no scheduler or no workers, or they are gone)
    +-- ChecksumError         76  checksum           (not the file that was published)
    +-- PermissionDeniedError 77  permission
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the command line; those above 63 follow BSD's ``sysexits.h``."""

    OK = 0
    USAGE = 2
    BATCH = 3
    BAD_DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    INTERNAL = 70
    MEMORY = 71
    EXISTS = 73
    WRITE = 74
    TRY_AGAIN = 75
    CHECKSUM = 76
    PERMISSION = 77
    INTERRUPTED = 130
    TERMINATED = 143


class KaraokeError(Exception):
    """An error that a user can act on.

    Parameters
    ----------
    message
        What happened, naming the file, without a full stop.
    hint
        What to do about it: a sentence.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Join message, hint and code into the one line that a user sees."""
        remedy = f" {self.hint}" if self.hint else ""
        # File names may contain line breaks; an error is one line all the same.
        return f"{self.message}.{remedy} [{self.code}]".replace("\n", "\\n").replace("\r", "\\r")


class UsageError(KaraokeError):
    """The options contradict each other or the song."""

    code = "usage"
    exit_code = ExitCode.USAGE


class BatchError(KaraokeError):
    """At least one of several songs failed."""

    code = "batch"
    exit_code = ExitCode.BATCH


class NotAudioError(KaraokeError):
    """A file contains nothing that can be decoded as audio."""

    code = "not-audio"
    exit_code = ExitCode.BAD_DATA


class CorpusError(KaraokeError):
    """Recordings to train on, or what a manifest says about them, are unusable."""

    code = "corpus"
    exit_code = ExitCode.BAD_DATA


class DivergedError(KaraokeError):
    """A training run arrived at a loss or a gradient that is NaN or infinite."""

    code = "diverged"
    exit_code = ExitCode.BAD_DATA


class LyricsError(KaraokeError):
    """A file holds no lyrics that can be read, or they lack the times that are needed."""

    code = "lyrics"
    exit_code = ExitCode.BAD_DATA


class NoInputError(KaraokeError):
    """A file that was named does not exist."""

    code = "no-input"
    exit_code = ExitCode.NO_INPUT


class ToolMissingError(KaraokeError):
    """ffmpeg, or a feature that it needs to have, is missing."""

    code = "ffmpeg"
    exit_code = ExitCode.UNAVAILABLE


class ModelError(KaraokeError):
    """A model is unknown, unreadable, or does not fit."""

    code = "model"
    exit_code = ExitCode.UNAVAILABLE


class DamagedModelError(ModelError):
    """A file is not a checkpoint, or its weights are not those that its header describes."""

    code = "damaged-model"
    exit_code = ExitCode.BAD_DATA


class ForeignModelError(ModelError):
    """A weights file is damaged, of another kind, or cannot be read without running code."""

    code = "foreign-model"
    exit_code = ExitCode.BAD_DATA


class UnavailableError(KaraokeError):
    """A file cannot be fetched: it is not at its URL, or the user wants no network access."""

    code = "unavailable"
    exit_code = ExitCode.UNAVAILABLE


class DeviceMemoryError(KaraokeError):
    """The machine or its GPU ran out of memory."""

    code = "memory"
    exit_code = ExitCode.MEMORY


class OutputExistsError(KaraokeError):
    """An output already exists, or two songs would write the same file."""

    code = "exists"
    exit_code = ExitCode.EXISTS


class WriteError(KaraokeError):
    """Writing failed: the disk is full, or the file did not read back as written."""

    code = "write"
    exit_code = ExitCode.WRITE


class LockedError(KaraokeError):
    """Another process is writing the same files."""

    code = "locked"
    exit_code = ExitCode.TRY_AGAIN


class NetworkError(KaraokeError):
    """A server cannot be reached, stalls or drops the connection."""

    code = "network"
    exit_code = ExitCode.TRY_AGAIN


class ClusterError(KaraokeError):
    """The scheduler or the workers of a cluster cannot be reached, or no longer."""

    code = "cluster"
    exit_code = ExitCode.TRY_AGAIN


class ChecksumError(KaraokeError):
    """A file is not, byte for byte, the one that was published."""

    code = "checksum"
    exit_code = ExitCode.CHECKSUM


class PermissionDeniedError(KaraokeError):
    """A file may not be read, or a folder may not be written to."""

    code = "permission"
    exit_code = ExitCode.PERMISSION
