"""Parts of addresses, and forms of answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse

from karaoke.service.options import bad
from karaoke.service.places import ID
from karaoke.service.refusals import no_such

#: Most songs or entries in one answer.
MOST_LISTED = 200
KINDS = {
    "opus": "audio/ogg", "flac": "audio/flac", "wav": "audio/wav", "mp3": "audio/mpeg",
    "m4a": "audio/mp4", "mp4": "video/mp4", "mkv": "video/x-matroska", "zip": "application/zip",
}  # fmt: skip


def json_answer(content: Any, status: int = 200) -> JSONResponse:
    """Answer with JSON that nobody keeps."""
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def id_in(request: Request, what: str = "song") -> str:
    """Return the id of an address.

    Raises
    ------
    Refusal
        It is none.
    """
    found = request.path_params["id"]
    if not ID.fullmatch(found):
        raise no_such(what)
    return str(found)


def listing(request: Request) -> tuple[str, str, int]:
    """Read what part of a list is asked for."""
    query, after = (request.query_params.get(name, "") for name in ("query", "after"))
    limit = request.query_params.get("limit", "50")
    if not re.fullmatch(r"\d{1,4}", limit) or not 1 <= int(limit) <= MOST_LISTED:
        raise bad(f"limit: not a number from 1 to {MOST_LISTED}")
    if after and not ID.fullmatch(after):
        raise no_such("song")
    return query[:200], after, int(limit)


def attachment(name: str) -> str:
    """Write a header that has a file saved under a name."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def download(path: Path, name: str) -> FileResponse:
    """Answer with a file to be saved."""
    kind = KINDS.get(path.suffix[1:], "application/octet-stream")
    headers = {"Content-Disposition": attachment(name), "Cache-Control": "no-cache"}
    return FileResponse(path, media_type=kind, headers=headers)
