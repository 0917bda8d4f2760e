"""Folders for results: made when they are needed, and swept of what killed processes left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from karaoke.files import check_writable, sweep, writing_to

#: A folder that many songs are written to is swept no more often than this.
SWEEP_SECONDS = 60.0


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Create a writable folder; if the work in it fails, remove created folders that are empty."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    with writing_to(path):
        path.mkdir(parents=True, exist_ok=True)
    try:
        check_writable(path)
        yield
    except BaseException:
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise


def sweep_at_times(folder: Path) -> None:
    """Sweep a folder unless that was done a moment ago: it may hold the results of many songs."""
    _sweep(folder, int(time.monotonic() / SWEEP_SECONDS))


@lru_cache(maxsize=64)
def _sweep(folder: Path, _period: int) -> None:
    """Sweep a folder, once per period."""
    sweep(folder)
