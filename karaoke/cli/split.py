"""``karaoke split``."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from karaoke.cli import parameters
from karaoke.cli.defaults import settle_model
from karaoke.cli.engines import check_engine, engine_for
from karaoke.cli.piping import STANDARD, pipe_song, spooled
from karaoke.cli.starting import import_torch
from karaoke.errors import BatchError, KaraokeError, NoInputError, OutputExistsError, UsageError
from karaoke.jobs.naming import DEFAULT_TEMPLATE, Song
from karaoke.store.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from karaoke.audio import OutputFormat
    from karaoke.cli.reporting import Reporter
    from karaoke.jobs.batch import BatchOptions
    from karaoke.jobs.manifest import SplitSettings
    from karaoke.jobs.task import Task
    from karaoke.separation.separator import Separator

#: Names of the stems in other programs.
STEM_ALIASES = {"no_vocals": "instrumental", "accompaniment": "instrumental", "vocal": "vocals"}


def split(
    context: typer.Context,
    songs: parameters.Songs = None,
    recursive: parameters.Recursive = False,
    from_file: parameters.FromFile = None,
    shard: parameters.Shard = None,
    stream: parameters.Stream = None,
    strict: parameters.Strict = False,
    out: parameters.Out = Path("separated"),
    stems: parameters.Stems = None,
    name: parameters.Name = DEFAULT_TEMPLATE,
    format_: parameters.Format = "wav",
    bit_depth: parameters.BitDepth = None,
    bitrate: parameters.Bitrate = None,
    overwrite: parameters.Overwrite = False,
    skip_existing: parameters.SkipExisting = False,
    dry_run: parameters.DryRun = False,
    fail_fast: parameters.FailFast = False,
    model: parameters.Model = DEFAULT_MODEL,
    device: parameters.Device = "auto",
    quality: parameters.Quality = "default",
    overlap: parameters.Overlap = None,
    jobs: parameters.Jobs = 1,
    engine: parameters.EngineName = "threads",
    address: parameters.Address = None,
    json_: parameters.Json = False,
    progress: parameters.ProgressKind = "auto",
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
    debug: parameters.Debug = False,
) -> None:
    """Split songs into vocals and instrumental, which add up to the song.

    The paths of the files go to standard output, one per line; all else to standard error.
    """
    from karaoke.audio import output_format
    from karaoke.cli.output import make_console
    from karaoke.cli.reporting import reporter_for
    from karaoke.jobs.planning import plan
    from karaoke.jobs.splitting import SplitTask

    import_torch()
    console = make_console(quiet=quiet)
    raw = out == STANDARD and format_.lower() == "raw"
    chosen = output_format("wav" if raw else format_, parse_bit_depth(bit_depth), bitrate)
    model, quality = settle_model(context, parse_stems(stems) or ("vocals",))
    wanted = choose_stems(stems, model)
    found, elsewhere = gather(context.params)
    load, used_device = model_loader(model, device, overlap, quality, console)
    if out == STANDARD:
        pipe_song(found, wanted, load, format_.lower(), stream, console)
        return
    facts = {"model": model, "device": used_device}
    reporter = reporter_for(context, console, facts, ("splitting", "split"))
    settings = settings_for(model, chosen, overlap, quality, stream)
    options = batch_options(context.params)
    with ExitStack() as saved:
        ready = [song_from_standard_input(song, saved) for song in found]
        extension = chosen.extension
        planned = plan(
            ready, out, wanted, extension, template=name, model=model, elsewhere=elsewhere
        )
        tasks = [SplitTask(job, settings, chosen, overwrite, strict) for job in planned]
        run(tasks, load, options, reporter, context.params)


def batch_options(wanted: Mapping[str, Any]) -> BatchOptions:
    """Read what to do about existing outputs and failures from a command's options."""
    from karaoke.jobs.batch import BatchOptions

    return BatchOptions(
        wanted["skip_existing"], wanted["dry_run"], wanted["fail_fast"], wanted["jobs"]
    )


def check_for_one_song(
    songs: Sequence[Song], wanted: Mapping[str, Any], options: Sequence[str]
) -> None:
    """Refuse options that say something of one song, where there are several.

    Raises
    ------
    UsageError
        One of them was given, and there is not one song.
    """
    for option in options:
        if wanted[option] is not None and len(songs) != 1:
            name = option.replace("stems_from", "from")
            raise UsageError(f"--{name}: for one song, not {len(songs)}", hint="Name one song.")


def settings_for(
    model: str, chosen: OutputFormat, overlap: float | None, quality: str, stream: int | None
) -> SplitSettings:
    """Collect what the stems will depend on, including the weights themselves."""
    from karaoke.files import checksum
    from karaoke.jobs.manifest import SplitSettings
    from karaoke.store.catalogue import find_model

    return SplitSettings(
        model=model,
        format=chosen.extension,
        bit_depth=chosen.bit_depth,
        bitrate=chosen.bitrate,
        overlap=overlap,
        quality=quality,
        stream=stream,
        weights_sha256=checksum(find_model(model)),
    )


def model_loader(
    model: str, device: str, overlap: float | None, quality: str, console: Console
) -> tuple[Callable[[], Separator], str]:
    """Return a function that loads the model on first use and announces it, and its device."""
    from functools import cache

    from karaoke.separation.devices import choose_device
    from karaoke.separation.qualities import find_quality
    from karaoke.separation.separator import check_overlap
    from karaoke.store.loading import load_model

    check_overlap(overlap)
    find_quality(quality)
    chosen, reason = choose_device(device)

    @cache
    def load() -> Separator:
        separator = load_model(model, device=str(chosen), overlap=overlap, quality=quality)
        precision = ", half precision" if separator.half else ""
        console.print(f"model {model} on {chosen} ({reason}){precision}", markup=False)
        return separator

    return load, str(chosen)


def song_from_standard_input(song: Song, saved: ExitStack) -> Song:
    """Save standard input to a file if it is the song."""
    if song.path != STANDARD:
        return song
    return Song(saved.enter_context(spooled()), named=str(STANDARD))


def run(
    tasks: Sequence[Task],
    load: Callable[[], Separator],
    options: BatchOptions,
    reporter: Reporter,
    wanted: Mapping[str, Any],
) -> None:
    """Run a batch, on the engine that is wanted, and report on each song.

    Raises
    ------
    KaraokeError
        The only song failed, or some of several did.
    """
    from karaoke.cli.forecast import Forecast
    from karaoke.jobs.batch import run_batch

    alone = len(tasks) == 1
    if not tasks:
        reporter.console.print("this shard has no songs; the others have them all", markup=False)
    error: KaraokeError | None = None
    forecast = Forecast(reporter.console, tasks, reporter.facts["device"], load)
    display = forecast.watch(reporter.progress_display)
    with ExitStack() as held:
        engine = None
        if elsewhere := held.enter_context(engine_for(tasks, wanted, reporter.console)):
            engine, load = elsewhere
            options = replace(options, jobs=engine.size)
        # Closed at once if interrupted, so as not to wait for the songs in progress.
        batch = run_batch(tasks, load, options, display, engine, begin=forecast.begin)
        for outcome in held.enter_context(closing(batch)):
            reporter.report(outcome, alone)
            error = error or outcome.error
    if error is not None and not alone:
        failed = f"{reporter.counts['failed']} of {len(tasks)} songs failed"
        # If every song's outputs clash, nothing was tried.
        clash = all(isinstance(task.job.error, OutputExistsError) for task in tasks)
        kind = OutputExistsError if clash else BatchError
        error = kind(failed, hint="See above.")
    if error is not None:
        raise Reported(error) if reporter.as_json else error


class Reported(KaraokeError):
    """An error that was already reported on standard output."""

    def __init__(self, error: KaraokeError) -> None:
        super().__init__(error.message, hint=error.hint)
        self.error = error


def parse_bit_depth(text: str | None) -> int | None:
    """Read 16, 24, 32 or 32f.

    Raises
    ------
    UsageError
        It is not one of these.
    """
    if text is None:
        return None
    depths = {"16": 16, "24": 24, "32": 32, "32f": 32}
    if text not in depths:
        raise UsageError(f"--bit-depth {text}: unknown", hint="Choose 16, 24 or 32f.")
    return depths[text]


def choose_stems(text: str | None, model: str) -> tuple[str, ...]:
    """Read the list of wanted stems; the model may have to be downloaded first.

    Raises
    ------
    UsageError
        The model has no such stem.
    ModelError
        There is no such model.
    """
    from karaoke.cli.models import offer_to_pull
    from karaoke.separation.headers import read_header, stem_names
    from karaoke.store.catalogue import find_model

    offer_to_pull(model)
    known = stem_names(read_header(find_model(model)).stems)
    wanted = parse_stems(text) or known
    for stem in wanted:
        if stem not in known:
            raise UsageError(f"--stems: no stem {stem!r}", hint=f"Stems: {', '.join(known)}.")
    return wanted


def parse_stems(text: str | None) -> tuple[str, ...]:
    """Read a list of stems, by their names here or in other programs; nothing is an empty one."""
    if text is None:
        return ()
    parts = text.lower().replace(" ", "").split(",")
    return tuple(dict.fromkeys(STEM_ALIASES.get(part, part) for part in parts))


def gather(wanted: Mapping[str, Any]) -> tuple[list[Song], list[Song]]:
    """Collect the songs from the arguments, folders and lists.

    Returns
    -------
    tuple
        The songs of this shard, and those of the others.

    Raises
    ------
    UsageError
        No songs were named, one has an empty name, or they cannot be where they are wanted.
    NoInputError
        A list cannot be read, or a folder contains no songs.
    """
    from karaoke.jobs.planning import find_songs, list_entries, printable
    from karaoke.jobs.shards import parse_shard

    from_file = wanted["from_file"]
    inputs: list[str] = []
    for song in wanted["songs"] or []:
        if not song:
            raise UsageError('"" names no song', hint="Perhaps a variable is empty.")
        if song.startswith("@") and not os.path.exists(song):
            inputs += list_entries(read_bytes(Path(song[1:])), song[1:])
        else:
            inputs.append(song)
    if from_file is not None:
        inputs += list_entries(read_bytes(from_file), printable(from_file))
    if not inputs:
        raise UsageError("no songs named", hint="Name files or folders; see --help.")
    found = find_songs(inputs, recursive=wanted["recursive"])
    check_engine(wanted, found)
    if wanted["out"] == STANDARD and wanted["shard"] is not None:
        raise UsageError("-o - and --shard: choose one of them")
    return parse_shard(wanted["shard"]).divide(found)


def read_bytes(path: Path) -> bytes:
    """Read a list; ``-`` is standard input.

    Raises
    ------
    NoInputError
        The list cannot be read.
    """
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoInputError(f'"{path}": {error.strerror}') from error
