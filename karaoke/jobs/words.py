"""The words of a song, and where they are found."""

from __future__ import annotations

import hashlib
from pathlib import Path

from karaoke.audio import read_tags
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.sniffing import read_lyrics
from karaoke.lyrics.tags import lyrics_from_tags, with_facts

#: Of files beside a song that have its name, in the order in which they are looked for.
EXTENSIONS = (".elrc", ".lrc", ".txt", ".ass", ".ssa", ".srt", ".vtt")


def beside(song: Path) -> Path | None:
    """Find a file with lyrics that lies beside a song and has its name."""
    for extension in EXTENSIONS:
        path = song.with_suffix(extension)
        if path.is_file():
            return path
    return None


def find_words(song: Path, named: Path | None) -> Lyrics | None:
    """Find the words of a song: in a file that was named, in one beside it, or in its tags.

    Words in tags that cannot be read are none.

    Parameters
    ----------
    song
        A file.
    named
        By the user, or None.

    Returns
    -------
    Lyrics or None
        With title and artist of the tags, where they have none themselves.

    Raises
    ------
    LyricsError, NoInputError, PermissionDeniedError
        The file with the lyrics cannot be read.
    """
    path = named or beside(song)
    fields = read_tags(song).fields if song.is_file() else {}
    if path is not None:
        return with_facts(read_lyrics(path), fields)
    return lyrics_from_tags(fields)


def without_words(song: Path) -> Lyrics:
    """Give lyrics without lines, with title and artist of the song's tags."""
    fields = read_tags(song).fields if song.is_file() else {}
    return with_facts(Lyrics((), format="draft"), fields)


def digest_of(*parts: object) -> str:
    """Give the SHA-256 of what words are written or drawn by, for manifests."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()
