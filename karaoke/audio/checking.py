"""Check what may be opened as a song, and guess what other files are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from karaoke.audio.tagging.id3 import synchsafe
from karaoke.errors import NoInputError, PermissionDeniedError

#: First bytes of files that people pass by mistake.
SIGNATURES = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"#EXTM3U", "a playlist"),
    (b"<", "HTML or XML"),
)


def seeming(path: Path) -> str:
    """Return what a file that is not audio seems to be, in parentheses; empty if unclear."""
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return " (the file is empty)"
    for signature, name in SIGNATURES:
        if start.lstrip().startswith(signature):
            return f" (looks like {name})"
    if is_free_format(start):
        return " (free-format MP3, which is not supported)"
    is_text = all(byte >= 32 or byte in b"\t\r\n\f" for byte in start)
    return " (looks like text)" if is_text else ""


def is_free_format(start: bytes) -> bool:
    """Return whether this is an MP3 whose frames state no bit rate, which ffmpeg cannot decode."""
    at = 0
    if start.startswith(b"ID3") and len(start) >= 10:
        at = 10 + synchsafe(start[6:10])
    frame = start[at : at + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return False
    return frame[2] & 0xF0 == 0 and frame[2] & 0x0C != 0x0C


def check_readable(path: Path) -> None:
    """Refuse what is not a regular file or may not be read.

    Raises
    ------
    NoInputError, PermissionDeniedError
        There is no such regular file, or it may not be read.
    """
    forbidden = PermissionDeniedError(f'"{path}": may not be read', hint="Check its permissions.")
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise forbidden from error
    except OSError as error:
        raise NoInputError(f'"{path}": no such file', hint="Check the name.") from error
    if stat.S_ISDIR(mode):
        raise NoInputError(f'"{path}": is a folder', hint="Name the songs in it.")
    if not stat.S_ISREG(mode):
        raise NoInputError(f'"{path}": is not a regular file', hint="Save it to a file first.")
    if not os.access(path, os.R_OK):
        raise forbidden
