"""Lyrics from the tags of a song."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from karaoke.errors import LyricsError
from karaoke.lyrics.languages import language_code
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.reading import one_line
from karaoke.lyrics.sniffing import parse_text

#: Fields with lyrics, those with times first.
FIELDS = ("syncedlyrics", "lyrics")


def lyrics_from_text(text: str, called: str = "the lyrics in the tags") -> Lyrics:
    """Read lyrics from text in any of the formats.

    Parameters
    ----------
    text
        Text of a tag, such as USLT in ID3 or LYRICS in Vorbis comments.
    called
        What messages should call it.

    Raises
    ------
    LyricsError
        There are no lyrics in it.
    """
    return parse_text(text.replace("\r\n", "\n").replace("\r", "\n"), called)


def lyrics_from_tags(fields: Mapping[str, Sequence[str]], language: str = "") -> Lyrics | None:
    """Find lyrics among the fields of a song's tags, those with times first.

    Parameters
    ----------
    fields
        Values by name, from :mod:`karaoke.audio.tags`.
    language
        Language of the lyrics according to the tags.

    Returns
    -------
    Lyrics or None
        With what the tags say about the song; None if there are no lyrics.
    """
    found: Lyrics | None = None
    for value in (value for name in FIELDS for value in fields.get(name, ())):
        try:
            lyrics = lyrics_from_text(value)
        except LyricsError:
            continue
        if found is None or (found.timing == "none" and lyrics.timing != "none"):
            found = lyrics
    return None if found is None else with_facts(found, fields, language)


def with_facts(lyrics: Lyrics, fields: Mapping[str, Sequence[str]], language: str = "") -> Lyrics:
    """Add what a song's tags say of it, its composer included, unless the lyrics say it."""
    composer = first_of(fields, "composer")
    return replace(
        lyrics,
        metadata={**({"composer": composer} if composer else {}), **lyrics.metadata},
        title=lyrics.title or first_of(fields, "title"),
        artist=lyrics.artist or first_of(fields, "artist"),
        album=lyrics.album or first_of(fields, "album"),
        language=lyrics.language or language_code(language or first_of(fields, "language")),
    )


def first_of(fields: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the first value of a field, on one line; empty if there is none."""
    return one_line(next(iter(fields.get(name, ())), ""))
