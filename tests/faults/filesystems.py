"""File systems that lack a call: what is finished must not be lost for it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.bench import Bench, fault

CODES = (errno.EINVAL, errno.EIO, errno.ENOTSUP)


def refuse_fsync(code: int, folders: bool) -> None:
    """Let fsync fail, of folders or of files, as CIFS and some FUSE file systems do."""
    real = os.fsync

    def fsync(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode) == folders:
            raise OSError(code, os.strerror(code))
        real(file)

    os.fsync = fsync


def refuse_to_open_folders(code: int) -> None:
    """Let folders be written but not read, as mode 0333 does for all but root."""
    real = os.open

    def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if not flags & os.O_CREAT and os.path.isdir(path):
            raise OSError(code, os.strerror(code))
        return real(path, flags, *more, **named)

    os.open = open_


def refuse_flock(code: int) -> None:
    """Let flock fail, as Lustre and NFS without a lock server do."""

    def flock(_file: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    fcntl.flock = flock


def refuse_to_rename_over(code: int) -> None:
    """Let a rename fail whose target exists, as some phones and network file systems do."""
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        if os.path.exists(target):
            raise OSError(code, os.strerror(code))
        real(source, target)

    os.replace = replace


@fault("file system", *CODES)
def without_fsync_of_folders(bench: Bench, code: int) -> None:
    source = bench.song()
    done = bench.split(source, "-q", before=partial(refuse_fsync, code, True))
    assert (done.returncode, done.stderr) == (0, "")
    bench.add_up(source)


@fault("file system", errno.EACCES)
def whose_folder_may_not_be_read(bench: Bench, code: int) -> None:
    source = bench.song()
    done = bench.split(source, "-q", before=partial(refuse_to_open_folders, code))
    assert (done.returncode, done.stderr) == (0, "")
    bench.add_up(source)


@fault("file system", errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
def without_fsync_of_files(bench: Bench, code: int) -> None:
    source = bench.song()
    done = bench.split(source, "-q", before=partial(refuse_fsync, code, False))
    assert (done.returncode, done.stderr) == (0, "")
    bench.add_up(source)


@fault("file system", errno.EIO, errno.ENOSPC)
def that_cannot_bring_a_file_to_the_disk(bench: Bench, code: int) -> None:
    done = bench.split(bench.song(), "-q", before=partial(refuse_fsync, code, False))
    bench.refused(done, 74)


@fault("file system", errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
def without_locks(bench: Bench, code: int) -> None:
    source = bench.song()
    done = bench.split(source, "--json", before=partial(refuse_flock, code))
    assert done.returncode == 0, done.stderr
    (warning,) = json.loads(done.stdout)["warnings"]
    assert "has no locks" in warning and "Warning" not in done.stderr
    bench.add_up(source)


@fault("file system")
def with_old_lock_files(bench: Bench) -> None:
    source = bench.song()
    temporary = bench.folder / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    for _ in range(2):
        done = bench.split(source, "-q", "--overwrite", env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        bench.finished.clear()
    assert not [path for path in temporary.rglob("*") if path.is_file()]
    (locks,) = temporary.glob("karaoke-locks-*")
    for stem in bench.stems():  # as a version that left them behind named them
        (locks / f"{stem.name}.lock").touch()
    done = bench.split(source, "-q", "--overwrite", before=partial(refuse_flock, errno.ENOSYS))
    assert done.returncode == 0, done.stderr


@fault("file system", errno.EEXIST, errno.EPERM, errno.ENOTSUP)
def that_does_not_rename_over_a_file(bench: Bench, code: int) -> None:
    source = bench.song()
    assert bench.split(source, "-q").returncode == 0
    bench.finished.clear()
    old = {path: path.stat().st_ino for path in bench.stems()}
    done = bench.split(source, "-q", "--overwrite", before=partial(refuse_to_rename_over, code))
    assert (done.returncode, done.stderr) == (0, "")
    bench.add_up(source)
    assert {path: path.stat().st_ino for path in bench.stems()} != old
    assert len(bench.files()) == 3, bench.files()


@fault("file system")
def whose_temporary_folder_is_full_or_gone(bench: Bench) -> None:
    source = bench.song()
    bench.put("tmp", b"a file, no folder")
    environment = {**os.environ, "TMPDIR": str(bench.folder / "tmp")}
    done = bench.split(source, "-q", env=environment)
    assert done.returncode == 0, done.stderr
    bench.add_up(source)


def leave(folder: Path) -> None:
    """Go to a folder and delete it."""
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()


@fault("file system")
def whose_current_folder_is_gone(bench: Bench) -> None:
    gone = bench.folder / "gone"
    done = bench.split(bench.song(), before=partial(leave, gone))
    bench.refused(done, 66, "the current folder")
