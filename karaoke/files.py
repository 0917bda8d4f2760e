"""Files on the disk, written with care: whole or not at all, and by one process at a time."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from karaoke.errors import LockedError, OutputExistsError, PermissionDeniedError, WriteError

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

SPACE = "Check the folder, and that the disk is not full."
PART_PREFIX = ".karaoke-"
#: What file systems answer to calls that they do not have.
LACKING = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})

#: What systems answer when somebody else holds a lock.
BUSY = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})
#: Between two attempts where the system cannot wait for a lock.
RETRY_SECONDS = 0.2


def checksum(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with HashedFile(path) as file:
        return file.sha256()


class _HashingFile(io.FileIO):
    """A file that hashes what is read of it for the first time, if that comes in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.digest = hashlib.sha256()
        self.hashed = 0

    def readinto(self, buffer: Any) -> int:
        """Read some bytes, and hash those that are the next to be hashed."""
        start, size = self.tell(), super().readinto(buffer) or 0
        if start <= self.hashed < start + size:
            self.digest.update(memoryview(buffer).cast("B")[self.hashed - start : size])
            self.hashed = start + size
        return size


class HashedFile(io.BufferedReader):
    """A file that can be read in any order, and its SHA-256, without being read a second time."""

    raw: _HashingFile

    def __init__(self, path: Path) -> None:
        super().__init__(_HashingFile(path), 1 << 20)

    def sha256(self) -> str:
        """Read what is left, and give the digest as hexadecimal digits."""
        self.raw.seek(self.raw.hashed)
        buffer = bytearray(1 << 20)
        while self.raw.readinto(buffer):
            pass
        return self.raw.digest.hexdigest()


@contextmanager
def writing_to(
    path: Path, errors: tuple[type[Exception], ...] = (OSError,), option: str = "--out"
) -> Iterator[None]:
    """Turn errors about writing a file into ours: the system's, or those of a library as well.

    The hint names the option that chooses the folder.
    """
    elsewhere = f"Choose another folder with {option}."
    try:
        yield
    except PermissionError as error:
        raise PermissionDeniedError(f'"{path}": may not be written', hint=elsewhere) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise OutputExistsError(
            f'"{path}": a file or a folder is in the way',
            hint=elsewhere,
        ) from error
    except errors as error:
        # Those of torch may be long, with lines.
        said = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        reason = said.rstrip(".")
        raise WriteError(f'"{path}": {reason}', hint=SPACE) from error


def check_writable(folder: Path, option: str = "--out") -> None:
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
            f'"{folder}": may not be written', hint=f"Choose another folder with {option}."
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
    option
        That chooses the folder, for hints.

    Attributes
    ----------
    path
        Of the hidden file.
    """

    def __init__(self, target: Path, option: str = "--out") -> None:
        self.target, self.option = target, option
        self.path = target.with_name(f"{PART_PREFIX}{secrets.token_hex(6)}{target.suffix}")
        self._lock = -1

    def flush(self) -> None:
        """Wait until the file is on the disk, which takes time."""
        # For writing, since Windows flushes nothing else.
        with writing_to(self.target, option=self.option), self.path.open("r+b") as file:
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in LACKING:  # a file system that has no such call lost nothing
                    raise

    def publish(self) -> None:
        """Give the file its name, replacing what has it, which takes none."""
        with writing_to(self.target, option=self.option):
            rename_over(self.path, self.target)

    def __enter__(self) -> PartFile:
        """Check the folder, make the hidden file, and give the part file itself."""
        check_writable(self.target.parent, self.option)
        with writing_to(self.target, option=self.option):
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


class BusyError(Exception):
    """Another process holds the lock."""


def _take(file: int, wait: bool) -> None:
    """Lock an open file; raise ``OSError`` with an errno of ``BUSY`` if another process has it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return
    import msvcrt  # pragma: no cover (Windows)

    while True:  # pragma: no cover (Windows)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            return
        except OSError as error:
            if not wait or error.errno not in BUSY:
                raise
        time.sleep(RETRY_SECONDS)


@contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold a lock file, and remove it afterwards.

    Parameters
    ----------
    path
        Of the lock file, in a folder that exists.
    wait
        Whether to wait for another process that holds it.

    Yields
    ------
    bool
        Whether it is held: False where the file system has no locks, or no room for one.

    Raises
    ------
    BusyError
        Another process holds it, and nobody wanted to wait.
    """
    file = -1
    held = False
    try:
        while not held:
            try:
                file = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
                _take(file, wait)
            except OSError as error:
                if file >= 0 and error.errno in BUSY:
                    raise BusyError(path) from error
                break
            # Whoever held it before may have removed it meanwhile: then nobody else sees ours.
            with suppress(OSError):
                held = os.path.samestat(os.fstat(file), os.stat(path))
            if not held:
                os.close(file)
                file = -1
        yield held
    finally:
        if held:
            with suppress(OSError):  # Windows keeps a file that is open
                path.unlink()
        if file >= 0:
            os.close(file)
        if held and fcntl is None:  # pragma: no cover (Windows)
            with suppress(OSError):
                path.unlink()


@contextmanager
def locked(paths: Iterable[Path]) -> Iterator[str]:
    """Keep other processes of this user from writing the same files.

    The locks lie in the system's temporary folder, not beside the songs.

    Yields
    ------
    str
        Why there is no lock, as a sentence without a full stop, or nothing.

    Raises
    ------
    LockedError
        Another process is writing them.
    PermissionDeniedError
        The folder of the locks belongs to somebody else.
    """
    owner = os.getuid() if hasattr(os, "getuid") else None
    trouble = ""
    with ExitStack() as held:
        try:
            folder = Path(tempfile.gettempdir(), f"karaoke-locks-{owner}")
            folder.mkdir(mode=0o700, exist_ok=True)
            foreign = owner is not None and folder.lstat().st_uid != owner
        except OSError as error:
            yield f"no lock could be made ({error.strerror}); do not start it twice at a time"
            return
        if foreign:
            raise PermissionDeniedError(
                f'"{folder}": belongs to another user', hint="Set TMPDIR to a folder of your own."
            )
        for path in sorted(os.path.realpath(path) for path in paths):
            name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
            try:
                if not held.enter_context(lock(folder / f"{name}.lock")):
                    trouble = f'"{folder}" has no locks; do not start it twice at a time'
            except BusyError as error:
                raise LockedError(
                    f'"{path}": another karaoke is writing it', hint="Try again when it is done."
                ) from error
        yield trouble
