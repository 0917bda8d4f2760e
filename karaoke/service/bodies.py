"""Bodies of requests: as they come, within limits of size and time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request

from karaoke.service.limits import TEXT_BYTES
from karaoke.service.refusals import Refusal

#: Between two pieces of a body.
PAUSE_SECONDS = 30.0
#: After which a body has to come at a rate that somebody means it.
SLOW_SECONDS, SLOWEST_BYTES_PER_SECOND = 10.0, 1000.0


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the body of a request; it ends early where the client went away.

    Raises
    ------
    Refusal
        It comes too slowly.
    """
    stream, began, received = request.stream(), time.monotonic(), 0
    while True:
        try:
            data = await asyncio.wait_for(anext(stream, None), PAUSE_SECONDS)
        except asyncio.TimeoutError as error:
            raise too_slow() from error
        except ClientDisconnect:
            return
        if data is None:
            return
        received += len(data)
        elapsed = time.monotonic() - began
        if elapsed > SLOW_SECONDS and received < SLOWEST_BYTES_PER_SECOND * elapsed:
            raise too_slow()
        if data:
            yield data


def too_slow() -> Refusal:
    """Refuse a body that does not come."""
    return Refusal(
        HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly", "Try again.",
        headers={"Connection": "close"},
    )  # fmt: skip


async def bytes_of(request: Request, most: int = TEXT_BYTES) -> bytes:
    """Return the whole body of a request.

    Raises
    ------
    Refusal
        It is too long, or comes too slowly.
    """
    found = bytearray()
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise too_long(most)
    async for data in pieces_of(request):
        found += data
        if len(found) > most:
            raise too_long(most)
    return bytes(found)


def too_long(most: int) -> Refusal:
    """Refuse a body that is too long."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{most:,} bytes at most are taken here",
        headers={"Connection": "close"},
    )  # fmt: skip


async def object_of(request: Request) -> dict[str, Any]:
    """Return the body of a request as an object of JSON.

    Raises
    ------
    Refusal
        It is none.
    """
    try:
        found = json.loads(await bytes_of(request) or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error
    if not isinstance(found, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not an object of JSON")
    return found
