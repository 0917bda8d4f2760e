"""What requests are refused with: an HTTP status, and an error for people."""

from __future__ import annotations

import errno
import sqlite3
from http import HTTPStatus
from typing import Any

from karaoke.errors import KaraokeError

#: By the codes of errors; what is not here is a fault of ours.
STATUS = {
    "usage": HTTPStatus.BAD_REQUEST,
    "not-audio": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "lyrics": HTTPStatus.UNPROCESSABLE_ENTITY,
    "no-input": HTTPStatus.NOT_FOUND,
    "exists": HTTPStatus.CONFLICT,
    "locked": HTTPStatus.CONFLICT,
    "permission": HTTPStatus.FORBIDDEN,
    "write": HTTPStatus.INSUFFICIENT_STORAGE,
    "ffmpeg": HTTPStatus.SERVICE_UNAVAILABLE,
    "model": HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


class Refusal(Exception):
    """A request that is not done.

    Parameters
    ----------
    status
        Of HTTP.
    message
        Why, without a full stop.
    hint
        What to do about it: a sentence.
    code
        For programs.
    facts
        Besides the error in the answer.
    headers
        Of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        hint: str = "",
        *,
        code: str = "",
        facts: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.hint = status, message, hint
        self.code = code or status.name.lower().replace("_", "-")
        self.facts, self.headers = facts or {}, headers or {}

    def as_object(self) -> dict[str, Any]:
        """Give the body of the answer."""
        error = {"code": self.code, "message": self.message, "hint": self.hint}
        return {"error": error, **self.facts}


def no_such(what: str) -> Refusal:
    """Refuse an id that nothing has."""
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no such {what}", "It may have been deleted.")


def is_full(error: Exception) -> bool:
    """Tell whether a database or a file could not grow."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or (isinstance(error, sqlite3.OperationalError) and "full" in str(error))


def as_refusal(error: Exception) -> Refusal:
    """Turn an error of a song into that of a request for it."""
    if isinstance(error, Refusal):
        return error
    if is_full(error):
        return Refusal(
            HTTPStatus.INSUFFICIENT_STORAGE, "the disk is full", "Free some space.", code="write"
        )
    if not isinstance(error, KaraokeError):
        text = f"{type(error).__name__}: {error}"
        return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, text, "This is a bug.", code="internal")
    status = STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    return Refusal(status, error.message, error.hint, code=error.code)


def error_object(error: KaraokeError, names: dict[str, str]) -> dict[str, str]:
    """Describe an error of a job; paths, which are nobody's business, become names.

    Parameters
    ----------
    error
        Of a task.
    names
        What people call the files, by their paths.
    """
    message, hint = error.message, error.hint
    for path, name in names.items():
        message, hint = message.replace(path, name), hint.replace(path, name)
    return {"code": error.code, "message": message, "hint": hint}
