"""Who may ask: the code of the house, requests of our own page only, and what browsers may do."""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from karaoke.files import writing_to
from karaoke.service.refusals import Refusal

COOKIE = "karaoke"
COOKIE_SECONDS = 90 * 24 * 3600
#: Letters and digits that nobody confuses.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 6
#: Wrong codes from one address, and from all, until they have to wait.
MOST_WRONG, MOST_WRONG_IN_ALL = 10, 100
WAIT_SECONDS = 300.0
SAFE = ("GET", "HEAD")
#: What bodies may be: types that a page of another site cannot send without asking.
BODIES = ("application/json", "application/octet-stream")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self'"
    " blob:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def new_code() -> str:
    """Make a code that people can type."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def kept_secrets(data: Path) -> tuple[str, bytes]:
    """Return the code and the secret of a service's folder, which are made up once.

    Raises
    ------
    WriteError, PermissionDeniedError
        They cannot be written.
    """
    path = data / "code.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return str(found["code"]), bytes.fromhex(found["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        kept = {"code": new_code(), "secret": secrets.token_hex(32)}
    with writing_to(path):
        data.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(kept), encoding="utf-8")
    return kept["code"], bytes.fromhex(kept["secret"])


def normal(code: str) -> str:
    """Write a code as it is compared: without what people add."""
    return "".join(one for one in code.upper() if one.isalnum())


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class Door:
    """Who is let in.

    Parameters
    ----------
    code
        That is needed; empty for none.
    hosts
        Names and addresses by which we are called; None where any address of ours may be.
    read_only
        Whether nothing may be changed.
    secret
        Of the cookies that were given for a code.
    """

    code: str = ""
    hosts: Collection[str] = ("localhost", "127.0.0.1", "::1")
    read_only: bool = False
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _wrong: dict[str, list[float]] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """What the cookie of one who knows the code holds."""
        return hmac.new(self.secret, normal(self.code).encode(), "sha256").hexdigest()

    def knows_code(self, cookie: str) -> bool:
        """Tell whether a cookie was given for the code."""
        if not self.code:
            return True
        try:
            found = SimpleCookie(cookie).get(COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value, self.token)

    def try_code(self, code: str, address: str) -> bool:
        """Compare a code.

        Raises
        ------
        Refusal
            Too many were wrong.
        """
        now = time.monotonic()
        for known in list(self._wrong):
            times = [at for at in self._wrong[known] if now - at < WAIT_SECONDS]
            self._wrong[known] = times
            if not times:
                del self._wrong[known]
        wrong = self._wrong.get(address, [])
        if len(wrong) >= MOST_WRONG or sum(map(len, self._wrong.values())) >= MOST_WRONG_IN_ALL:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "too many wrong codes",
                f"Wait {WAIT_SECONDS / 60:g} minutes.",
                headers={"Retry-After": f"{WAIT_SECONDS:g}"},
            )  # fmt: skip
        right = not self.code or hmac.compare_digest(
            normal(code).encode(), normal(self.code).encode()
        )
        if not right:
            self._wrong.setdefault(address, []).append(now)
        return right

    def cookie(self) -> str:
        """Write the cookie of one who knows the code."""
        return f"{COOKIE}={self.token}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"

    def check_host(self, host: str) -> None:
        """Refuse a name that is not ours: another site's may be made to lead here.

        Raises
        ------
        Refusal
            It is not.
        """
        name = host.rsplit(":", 1)[0] if not host.endswith("]") and ":" in host else host
        name = name.strip("[]").lower().rstrip(".")
        try:
            # An address cannot be turned over to another site as a name can.
            ipaddress.ip_address(name)
            known = True
        except ValueError:
            known = name in self.hosts
        if not known:
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST, "this is not the name of this computer",
                "Use the address that karaoke serve printed.",
            )  # fmt: skip

    def check_request(self, method: str, headers: dict[str, str]) -> None:
        """Refuse changes that another site asks for, or that nobody may make.

        Raises
        ------
        Refusal
            It is such a request.
        """
        if method in SAFE:
            return
        refusal = Refusal(
            HTTPStatus.FORBIDDEN, "this request does not come from our page",
            "Programs: send the header X-Karaoke: 1.", code="cross-site",
        )  # fmt: skip
        if headers.get("x-karaoke") != "1":
            raise refusal
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise refusal
        origin = headers.get("origin")
        if origin is not None and origin.split("://", 1)[-1] != headers.get("host"):
            raise refusal
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if (has_body or kind) and kind not in BODIES:
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is neither JSON nor bytes",
                f"Send {' or '.join(BODIES)}.",
            )  # fmt: skip
        if self.read_only:
            raise Refusal(
                HTTPStatus.FORBIDDEN, "guests only listen here (--read-only)", code="read-only"
            )


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Read the headers of a request; of those that come twice, the last."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
