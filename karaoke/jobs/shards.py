"""Shards: which of several machines works on which songs, without any word between them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from karaoke.errors import UsageError
from karaoke.jobs.naming import Song


@dataclass(frozen=True)
class Shard:
    """One of the equal shares into which songs are divided.

    Every song belongs to exactly one of them, which follows from its name alone: the same on all
    machines, and whatever other songs there are.

    Parameters
    ----------
    number
        Which one, from 0 to below ``count``.
    count
        How many there are.
    """

    number: int = 0
    count: int = 1

    def __str__(self) -> str:
        """Return it as users write it, counted from 1."""
        return f"{self.number or self.count}/{self.count}"

    def holds(self, song: Song) -> bool:
        """Return whether a song belongs to it."""
        return place_of(song) % self.count == self.number

    def divide(self, songs: Sequence[Song]) -> tuple[list[Song], list[Song]]:
        """Divide songs into those that belong to it and those that do not, in their order."""
        ours = [song for song in songs if self.holds(song)]
        others = [] if self.count == 1 else [song for song in songs if not self.holds(song)]
        return ours, others


def place_of(song: Song) -> int:
    """Hash a song's path: below the folder that was named, or as named if it is not from one.

    Where that folder lies is left out, and so are differences that file systems make: machines may
    have it elsewhere, and Macs may decompose its letters.
    """
    path = song.parent / song.path.name if song.from_folder else song.path
    name = unicodedata.normalize("NFC", path.as_posix())
    # Names may hold what is no character: bytes on Linux, halves of characters on Windows.
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def parse_shard(text: str | None) -> Shard:
    """Read K/N, where K counts from 1 to N or from 0 to N - 1: shard 0 is shard N.

    Raises
    ------
    UsageError
        It is not that.
    """
    if text is None:
        return Shard()
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text, re.ASCII)
    number, count = map(int, found.groups()) if found else (0, 0)
    if count < 1:
        raise UsageError(f"--shard {text}: not a shard", hint="Give K/N, such as 1/10.")
    if number > count:
        raise UsageError(
            f"--shard {text}: there are {count} shards", hint=f"Give 1/{count} to {count}/{count}."
        )
    return Shard(number % count, count)
