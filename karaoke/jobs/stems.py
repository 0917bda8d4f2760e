"""Stems that exist already."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from karaoke.audio import AudioReader, Block, Spool
from karaoke.errors import NoInputError, UsageError

STEMS = ("vocals", "instrumental")


def read_stems(
    folder: Path, spools: dict[str, Spool], reader: AudioReader, silence: Iterable[Block]
) -> None:
    """Fill spools from files that are called as their stems are, after a silence.

    Raises
    ------
    NoInputError
        A stem is not there.
    UsageError
        It has another rate or other channels than the song.
    """
    for stem, spool in spools.items():
        found = sorted(path for path in folder.glob(f"{stem}.*") if path.is_file())
        if not found:
            raise NoInputError(f'"{folder}": has no {stem}', hint="Name the folder of its stems.")
        with AudioReader(found[0]) as stems:
            if (stems.sample_rate, stems.channels) != (reader.sample_rate, reader.channels):
                raise UsageError(
                    f'"{found[0]}": {stems.sample_rate} Hz and {stems.channels} channels, but the'
                    f" song has {reader.sample_rate} Hz and {reader.channels}",
                    hint="Take the stems of this very song.",
                )
            for block in chain(silence, stems.blocks()):
                spool.append(block)
