"""Files that arrive in parts, and go on after the network, the page or the service broke off."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.concurrency import run_in_threadpool

from karaoke.audio import AudioReader
from karaoke.errors import KaraokeError
from karaoke.files import checksum
from karaoke.service.catalogue import Catalogue
from karaoke.service.limits import (
    CHUNK_BYTES,
    MOST_UPLOADS,
    SPARE_BYTES,
    UPLOAD_SECONDS,
    check_length,
)
from karaoke.service.places import extension_of, new_id
from karaoke.service.refusals import Refusal, as_refusal, no_such
from karaoke.service.store import Row

LONGEST_NAME = 255
#: Not in a name that is shown: control characters, and those that turn the direction of text.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Uploads:
    """The files that are arriving at a service."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue, self.store = catalogue, catalogue.store
        self._busy: set[str] = set()
        self._lock = Lock()

    def begin(self, name: Any, size: Any, sha256: Any) -> Row:
        """Make room for a file.

        Raises
        ------
        Refusal
            It is too large, or there is no room.
        """
        if not isinstance(name, str) or not name.strip():
            raise Refusal(HTTPStatus.BAD_REQUEST, "name: not a name")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise Refusal(HTTPStatus.BAD_REQUEST, "size: not a number of bytes")
        if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", str(sha256)):
            raise Refusal(HTTPStatus.BAD_REQUEST, "sha256: not 64 hexadecimal digits")
        self.expire()
        self._check_room(size)
        id = new_id()
        with self.store.transaction():
            if self.store.count("SELECT count(*) FROM uploads") >= MOST_UPLOADS:
                raise Refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"{MOST_UPLOADS} uploads are under way",
                    "Wait until some are done.",
                )
            clean = UNFIT.sub("", name)[-LONGEST_NAME:].strip() or "song"
            self.store.insert("uploads", id=id, name=clean, size=size, sha256=sha256 or "",
                              received=0, touched=time.time())  # fmt: skip
        return self.row(id)

    def _check_room(self, size: int) -> None:
        """Refuse what is too large, by itself or with all that is there."""
        limits, data = self.catalogue.limits, self.catalogue.places.data
        if size > limits.upload_bytes:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the song has {size / 1e6:,.0f} MB; {limits.upload_bytes / 1e6:,.0f} MB at most"
                " are taken (--max-upload)",
                "Choose a smaller file.",
            )
        pending = self.store.count("SELECT sum(size - received) FROM uploads")
        disk = shutil.disk_usage(data)
        if size + pending + SPARE_BYTES > disk.free:
            raise Refusal(
                HTTPStatus.INSUFFICIENT_STORAGE,
                f"the disk has {disk.free / 1e6:,.0f} MB left",
                "Delete some songs.",
            )
        allowed = limits.data_bytes
        if allowed is not None:
            used = self.catalogue.places.size_bytes()
        else:
            allowed, used = int(0.9 * disk.total), disk.used
        if used + pending + size > allowed:
            raise Refusal(
                HTTPStatus.INSUFFICIENT_STORAGE,
                f"songs may take {allowed / 1e6:,.0f} MB in all (--max-data)",
                "Delete some songs.",
            )

    def row(self, id: str) -> Row:
        """Return an upload.

        Raises
        ------
        Refusal
            There is none.
        """
        found = self.store.row("SELECT * FROM uploads WHERE id = ?", id)
        if found is None:
            raise no_such("upload")
        return found

    async def receive(self, id: str, offset: int, body: AsyncIterator[bytes]) -> dict[str, Any]:
        """Take a part of a file; what was acknowledged is never lost.

        Parameters
        ----------
        id
            Of the upload.
        offset
            At which the part begins.
        body
            Its bytes.

        Returns
        -------
        dict
            ``offset``, at which to go on, and ``song``, once all of it is there.

        Raises
        ------
        Refusal
            It does not go on where it stopped, is too long, or is not a song.
        """
        upload = self.row(id)
        with self._lock:
            if id in self._busy:
                raise Refusal(
                    HTTPStatus.CONFLICT, "somebody else is sending this file",
                    "Wait, and ask where to go on.", facts={"offset": upload["received"]},
                )  # fmt: skip
            self._busy.add(id)
        try:
            upload = self.row(id)
            if offset != upload["received"]:
                raise Refusal(
                    HTTPStatus.CONFLICT, f"the file goes on at byte {upload['received']:,}",
                    "Go on there.", facts={"offset": upload["received"]},
                )  # fmt: skip
            received = await self._write(upload, body)
            if received < upload["size"]:
                return {"offset": received, "song": None}
            song = await run_in_threadpool(self._complete, id)
            return {"offset": received, "song": song}
        finally:
            with self._lock:
                self._busy.discard(id)

    async def _write(self, upload: Row, body: AsyncIterator[bytes]) -> int:
        """Append the bytes of a request, as far as they come."""
        path, received = self.catalogue.places.upload(upload["id"]), int(upload["received"])
        most = min(upload["size"] - received, CHUNK_BYTES)
        taken = 0
        with path.open("r+b" if path.exists() else "w+b") as file:
            # What is behind the last byte that was acknowledged may be half a part.
            file.truncate(received)
            file.seek(received)
            try:
                async for data in body:
                    if taken + len(data) > most:
                        raise Refusal(
                            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                            f"{most:,} bytes at most are taken here", "Send smaller parts.",
                            facts={"offset": received},
                        )  # fmt: skip
                    await run_in_threadpool(file.write, data)
                    taken += len(data)
            except OSError as error:
                raise Refusal(
                    HTTPStatus.INSUFFICIENT_STORAGE, f"the part was not written: {error.strerror}",
                    "Free some space, and go on.", facts={"offset": received},
                ) from error  # fmt: skip
            finally:
                file.flush()
                os.fsync(file.fileno())
        received += taken
        self.store.update("uploads", upload["id"], received=received, touched=time.time())
        facts = {"id": upload["id"], "offset": received, "size": upload["size"]}
        self.catalogue.events.add("upload", facts)
        return received

    def _complete(self, id: str) -> dict[str, Any]:
        """Turn a file that is complete into a song of the same id."""
        upload, places = self.row(id), self.catalogue.places
        # It has its place already if the service ended, or the queue was full, just then.
        source = next(places.song(id).folder.glob("source*"), None)
        try:
            source = source or self._check_song(upload, places.upload(id))
        except Exception as error:
            self.drop(id)
            raise as_refusal(error) from error
        with self.store.transaction():
            song = self.catalogue.add(id, source, upload["name"], "upload")
            self.store.delete("uploads", id)
        self.catalogue.tell_song(id)
        return self.catalogue.as_object(song)

    def _check_song(self, upload: Row, path: Path) -> Path:
        """Open a file to see that it is a song, and give it its place."""
        if upload["sha256"] and checksum(path) != upload["sha256"]:
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY, "the file arrived damaged (SHA-256)",
                "Send it again.", code="checksum",
            )  # fmt: skip
        try:
            with AudioReader(path) as reader:
                check_length(reader.declared_seconds, self.catalogue.limits.length_seconds)
        except KaraokeError as error:
            error.message = error.message.replace(f'"{path}"', f'"{upload["name"]}"')
            raise
        place = self.catalogue.places.song(upload["id"])
        place.folder.mkdir(parents=True, exist_ok=True)
        source = place.folder / f"source{extension_of(upload['name'])}"
        os.replace(path, source)
        return source

    def drop(self, id: str) -> None:
        """Forget an upload."""
        self.store.delete("uploads", id)
        self.catalogue.places.upload(id).unlink(missing_ok=True)

    def expire(self) -> None:
        """Forget uploads that nobody went on with."""
        old = time.time() - UPLOAD_SECONDS
        for upload in self.store.rows("SELECT * FROM uploads WHERE touched < ?", old):
            self.drop(upload["id"])

    def recover(self) -> None:
        """Put in order what a kill of the service left half done."""
        places = self.catalogue.places
        for upload in self.store.rows("SELECT * FROM uploads"):
            path = places.upload(upload["id"])
            if upload["received"] == upload["size"]:
                try:
                    self._complete(upload["id"])
                except Refusal:
                    continue  # not a song: it is gone; or the queue is full: it waits
            elif path.exists() and path.stat().st_size < upload["received"]:
                # Only a loss of power can do that.
                self.store.update("uploads", upload["id"], received=path.stat().st_size)
        known = {row["id"] for row in self.store.rows("SELECT id FROM uploads")}
        for path in places.uploads.iterdir():
            if path.name.removesuffix(".part") not in known:
                path.unlink(missing_ok=True)
        songs = known | {row["id"] for row in self.store.rows("SELECT id FROM songs")}
        for folder in places.songs.iterdir():
            if folder.name not in songs:
                shutil.rmtree(folder, ignore_errors=True)
