"""An HTTP server on this machine that serves a few files, and fails in the ways that servers do."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, cast

PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"


class Loopback(ThreadingHTTPServer):
    """Serves files by path; each request takes the next fault, or is answered well.

    Parameters
    ----------
    files
        Contents by path, with the slash.

    Attributes
    ----------
    faults
        Of the coming requests: a status such as ``"404"``, or one of those in :class:`Answer`.
    log
        Path and range of every request.
    released
        Lets stalled answers end.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.faults: deque[str] = deque()
        self.log: list[tuple[str, str]] = []
        self.released = Event()

    def url(self, path: str) -> str:
        """Give the address of a file."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed break connections."""


class Answer(BaseHTTPRequestHandler):
    """One answer."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server = cast(Loopback, self.server)
        wanted = self.headers.get("Range", "")
        server.log.append((self.path, wanted))
        fault = server.faults.popleft() if server.faults else ""
        if fault.isdigit():
            self.send_error(int(fault))
            return
        if fault in ("page", "undeclared page"):
            kind = "text/html; charset=utf-8" if fault == "page" else "application/octet-stream"
            self.reply(200, {"Content-Type": kind, "Content-Length": len(PAGE)}, PAGE)
            return
        if self.path not in server.files:
            self.send_error(404)
            return
        content = server.files[self.path]
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        start = int(found[1]) if found and fault != "no ranges" else 0
        if start >= len(content):
            self.send_error(416)
            return
        body = content[start:]
        headers: dict[str, Any] = {}
        if start:
            shift = 7 if fault == "wrong range" else 0
            headers["Content-Range"] = f"bytes {start + shift}-{len(content) - 1}/{len(content)}"
        headers["Content-Length"] = len(body)
        if self.path.endswith("/"):
            headers["Content-Type"] = "text/html; charset=utf-8"
        if fault == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        elif fault == "truncated":
            body = body[: len(body) // 2]
        elif fault == "short":
            body = body[: len(body) // 2]
            headers["Content-Length"] = len(body)
        elif fault == "endless":
            body = body * 3
            del headers["Content-Length"]
        if fault == "stall":
            self.reply(206 if start else 200, headers, body[: len(body) // 2])
            server.released.wait(60)
        else:
            self.reply(206 if start else 200, headers, body)

    def reply(self, status: int, headers: dict[str, Any], body: bytes) -> None:
        """Send an answer; the connection ends with it."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Loopback]:
    """Run a server in a thread."""
    server = Loopback(files)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
