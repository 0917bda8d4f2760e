"""One song from file to files: a separator between audio in and audio out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from karaoke.audio import (
    AudioReader,
    Block,
    OutputFormat,
    channel_groups,
    encode,
    fit_tags,
    in_blocks,
    read_back,
    read_tags,
    unspoken,
)
from karaoke.audio.blocks import silenced
from karaoke.audio.spools import Spool
from karaoke.errors import NotAudioError, OutputExistsError, WriteError
from karaoke.files import PartFile, check_writable, locked, publish_all, sweep, writing_to
from karaoke.jobs.manifest import Settings, describe, identify, with_earlier
from karaoke.jobs.planning import Job
from karaoke.separation.separator import Separator

#: Told the seconds of the song that are done and, where it is declared, its duration.
SongProgress = Callable[[float, float | None], None]
#: Samples per channel that are read back at a time.
RESIDUAL_BLOCK = 1 << 16


@dataclass(frozen=True)
class SplitResult:
    """What was written, and what a user should know about it.

    Parameters
    ----------
    outputs
        Written files by stem.
    manifest
        What the manifest says about them; see :mod:`karaoke.jobs.manifest`.
    sample_rate, channels
        Of the song.
    seconds
        Duration of the song.
    elapsed_seconds
        Time that it took.
    gain
        Factor on all stems that kept them from clipping; 1 when none would have.
    warnings
        Sentences without a full stop.
    residual_dbfs
        Peak of what the files, read back, lack of the song, if all its stems were written to
        files that keep samples; else None.
    """

    outputs: dict[str, Path]
    manifest: dict[str, Any]
    sample_rate: int
    channels: int
    seconds: float
    elapsed_seconds: float
    gain: float
    warnings: list[str]
    residual_dbfs: float | None


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Make a writable folder; if the work in it fails, remove what was made and is empty."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    with writing_to(path):
        path.mkdir(parents=True, exist_ok=True)
    try:
        check_writable(path)
        yield
    except BaseException:
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise


def split_song(
    job: Job,
    separator: Separator,
    chosen: OutputFormat,
    settings: Settings,
    *,
    overwrite: bool = False,
    strict: bool = False,
    progress: SongProgress | None = None,
    check: Callable[[], None] = lambda: None,
    cancelled: Event | None = None,
) -> SplitResult:
    """Separate a song and write its stems, all or none, in memory that its length does not affect.

    Parameters
    ----------
    job
        From :func:`karaoke.jobs.planning.plan`.
    separator
        The model; must have the stems of the job.
    chosen
        From :func:`karaoke.audio.output_format`.
    settings
        Which audio stream to take, and what the manifest is to say about how stems were made.
    overwrite
        Whether to replace outputs that exist.
    strict
        Whether a song that is damaged or shorter than it declares is an error.
    progress
        Called with the seconds of the song that are done and, where declared, its duration.
    check
        Called many times a second of work; what it raises ends the work, nothing written.
    cancelled
        Set where ``check`` is going to raise: ends the decoder, which might be waited for.

    Raises
    ------
    KaraokeError
        Any of its kinds; nothing was written then.
    """
    started = time.perf_counter()
    check_outputs(job, overwrite)
    identity = identify(job.source) if os.path.exists(job.source) else {}
    with (
        AudioReader(job.source, track=settings.track, cancelled=cancelled) as reader,
        ExitStack() as files,
    ):
        chosen.check_channels(reader.channels)
        troubles = list(filter(None, [prepare(job, files)]))
        spools = {stem: Spool(job.manifest.parent, reader.channels, files) for stem in job.outputs}
        fill_spools(spools, reader, separator, progress, check, troubles.append)
        check()
        if strict and (damage := reader.damage):
            raise NotAudioError(f'"{job.source}": {damage}', hint="Leave --strict out to go on.")
        gain = safe_gain(spools, chosen)
        parts = {stem: files.enter_context(PartFile(path)) for stem, path in job.outputs.items()}
        lost = write_stems(parts, spools, gain, reader, chosen, check)
        residual = residual_dbfs(parts, spools, gain, chosen, separator)
        facts = publish(job, settings, parts, identity)
        warnings = [*warnings_about(reader, gain, chosen, troubles), *lost]
        elapsed = time.perf_counter() - started
        return SplitResult(
            outputs=job.outputs,
            manifest=facts,
            sample_rate=reader.sample_rate,
            channels=reader.channels,
            seconds=reader.seconds_read,
            elapsed_seconds=elapsed,
            gain=gain,
            warnings=warnings,
            residual_dbfs=residual,
        )


def publish(
    job: Job, settings: Settings, parts: dict[str, PartFile], identity: dict[str, Any]
) -> dict[str, Any]:
    """Give finished stems their names, and their manifest last; return what it says."""
    facts = describe(job, settings, {stem: part.path for stem, part in parts.items()}, identity)
    with PartFile(job.manifest) as note:
        with writing_to(job.manifest):
            whole = with_earlier(facts, job.manifest)
            note.path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
            # A set that is half old and half new must not have the old one's manifest.
            job.manifest.unlink(missing_ok=True)
        publish_all([*parts.values(), note])
    return facts


def residual_dbfs(
    parts: dict[str, PartFile],
    spools: dict[str, Spool],
    gain: float,
    chosen: OutputFormat,
    separator: Separator,
) -> float | None:
    """Read the files back and add them up: the peak of what the song lacks, in dBFS.

    None for lossy formats, which keep no samples, and when not all stems were wanted.
    """
    if chosen.encoder is not None or set(spools) != set(separator.stems):
        return None
    peak = 0.0
    with ExitStack() as files:
        sounds = [files.enter_context(read_back(part.path)) for part in parts.values()]
        frames = next(iter(spools.values())).frames
        for start in range(0, frames, RESIDUAL_BLOCK):
            length = min(RESIDUAL_BLOCK, frames - start)
            blocks = [sound.read(length, dtype="float64", always_2d=True).T for sound in sounds]
            if not all(np.isfinite(block).all() for block in blocks):
                raise WriteError(f'"{next(iter(parts.values())).target}": did not read back')
            song = np.sum([spool.read(start, length) for spool in spools.values()], axis=0)
            peak = max(peak, float(np.abs(np.sum(blocks, axis=0) - gain * song).max()))
    return float(20 * np.log10(max(peak, 1e-10)))


def prepare(job: Job, files: ExitStack) -> str:
    """Lock the outputs, make their folders, and sweep what a killed process left there.

    Returns
    -------
    str
        Why they could not be locked, or nothing.
    """
    trouble = files.enter_context(locked(job.outputs.values()))
    for path in {path.parent for path in (*job.outputs.values(), job.manifest)}:
        files.enter_context(output_folder(path))
        sweep(path)
    return trouble


def check_outputs(job: Job, overwrite: bool) -> None:
    """Refuse to replace what exists, unless told to, and what is no file in any case."""
    for path in job.outputs.values():
        with writing_to(path):
            if path.is_dir():
                raise IsADirectoryError
            if path.exists() and not overwrite:
                raise OutputExistsError(f'"{path}": exists', hint="Add --overwrite to replace it.")


def fill_spools(
    spools: dict[str, Spool],
    reader: AudioReader,
    separator: Separator,
    progress: SongProgress | None,
    check: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    """Run the song through the model and keep the wanted stems on the disk.

    They wait there because the one gain that keeps all of them from clipping is known only at the
    end of the song.
    """

    def report(done: float) -> None:
        if progress is not None:
            progress(done, reader.declared_seconds)

    stream = separator.stream(
        reader.blocks(),
        sample_rate=reader.sample_rate,
        groups=channel_groups(reader.layout, reader.channels),
        progress=report,
        warn=warn,
    )
    for stems in stream:
        check()
        for stem, spool in spools.items():
            spool.append(stems[stem])


def write_stems(
    parts: dict[str, PartFile],
    spools: dict[str, Spool],
    gain: float,
    reader: AudioReader,
    chosen: OutputFormat,
    check: Callable[[], None],
) -> list[str]:
    """Encode every spool to its part file, with the song's tags; tell which of them are lost."""
    tags, lost = fit_tags(read_tags(reader.path, reader.track), chosen.extension)

    def lowered(spool: Spool) -> Iterator[Block]:
        for block in in_blocks(spool.read, spool.frames):
            check()
            yield np.float32(gain) * block

    for stem, spool in spools.items():
        encode(
            parts[stem],
            lowered(spool),
            sample_rate=reader.sample_rate,
            channels=reader.channels,
            frames=spool.frames,
            chosen=chosen,
            tags=tags.for_stem(stem),
            layout=reader.layout,
        )
    return lost


def safe_gain(spools: dict[str, Spool], chosen: OutputFormat) -> float:
    """Find one factor for all stems with which none clips; never louder than they are."""
    peak = max(spool.peak for spool in spools.values())
    return 1 / peak if chosen.clips and peak > 1 else 1.0


def warnings_about(
    reader: AudioReader, gain: float, chosen: OutputFormat, troubles: list[str]
) -> list[str]:
    """Tell what a listener might otherwise wonder about."""
    found = [said for said in (reader.damage, *reader.remarks, *troubles) if said]
    rate = chosen.rate_for(reader.sample_rate)
    if rate != reader.sample_rate:
        found.append(
            f"{chosen.extension} cannot hold {reader.sample_rate} Hz; written at {rate} Hz"
        )
    if nameless := unspoken(reader.layout, reader.channels):
        found.append(f"{chosen.extension} cannot say that its channels are {nameless}")
    if reader.non_finite:
        found.append(silenced(reader.non_finite))
    if gain != 1:
        found.append(f"all stems were lowered by {-20 * np.log10(gain):.2f} dB to avoid clipping")
    return found
