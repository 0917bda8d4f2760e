"""Careful file writing: whole or not at all, and by one process at a time."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import platform
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from karaoke.errors import LockedError, OutputExistsError, PermissionDeniedError, WriteError

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

ELSEWHERE = "Choose another folder with --out."
SPACE = "Check the folder, and that the disk is not full."
PART_PREFIX = ".karaoke-"
#: In names of part files, since a file system may not tell one machine of the locks of another.
MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
#: Part files of another machine are swept once nobody wrote to them for this long.
ABANDONED_SECONDS = 86_400.0
#: Errors that file systems return for calls that they lack.
LACKING = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})

#: Errors that systems return when somebody else holds a lock.
BUSY = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})
#: Pause between attempts where the system cannot wait for a lock.
RETRY_SECONDS = 0.2


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with HashedFile(path) as file:
        return file.sha256()


class _HashingFile(io.FileIO):
    """A file that hashes its bytes as they are first read, provided they are read in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.digest = hashlib.sha256()
        self.hashed = 0

    def readinto(self, buffer: Any) -> int:
        """Read some bytes, and hash those that are next in line."""
        start, size = self.tell(), super().readinto(buffer) or 0
        if start <= self.hashed < start + size:
            self.digest.update(memoryview(buffer).cast("B")[self.hashed - start : size])
            self.hashed = start + size
        return size


class HashedFile(io.BufferedReader):
    """A file that can be read in any order and gives its SHA-256 without a second pass."""

    raw: _HashingFile

    def __init__(self, path: Path) -> None:
        super().__init__(_HashingFile(path), 1 << 22)

    def sha256(self) -> str:
        """Read the rest and return the digest as hexadecimal digits."""
        self.raw.seek(self.raw.hashed)
        buffer = bytearray(1 << 20)
        while self.raw.readinto(buffer):
            pass
        return self.raw.digest.hexdigest()


@contextmanager
def writing_to(
    path: Path, errors: tuple[type[Exception], ...] = (OSError,), hint: str = ELSEWHERE
) -> Iterator[None]:
    """Turn errors from writing a file, the system's or also a library's, into ours.

    Parameters
    ----------
    path
        The file or folder.
    errors
        Exceptions that mean that writing failed.
    hint
        What to do if it cannot be written.

    Raises
    ------
    PermissionDeniedError, OutputExistsError, WriteError
        One of ``errors`` was raised inside the block.
    """
    try:
        yield
    except PermissionError as error:
        raise PermissionDeniedError(f'"{path}": may not be written', hint=hint) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise OutputExistsError(f'"{path}": a file or a folder is in the way', hint=hint) from error
    except errors as error:
        # Those of torch may be long, with lines.
        said = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        reason = said.rstrip(".")
        raise WriteError(f'"{path}": {reason}', hint=SPACE) from error


def check_writable(folder: Path, hint: str = ELSEWHERE) -> None:
    """Refuse a folder that is missing or not writable.

    Raises
    ------
    WriteError, PermissionDeniedError
        There is no such folder, or it may not be written to.
    """
    if not folder.is_dir():
        raise WriteError(f'"{folder}": no such folder', hint="Create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionDeniedError(f'"{folder}": may not be written', hint=hint)


def publish_all(parts: Sequence[PartFile]) -> None:
    """Publish files that belong together, all or none: flush them all, then rename them."""
    for part in parts:
        part.flush()
    waiting = list(parts)
    try:
        while waiting:
            waiting[0].publish()
            waiting.pop(0)
    except BaseException:
        # A signal between two renames: finish rather than leave half a set.
        for part in waiting:
            if part.path.exists():
                part.publish()
        raise
    for path in {part.target.parent for part in parts}:
        flush_folder(path)


def flush(path: Path) -> None:
    """Wait until a file is on the disk, not just in its cache."""
    # Opened for writing, since Windows does not flush anything else.
    with path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in LACKING:  # without such a call, nothing can be lost
                raise


def flush_folder(path: Path) -> None:
    """Flush a folder's entries to the disk where its file system can; not the files themselves."""
    # CIFS, FUSE and Windows cannot, and a folder may be writable but not readable.
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def rename_over(source: Path, target: Path) -> None:
    """Rename a file to a name that may be taken, even where the file system cannot replace files.

    In that case the old file is kept under another name until the new one is in place.
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
    """A hidden file beside its target that takes the target's name once it is complete.

    A context manager that removes the hidden file on exit unless :meth:`publish` was called.

    Parameters
    ----------
    target
        Its final path. Entering raises an error unless the folder exists and is writable.
    hint
        What to do if it cannot be written.

    Attributes
    ----------
    path
        The hidden file.
    """

    def __init__(self, target: Path, hint: str = ELSEWHERE) -> None:
        self.target, self.hint = target, hint
        mark = f"{PART_PREFIX}{MACHINE}-{secrets.token_hex(6)}"
        self.path = target.with_name(f"{mark}{target.suffix}")
        self._lock = -1

    def flush(self) -> None:
        """Wait until the file is on the disk; this is the slow part."""
        with writing_to(self.target, hint=self.hint):
            flush(self.path)

    def publish(self) -> None:
        """Give the file its name, replacing any file of that name; this is instant."""
        with writing_to(self.target, hint=self.hint):
            rename_over(self.path, self.target)

    def __enter__(self) -> PartFile:
        """Check the folder, create the hidden file and return the part file itself."""
        check_writable(self.target.parent, self.hint)
        with writing_to(self.target, hint=self.hint):
            # Held while we live: one that nobody holds was left behind by a killed process.
            self._lock = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if fcntl is None:
            self._unlock()  # an open file cannot be renamed on Windows
        else:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hidden file unless it was published."""
        self._unlock()
        self.path.unlink(missing_ok=True)

    def _unlock(self) -> None:
        """Let go of the hidden file."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@contextmanager
def written_whole(
    path: Path, errors: tuple[type[Exception], ...] = (OSError,), hint: str = ELSEWHERE
) -> Iterator[Path]:
    """Yield a hidden path beside a file; what is written there replaces the file at the end.

    If anything fails, the file is left as it was. Parameters and errors are those of
    :func:`writing_to`.
    """
    with PartFile(path, hint) as part:
        with writing_to(path, errors, hint):
            yield part.path
        publish_all([part])


def write_text(path: Path, text: str, hint: str = ELSEWHERE) -> None:
    """Write a file whole or not at all; errors are those of :func:`writing_to`."""
    with written_whole(path, hint=hint) as part:
        part.write_text(text, encoding="utf-8")


def sweep(folder: Path) -> None:
    """Remove part files that a killed process left in a folder; those in use are left alone."""
    if fcntl is None:
        return
    for path in folder.glob(f"{PART_PREFIX}*"):
        machine, dash, _ = path.name.removeprefix(PART_PREFIX).partition("-")
        foreign = bool(dash) and machine != MACHINE
        with suppress(OSError):
            if foreign and time.time() - path.stat().st_mtime < ABANDONED_SECONDS:
                continue
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
        The lock file, in a folder that exists.
    wait
        Whether to wait for another process that holds it.

    Yields
    ------
    bool
        Whether it is held; False where the file system has no locks or no room for one.

    Raises
    ------
    BusyError
        Another process holds it, and ``wait`` is False.
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
            # Its previous holder may have removed it meanwhile: then nobody else sees ours.
            with suppress(OSError):
                held = os.path.samestat(os.fstat(file), os.stat(path))
            if not held:
                os.close(file)
                file = -1
        yield held
    finally:
        if held:
            with suppress(OSError):  # Windows cannot delete an open file
                path.unlink()
        if file >= 0:
            os.close(file)
        if held and fcntl is None:  # pragma: no cover (Windows)
            with suppress(OSError):
                path.unlink()


@contextmanager
def locked(paths: Iterable[Path]) -> Iterator[str]:
    """Keep other processes of this user from writing the same files.

    The locks are in the system's temporary folder, not beside the songs.

    Yields
    ------
    str
        Why there is no lock, as a sentence without a full stop, or an empty string.

    Raises
    ------
    LockedError
        Another process is writing them.
    PermissionDeniedError
        The lock folder belongs to somebody else.
    """
    owner = os.getuid() if hasattr(os, "getuid") else None
    trouble = ""
    with ExitStack() as held:
        try:
            folder = Path(tempfile.gettempdir(), f"karaoke-locks-{owner}")
            folder.mkdir(mode=0o700, exist_ok=True)
            foreign = owner is not None and folder.lstat().st_uid != owner
        except OSError as error:
            yield f"no lock could be made ({error.strerror}); do not run it twice at once"
            return
        if foreign:
            raise PermissionDeniedError(
                f'"{folder}": belongs to another user', hint="Set TMPDIR to a folder of your own."
            )
        for path in sorted(os.path.realpath(path) for path in paths):
            name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
            try:
                if not held.enter_context(lock(folder / f"{name}.lock")):
                    trouble = f'"{folder}" has no locks; do not run it twice at once'
            except BusyError as error:
                raise LockedError(
                    f'"{path}": another karaoke is writing it', hint="Try again once it is done."
                ) from error
        yield trouble
