"""``karaoke split``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karaoke.catalogue import DEFAULT_MODEL
from karaoke.errors import BatchError, KaraokeError, WriteError

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.audio import OutputFormat
    from karaoke.separation import Separator
    from karaoke.splitting import Job, SplitResult


def split(
    songs: Annotated[
        list[Path], typer.Argument(metavar="SONG...", help="Sound or video files.", readable=False)
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="DIR", help="Folder for the results.", readable=False),
    ] = Path("separated"),
    model: Annotated[
        str, typer.Option("-n", "--model", metavar="NAME|PATH", help="Model to use.")
    ] = DEFAULT_MODEL,
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda or mps.")] = "auto",
    format_: Annotated[
        str, typer.Option("--format", help="wav, flac, mp3, m4a, ogg or opus.")
    ] = "wav",
    bit_depth: Annotated[
        int | None,
        typer.Option(help="16, 24 or, for WAV, 32 (float).", show_default="24 for WAV and FLAC"),
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(
            help="Share of a segment in common with the next, in [0, 1).",
            show_default="the model's",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Say nothing but errors; still print paths.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where errors come from.")] = False,
) -> None:
    """Split each SONG into DIR/<song>/vocals.wav and DIR/<song>/instrumental.wav.

    The two add up to the song. Their paths go to standard output, one a line; everything else
    goes to standard error. Exit codes: 0 done, 2 usage, 3 some songs failed, 65 not audio,
    66 no such file, 73 output exists, others in the README.
    """
    from rich.console import Console

    from karaoke.audio import output_format
    from karaoke.separation import choose_device, load_model
    from karaoke.splitting import plan

    chosen = output_format(format_, bit_depth)
    jobs = plan(songs, out, ("vocals", "instrumental"), chosen.extension)
    chosen_device, reason = choose_device(device)
    separator = load_model(model, device=str(chosen_device), overlap=overlap)
    console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True, emoji=False)
    console.print(f"model {model} on {chosen_device} ({reason})", markup=False)
    split_all(jobs, separator, chosen, overwrite, console)


def split_all(
    jobs: list[Job], separator: Separator, chosen: OutputFormat, overwrite: bool, console: Console
) -> None:
    """Split the songs one after another; one that fails does not stop the others."""
    from karaoke.cli.progress import progress_display
    from karaoke.splitting import split_song

    failures = 0
    for job in jobs:
        try:
            with progress_display(console, job.source) as progress:
                result = split_song(job, separator, chosen, overwrite=overwrite, progress=progress)
            report(console, job.source, result)
        except Exception as error:
            if len(jobs) == 1:
                raise
            failures += 1
            print(f"karaoke: {as_karaoke_error(error, job.source)}", file=sys.stderr)
    if failures:
        raise BatchError(f"{failures} of {len(jobs)} songs failed", hint="See above.")


def report(console: Console, source: Path, result: SplitResult) -> None:
    """Print the paths for scripts and a summary for people."""
    for warning in result.warnings:
        console.print(f'warning: "{source}": {warning}', markup=False)
    speed = result.seconds / max(result.elapsed_seconds, 1e-9)
    console.print(
        f'"{source.name}": {clock(result.seconds)} of music in {result.elapsed_seconds:.1f} s,'
        f" {speed:.1f} x real time",
        markup=False,
    )
    lines = b"".join(os.fsencode(path) + b"\n" for path in result.outputs.values())
    try:
        # As bytes: the name on the disk, whatever the encoding of the terminal.
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Nobody reads the paths any more; the songs are wanted all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise WriteError(
            f"standard output: {error.strerror}", hint="The files are written."
        ) from error


def as_karaoke_error(error: Exception, source: Path) -> KaraokeError:
    """Make one of ours of any error, so that a bug in one song does not stop the others."""
    if isinstance(error, KaraokeError):
        return error
    return KaraokeError(f'"{source}": {type(error).__name__}: {error}', hint="This is a bug.")


def clock(seconds: float) -> str:
    """Format a duration as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
