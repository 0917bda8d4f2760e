"""The words of a song as JSON: for the page, and to keep them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from karaoke.files import write_text
from karaoke.lyrics import (
    Lyrics,
    Timeline,
    write_ass,
    write_enhanced_lrc,
    write_lrc,
    write_srt,
)
from karaoke.lyrics.model import Line, Syllable, Word
from karaoke.lyrics.plain import write_plain

#: By the extension of the file.
FORMATS = {
    "lrc": lambda lyrics: write_lrc(lyrics, Timeline()),
    "elrc": lambda lyrics: write_enhanced_lrc(lyrics, Timeline()),
    "srt": lambda lyrics: write_srt(lyrics, Timeline()),
    "ass": lambda lyrics: write_ass(lyrics, Timeline()),
    "txt": write_plain,
}


def as_object(lyrics: Lyrics, doubtful: Collection[int] = ()) -> dict[str, Any]:
    """Give words as JSON holds them.

    Parameters
    ----------
    lyrics
        The words.
    doubtful
        Lines whose times are in doubt, counted from 1.
    """
    return {
        "title": lyrics.title,
        "artist": lyrics.artist,
        "language": lyrics.language,
        "timing": lyrics.timing,
        "doubtful": list(doubtful),
        "lines": [
            {
                "start": line.start_seconds,
                "end": line.end_seconds,
                "singer": line.singer,
                "stanza": line.starts_stanza,
                "words": [
                    {
                        "syllables": [
                            {
                                "text": syllable.text,
                                "start": syllable.start_seconds,
                                "end": syllable.end_seconds,
                                "pitch": syllable.pitch,
                            }
                            for syllable in word.syllables
                        ]
                    }
                    for word in line.words
                ],
            }
            for line in lyrics.lines
        ],
        "text": lyrics.text,
    }


def from_object(found: Mapping[str, Any]) -> Lyrics:
    """Read what :func:`as_object` gave."""
    return Lyrics(
        tuple(
            Line(
                tuple(
                    Word(
                        tuple(
                            Syllable(each["text"], each["start"], each["end"], each["pitch"])
                            for each in word["syllables"]
                        )
                    )
                    for word in line["words"]
                ),
                line["start"],
                line["end"],
                line["singer"],
                line["stanza"],
            )
            for line in found["lines"]
        ),
        title=found["title"],
        artist=found["artist"],
        language=found["language"],
    )


def read(path: Path) -> dict[str, Any] | None:
    """Read a file of words; None if there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def write(path: Path, lyrics: Lyrics, doubtful: Collection[int] = ()) -> dict[str, Any]:
    """Write a file of words, whole or not at all; return what it holds."""
    written = as_object(lyrics, doubtful)
    write_text(path, json.dumps(written, ensure_ascii=False))
    return written


def state_of(words: Mapping[str, Any], state: str) -> dict[str, Any]:
    """Sum words up for a list of songs: ``ready``, ``waiting`` for their times, or ``failed``."""
    return {
        "state": state,
        "timing": words["timing"],
        "lines": len(words["lines"]),
        "doubtful": words["doubtful"],
        "language": words["language"],
    }
