"""The interface for programs, below ``/api/v1``; ``openapi.json`` describes it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from karaoke.lyrics.sniffing import parse_lyrics
from karaoke.lyrics.tags import with_facts
from karaoke.service import words as words_files
from karaoke.service.answers import KINDS, attachment, download, id_in, json_answer, listing
from karaoke.service.archive import archive
from karaoke.service.bodies import bytes_of, object_of, pieces_of
from karaoke.service.limits import CHUNK_BYTES
from karaoke.service.media import PLAYERS
from karaoke.service.options import SOUNDS, bad, check_options, choice, read_language, read_query
from karaoke.service.places import ID, Place, label_of
from karaoke.service.refusals import Refusal, no_such
from karaoke.service.security import is_loopback
from karaoke.service.service import Service
from karaoke.service.store import Row

ALIGNMENTS = ("auto", "none", "lines", "words")

Answer = Callable[[Request], Awaitable[Response]]


class Api:
    """Answers to the requests of pages and programs."""

    def __init__(self, service: Service) -> None:
        self.service, self.catalogue = service, service.catalogue
        self.store, self.places = service.store, service.places

    # The service as a whole

    async def status(self, request: Request) -> Response:
        """Tell how the service is."""
        address = request.client.host if request.client else ""
        owner = is_loopback(address)
        return json_answer(await run_in_threadpool(lambda: self.service.status(to_owner=owner)))

    async def pair(self, request: Request) -> Response:
        """Let one in who knows the code."""
        code = (await object_of(request)).get("code")
        address = request.client.host if request.client else ""
        if not isinstance(code, str) or not self.service.door.try_code(code, address):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "this is not the code",
                "Enter the code that karaoke serve shows on the computer.", code="code-needed",
            )  # fmt: skip
        headers = {"Set-Cookie": self.service.door.cookie()}
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)

    async def events(self, request: Request) -> Response:
        """Tell what happens, as it does."""
        after = request.headers.get("last-event-id") or request.query_params.get("after", "")
        last = self.service.events.last
        number = int(after) if re.fullmatch(r"\d{1,15}", after) else last
        return StreamingResponse(
            self.service.events.follow(number),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def openapi(self, _request: Request) -> Response:
        """Describe all this."""
        path = Path(__file__).parent / "openapi.json"
        return FileResponse(path, media_type="application/json")

    # Songs

    async def songs(self, request: Request) -> Response:
        """List songs."""
        return json_answer(await run_in_threadpool(self.catalogue.songs, *listing(request)))

    async def song(self, request: Request) -> Response:
        """Show a song."""
        id = id_in(request)
        return json_answer(
            await run_in_threadpool(lambda: self.catalogue.as_object(self.catalogue.song(id)))
        )

    async def pick(self, request: Request) -> Response:
        """Take a song of the library."""
        id = (await object_of(request)).get("library_id")
        if not isinstance(id, str) or not ID.fullmatch(id):
            raise no_such("song in the library")
        return json_answer(await run_in_threadpool(self.service.pick, id), HTTPStatus.CREATED)

    async def rename(self, request: Request) -> Response:
        """Change title and artist of a song."""
        id, found = id_in(request), await object_of(request)
        names = {name: found[name] for name in ("title", "artist") if name in found}
        for name, text in names.items():
            if not isinstance(text, str) or len(text) > 300 or (name == "title" and not text):
                raise bad(f"{name}: not a name")

        def change() -> dict[str, Any]:
            self.catalogue.song(id)
            if names:
                self.store.update("songs", id, **names)
                self.catalogue.tell_song(id)
            return self.catalogue.as_object(self.catalogue.song(id))

        return json_answer(await run_in_threadpool(change))

    async def remove(self, request: Request) -> Response:
        """Delete a song."""
        id = id_in(request)

        def remove() -> None:
            self.catalogue.song(id)
            self.catalogue.remove(id)

        await run_in_threadpool(remove)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def library(self, request: Request) -> Response:
        """List the songs that may be picked."""

        def search() -> dict[str, Any]:
            rows = self.store.rows("SELECT id, library FROM songs WHERE library != ''")
            taken = {row["library"]: row["id"] for row in rows}
            return self.service.library.search(*listing(request), taken)

        return json_answer(await run_in_threadpool(search))

    # Uploads

    async def begin_upload(self, request: Request) -> Response:
        """Make room for a file."""
        found = await object_of(request)
        wanted = [found.get(name) for name in ("name", "size", "sha256")]
        upload = await run_in_threadpool(self.service.uploads.begin, *wanted)
        facts = {"id": upload["id"], "chunk_bytes": CHUNK_BYTES, "offset": 0}
        return json_answer(facts, HTTPStatus.CREATED)

    async def receive_upload(self, request: Request) -> Response:
        """Take a part of a file."""
        offset = request.headers.get("upload-offset", "")
        if not re.fullmatch(r"\d{1,15}", offset):
            raise bad("Upload-Offset: not a number of bytes")
        uploads = self.service.uploads
        answer = await uploads.receive(id_in(request, "upload"), int(offset), pieces_of(request))
        if answer["song"] is not None:
            self.service.crew.wake()
        return json_answer(answer)

    async def upload(self, request: Request) -> Response:
        """Tell where an upload goes on."""
        row = await run_in_threadpool(self.service.uploads.row, id_in(request, "upload"))
        facts = {"Upload-Offset": str(row["received"]), "Upload-Length": str(row["size"])}
        return Response(headers={**facts, "Cache-Control": "no-store"})

    async def drop_upload(self, request: Request) -> Response:
        """Forget an upload."""
        id = id_in(request, "upload")
        await run_in_threadpool(self.service.uploads.row, id)
        await run_in_threadpool(self.service.uploads.drop, id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    # Jobs

    async def order(self, request: Request) -> Response:
        """Queue a job."""
        id, found = id_in(request), await object_of(request)
        command = found.get("command")
        options = await run_in_threadpool(check_options, str(command), found.get("options", {}))

        def order() -> Row:
            song = self.catalogue.song(id)
            if command != "split" and not song["split"]:
                jobs = self.store.open_jobs(id)
                if not any(job["command"] == "split" for job in jobs):
                    raise Refusal(
                        HTTPStatus.CONFLICT, "the song is not split", "Split it first.",
                        code="not-ready",
                    )  # fmt: skip
            if command == "split":
                self.store.update("songs", id, error=None)
            return self.catalogue.enqueue(id, str(command), options)

        job = await run_in_threadpool(order)
        self.service.crew.wake()
        self.catalogue.tell_job(job["id"])
        self.catalogue.tell_song(id)
        return json_answer(self.catalogue.job_object(job), HTTPStatus.ACCEPTED)

    async def jobs(self, _request: Request) -> Response:
        """List jobs."""
        return json_answer({"jobs": await run_in_threadpool(self.catalogue.jobs)})

    def _job(self, request: Request) -> Row:
        """Return the job of an address."""
        found = self.store.job(id_in(request, "job"))
        if found is None:
            raise no_such("job")
        return found

    async def job(self, request: Request) -> Response:
        """Show a job."""
        return json_answer(self.catalogue.job_object(self._job(request)))

    async def cancel(self, request: Request) -> Response:
        """Stop a job."""
        job = self._job(request)
        await run_in_threadpool(self.catalogue.cancel, job["id"])
        self.catalogue.tell_song(job["song"])
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def hurry(self, request: Request) -> Response:
        """Put a job at the head of the queue."""
        job = self._job(request)
        if job["state"] == "queued":
            self.store.update("jobs", job["id"], position=self.store.next_position(first=True))
            self.service.events.add("reset", {})
        return json_answer(self.catalogue.job_object(self._job(request)))

    # What there is of a song

    def _place(self, request: Request) -> Place:
        """Return the place of a song, and note that somebody looked at it."""
        song = self.catalogue.song(id_in(request))
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk may be looked at
            self.store.update("songs", song["id"], seen=time.time())
        return self.places.song(song["id"])

    def _file(self, path: Path, what: str, kind: str) -> Response:
        """Answer with a file, if it is there."""
        if not path.is_file():
            raise no_such(what)
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "no-cache"})

    async def player(self, request: Request) -> Response:
        """Give what is played."""
        id, query = id_in(request), read_query(dict(request.query_params))
        extension = request.path_params["extension"]
        if extension not in PLAYERS:
            raise no_such("sound")
        path = await self.service.sounds.player(id, extension, query)
        self._place(request)
        return self._file(path, "sound", KINDS[extension])

    async def peaks(self, request: Request) -> Response:
        """Give the outlines of the stems."""
        return self._file(self._place(request).peaks, "outline", "application/json")

    async def cover(self, request: Request) -> Response:
        """Give the picture."""
        path = self._place(request).cover
        if not path.is_file():
            raise no_such("cover")
        with path.open("rb") as file:
            kind = "image/png" if file.read(4) == b"\x89PNG" else "image/jpeg"
        return self._file(path, "cover", kind)

    async def analysis(self, request: Request) -> Response:
        """Give what was heard."""
        return self._file(self._place(request).analysis, "analysis", "application/json")

    async def words(self, request: Request) -> Response:
        """Give the words."""
        song, place = self.catalogue.song(id_in(request)), self._place(request)
        found = await run_in_threadpool(words_files.read, place.words)
        found = found or await run_in_threadpool(words_files.read, place.wanted_words)
        if found is None:
            raise no_such("text: the song has no words")
        wanted = request.query_params.get("format")
        if wanted is None:
            return json_answer(found)
        if wanted not in words_files.FORMATS:
            raise bad("format: unknown", f"Choose of {', '.join(words_files.FORMATS)}.")
        text = await run_in_threadpool(
            lambda: words_files.FORMATS[wanted](words_files.from_object(found))
        )
        name = attachment(f"{label_of(song['title'])}.{wanted}")
        return Response(text, media_type="text/plain; charset=utf-8",
                        headers={"Content-Disposition": name})  # fmt: skip

    async def put_words(self, request: Request) -> Response:
        """Take words."""
        song = self.catalogue.song(id_in(request))
        if request.headers.get("content-type", "").startswith("application/json"):
            found: dict[str, Any] = await object_of(request)
            if not isinstance(found.get("text"), str):
                raise bad("text: not a text")
            data = found["text"].encode("utf-8", "surrogatepass")
        else:
            found, data = dict(request.query_params), await bytes_of(request)
        language, align = read_language(found), choice(found, "align", "auto", ALIGNMENTS)

        def put() -> dict[str, Any]:
            facts = {"title": [song["title"]], "artist": [song["artist"]]}
            lyrics = with_facts(parse_lyrics(data, "the lyrics"), facts)
            job = self.catalogue.put_words(song["id"], lyrics, language, align)
            self.service.crew.wake()
            self.catalogue.tell_song(song["id"])
            if job is not None:
                self.catalogue.tell_job(job["id"])
            return {
                "lyrics": self.catalogue.song(song["id"])["lyrics"],
                "job": None if job is None else self.catalogue.job_object(job),
                "warnings": list(lyrics.warnings),
            }

        return json_answer(await run_in_threadpool(put))

    async def remove_words(self, request: Request) -> Response:
        """Forget the words."""
        song = self.catalogue.song(id_in(request))
        await run_in_threadpool(self.catalogue.remove_words, song["id"])
        self.catalogue.tell_song(song["id"])
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def mix(self, request: Request) -> Response:
        """Give a mix as it is heard."""
        id, query = id_in(request), read_query(dict(request.query_params))
        extension = request.path_params["extension"]
        if extension not in SOUNDS:
            raise no_such("format of sound")
        path = await self.service.sounds.mix(id, extension, query)
        return download(path, f"{label_of(self.catalogue.song(id)['title'])}.{extension}")

    async def made(self, request: Request) -> Response:
        """Give a file that a job made."""
        place, name = self._place(request), request.path_params["name"]
        path = (await run_in_threadpool(place.files)).get(name)
        if path is None:
            raise no_such("file")
        return download(path, path.name)

    async def zipped(self, request: Request) -> Response:
        """Give all that there is of a song."""
        song, place = self.catalogue.song(id_in(request)), self._place(request)
        label = label_of(song["title"])
        headers = {"Content-Disposition": attachment(f"{label}.zip"), "Cache-Control": "no-store"}
        return StreamingResponse(
            archive(place, label), media_type="application/zip", headers=headers
        )


def routes(service: Service) -> list[Route]:
    """List all of it."""
    api = Api(service)
    table: list[tuple[str, str, Answer]] = [
        ("GET", "/status", api.status),
        ("GET", "/openapi.json", api.openapi),
        ("POST", "/pair", api.pair),
        ("GET", "/events", api.events),
        ("GET", "/songs", api.songs),
        ("POST", "/songs", api.pick),
        ("GET", "/songs/{id}", api.song),
        ("PATCH", "/songs/{id}", api.rename),
        ("DELETE", "/songs/{id}", api.remove),
        ("GET", "/library", api.library),
        ("POST", "/uploads", api.begin_upload),
        ("PATCH", "/uploads/{id}", api.receive_upload),
        ("HEAD", "/uploads/{id}", api.upload),
        ("DELETE", "/uploads/{id}", api.drop_upload),
        ("POST", "/songs/{id}/jobs", api.order),
        ("GET", "/jobs", api.jobs),
        ("GET", "/jobs/{id}", api.job),
        ("DELETE", "/jobs/{id}", api.cancel),
        ("POST", "/jobs/{id}/next", api.hurry),
        ("GET", "/songs/{id}/player.{extension}", api.player),
        ("GET", "/songs/{id}/peaks", api.peaks),
        ("GET", "/songs/{id}/cover", api.cover),
        ("GET", "/songs/{id}/analysis", api.analysis),
        ("GET", "/songs/{id}/lyrics", api.words),
        ("PUT", "/songs/{id}/lyrics", api.put_words),
        ("DELETE", "/songs/{id}/lyrics", api.remove_words),
        ("GET", "/songs/{id}/mix.{extension}", api.mix),
        ("GET", "/songs/{id}/files/{name:path}", api.made),
        ("GET", "/songs/{id}/archive.zip", api.zipped),
    ]
    return [Route(path, answer, methods=[method]) for method, path, answer in table]
