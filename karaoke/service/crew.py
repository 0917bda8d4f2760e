"""Those who work: threads that take jobs from the queue, one after the other."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any, TypeVar

from karaoke.errors import KaraokeError
from karaoke.jobs.batch import BatchOptions, run_batch
from karaoke.jobs.outcomes import as_karaoke_error
from karaoke.jobs.planning import Job
from karaoke.jobs.task import Cancelled, Result, SongProgress
from karaoke.service import words as words_files
from karaoke.service.catalogue import Catalogue
from karaoke.service.engine import Engine
from karaoke.service.refusals import error_object
from karaoke.service.store import Row

Noted = TypeVar("Noted")
#: Between two events about the progress of a job.
TELL_SECONDS = 0.25
#: How often those who have nothing to do look again, in case a wake-up was lost.
LOOK_SECONDS = 5.0
#: In which threads have to stop.
PATIENCE_SECONDS = 1.0


class Crew:
    """Threads that work on the queue.

    Parameters
    ----------
    catalogue
        The songs and jobs.
    engine
        With what they are worked on.
    count
        Number of threads.
    """

    def __init__(self, catalogue: Catalogue, engine: Engine, count: int) -> None:
        self.catalogue, self.engine = catalogue, engine
        self._work = Condition()
        self._stopping = False
        self._threads = [
            Thread(target=self._run, name=f"crew-{n}", daemon=True) for n in range(count)
        ]

    def start(self) -> None:
        """Begin, with what was interrupted when the service ended first."""
        self.catalogue.store.requeue()
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Tell that there is something to do."""
        with self._work:
            self._work.notify_all()

    def stop(self) -> None:
        """Stop at once; what was under way goes back to the queue."""
        with self._work:
            self._stopping = True
            self._work.notify_all()
        for stopped in list(self.catalogue.stops.values()):
            stopped.set()
        until = time.monotonic() + PATIENCE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        """Do one job after the other."""
        while not self._stopping:
            job = self._patiently(self.catalogue.store.claim)
            if job is None:
                with self._work:
                    if not self._stopping:
                        self._work.wait(LOOK_SECONDS)
                continue
            self._do(job)
            self.wake()

    def _patiently(self, work: Callable[[], Noted]) -> Noted | None:
        """Write to the database, and where the disk is full, wait until it is not."""
        while True:
            try:
                return work()
            except sqlite3.Error:
                if self._stopping:
                    return None
                time.sleep(1.0)

    def _do(self, job: Row) -> None:
        """Do a job, and note what became of it."""
        catalogue, stopped = self.catalogue, Event()
        catalogue.stops[job["id"]] = stopped
        if self._stopping:
            stopped.set()
        catalogue.tell_job(job["id"])
        catalogue.tell_song(job["song"])
        try:
            outcome = self._attempt(job, stopped)
        finally:
            catalogue.stops.pop(job["id"], None)
            catalogue.live.pop(job["id"], None)
        self._patiently(lambda: self._note(job, outcome, stopped))

    def _attempt(self, job: Row, stopped: Event) -> Result | KaraokeError | None:
        """Do a job; None if it was stopped, or was done before the service ended."""
        from karaoke.service.orders import build

        song = self.catalogue.store.song(job["song"])
        if song is None:
            return None
        place = self.catalogue.places.song(job["song"])
        place.made.mkdir(parents=True, exist_ok=True)
        try:
            task = build(job, song, place, self.engine)

            @contextmanager
            def display(_job: Job) -> Iterator[SongProgress]:
                yield self._progress(job["id"])

            options = BatchOptions(skip_existing=True)
            (found,) = run_batch([task], self.engine.separator, options, display, stopped=stopped)
        except Cancelled:
            return None
        except Exception as error:
            return as_karaoke_error(error, Path(song["name"]))
        return found.error or found.result

    def _progress(self, id: str) -> SongProgress:
        """Return what keeps the progress of a job, and tells it now and then."""
        began, told = time.monotonic(), 0.0

        def progress(done: float, total: float | None) -> None:
            nonlocal told
            now = time.monotonic()
            elapsed = max(now - began, 1e-3)
            self.catalogue.live[id] = {
                "done_seconds": round(done, 1),
                "total_seconds": total,
                "progress": min(done / total, 1.0) if total else None,
                "speed": round(done / elapsed, 2),
                "left_seconds": round((total - done) * elapsed / done, 1)
                if total and done
                else None,
            }
            if now - told >= TELL_SECONDS:
                told = now
                self.catalogue.tell_job(id)

        return progress

    def _note(self, job: Row, outcome: Result | KaraokeError | None, stopped: Event) -> None:
        """Write down how a job ended, and what follows from it."""
        catalogue, store = self.catalogue, self.catalogue.store
        if stopped.is_set() and self._stopping:
            with store.transaction():
                row = store.job(job["id"])
                if row is not None and row["state"] == "running":
                    attempts = job["attempts"] - 1
                    store.update("jobs", job["id"], state="queued", attempts=attempts)
            return
        song = store.song(job["song"])
        if song is None:
            catalogue.places.forget(job["song"])
            return
        with store.transaction():
            row = store.job(job["id"])
            if row is None or row["state"] != "running":
                pass  # it was cancelled
            elif stopped.is_set():
                store.end_job(job["id"], "cancelled")
            elif isinstance(outcome, KaraokeError):
                names = {song["source"]: song["name"], os.fspath(catalogue.places.data): "data"}
                error = error_object(outcome, names)
                store.end_job(job["id"], "failed", error=error)
                self._note_failure(job, song, error)
            else:
                warnings = outcome.warnings if outcome is not None else []
                store.end_job(job["id"], "done", warnings=warnings)
                self._note_result(job, song, warnings)
        catalogue.tell_job(job["id"])
        catalogue.tell_song(job["song"])

    def _note_failure(self, job: Row, song: Row, error: dict[str, str]) -> None:
        """Write down what a failure means for its song."""
        store = self.catalogue.store
        if job["command"] == "split":
            store.update("songs", song["id"], error=error)
            for waiting in store.open_jobs(song["id"]):
                if waiting["id"] != job["id"]:
                    store.end_job(waiting["id"], "cancelled")
        if job["command"] == "align" and song["lyrics"] is not None:
            store.update("songs", song["id"], lyrics={**song["lyrics"], "state": "failed"})

    def _note_result(self, job: Row, song: Row, warnings: list[str]) -> None:
        """Write down what was found out about the song, and queue what follows."""
        catalogue, store = self.catalogue, self.catalogue.store
        place, id = catalogue.places.song(song["id"]), song["id"]
        facts: dict[str, Any] = {"files": catalogue.files_of(id)}
        if job["command"] == "split":
            peaks = json.loads(place.peaks.read_text(encoding="utf-8"))
            facts |= {"split": 1, "seconds": peaks["seconds"], "error": None}
            facts["warnings"] = warnings
            catalogue.enqueue(id, "analyse", {"write": []})
        if job["command"] == "analyse":
            facts["facts"] = summary(json.loads(place.analysis.read_text(encoding="utf-8")))
        if job["command"] == "align" and (words := words_files.read(place.words)):
            facts["lyrics"] = words_files.state_of(words, "ready")
            with suppress(OSError):
                place.wanted_words.unlink()
        store.update("songs", id, **facts)


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Take what a list of songs shows out of what was heard."""
    key, tempo = found.get("key"), found.get("tempo")
    names = key["name"].split() if key else []
    return {
        "key": {"name": key["name"], "tonic": names[0], "mode": names[-1]} if key else None,
        "bpm": tempo["bpm"] if tempo else None,
    }
