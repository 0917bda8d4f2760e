"""Songs, uploads and jobs in a database that survives a kill at any instant."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from karaoke.errors import KaraokeError, WriteError

#: Of the tables; a database of another one is not opened.
VERSION = 1
TABLES = """
CREATE TABLE songs (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL, title TEXT NOT NULL,
    artist TEXT NOT NULL, seconds REAL, source TEXT NOT NULL, origin TEXT NOT NULL,
    library TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL, added REAL NOT NULL,
    seen REAL NOT NULL, cover INTEGER NOT NULL DEFAULT 0, split INTEGER NOT NULL DEFAULT 0,
    facts TEXT NOT NULL DEFAULT '{}', lyrics TEXT NOT NULL DEFAULT 'null',
    error TEXT NOT NULL DEFAULT 'null', warnings TEXT NOT NULL DEFAULT '[]',
    files TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE uploads (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
    received INTEGER NOT NULL, touched REAL NOT NULL
);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, song TEXT NOT NULL, command TEXT NOT NULL, options TEXT NOT NULL,
    state TEXT NOT NULL, position REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT 'null', warnings TEXT NOT NULL DEFAULT '[]',
    created REAL NOT NULL, started REAL, ended REAL
);
CREATE INDEX jobs_by_state ON jobs (state, position);
CREATE INDEX jobs_by_song ON jobs (song);
"""
#: Columns that hold JSON.
OBJECTS = {"facts", "lyrics", "error", "warnings", "files", "options"}
#: Ended jobs that are remembered.
KEPT_JOBS = 200

Row = dict[str, Any]


class Store:
    """A database of one file, used by one process and many threads.

    Parameters
    ----------
    path
        Of the file; made if it is not there.

    Raises
    ------
    KaraokeError
        It is not a database, or one of another version.
    WriteError
        It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._lock = RLock()
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=30
            )
            self._connection.row_factory = sqlite3.Row
            # SQLite's own lower() knows ASCII only.
            self._connection.create_function("folded", 1, str.casefold, deterministic=True)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A commit survives the kill of the process; FULL is for the loss of power, too.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise WriteError(
                f'"{path}": {error}', hint="Choose another folder with --data, or remove the file."
            ) from error
        except KaraokeError as error:
            error.message = f'"{path}": {error.message}'
            raise

    def _prepare(self) -> None:
        """Make the tables, if there are none."""
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found not in (0, VERSION):
            raise KaraokeError(
                f"made by another version of karaoke ({found}, not {VERSION})",
                hint="Choose another folder with --data.",
            )
        if found == 0:
            self._connection.executescript(
                f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
            )

    def close(self) -> None:
        """Close the file; what was written stays."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of it or nothing."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[Row]:
        """Return all rows of a query, with JSON read."""
        with self._lock:
            return [read_row(row) for row in self._connection.execute(query, values)]

    def row(self, query: str, *values: Any) -> Row | None:
        """Return the first row of a query, if there is any."""
        found = self.rows(query, *values)
        return found[0] if found else None

    def count(self, query: str, *values: Any) -> int:
        """Return the number that a query gives."""
        with self._lock:
            (number,) = self._connection.execute(query, values).fetchone()
            return int(number or 0)

    def insert(self, table: str, **columns: Any) -> None:
        """Add a row."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        values = [written(name, value) for name, value in columns.items()]
        with self._lock:
            self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)

    def update(self, table: str, id: str, **columns: Any) -> None:
        """Change a row."""
        names = ", ".join(f"{name} = ?" for name in columns)
        values = [written(name, value) for name, value in columns.items()]
        with self._lock:
            self._connection.execute(f"UPDATE {table} SET {names} WHERE id = ?", [*values, id])

    def delete(self, table: str, id: str) -> None:
        """Remove a row, if it is there."""
        with self._lock:
            self._connection.execute(f"DELETE FROM {table} WHERE id = ?", [id])

    def song(self, id: str) -> Row | None:
        """Return a song."""
        return self.row("SELECT * FROM songs WHERE id = ?", id)

    def job(self, id: str) -> Row | None:
        """Return a job."""
        return self.row("SELECT * FROM jobs WHERE id = ?", id)

    def open_jobs(self, song: str) -> list[Row]:
        """List the jobs of a song that wait or run."""
        return self.rows(
            "SELECT * FROM jobs WHERE song = ? AND state IN ('queued', 'running')"
            " ORDER BY position",
            song,
        )

    def claim(self) -> Row | None:
        """Take the next job that can run: what needs a song's stems waits for them."""
        with self.transaction():
            found = self.row(
                "SELECT * FROM jobs AS this WHERE state = 'queued' AND (command = 'split' OR"
                " NOT EXISTS (SELECT 1 FROM jobs WHERE song = this.song AND command = 'split'"
                " AND state IN ('queued', 'running'))) ORDER BY position LIMIT 1"
            )
            if found is None:
                return None
            attempts = found["attempts"] + 1
            self.update("jobs", found["id"], state="running", started=time.time(),
                        attempts=attempts)  # fmt: skip
            return {**found, "state": "running", "attempts": attempts}

    def end_job(self, id: str, state: str, **columns: Any) -> None:
        """Note how a job ended, and forget those that ended long ago."""
        with self.transaction():
            self.update("jobs", id, state=state, ended=time.time(), **columns)
            self._connection.execute(
                "DELETE FROM jobs WHERE ended IS NOT NULL AND id NOT IN (SELECT id FROM jobs"
                " WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT ?)",
                [KEPT_JOBS],
            )

    def next_position(self, *, first: bool = False) -> float:
        """Return a place behind all that wait, or before them."""
        with self._lock:
            query = "SELECT min(position), max(position) FROM jobs"
            least, most = self._connection.execute(query).fetchone()
        return (least or 0.0) - 1.0 if first else (most or 0.0) + 1.0

    def requeue(self) -> None:
        """Give what ran when the process ended back to the queue.

        What was tried often may be what ends the process, so it waits for the others.
        """
        with self.transaction():
            for job in self.rows("SELECT * FROM jobs WHERE state = 'running'"):
                position = self.next_position() if job["attempts"] >= 3 else job["position"]
                self.update("jobs", job["id"], state="queued", position=position)


def read_row(row: sqlite3.Row) -> Row:
    """Turn a row into a dict."""
    return {key: json.loads(row[key]) if key in OBJECTS else row[key] for key in row.keys()}  # noqa: SIM118


def written(name: str, value: Any) -> Any:
    """Turn a value into what a column holds."""
    return json.dumps(value, separators=(",", ":")) if name in OBJECTS else value
