"""The server itself: connections that take too long are closed, and signals end it in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

from karaoke.errors import KaraokeError, OutputExistsError, PermissionDeniedError
from karaoke.service.security import is_loopback

#: In which the head of a request has to be there.
HEAD_SECONDS = 5.0
#: Connections in all, if the system allows as many files, and from one other machine.
MOST_CONNECTIONS, MOST_EACH = 4000, 32
#: Files that are left for songs and programs.
SPARE_FILES = 256
#: In which requests may end once the service is told to.
GRACE_SECONDS = 1
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class GuardedProtocol(H11Protocol):
    """HTTP/1.1, but not for those who send nothing: uvicorn would wait for ever."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin, unless there are too many."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        clients = (getattr(one, "client", None) for one in self.connections)
        same = sum(client is not None and client[0] == address for client in clients)
        too_many = not is_loopback(address) and same > MOST_EACH
        if too_many or len(self.connections) > most_connections():
            transport.abort()
            return
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes; until they are the head of a request, the time runs."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            # Where nothing of a request is there, uvicorn's own timer runs.
            if self._head_timer is None and self.conn.trailing_data[0]:
                self._expect_head()
        else:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up."""
        self._stop_timer()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        """Start the time."""
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_timer(self) -> None:
        """Stop the time."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        """Close the connection."""
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.write(TOO_LATE)
            self.transport.close()


class Server(uvicorn.Server):
    """Ends on signals, without passing them on."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self.ending = ending

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order on Ctrl-C and TERM; a second one ends at once."""
        previous = {number: signal.getsignal(number) for number in ENDING}
        for number in ENDING:
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those go who listen, then close."""
        self.ending()
        await super().shutdown(sockets)


@cache
def most_connections() -> int:
    """Allow this process as many files as the system does, and tell how many may be connections."""
    if resource is None:
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit, soft) - SPARE_FILES


ENDING = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """Open the port.

    Raises
    ------
    OutputExistsError
        Another program has it.
    PermissionDeniedError
        It may not be opened.
    KaraokeError
        The address is none of this machine's.
    """
    called = f"port {port} of {host}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        # So that one can start again at once; a port that is listened on stays taken.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(512)
    except PermissionError as error:
        found.close()
        hint = "Choose a --port above 1023."
        raise PermissionDeniedError(f"{called}: may not be opened", hint=hint) from error
    except OSError as error:
        found.close()
        if error.errno in ADDRESS_IN_USE:
            raise OutputExistsError(
                f"{called}: another program has it",
                hint="Perhaps karaoke serve runs already; or choose another --port.",
            ) from error
        raise KaraokeError(f"{called}: {error.strerror}", hint="Choose another --host.") from error
    return found


ADDRESS_IN_USE = (98, 48, 10048)  # Linux, macOS, Windows


def serve(
    app: Any, sock: socket.socket, ending: Callable[[], None], ready: Callable[[], None]
) -> None:
    """Answer requests until a signal comes."""
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=32 << 10,
    )
    # What fails in an answer was told already, in one line.
    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
    logging.getLogger("uvicorn.error").propagate = False
    server = Server(config, ending)

    async def run() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[sock]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            ready()
        await serving

    with suppress(KeyboardInterrupt):
        asyncio.run(run())
