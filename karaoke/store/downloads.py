"""Downloads: resumed, bounded, verified, and in place only once they are complete.

The bytes go to a part file that survives a lost connection and a killed process; the next call
resumes it. Size and SHA-256 are checked before the file gets its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from karaoke.errors import (
    ChecksumError,
    KaraokeError,
    NetworkError,
    UnavailableError,
)
from karaoke.files import checksum, flush, rename_over, writing_to
from karaoke.store.catalogue import Download, Wheel, is_offline

#: What to do if models may not be written.
OTHER_FOLDER = "Set KARAOKE_MODELS to another folder."
#: Called with the bytes of a file downloaded so far and, if known, its size.
BytesDone = Callable[[int, int | None], object]

BLOCK = 1 << 16
#: Time limit for a connection, and for the next byte.
PATIENCE_SECONDS = 30.0
#: Limit for a file of unpublished size; an endless download must not fill the disk.
MOST_BYTES = 2_000_000_000
#: Status codes of temporary errors; all other refusals are final.
PASSING = {408, 425, 429, *range(500, 600)}
AGAIN = "Try again later; it resumes where it broke off."
#: No weights file begins like this, whatever type the server declares.
WEB_PAGE = re.compile(rb"\s*<(!doctype html|html)\b", re.IGNORECASE)


def fetch(file: Download, target: Path, *, progress: BytesDone | None = None) -> None:
    """Download a file or resume its download, unless it is already here.

    Proxies are those of the environment (``HTTPS_PROXY``, ``NO_PROXY``, ...).

    Parameters
    ----------
    file
        The file's URLs and checksum.
    target
        Where it goes; its folder must exist. A part file beside it ends in ``.part``.
    progress
        Called with how far the download is.

    Raises
    ------
    UnavailableError
        The user wants no network access, or no URL has the file.
    NetworkError
        No server could be reached, or the connection was lost; received data is kept.
    ChecksumError
        The file was twice not the one that was published; it is deleted.
    WriteError, PermissionDeniedError
        The file cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with writing_to(target, hint=OTHER_FOLDER):
        if target.is_file():
            if matches(file, target):
                return
            target.unlink()
        whole = part.is_file() and matches(file, part)
        for _ in range(2):
            if not whole:
                transfer(file, part, progress)
                whole = matches(file, part)
            if whole:
                settle(part, target)
                return
            part.unlink()
    raise ChecksumError(
        f"{file.urls[0]}: twice not the file that was published (SHA-256 {file.sha256})",
        hint="Nothing was kept. It is altered on the way, or was replaced; try another network.",
    )


def matches(file: Download | Wheel, path: Path) -> bool:
    """Return whether a file's size and SHA-256 are as published."""
    if file.size_bytes not in (None, path.stat().st_size):
        return False
    return checksum(path).startswith(file.sha256)


def settle(part: Path, target: Path) -> None:
    """Give a verified file its name once it is on the disk, not just in its cache."""
    flush(part)
    rename_over(part, target)


def transfer(file: Download, part: Path, progress: BytesDone | None) -> None:
    """Complete a part file from the first URL that works.

    Raises
    ------
    UnavailableError, NetworkError
        No URL works; NetworkError if any failure may be temporary.
    """
    if is_offline():
        raise UnavailableError(
            f"{file.urls[0]}: not downloaded, since karaoke is offline",
            hint="Leave out --offline and KARAOKE_OFFLINE, or copy the file here and run karaoke"
            " models import.",
        )
    if progress is not None:
        progress(part.stat().st_size if part.is_file() else 0, file.size_bytes)
    failure: KaraokeError | None = None
    for url in file.urls:
        try:
            with connected(url):
                transfer_from(url, file, part, progress)
            return
        except NetworkError as error:
            failure = error
        except UnavailableError as error:
            failure = failure or error
    assert failure is not None, "a download has at least one URL"
    raise failure


@contextmanager
def connected(url: str) -> Iterator[None]:
    """Turn network errors into ours."""
    try:
        yield
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
        requests.exceptions.TooManyRedirects,
    ) as error:
        raise UnavailableError(
            f"{url}: not a URL that can be downloaded from",
            hint="Correct the URL in the model's entry.",
        ) from error
    except requests.exceptions.ProxyError as error:
        raise NetworkError(
            f"{url}: the proxy does not answer", hint="Check HTTPS_PROXY and HTTP_PROXY."
        ) from error
    except requests.exceptions.SSLError as error:
        raise NetworkError(
            f"{url}: no trusted connection",
            hint="Check the clock; behind a company's proxy, set REQUESTS_CA_BUNDLE.",
        ) from error
    except requests.exceptions.Timeout as error:
        raise NetworkError(f"{url}: the server does not answer", hint=AGAIN) from error
    except requests.exceptions.RequestException as error:
        # The underlying messages are chains of reprs; what matters is that it broke.
        raise NetworkError(f"{url}: no connection, or it broke", hint=AGAIN) from error


def transfer_from(url: str, file: Download, part: Path, progress: BytesDone | None) -> None:
    """Append what a part file lacks, or start over if the server cannot resume.

    Raises
    ------
    UnavailableError, NetworkError
        The server has no such file, or the connection was lost.
    """
    have = part.stat().st_size if part.is_file() else 0
    if file.size_bytes is not None and have > file.size_bytes:
        have = 0
    # If the transfer were compressed, the range would count other bytes.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=PATIENCE_SECONDS) as answer:
        stale = have and not goes_on(answer, file, have)
        if not stale:
            refuse(url, answer)
            # A server that answers 200 sends the whole file, whatever was asked for.
            start = have if answer.status_code == 206 else 0
            receive(url, answer, file, part, start, progress)
    if stale:
        part.unlink()
        transfer_from(url, file, part, progress)


def goes_on(answer: requests.Response, file: Download, have: int) -> bool:
    """Return whether an answer continues the part file, so that there is no need to start over."""
    if answer.status_code != 206:
        return answer.status_code != 416
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        return False
    return file.size_bytes is None or found[2] in ("*", str(file.size_bytes))


def refuse(url: str, answer: requests.Response) -> None:
    """Raise an error for an answer without the file.

    Raises
    ------
    UnavailableError, NetworkError
        The server does not have the file, or not at the moment.
    """
    status = answer.status_code
    if status in PASSING:
        raise NetworkError(f"{url}: the server says {status} {answer.reason}", hint=AGAIN)
    if status not in (200, 206):
        raise UnavailableError(
            f"{url}: the server says {status} {answer.reason}",
            hint="Look for a newer karaoke, or get the file and run karaoke models import.",
        )
    if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise web_page(url)


def web_page(url: str) -> UnavailableError:
    """Make the error for a web page in place of the file."""
    return UnavailableError(
        f"{url}: a web page instead of the weights",
        hint="Open the URL in a browser; the network may require you to log in.",
    )


def receive(
    url: str,
    answer: requests.Response,
    file: Download,
    part: Path,
    have: int,
    progress: BytesDone | None,
) -> None:
    """Write the body of an answer to a part file, from offset ``have`` on.

    Raises
    ------
    NetworkError
        The body ends too early.
    UnavailableError
        The body is a web page.
    """
    declared = answer.headers.get("Content-Length", "")
    end = have + int(declared) if declared.isdigit() else file.size_bytes
    with part.open("r+b" if have else "wb") as out:
        out.seek(have)
        out.truncate()
        for block in answer.iter_content(BLOCK):
            if have == 0 and WEB_PAGE.match(block):
                raise web_page(url)
            out.write(block)
            have += len(block)
            if progress is not None:
                progress(have, file.size_bytes or end)
            if have > (file.size_bytes or MOST_BYTES):
                return  # not the file; its checksum will say so
    if end is not None and have < end:
        raise NetworkError(f"{url}: broke off at {have} of {end} bytes", hint=AGAIN)
