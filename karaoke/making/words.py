"""The words of a song: where they are found, and what is drawn of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from karaoke.audio import read_tags
from karaoke.errors import LyricsError
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.sniffing import read_lyrics
from karaoke.lyrics.tags import lyrics_from_text

#: Of files beside a song that have its name, in the order in which they are looked for.
EXTENSIONS = (".elrc", ".lrc", ".txt", ".ass", ".ssa", ".srt", ".vtt")
#: Tags that may hold lyrics; those with times first.
FIELDS = ("syncedlyrics", "lyrics", "unsyncedlyrics")


def beside(song: Path) -> Path | None:
    """Find a file with lyrics that lies beside a song and has its name."""
    for extension in EXTENSIONS:
        path = song.with_suffix(extension)
        if path.is_file():
            return path
    return None


def find_words(song: Path, named: Path | None) -> Lyrics | None:
    """Find the words of a song: in a file that was named, in one beside it, or in its tags.

    What of them has no times is of no use for a film, and words in tags that cannot be read are
    none.

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
    tags = read_tags(song).fields if song.is_file() else {}
    lyrics = read_lyrics(path) if path is not None else None
    texts = [text for name in FIELDS for text in tags.get(name, ())] if lyrics is None else []
    for text in texts:
        try:
            found = lyrics_from_text(text)
        except LyricsError:
            continue
        if lyrics is None or (lyrics.timing == "none" and found.timing != "none"):
            lyrics = found
    if lyrics is None:
        return None
    title, artist = (next(iter(tags.get(name, ())), "") for name in ("title", "artist"))
    return replace(lyrics, title=lyrics.title or title, artist=lyrics.artist or artist)
