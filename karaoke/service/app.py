"""The requests that a service answers."""

from __future__ import annotations

import contextlib
import mimetypes
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from karaoke.errors import KaraokeError
from karaoke.service import api
from karaoke.service.refusals import Refusal, as_refusal, is_full
from karaoke.service.security import HEADERS, headers_of
from karaoke.service.service import Service

STATIC = Path(__file__).parent / "static"
#: What is answered without a code: the page that asks for it, and what it consists of.
OPEN = ("/", "/api/v1/pair", "/manifest.webmanifest", "/sw.js", "/favicon.ico")
KINDS = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}


def static_files() -> dict[str, tuple[Path, str]]:
    """List the files of the page, by their addresses: no address becomes a path."""
    found = {}
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0]
            address = f"/static/{path.relative_to(STATIC).as_posix()}"
            found[address] = (path, kind or "application/octet-stream")
    for address, name in (
        ("/", "index.html"),
        ("/manifest.webmanifest", "manifest.webmanifest"),
        ("/sw.js", "sw.js"),
        ("/favicon.ico", "icon-192.png"),
    ):
        if f"/static/{name}" in found:
            found[address] = found[f"/static/{name}"]
    return found


class Guard:
    """Lets nobody in who may not be, and tells browsers what our pages may do."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.door = app, service.door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"]] + [
                    (name.encode(), value.encode())
                    for name, value in HEADERS.items()
                    if name.lower().encode() not in there
                ]
            await send(message)

        headers, path = headers_of(scope), scope["path"]
        try:
            self.door.check_host(headers.get("host", ""))
            self.door.check_request(scope["method"], headers)
            if not (path in OPEN or path.startswith("/static/")) and not self.door.knows_code(
                headers.get("cookie", "")
            ):
                raise Refusal(
                    HTTPStatus.UNAUTHORIZED, "the code is needed",
                    "Enter the code that karaoke serve shows on the computer.", code="code-needed",
                )  # fmt: skip
        except Refusal as refusal:
            await refused(refusal)(scope, receive, send_guarded)
            return
        await self.app(scope, receive, send_guarded)


def refused(refusal: Refusal) -> JSONResponse:
    """Answer with a refusal."""
    headers = {"Cache-Control": "no-store", **refusal.headers}
    return JSONResponse(refusal.as_object(), refusal.status, headers)


async def on_error(_request: Request, error: Exception) -> Response:
    """Answer with what went wrong; a fault of ours is told where the service runs, too."""
    if not isinstance(error, Refusal | KaraokeError | HTTPException) and not is_full(error):
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        print(f"karaoke: {text}; this is a bug", file=sys.stderr)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        known = {404: "there is nothing at this address", 405: "this cannot be done here"}
        return refused(Refusal(status, known.get(status, status.phrase.lower())))
    return refused(as_refusal(error))


def page(service: Service) -> Callable[[Request], Awaitable[Response]]:
    """Make what answers with files of the page."""
    files = static_files()

    async def answer(request: Request) -> Response:
        code = parse_qs(request.url.query).get("code", [""])[0]
        if request.url.path == "/" and code:
            address = request.client.host if request.client else ""
            # The code does not stay in the address, where others may see it.
            response: Response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
            with contextlib.suppress(Refusal):
                if service.door.try_code(code, address):
                    response.headers["Set-Cookie"] = service.door.cookie()
            return response
        found = files.get(request.url.path)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        path, kind = found
        # Asked for each time, and answered by 304: a page never mixes two versions.
        headers = {"Cache-Control": "no-cache"}
        if request.url.path == "/sw.js":
            headers["Service-Worker-Allowed"] = "/"
        response = FileResponse(path, media_type=kind, headers=headers)
        return response

    return answer


def make_app(service: Service) -> Starlette:
    """Make the application of a service."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    answer = page(service)
    app = Starlette(
        routes=[
            Mount("/api/v1", app=Router(api.routes(service), redirect_slashes=False)),
            Route("/{path:path}", answer, methods=["GET"]),
        ],
        exception_handlers={
            Refusal: on_error,
            KaraokeError: on_error,
            HTTPException: on_error,
            Exception: on_error,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.add_middleware(Guard, service=service)
    return app
