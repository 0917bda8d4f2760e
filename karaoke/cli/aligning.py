"""Options that say which times of words are found by listening."""

from __future__ import annotations

from typing import Any

from karaoke.errors import UsageError

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
