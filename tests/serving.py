"""``karaoke serve`` in a process of its own, and one who asks it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.launching import Running, wait_for

BYTES = {"Content-Type": "application/octet-stream"}


class Served:
    """A running service; a context manager."""

    def __init__(self, data: Path, *options: object, **launched: Any) -> None:
        self.data = data
        self._running = Running("serve", "--port", 0, "--data", data, *options, **launched)
        self.ended = False
        wait_for(lambda: b"\n" in self._running.stdout.read_bytes() or self._over(), 60)
        said = self._running.stdout.read_text()
        assert said.startswith("http"), self._running.stderr.read_text()
        self.page, _, query = said.strip().partition("?")
        self.code = query.removeprefix("code=")
        self.port = int(self.page.rstrip("/").rsplit(":", 1)[1])
        self.http = requests.Session()
        self.http.headers["X-Karaoke"] = "1"
        if self.code:
            self.http.get(f"{self.page}?code={self.code}", timeout=30)

    def _over(self) -> bool:
        return not self._running.process.is_alive()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended:
            self.end(15)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._running.process.pid or 0

    def kill(self) -> None:
        """Kill it, whatever it does."""
        self._running.kill()

    def end(self, signal: int) -> Any:
        """Send a signal and wait for the end."""
        self._running.kill(signal)
        self.ended = True
        self.http.close()
        return self._running.wait(60)

    def ask(self, method: str, address: str, **options: Any) -> requests.Response:
        """Send a request."""
        options.setdefault("timeout", 120)
        return self.http.request(method, f"{self.page}api/v1{address}", **options)

    def get(self, address: str) -> Any:
        """Ask for JSON."""
        answer = self.ask("GET", address)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, address: str, **content: Any) -> Any:
        """Send JSON."""
        answer = self.ask("POST", address, json=content)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def send(self, upload: str, data: bytes, offset: int) -> requests.Response:
        """Send a part of a file."""
        headers = {**BYTES, "Upload-Offset": str(offset)}
        return self.ask("PATCH", f"/uploads/{upload}", data=data, headers=headers)

    def add(self, path: Path, name: str = "") -> Any:
        """Upload a song."""
        data = path.read_bytes()
        upload = self.post("/uploads", name=name or path.name, size=len(data))
        for offset in range(0, len(data), upload["chunk_bytes"]):
            part = data[offset : offset + upload["chunk_bytes"]]
            answer = self.send(upload["id"], part, offset)
            assert answer.status_code == 200, answer.text
        return answer.json()["song"]

    def wait(self, ready: Callable[[], Any], seconds: float = 120) -> Any:
        """Wait until something is so, and return it."""
        until = time.monotonic() + seconds
        while not (found := ready()):
            assert time.monotonic() < until, self.get("/jobs")
            time.sleep(0.1)
        return found

    def idle(self, seconds: float = 240) -> list[Any]:
        """Wait until no job is open, and return those that ended."""

        def ended() -> list[Any]:
            jobs: list[Any] = self.get("/jobs")["jobs"]
            return jobs if jobs and all(job["ended"] for job in jobs) else []

        found: list[Any] = self.wait(ended, seconds)
        return found
