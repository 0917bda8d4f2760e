"""Sounds that are made when somebody asks for them, once, and kept for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

from karaoke.audio.filtering import require_filter
from karaoke.jobs.batch import BatchOptions, lack_of_space, run_batch
from karaoke.jobs.stems import STEMS
from karaoke.jobs.task import Task
from karaoke.service.catalogue import Catalogue
from karaoke.service.engine import Engine
from karaoke.service.options import key, level, tempo
from karaoke.service.places import Place
from karaoke.service.refusals import Refusal

#: Sounds that are made at a time; others wait.
AT_A_TIME = 2
#: Sounds of each kind that are kept for a song.
KEPT = 6


class Sounds:
    """What is made of the stems of songs while somebody waits for it.

    Parameters
    ----------
    catalogue
        The songs.
    engine
        With what they are made.
    """

    def __init__(self, catalogue: Catalogue, engine: Engine) -> None:
        self.catalogue, self.engine = catalogue, engine
        self._places = BoundedSemaphore(AT_A_TIME)
        self._lock = Lock()
        self._under_way: dict[Path, Lock] = {}

    @contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        """Let others who ask for the same file wait for it."""
        with self._lock:
            mine = self._under_way.setdefault(path, Lock())
        with mine:
            yield
        with self._lock:
            self._under_way.pop(path, None)

    def _ready(self, id: str) -> Place:
        """Return the place of a song that was split."""
        if not self.catalogue.song(id)["split"]:
            raise Refusal(
                HTTPStatus.CONFLICT, "the song is not split yet", "Wait until it is.",
                code="not-ready",
            )  # fmt: skip
        return self.catalogue.places.song(id)

    def player(self, id: str, extension: str, found: dict[str, Any]) -> Path:
        """Return the file that pages play, in a key and a tempo."""
        from karaoke.service.media import move

        place = self._ready(id)
        semitones, speed = key(found), tempo(found)
        path = place.player(extension, semitones, speed)
        if semitones or speed != 1:
            require_filter("rubberband")
        with self._alone(path):
            if not path.is_file():
                with self._places:
                    check_space(place)
                    stems = {stem: place.stem(stem) for stem in STEMS}
                    move(stems, path, semitones, speed)
                    prune(path.parent)
        return path

    def mix(self, id: str, extension: str, found: dict[str, Any]) -> Path:
        """Return a mix as it is heard in the page."""
        from karaoke.service.orders import make_task

        place = self._ready(id)
        options = {
            "format": extension,
            "guide_db": level(found, "vocals", 0.0),
            "band_db": level(found, "instrumental", 0.0),
            "key": key(found),
            "tempo": tempo(found),
        }
        levels = [options["guide_db"], options["band_db"], options["key"], options["tempo"]]
        name = ",".join("off" if value is None else f"{value:g}" for value in levels)
        path = place.mixes / f"{name}.{extension}"
        song = self.catalogue.song(id)
        with self._alone(path):
            if not path.is_file():
                with self._places:
                    place.mixes.mkdir(exist_ok=True)
                    self.run(make_task(options, song, place, self.engine, {"karaoke": path}))
                    prune(path.parent)
        return path

    def run(self, task: Task) -> None:
        """Do a task here and now."""
        for outcome in run_batch([task], self.engine.separator, BatchOptions()):
            if outcome.error is not None:
                raise outcome.error


def check_space(place: Place) -> None:
    """Refuse to fill the disk."""
    needed = 3 * sum(place.stem(stem).stat().st_size for stem in STEMS)
    if error := lack_of_space(place.folder, needed):
        raise error


def prune(folder: Path) -> None:
    """Delete the oldest sounds of a folder of them, if there are many."""
    if folder.name not in ("moved", "mixes"):
        return
    found = [one for one in folder.iterdir() if one.is_file() and one.name[:1] != "."]
    for old in sorted(found, key=lambda one: one.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
