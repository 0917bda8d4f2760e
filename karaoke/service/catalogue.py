"""Songs and jobs as the page sees them, and what is done to them."""

from __future__ import annotations

import time
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Any

from karaoke.audio import read_tags
from karaoke.errors import KaraokeError
from karaoke.jobs.words import find_words
from karaoke.lyrics import Lyrics
from karaoke.lyrics.tags import first_of
from karaoke.service import words as words_files
from karaoke.service.events import Events
from karaoke.service.limits import Limits
from karaoke.service.places import Places, new_id
from karaoke.service.refusals import Refusal, no_such
from karaoke.service.store import Row, Store

#: Pictures that browsers show, by their first bytes' MIME type.
COVERS = ("image/jpeg", "image/png")
#: Ended jobs that are listed.
LISTED_JOBS = 50
STAGES = {"split": "splitting", "align": "aligning", "analyse": "listening", "make": "making"}
#: Longest title and artist.
LONGEST_TEXT = 300


class Catalogue:
    """The songs of a service.

    Parameters
    ----------
    places
        Where their files are.
    store
        What is known of them.
    events
        Whom to tell.
    limits
        What is refused.

    Attributes
    ----------
    stops
        Of running jobs: what stops them.
    live
        Of running jobs: how far they are.
    """

    def __init__(self, places: Places, store: Store, events: Events, limits: Limits) -> None:
        self.places, self.store, self.events, self.limits = places, store, events, limits
        self.stops: dict[str, Event] = {}
        self.live: dict[str, dict[str, Any]] = {}

    def song(self, id: str) -> Row:
        """Return a song's row.

        Raises
        ------
        Refusal
            There is none.
        """
        found = self.store.song(id)
        if found is None:
            raise no_such("song")
        return found

    def as_object(self, song: Row) -> dict[str, Any]:
        """Give a song as pages see it."""
        jobs = self.store.open_jobs(song["id"])
        error = song["error"]
        if song["split"]:
            state = "ready"
        elif any(job["state"] == "running" for job in jobs):
            state = "working"
        elif jobs:
            state = "waiting"
        else:
            state = "failed"
            error = error or {
                "code": "cancelled", "message": "its splitting was cancelled",
                "hint": "Split it again, or delete it.",
            }  # fmt: skip
        return {
            **{name: song[name] for name in ("id", "name", "title", "artist", "seconds", "added")},
            "origin": song["origin"],
            "cover": bool(song["cover"]),
            "state": state,
            "stems": ["vocals", "instrumental"] if song["split"] else [],
            "key": song["facts"].get("key"),
            "bpm": song["facts"].get("bpm"),
            "lyrics": song["lyrics"],
            "error": None if state in ("ready", "working", "waiting") else error,
            "jobs": [job["id"] for job in jobs],
            "files": song["files"],
            "warnings": song["warnings"],
        }

    def job_object(self, job: Row) -> dict[str, Any]:
        """Give a job as pages see it."""
        song = self.store.song(job["song"])
        place = None
        if job["state"] == "queued":
            place = self.store.count(
                "SELECT count(*) FROM jobs WHERE state = 'queued' AND position <= ?",
                job["position"],
            )
        unknown = {"done_seconds": 0.0, "total_seconds": None, "progress": None, "speed": None,
                   "left_seconds": None}  # fmt: skip
        names = ("id", "song", "command", "options", "state", "error", "warnings", "created",
                 "started", "ended")  # fmt: skip
        return {
            **{name: job[name] for name in names},
            "title": song["title"] if song else "",
            "place": place,
            "stage": STAGES[job["command"]],
            **unknown,
            **self.live.get(job["id"], {}),
        }

    def jobs(self) -> list[dict[str, Any]]:
        """List what runs, what waits, and what ended lately."""
        rows = self.store.rows(
            "SELECT * FROM jobs WHERE ended IS NULL ORDER BY state = 'queued', position"
        )
        rows += self.store.rows(
            "SELECT * FROM jobs WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT ?", LISTED_JOBS
        )
        return [self.job_object(row) for row in rows]

    def songs(self, query: str, after: str, limit: int) -> dict[str, Any]:
        """List songs whose names contain all words of a query, the newest first."""
        last = self.song(after)["number"] if after else 1 << 62
        where = "".join(
            " AND folded(title || ' ' || artist || ' ' || name) LIKE ? ESCAPE '\\'"
            for _ in query.split()
        )
        marks = [f"%{escaped(word)}%" for word in query.casefold().split()]
        rows = self.store.rows(
            f"SELECT * FROM songs WHERE number < ?{where} ORDER BY number DESC LIMIT ?",
            last, *marks, limit + 1,
        )  # fmt: skip
        listed = [self.as_object(row) for row in rows[:limit]]
        return {"songs": listed, "next": listed[-1]["id"] if len(rows) > limit else None}

    def tell_song(self, id: str) -> None:
        """Tell pages how a song is now."""
        song = self.store.song(id)
        self.events.add(*(("song", self.as_object(song)) if song else ("gone", {"song": id})))

    def tell_job(self, id: str) -> None:
        """Tell pages how a job is now."""
        if job := self.store.job(id):
            self.events.add("job", self.job_object(job))

    def enqueue(self, song: str, command: str, options: dict[str, Any]) -> Row:
        """Put a job at the end of the queue.

        Raises
        ------
        Refusal
            The queue is full.
        """
        with self.store.transaction():
            waiting = self.store.count("SELECT count(*) FROM jobs WHERE state = 'queued'")
            # What follows from a song that was taken is done in any case.
            if waiting >= self.limits.queue and command in ("split", "make"):
                raise Refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"the queue is full: {waiting} jobs wait (--max-queue)",
                    "Wait until some are done.",
                    code="queue-full",
                )
            id = new_id()
            self.store.insert(
                "jobs", id=id, song=song, command=command, options=options, state="queued",
                position=self.store.next_position(), created=time.time(),
            )  # fmt: skip
            job = self.store.job(id)
        assert job is not None
        return job

    def add(self, id: str, source: Path, name: str, origin: str, library: str = "") -> Row:
        """Take a song: note what its tags say, find its words, and queue its splitting.

        Raises
        ------
        Refusal
            The queue is full.
        """
        fields, cover = self._tags_of(id, source)
        words = self._words_of(source)
        title = first_of(fields, "title") or Path(name.replace("\\", "/")).stem or "Untitled"
        with self.store.transaction():
            self.enqueue(id, "split", {})
            self.store.insert(
                "songs", id=id, number=self._next_number(), name=name[:LONGEST_TEXT],
                title=title[:LONGEST_TEXT], artist=first_of(fields, "artist")[:LONGEST_TEXT],
                source=str(source), origin=origin, library=library, size=source.stat().st_size,
                added=time.time(), seen=time.time(), cover=int(cover),
            )  # fmt: skip
            if words is not None:
                self.put_words(id, words, words.language, "auto")
        return self.song(id)

    def _next_number(self) -> int:
        """Return a number above that of all songs."""
        return 1 + self.store.count("SELECT max(number) FROM songs")

    def _tags_of(self, id: str, source: Path) -> tuple[dict[str, Any], bool]:
        """Read the tags of a song, and save its cover where browsers can show it."""
        try:
            tags = read_tags(source)
        except (KaraokeError, OSError):
            return {}, False
        place = self.places.song(id)
        place.folder.mkdir(parents=True, exist_ok=True)
        for picture in sorted(tags.pictures, key=lambda one: one.kind != 3):
            if picture.mime in COVERS:
                place.cover.write_bytes(picture.data)
                return dict(tags.fields), True
        return dict(tags.fields), False

    @staticmethod
    def _words_of(source: Path) -> Lyrics | None:
        """Find words in a song or beside it; None where they cannot be read."""
        try:
            return find_words(source, None)
        except KaraokeError:
            return None

    def put_words(self, id: str, lyrics: Lyrics, language: str, align: str) -> Row | None:
        """Keep words; if they lack times, queue their alignment and return its job."""
        from karaoke.jobs.aligning import choose_listening

        place = self.places.song(id)
        place.folder.mkdir(parents=True, exist_ok=True)
        wanted = choose_listening(lyrics, align, set())
        with self.store.transaction():
            for job in self.store.open_jobs(id):
                if job["command"] == "align":
                    self.cancel(job["id"])
            if wanted == "none":
                place.wanted_words.unlink(missing_ok=True)
                written = words_files.write(place.words, lyrics)
                state = words_files.state_of(written, "ready")
                self.store.update("songs", id, lyrics=state)
                return None
            written = words_files.write(place.wanted_words, lyrics)
            state = words_files.state_of(written, "waiting")
            self.store.update("songs", id, lyrics=state)
            return self.enqueue(id, "align", {"align": wanted, "language": language})

    def remove_words(self, id: str) -> None:
        """Forget the words of a song."""
        place = self.places.song(id)
        for job in self.store.open_jobs(id):
            if job["command"] == "align":
                self.cancel(job["id"])
        self.store.update("songs", id, lyrics=None)
        place.words.unlink(missing_ok=True)
        place.wanted_words.unlink(missing_ok=True)

    def cancel(self, id: str) -> None:
        """Stop a job, whether it waits or runs."""
        with self.store.transaction():
            job = self.store.job(id)
            if job is None or job["state"] not in ("queued", "running"):
                return
            self.store.end_job(id, "cancelled")
        if stopped := self.stops.get(id):
            stopped.set()
        self.tell_job(id)

    def remove(self, id: str) -> None:
        """Delete a song and all that was made of it; files of a library stay."""
        for job in self.store.open_jobs(id):
            self.cancel(job["id"])
        self.store.delete("songs", id)
        self.places.forget(id)
        self.tell_song(id)

    def files_of(self, id: str) -> list[dict[str, Any]]:
        """List what jobs made of a song."""
        return [
            {"name": name, "size": path.stat().st_size, "kind": path.suffix[1:]}
            for name, path in self.places.song(id).files().items()
        ]


def escaped(word: str) -> str:
    """Write a word so that a pattern finds it as it is."""
    return "".join(f"\\{one}" if one in "%_\\" else one for one in word)
