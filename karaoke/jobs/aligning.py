"""Words of a song with the times at which its voice sings them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from karaoke.analysis.acoustics import recogniser_version
from karaoke.analysis.alignment import align_lyrics
from karaoke.analysis.drafting import draft_lines
from karaoke.analysis.sounds import Sound
from karaoke.audio.blocks import Warn
from karaoke.errors import LyricsError
from karaoke.lyrics.languages import language_code
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.reading import listed

#: What is found by listening: nothing, times of lines, of words too, or lines without words.
Listening = Literal["none", "lines", "words", "draft"]
#: Kinds of what is made that a draft can be written as.
TEXTS = {"lrc", "elrc", "srt", "ass", "kar"}


@dataclass(frozen=True)
class Words:
    """Lyrics with times, and what is to be reported of them."""

    lyrics: Lyrics
    facts: dict[str, Any] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        """Describe them, as JSON holds it."""
        return {
            "format": self.lyrics.format,
            "lines": len(self.lyrics.lines),
            "syllables": sum(1 for _ in self.lyrics.syllables()),
            "timing": self.lyrics.timing,
            **{"aligned": None, "doubtful_lines": [], **self.facts},
        }


def listen(
    lyrics: Lyrics,
    wanted: Listening,
    vocals: Sound,
    instrumental: Sound,
    warn: Warn,
    *,
    language: str,
    song: Path,
) -> Words:
    """Find in the separated stems what lyrics lack.

    Raises
    ------
    LyricsError
        A draft is wanted of a song in which nobody sings.
    """
    if wanted == "draft":
        lines = draft_lines(vocals, instrumental)
        if not lines:
            raise LyricsError(
                f'"{song}": nobody sings in it, so there are no lines to draft',
                hint="Say --to audio.",
            )
        return Words(replace(lyrics, lines=lines), {"aligned": "draft", "doubtful_lines": []})
    aligned = align_lyrics(
        lyrics, vocals, instrumental, language=language_code(language), words=wanted == "words"
    )
    doubtful = aligned.doubtful
    if len(doubtful) == len(aligned.doubts):
        warn("none of its lyrics could be found in its voice; are they those of this song?")
    elif doubtful:
        many = len(doubtful) > len(aligned.doubts) / 2
        question = "; are they those of this song?" if many else ""
        warn(f"its lyrics are in doubt in {listed(doubtful)} of {len(aligned.doubts)}{question}")
    return Words(aligned.lyrics, {"aligned": wanted, "doubtful_lines": doubtful})


def choose_listening(words: Lyrics | None, way: str, kinds: AbstractSet[str]) -> Listening:
    """Say what is to be found by listening, for the words that a song has, or has not."""
    if way == "none":
        return "none"
    if words is None:
        return "draft" if kinds & TEXTS and kinds <= {"audio", *TEXTS} else "none"
    if words.timing == "none":
        return "lines" if way == "lines" else "words"
    if way == "words" or (way == "auto" and words.timing == "lines"):
        return "words"
    return "none"


def depends_on(wanted: Listening, language: str) -> dict[str, str]:
    """Write down what the times depend on besides song and lyrics, for a manifest."""
    if wanted == "none":
        return {}
    version = "" if wanted == "draft" else recogniser_version()
    return {"align": wanted, "language": language, "recogniser": version}
