"""A service as a whole: what it consists of, how it begins and ends."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from karaoke.errors import LockedError, UsageError
from karaoke.files import BusyError, check_writable, lock, sweep, writing_to
from karaoke.service.catalogue import Catalogue
from karaoke.service.crew import Crew
from karaoke.service.engine import Engine
from karaoke.service.events import Events
from karaoke.service.library import Library
from karaoke.service.limits import CHUNK_BYTES, Limits
from karaoke.service.places import Places, new_id
from karaoke.service.security import Door
from karaoke.service.sounds import Sounds
from karaoke.service.store import Store
from karaoke.service.uploads import Uploads

#: Between two looks for songs that nobody wants any more.
TIDY_SECONDS = 3600.0


@dataclass(frozen=True)
class Wishes:
    """How a service is to be.

    Parameters
    ----------
    data
        Folder of its songs.
    folders
        Of songs that may be picked.
    limits
        What is refused.
    jobs
        Songs that are worked on at a time.
    model, version
        Their names, for people.
    """

    data: Path
    folders: Sequence[Path] = ()
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    model: str = ""
    version: str = ""


class Service:
    """Songs, the queue, and those who work on it.

    Raises
    ------
    LockedError
        Another one uses the folder.
    WriteError, PermissionDeniedError
        It cannot be written.
    """

    def __init__(self, wishes: Wishes, door: Door, engine: Engine) -> None:
        self.wishes, self.door = wishes, door
        #: By which phones reach it; known once the port is.
        self.addresses: list[str] = []
        self.places = Places(wishes.data)
        with writing_to(wishes.data):
            self.places.make()
        check_writable(wishes.data)
        self._lock = lock(wishes.data / "lock")
        try:
            self._lock.__enter__()
        except BusyError as error:
            raise LockedError(
                f'"{wishes.data}": another karaoke serve uses it',
                hint="Stop that one, or choose another folder with --data.",
            ) from error
        self.store = Store(self.places.database)
        self.events = Events()
        self.catalogue = Catalogue(self.places, self.store, self.events, wishes.limits)
        self.uploads = Uploads(self.catalogue)
        self.library = Library(wishes.folders)
        self.sounds = Sounds(self.catalogue, engine)
        self.crew = Crew(self.catalogue, engine, wishes.jobs)
        self._ended = Event()

    def start(self) -> None:
        """Go on where the service ended; called from the loop that answers requests."""
        self.events.begin()
        self.uploads.recover()
        for song in self.store.rows("SELECT id FROM songs"):
            sweep(self.places.song(song["id"]).folder)
        self.crew.start()
        Thread(target=self._tidy, daemon=True).start()

    def stop(self) -> None:
        """Stop; what was under way goes back to the queue."""
        self._ended.set()
        self.sounds.close()
        self.crew.stop()
        self.store.close()
        self._lock.__exit__(None, None, None)

    def _tidy(self) -> None:
        """Delete what is kept no longer."""
        while True:
            self.uploads.expire()
            keep = self.wishes.limits.keep_seconds
            if keep is not None:
                old = time.time() - keep
                for song in self.store.rows("SELECT id FROM songs WHERE seen < ?", old):
                    if not self.store.open_jobs(song["id"]):
                        self.catalogue.remove(song["id"])
            if self._ended.wait(TIDY_SECONDS):
                return

    def pick(self, id: str) -> dict[str, Any]:
        """Take a song of the library."""
        path = self.library.path(id)
        taken = self.store.row("SELECT * FROM songs WHERE library = ?", id)
        if taken is None:
            taken = self.catalogue.add(new_id(), path, path.name, "library", id)
            self.crew.wake()
            self.catalogue.tell_song(taken["id"])
        return self.catalogue.as_object(taken)

    def status(self, *, to_owner: bool) -> dict[str, Any]:
        """Give what there is to say of the service as a whole."""
        limits, store = self.wishes.limits, self.store
        return {
            "version": self.wishes.version,
            "model": self.wishes.model,
            "read_only": self.door.read_only,
            "library": bool(self.wishes.folders),
            "queued": store.count("SELECT count(*) FROM jobs WHERE state = 'queued'"),
            "running": store.count("SELECT count(*) FROM jobs WHERE state = 'running'"),
            "songs": store.count("SELECT count(*) FROM songs"),
            "limits": {
                "upload_bytes": limits.upload_bytes,
                "length_seconds": limits.length_seconds,
                "queue": limits.queue,
                "chunk_bytes": CHUNK_BYTES,
            },
            "free_bytes": shutil.disk_usage(self.places.data).free,
            "last_event": self.events.last,
            "addresses": self.addresses if to_owner else [],
        }


def check_model(stems: Sequence[str], model: str) -> None:
    """Refuse a model that does not tell voice and band apart.

    Raises
    ------
    UsageError
        It does not.
    """
    if not {"vocals", "instrumental"} <= set(stems):
        raise UsageError(
            f"-n {model}: gives {', '.join(stems)}, and a page takes vocals and instrumental",
            hint="Choose another model; karaoke models lists them.",
        )
