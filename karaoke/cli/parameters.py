"""Options of ``karaoke split``, as types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Panels of the help.
INPUT, OUTPUT, MODEL, REPORT = "Songs", "Results", "Model", "Reports"
# As text: "", such as from an unset variable in a script, would become the current folder.
Songs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SONG",
        help="Sound or video files, folders of them, @LIST for a list of names, or - for"
        " standard input.",
    ),
]
Recursive = Annotated[
    bool,
    typer.Option("-r", "--recursive", help="Search subfolders too.", rich_help_panel=INPUT),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        metavar="LIST",
        help="Read song names from a file (- for standard input), one per line or NUL-terminated.",
        rich_help_panel=INPUT,
    ),
]
Stream = Annotated[
    int | None,
    typer.Option(
        "--stream",
        metavar="N",
        min=1,
        help="Which audio stream of a film to use.",
        show_default="the film's default",
        rich_help_panel=INPUT,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Treat damaged or truncated songs as failures.", rich_help_panel=INPUT
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="DIR",
        help="Folder for the results; - writes one stem to standard output.",
        readable=False,
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_OUT",
        show_envvar=False,
    ),
]
Stems = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Which of the model's stems to write.",
        show_default="all",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_STEMS",
        show_envvar=False,
    ),
]
Name = Annotated[
    str,
    typer.Option(
        "--name",
        "--filename",
        metavar="TEMPLATE",
        help="Names of the files within DIR: {title} is the song's name, {stem} and {ext} are the"
        " result's stem and extension, {parent} is the song's folder within the one you named, "
        "{folder} its whole folder as you named it, {source_ext} its extension, {model} the model.",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_NAME",
        show_envvar=False,
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="wav, flac, mp3, m4a, ogg or opus.",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_FORMAT",
        show_envvar=False,
    ),
]
BitDepth = Annotated[
    str | None,
    typer.Option(
        "--bit-depth",
        metavar="BITS",
        help="16, 24 or, for WAV, 32f.",
        show_default="24",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_BIT_DEPTH",
        show_envvar=False,
    ),
]
Bitrate = Annotated[
    str | None,
    typer.Option(
        metavar="RATE", help="For lossy formats, such as 192k.", show_default="high",
        rich_help_panel=OUTPUT, envvar="KARAOKE_BITRATE", show_envvar=False,
    ),
]  # fmt: skip
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that exist.", rich_help_panel=OUTPUT)
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Skip songs whose results are complete and would come out the same.",
        rich_help_panel=OUTPUT,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything and print what would be written, but write nothing.",
        rich_help_panel=OUTPUT,
    ),
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="Stop at the first song that fails.", rich_help_panel=OUTPUT),
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=1,
        help="How many songs to work on at a time.",
        rich_help_panel=MODEL,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "-n",
        "--model",
        metavar="NAME|PATH",
        help="A name from `karaoke models`, or a checkpoint file.",
        rich_help_panel=MODEL,
        envvar="KARAOKE_MODEL",
        show_envvar=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "-d",
        "--device",
        metavar="NAME",
        help="auto (the fastest available), cpu, cuda or mps.",
        rich_help_panel=MODEL,
        envvar="KARAOKE_DEVICE",
        show_envvar=False,
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Overlap of successive segments, from 0 to below 1.",
        show_default="the model's",
        rich_help_panel=MODEL,
        envvar="KARAOKE_OVERLAP",
        show_envvar=False,
    ),
]
Quality = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="fast or default.",
        rich_help_panel=MODEL,
        envvar="KARAOKE_QUALITY",
        show_envvar=False,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object per song on standard output.",
        rich_help_panel=REPORT,
    ),
]
ProgressKind = Annotated[
    str,
    typer.Option(
        "--progress",
        metavar="KIND",
        help="auto (a bar on a terminal), lines, json (on standard error) or none.",
        rich_help_panel=REPORT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Print only errors and paths.", rich_help_panel=REPORT),
]
Verbose = Annotated[
    bool,
    typer.Option("-v", "--verbose", help="Print more about each song.", rich_help_panel=REPORT),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", help="Show where in the code an error comes from.", rich_help_panel=REPORT
    ),
]
