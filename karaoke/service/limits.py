"""How much a service takes on."""

from __future__ import annotations

from dataclasses import dataclass

from karaoke.errors import UsageError

#: Most bytes of one part of an upload.
CHUNK_BYTES = 8 << 20
#: Most bytes of a body that is JSON, lyrics among them.
TEXT_BYTES = 2 << 20
#: Uploads that are under way.
MOST_UPLOADS = 200
#: After which an upload that nobody went on with is forgotten.
UPLOAD_SECONDS = 24 * 3600.0
#: Free space that is left alone.
SPARE_BYTES = 100e6


@dataclass(frozen=True)
class Limits:
    """What is refused.

    Parameters
    ----------
    upload_bytes
        Most bytes of a song.
    length_seconds
        Longest song.
    queue
        Most jobs that wait.
    data_bytes
        Most bytes of all songs and what was made of them; None for 90 % of the disk.
    keep_seconds
        After which a song that nobody looked at is deleted; None for never.
    """

    upload_bytes: int = 500_000_000
    length_seconds: float = 3600.0
    queue: int = 100
    data_bytes: int | None = None
    keep_seconds: float | None = None


def check_length(seconds: float | None, longest_seconds: float) -> None:
    """Refuse a song that is too long.

    Raises
    ------
    UsageError
        It is.
    """
    if seconds is not None and seconds > longest_seconds:
        raise UsageError(
            f"the song is longer than {longest_seconds / 60:g} minutes",
            hint="Cut it, or start karaoke serve with another --max-length.",
        )
