"""Options that say which times of words are found by listening."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from karaoke.errors import UsageError

if TYPE_CHECKING:
    from karaoke.jobs.aligning import Listening
    from karaoke.lyrics.model import Lyrics

#: Kinds of what is made that a draft can be written as.
TEXTS = {"lrc", "elrc", "srt", "ass", "kar"}
WAYS = ("auto", "none", "lines", "words")


def check_align(wanted: dict[str, Any]) -> None:
    """Check what ``--align`` and ``--language`` say.

    Raises
    ------
    UsageError
        They are unknown.
    """
    if wanted["align"] not in WAYS:
        raise UsageError(
            f"--align {wanted['align']}: unknown", hint=f"Choose of {', '.join(WAYS)}."
        )
    check_language(wanted["language"])


def check_offset(seconds: float) -> None:
    """Check what ``--offset`` says.

    Raises
    ------
    UsageError
        It is longer than songs are.
    """
    if not abs(seconds) <= 3600:
        raise UsageError(f"--offset {seconds:g}: not within an hour")


def check_language(language: str | None) -> None:
    """Check what ``--language`` says.

    Raises
    ------
    UsageError
        It is unknown.
    """
    from karaoke.lyrics.languages import LANGUAGES, language_code

    if language is not None and language_code(language) not in LANGUAGES:
        raise UsageError(
            f"--language {language}: unknown", hint="Name it in English, or by its two letters."
        )


def choose_listening(words: Lyrics | None, way: str, kinds: set[str]) -> Listening:
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
