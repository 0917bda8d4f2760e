"""Locks between processes, which vanish with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from karaoke.errors import LockedError, PermissionDeniedError

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

#: What systems answer when somebody else holds a lock.
BUSY = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})
#: Between two attempts where the system cannot wait for a lock.
RETRY_SECONDS = 0.2


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
