"""Read lyrics in any format, which is recognised by content, not by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from karaoke.errors import LyricsError, NoInputError, PermissionDeniedError
from karaoke.lyrics.ass import read_ass
from karaoke.lyrics.decoding import HEAD, HINT, decode
from karaoke.lyrics.lrc import read_lrc
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.plain import read_plain
from karaoke.lyrics.reading import LONGEST_LINE, MOST_ROWS
from karaoke.lyrics.srt import read_srt
from karaoke.lyrics.ultrastar import read_ultrastar
from karaoke.lyrics.vtt import read_vtt

LARGEST_BYTES = 20_000_000
#: Beginnings of rows that only one format has, and its reader. The first one in a file counts,
#: since the words of a song may look like anything.
FORMATS: tuple[tuple[str, Callable[[str, str], Lyrics]], ...] = (
    (r"\A\s*WEBVTT\b", read_vtt),
    (r"^\[(?:Script Info|V4\+? Styles|Events)\]|^Dialogue:\s*(?:Marked=)?\d+,\d+:\d", read_ass),
    (r"^#(?:BPM|VERSION|MP3|AUDIO|GAP|TITLE|ARTIST)\s*:", read_ultrastar),
    (r"^[ \t]*-?\d{1,3}:\d{1,2}:\d{1,2}[,.]\d{1,3}[ \t]*-->", read_srt),
    (r"^[ \t]*[\[<][ \t]?-?\d{1,4}:\d{1,2}(?:[:.,]\d{1,3}){0,2}[ \t]?[\]>]", read_lrc),
)
PATTERNS = [(re.compile(sign, re.MULTILINE | re.IGNORECASE), read) for sign, read in FORMATS]


def read_lyrics(path: str | os.PathLike[str]) -> Lyrics:
    """Read lyrics from a file.

    Parameters
    ----------
    path
        A file in LRC, enhanced LRC, UltraStar, SRT, WebVTT, ASS or plain text.

    Returns
    -------
    Lyrics
        Their ``format``, ``encoding`` and ``warnings`` say how they were read.

    Raises
    ------
    NoInputError
        There is no such file.
    PermissionDeniedError
        It may not be read.
    LyricsError
        There are no lyrics in it; the message names line and column of the first problem.
    """
    path = Path(path)
    called = f'"{path}"'
    try:
        if not path.is_file():
            reason = "is not a regular file" if path.exists() else "no such file"
            raise NoInputError(f"{called}: {reason}", hint="Check the name.")
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except PermissionError as error:
        raise PermissionDeniedError(f"{called}: may not be read") from error
    except OSError as error:
        raise NoInputError(f"{called}: {error.strerror}", hint="Check the name.") from error
    return parse_lyrics(data, called)


def parse_lyrics(data: bytes, called: str = "the lyrics") -> Lyrics:
    """Read lyrics from the bytes of a file.

    Parameters
    ----------
    data
        At most 20 MB.
    called
        What messages should call the file.

    Raises
    ------
    LyricsError
        There are no lyrics in it; the message names line and column of the first problem.
    """
    if len(data) > LARGEST_BYTES:
        most = f"expected at most {LARGEST_BYTES // 1_000_000} MB"
        raise LyricsError(f"{called}: too large for lyrics, {most}", hint=HINT)
    if data.startswith(b"MThd"):
        raise LyricsError(f"{called}: a MIDI file, expected text", hint=HINT)
    text, encoding, warnings = decode(data, called)
    lyrics = parse_text(text, called)
    return replace(lyrics, encoding=encoding, warnings=(*warnings, *lyrics.warnings))


def parse_text(text: str, called: str) -> Lyrics:
    """Read lyrics from text with line feeds.

    Errors are those of :func:`parse_lyrics`.
    """
    if not text.strip():
        raise LyricsError(f"{called}: the file is empty, expected lyrics", hint=HINT)
    rows = text.split("\n")
    if len(rows) > MOST_ROWS:
        where = f"{called}, line {MOST_ROWS + 1}, column 1"
        raise LyricsError(f"{where}: expected the end of the file", hint=HINT)
    if len(longest := max(rows, key=len)) > LONGEST_LINE:
        where = f"{called}, line {rows.index(longest) + 1}, column {LONGEST_LINE + 1}"
        raise LyricsError(f"{where}: expected the end of the line", hint=HINT)
    head = text[:HEAD].lstrip("\ufeff")
    found = [(match.start(), read) for pattern, read in PATTERNS if (match := pattern.search(head))]
    read = min(found, key=lambda place: place[0])[1] if found else read_plain
    return read(text, called)
