"""What happens, told to all who listen: server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from threading import Lock
from typing import Any

#: Events that one who was away can catch up on.
KEPT = 2000
#: After which a comment tells proxies and pages that we are still there.
HEARTBEAT_SECONDS = 15.0
#: Pages that listen at a time; one more, and the first has to ask again.
MOST_LISTENERS = 128


class Events:
    """A log of the latest events, to which threads add, and which coroutines follow."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: deque[tuple[int, str, str]] = deque(maxlen=KEPT)
        self._last = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[int, asyncio.Event] = {}
        self._ended: set[int] = set()
        self._count = 0
        self._closed = False

    @property
    def last(self) -> int:
        """Number of the latest event."""
        return self._last

    def begin(self) -> None:
        """Remember the loop in which pages listen; called from it."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Let all who listen go; called from the loop."""
        self._closed = True
        self._wake()

    def add(self, kind: str, data: Any) -> None:
        """Tell something; from any thread."""
        text = json.dumps(data, separators=(",", ":"))
        with self._lock:
            self._last += 1
            self._kept.append((self._last, kind, text))
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        """Wake all listeners."""
        for waiting in self._listeners.values():
            waiting.set()

    def after(self, number: int) -> list[tuple[int, str, str]] | None:
        """List what came after an event; None if it is too long ago, or not of this run."""
        with self._lock:
            first = self._kept[0][0] if self._kept else self._last + 1
            if number > self._last or number < first - 1:
                return None
            return [event for event in self._kept if event[0] > number]

    async def follow(self, number: int) -> AsyncIterator[str]:
        """Yield the events after one as they are written to a page."""
        self._count += 1
        me, waiting = self._count, asyncio.Event()
        self._listeners[me] = waiting
        if len(self._listeners) - len(self._ended) > MOST_LISTENERS:
            first = next(one for one in self._listeners if one not in self._ended)
            self._ended.add(first)
            self._listeners[first].set()
        try:
            yield ": hello\n\n"
            while not self._closed and me not in self._ended:
                waiting.clear()
                found = self.after(number)
                if found is None:
                    number = self._last
                    yield f"id: {number}\nevent: reset\ndata: {{}}\n\n"
                    continue
                if found:
                    number = found[-1][0]
                    rows = (f"id: {n}\nevent: {kind}\ndata: {text}\n\n" for n, kind, text in found)
                    yield "".join(rows)
                    continue
                try:
                    await asyncio.wait_for(waiting.wait(), HEARTBEAT_SECONDS)
                except asyncio.TimeoutError:
                    yield ": still here\n\n"
        finally:
            del self._listeners[me]
            self._ended.discard(me)
