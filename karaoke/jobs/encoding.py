"""Encode what lies in spools, all outputs side by side, and read the files back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Event

import numpy as np
from soundfile import SoundFile

from karaoke.audio import (
    AudioReader,
    Block,
    OutputFormat,
    Samples,
    Tags,
    encode,
    fit_tags,
    in_blocks,
    read_back,
)
from karaoke.audio.writing import NO_TAGS
from karaoke.errors import WriteError
from karaoke.files import HashedFile, PartFile, checksum
from karaoke.jobs.task import Cancelled


def write_stems(
    parts: dict[str, PartFile],
    spools: Mapping[str, Samples],
    gain: float,
    reader: AudioReader,
    chosen: OutputFormat,
    tags: Tags,
    check: Callable[[], None],
) -> list[str]:
    """Encode every spool to its part file with the song's tags; return warnings about lost tags."""
    tags, lost = fit_tags(tags, chosen.extension)
    given_up = Event()

    def check_both() -> None:
        check()
        if given_up.is_set():
            raise Cancelled

    def write(stem: str) -> None:
        encode_spool(
            parts[stem], spools[stem], gain, reader, chosen, check_both, tags.for_stem(stem)
        )

    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        try:
            list(pool.map(write, parts))
        except BaseException:
            given_up.set()
            raise
    return lost


def encode_spool(
    part: PartFile,
    spool: Samples,
    gain: float,
    reader: AudioReader,
    chosen: OutputFormat,
    check: Callable[[], None],
    tags: Tags = NO_TAGS,
) -> None:
    """Encode a spool, at a gain, to a part file that has the song's rate, channels and layout."""

    def lowered() -> Iterator[Block]:
        for block in in_blocks(spool.read, spool.frames):
            check()
            yield np.float32(gain) * block

    encode(
        part,
        lowered(),
        sample_rate=reader.sample_rate,
        channels=reader.channels,
        frames=spool.frames,
        chosen=chosen,
        tags=tags,
        layout=reader.layout,
    )


def verify(
    parts: dict[str, PartFile], spools: Mapping[str, Samples], gain: float, chosen: OutputFormat
) -> tuple[dict[str, str], float | None]:
    """Read the files back, once.

    Returns
    -------
    tuple
        The SHA-256 of each, and the peak difference in dBFS between their sum and that of the
        spools; None for lossy formats, which do not preserve samples.

    Raises
    ------
    WriteError
        They do not contain what was written.
    """
    if chosen.encoder is not None or not parts:
        return {stem: checksum(part.path) for stem, part in parts.items()}, None
    peak = 0.0
    with ExitStack() as files:
        hashed = {stem: files.enter_context(HashedFile(p.path)) for stem, p in parts.items()}
        sounds = [files.enter_context(read_back(file)) for file in hashed.values()]
        pool = files.enter_context(ThreadPoolExecutor(len(sounds)))
        for stems in zip(*(in_blocks(s.read, s.frames) for s in spools.values()), strict=True):
            length = stems[0].shape[1]
            read = partial(SoundFile.read, frames=length, dtype="float64", always_2d=True)
            blocks = [block.T for block in pool.map(read, sounds)]
            if not all(np.isfinite(block).all() for block in blocks):
                raise WriteError(f'"{next(iter(parts.values())).target}": did not read back')
            song = np.sum(stems, axis=0)
            peak = max(peak, float(np.abs(np.sum(blocks, axis=0) - gain * song).max()))
        checksums = {stem: file.sha256() for stem, file in hashed.items()}
    return checksums, round(float(20 * np.log10(max(peak, 1e-10))), 1)
