"""``karaoke make``."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from karaoke.cli import parameters
from karaoke.cli.piping import STANDARD
from karaoke.cli.split import (
    gather,
    model_loader,
    parse_bit_depth,
    run,
    settings_for,
    song_from_standard_input,
)
from karaoke.errors import UsageError
from karaoke.store.catalogue import DEFAULT_MODEL

#: Of what is made.
TEMPLATE = "{parent}/{title}/{title} ({stem}).{ext}"
MOST_SEMITONES = 12.0
SLOWEST, FASTEST = 0.5, 2.0
SINGER = "For the singer"

Guide = Annotated[
    str,
    typer.Option(
        "-g",
        "--guide",
        metavar="DB",
        help="Level of the voice under the band: -12, 0 for that in the song, or off.",
        rich_help_panel=SINGER,
    ),
]
Key = Annotated[
    float,
    typer.Option(
        "-k",
        "--key",
        metavar="N",
        help="Semitones up or, below 0, down; up to 12.",
        rich_help_panel=SINGER,
    ),
]
Tempo = Annotated[
    str,
    typer.Option(
        "-t",
        "--tempo",
        metavar="X",
        help="Speed, from 0.5 to 2, or as 90%.",
        rich_help_panel=SINGER,
    ),
]
LoudnessTarget = Annotated[
    str,
    typer.Option(
        "--loudness",
        metavar="LUFS",
        help="Bring all of it to a loudness by one gain, such as -14, as far as its peaks allow.",
        rich_help_panel=SINGER,
    ),
]
Excerpt = Annotated[
    str | None,
    typer.Option(metavar="A-B", help="Only this part, as 0:40-1:10.", rich_help_panel=SINGER),
]
StemsFrom = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Take the song's stems from a folder, vocals.* and instrumental.*.",
        rich_help_panel=parameters.INPUT,
    ),
]


def make(
    context: typer.Context,
    songs: parameters.Songs = None,
    recursive: parameters.Recursive = False,
    from_file: parameters.FromFile = None,
    stems_from: StemsFrom = None,
    stream: parameters.Stream = None,
    strict: parameters.Strict = False,
    guide: Guide = "off",
    key: Key = 0.0,
    tempo: Tempo = "1",
    loudness: LoudnessTarget = "off",
    excerpt: Excerpt = None,
    out: parameters.Out = Path("made"),
    name: parameters.Name = TEMPLATE,
    format_: parameters.Format = "m4a",
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
    json_: parameters.Json = False,
    progress: parameters.ProgressKind = "auto",
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
    debug: parameters.Debug = False,
) -> None:
    """Make songs to sing to: the band in your key and tempo, with a guide voice if you want one.

    Paths of the files go to standard output, one a line; all else to standard error.
    """
    from karaoke.audio import output_format
    from karaoke.cli.models import offer_to_pull
    from karaoke.cli.output import make_console
    from karaoke.cli.reporting import reporter_for
    from karaoke.jobs.batch import BatchOptions
    from karaoke.jobs.planning import plan
    from karaoke.making.task import MakeSettings, MakeTask

    if out == STANDARD:
        raise UsageError("-o -: karaoke make writes files only", hint="Name a folder.")
    console = make_console(quiet=quiet)
    chosen = output_format(format_, parse_bit_depth(bit_depth), bitrate)
    wishes = read_wishes(guide, key, tempo, loudness, excerpt, stems_from)
    found = gather(songs or [], from_file, recursive)
    if stems_from is not None and len(found) != 1:
        raise UsageError(f"--from: for one song, not {len(found)}", hint="Name one song.")
    offer_to_pull(model)
    load, used_device = model_loader(model, device, overlap, quality, console)
    facts = {"command": "make", "model": model, "device": used_device}
    reporter = reporter_for(context, console, facts, ("making", "made"))
    common = settings_for(model, chosen, overlap, quality, stream).as_dict()
    settings = MakeSettings(**common, **wishes)
    with ExitStack() as saved:
        ready = [song_from_standard_input(song, saved) for song in found]
        planned = plan(ready, out, ["karaoke"], chosen.extension, template=name, model=model)
        tasks = [MakeTask(job, settings, chosen, overwrite, strict) for job in planned]
        run(tasks, load, BatchOptions(skip_existing, dry_run, fail_fast, jobs), reporter)


def read_wishes(
    guide: str,
    key: float,
    tempo: str,
    loudness: str,
    excerpt: str | None,
    stems_from: Path | None,
) -> dict[str, Any]:
    """Read what the singer wants, as fields of :class:`karaoke.making.task.MakeSettings`.

    Raises
    ------
    UsageError
        Some of it cannot be.
    """
    return {
        "guide_db": parse_level("--guide", guide, (-60.0, 12.0)),
        "semitones": parse_key(key),
        "tempo": parse_tempo(tempo),
        "loudness_lufs": parse_level("--loudness", loudness, (-40.0, -5.0)),
        "excerpt": None if excerpt is None else parse_excerpt(excerpt),
        "stems_from": "" if stems_from is None else str(stems_from.absolute()),
    }


def parse_level(option: str, text: str, limits: tuple[float, float]) -> float | None:
    """Read a level in decibels within limits, or ``off``.

    Raises
    ------
    UsageError
        It is neither.
    """
    if text.strip().lower() == "off":
        return None
    try:
        level = float(re.sub(r"\s*(db|lufs)$", "", text.strip().lower()))
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: not a level", hint="Give decibels, such as -12, or off."
        ) from error
    low, high = limits
    if not low <= level <= high:
        raise UsageError(f"{option} {text}: not from {low:g} to {high:g}", hint="Or say off.")
    return level


def parse_key(semitones: float) -> float:
    """Check a number of semitones.

    Raises
    ------
    UsageError
        It is more than an octave.
    """
    if not abs(semitones) <= MOST_SEMITONES:
        raise UsageError(f"--key {semitones:g}: not from -12 to 12", hint="Give semitones.")
    return semitones


def parse_tempo(text: str) -> float:
    """Read a speed: a factor or a percentage.

    Raises
    ------
    UsageError
        It is neither, or out of range.
    """
    word = text.strip()
    try:
        tempo = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError as error:
        raise UsageError(
            f"--tempo {text}: not a speed", hint="Give a factor, such as 0.9, or 90%."
        ) from error
    if not SLOWEST <= tempo <= FASTEST:
        raise UsageError(f"--tempo {text}: not from {SLOWEST:g} to {FASTEST:g}")
    return tempo


def parse_excerpt(text: str) -> tuple[float, float | None]:
    """Read the times between which a part of a song lies; without the second, to its end.

    Raises
    ------
    UsageError
        They are no times, or the second is not after the first.
    """
    begin, dash, end = text.partition("-")
    hint = "Give two times, such as 0:40-1:10 or 40-70."
    if not dash:
        raise UsageError(f"--excerpt {text}: not a part of a song", hint=hint)
    try:
        first = parse_time(begin) if begin.strip() else 0.0
        last = parse_time(end) if end.strip() else None
    except ValueError as error:
        raise UsageError(f"--excerpt {text}: not a part of a song", hint=hint) from error
    if last is not None and last <= first:
        raise UsageError(f"--excerpt {text}: ends before it begins", hint=hint)
    return first, last


def parse_time(text: str) -> float:
    """Read seconds, minutes and seconds, or hours, minutes and seconds; or raise ValueError."""
    if not re.fullmatch(r"\s*(\d+:){0,2}\d+(\.\d*)?\s*", text):
        raise ValueError(text)
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
