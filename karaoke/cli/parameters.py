"""Options of the commands, as types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Panels of the help.
INPUT, OUTPUT, MODEL, REPORT = "Songs", "Results", "Model", "Reports"
# As text: a path of "", a script's unset variable, would be the current folder.
Songs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SONG",
        help="Sound or video files, folders of them, @LIST for a list of names,"
        " - for standard input.",
    ),
]
Recursive = Annotated[
    bool,
    typer.Option(
        "-r", "--recursive", help="Look into the folders of folders, too.", rich_help_panel=INPUT
    ),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        metavar="LIST",
        help="Read names of songs from a file (- is standard input), one a line or NUL-ended.",
        rich_help_panel=INPUT,
    ),
]
Stream = Annotated[
    int | None,
    typer.Option(
        "--stream",
        metavar="N",
        min=1,
        help="Which audio stream of a film.",
        show_default="the film's default",
        rich_help_panel=INPUT,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Fail songs that are damaged or cut short.", rich_help_panel=INPUT
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
        help="Which stems to write, of those that the model gives.",
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
        help="Names of the files, below DIR. {title} is the song's name, {stem} and {ext} those of"
        " the result; {parent} is the song's folder within the folder that you named, {folder} its"
        " whole folder as you named it, {source_ext} its own extension; {model} is the model.",
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
        metavar="RATE", help="Of lossy formats, such as 192k.", show_default="high",
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
        help="How many songs to work on side by side.",
        rich_help_panel=MODEL,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "-n",
        "--model",
        metavar="NAME|PATH",
        help="A model of `karaoke models`, or a checkpoint file.",
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
        help="auto (the fastest that is there), cpu, cuda or mps.",
        rich_help_panel=MODEL,
        envvar="KARAOKE_DEVICE",
        show_envvar=False,
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of a segment in common with the next, from 0 to below 1.",
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
    typer.Option(
        "-q", "--quiet", help="Print nothing but errors and paths.", rich_help_panel=REPORT
    ),
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
