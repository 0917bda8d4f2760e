"""Files that appear under their names only when they are whole, together or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import soundfile

from karaoke.errors import OutputExistsError, PermissionDeniedError, WriteError

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

SPACE = "Check the folder, and that the disk is not full."
PART_PREFIX = ".karaoke-"
#: What file systems answer to calls that they do not have.
LACKING = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn what the system says about writing a file into our errors."""
    try:
        yield
    except PermissionError as error:
        raise PermissionDeniedError(
            f'"{path}": may not be written', hint="Choose another folder with --out."
        ) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise OutputExistsError(
            f'"{path}": a file or a folder is in the way', hint="Choose another folder with --out."
        ) from error
    except (OSError, soundfile.SoundFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise WriteError(f'"{path}": {reason}', hint=SPACE) from error


def check_writable(folder: Path) -> None:
    """Refuse a folder that is not there or may not be written.

    Raises
    ------
    WriteError, PermissionDeniedError
        So it is.
    """
    if not folder.is_dir():
        raise WriteError(f'"{folder}": no such folder', hint="Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionDeniedError(
            f'"{folder}": may not be written', hint="Choose another folder with --out."
        )


def publish_all(parts: Sequence[PartFile]) -> None:
    """Publish files that belong together, all or none: first the slow part, then the names."""
    for part in parts:
        part.flush()
    waiting = list(parts)
    try:
        while waiting:
            waiting[0].publish()
            waiting.pop(0)
    except BaseException:
        # A signal between two renames: finish, rather than leave half a set.
        for part in waiting:
            if part.path.exists():
                part.publish()
        raise
    for path in {part.target.parent for part in parts}:
        flush_folder(path)


def flush_folder(path: Path) -> None:
    """Bring a folder's names to the disk, where its file system does that; the files are there."""
    # CIFS, FUSE and Windows have no such call, and a folder may be writable but not readable.
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def rename_over(source: Path, target: Path) -> None:
    """Rename a file to a name that may be taken, also where a file system does not replace files.

    There the old file is kept under another name until the new one has its own.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.EPERM, *LACKING} or not target.is_file():
            raise
        aside = target.with_name(f".old-{secrets.token_hex(6)}{target.suffix}")
        os.rename(target, aside)
        try:
            os.rename(source, target)
        except OSError:
            os.rename(aside, target)
            raise
        aside.unlink(missing_ok=True)


class PartFile:
    """A hidden file beside its target that takes the target's name when it is complete.

    A context manager; left without :meth:`publish`, it removes the hidden file.

    Parameters
    ----------
    target
        Its final path; the folder must exist and be writable, or entering raises an error.

    Attributes
    ----------
    path
        Of the hidden file.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{PART_PREFIX}{secrets.token_hex(6)}{target.suffix}")
        self._lock = -1

    def flush(self) -> None:
        """Wait until the file is on the disk, which takes time."""
        # For writing, since Windows flushes nothing else.
        with writing_to(self.target), self.path.open("r+b") as file:
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in LACKING:  # a file system that has no such call lost nothing
                    raise

    def publish(self) -> None:
        """Give the file its name, replacing what has it, which takes none."""
        with writing_to(self.target):
            rename_over(self.path, self.target)

    def __enter__(self) -> PartFile:
        """Check the folder, make the hidden file, and give the part file itself."""
        check_writable(self.target.parent)
        with writing_to(self.target):
            # Held while we live: what nobody holds was left behind by a process that was killed.
            self._lock = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if fcntl is None:
            self._unlock()  # an open file cannot be renamed on Windows
        else:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove what was not published."""
        self._unlock()
        self.path.unlink(missing_ok=True)

    def _unlock(self) -> None:
        """Let go of the hidden file."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def sweep(folder: Path) -> None:
    """Remove part files that a killed process left in a folder; those in use are left alone."""
    if fcntl is None:
        return
    for path in folder.glob(f"{PART_PREFIX}*"):
        with suppress(OSError):
            file = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(file)
