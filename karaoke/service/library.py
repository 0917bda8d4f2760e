"""Folders of songs that may be picked: by ids, so that no path travels."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from karaoke.errors import NoInputError
from karaoke.jobs.planning import find_songs
from karaoke.service.refusals import no_such

#: After which folders are looked through again.
FRESH_SECONDS = 30.0


class Library:
    """Songs in folders that are read only.

    Parameters
    ----------
    folders
        Of the user.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [Path(os.path.realpath(folder)) for folder in folders]
        self._found: dict[str, tuple[Path, str]] = {}
        self._at = float("-inf")
        self._lock = Lock()

    def entries(self) -> dict[str, tuple[Path, str]]:
        """List all songs: by their ids, path and folder as people know it."""
        with self._lock:
            if time.monotonic() - self._at > FRESH_SECONDS:
                self._found = dict(self._look())
                self._at = time.monotonic()
            return self._found

    def _look(self) -> list[tuple[str, tuple[Path, str]]]:
        """Look through the folders; what a link leads out of them to is not in them."""
        found = []
        for folder in self._folders:
            try:
                songs = find_songs([folder], recursive=True)
            except NoInputError:
                continue  # no songs yet
            for song in songs:
                real = Path(os.path.realpath(song.path))
                if real.is_relative_to(folder):
                    called = Path(folder.name, song.parent).as_posix()
                    found.append((id_of(real), (real, called)))
        return found

    def path(self, id: str) -> Path:
        """Return a song.

        Raises
        ------
        Refusal
            There is none.
        """
        found = self.entries().get(id)
        if found is None or not found[0].is_file():
            raise no_such("song in the library")
        return found[0]

    def search(self, query: str, after: str, limit: int, taken: dict[str, str]) -> dict[str, Any]:
        """List songs whose names contain all words of a query.

        Parameters
        ----------
        query, after, limit
            The words, the last entry that is known already, and how many to list.
        taken
            Ids of songs, by the ids of entries that were picked.
        """
        words = query.casefold().split()
        found = [
            {"id": id, "name": path.name, "folder": folder, "song": taken.get(id)}
            for id, (path, folder) in self.entries().items()
            if all(word in f"{folder}/{path.name}".casefold() for word in words)
        ]
        ids = [entry["id"] for entry in found]
        start = ids.index(after) + 1 if after in ids else 0
        listed = found[start : start + limit]
        more = start + limit < len(found)
        return {"entries": listed, "next": listed[-1]["id"] if more else None}


def id_of(path: Path) -> str:
    """Make the id of a song in a library."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
