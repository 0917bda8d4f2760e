"""Sounds that are made when somebody asks for them, once, and kept for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

from karaoke.audio.filtering import require_filter
from karaoke.jobs.batch import BatchOptions, lack_of_space, run_batch
from karaoke.jobs.stems import STEMS
from karaoke.service.catalogue import Catalogue
from karaoke.service.engine import Engine
from karaoke.service.media import move
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
        # Of its own, so that those who wait for sounds leave the other requests their threads.
        self._pool = ThreadPoolExecutor(AT_A_TIME)
        self._under_way: dict[Path, asyncio.Future[None]] = {}

    async def _once(self, path: Path, work: Callable[[], None]) -> Path:
        """Make a file, unless it is there, or another request is about it already."""
        if path not in self._under_way and not path.is_file():
            making = asyncio.get_running_loop().run_in_executor(self._pool, work)
            self._under_way[path] = making
            making.add_done_callback(lambda _: self._under_way.pop(path))
        if path in self._under_way:
            # One who goes away does not take it from the others.
            await asyncio.shield(self._under_way[path])
        return path

    def _ready(self, id: str) -> Place:
        """Return the place of a song that was split."""
        if not self.catalogue.song(id)["split"]:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "the song is not split yet",
                "Wait until it is.",
                code="not-ready",
            )
        return self.catalogue.places.song(id)

    async def player(self, id: str, extension: str, found: dict[str, Any]) -> Path:
        """Return the file that pages play, in a key and a tempo."""
        place, semitones, speed = self._ready(id), key(found), tempo(found)
        path = place.player(extension, semitones, speed)

        def make() -> None:
            if semitones or speed != 1:
                require_filter("rubberband")
            check_space(place)
            move({stem: place.stem(stem) for stem in STEMS}, path, semitones, speed)
            prune(path.parent)

        return await self._once(path, make)

    async def mix(self, id: str, extension: str, found: dict[str, Any]) -> Path:
        """Return a mix as it is heard in the page."""
        place, song = self._ready(id), self.catalogue.song(id)
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

        def make() -> None:
            from karaoke.service.orders import make_task

            place.mixes.mkdir(exist_ok=True)
            task = make_task(options, song, place, self.engine, {"karaoke": path})
            for outcome in run_batch([task], self.engine.separator, BatchOptions()):
                if outcome.error is not None:
                    raise outcome.error
            prune(path.parent)

        return await self._once(path, make)

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


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
