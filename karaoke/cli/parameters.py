"""Options of ``karaoke split``, as types; other commands have some of them too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

#: Panels of the help.
INPUT, WORDS, OUTPUT, MODEL, REPORT = "Songs", "Words", "Results", "Model", "Reports"


def option(panel: str, *names: str, variable: str = "", **details: Any) -> Any:
    """Declare an option of a panel of the help, which an environment variable may set."""
    if variable:
        details.update(envvar=f"KARAOKE_{variable}", show_envvar=False)
    return typer.Option(*names, rich_help_panel=panel, **details)


# As text: "", such as from an unset variable in a script, would become the current folder.
Songs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SONG",
        help="Sound or video files, folders of them, @LIST for a list of names, or - for"
        " standard input.",
    ),
]
Recursive = Annotated[bool, option(INPUT, "-r", "--recursive", help="Search subfolders too.")]
FromFile = Annotated[
    Path | None,
    option(
        INPUT,
        "--from-file",
        metavar="LIST",
        help="Read song names from a file (- for standard input), one per line or NUL-terminated.",
    ),
]
Shard = Annotated[
    str | None,
    option(
        INPUT,
        "--shard",
        metavar="K/N",
        help="Only the K-th of N shares of the songs, from 1/N to N/N; 0/N is N/N. Each song is in"
        " one of them, the same on all machines.",
        show_default="all songs",
    ),
]
Stream = Annotated[
    int | None,
    option(
        INPUT,
        "--stream",
        metavar="N",
        min=1,
        help="Which audio stream of a film to use.",
        show_default="the film's default",
    ),
]
Strict = Annotated[
    bool, option(INPUT, "--strict", help="Treat damaged or truncated songs as failures.")
]
StemsFrom = Annotated[
    Path | None,
    option(
        INPUT,
        "--from",
        metavar="DIR",
        help="Take the song's stems from a folder, vocals.* and instrumental.*.",
    ),
]
LyricsFile = Annotated[
    Path | None,
    option(
        WORDS,
        "--lyrics",
        metavar="FILE",
        help="LRC, UltraStar, SRT, WebVTT, ASS or plain text.",
        show_default="what lies beside the song, or in its tags",
    ),
]
NoLyrics = Annotated[bool, option(WORDS, "--no-lyrics", help="Look for no lyrics.")]
Language = Annotated[
    str | None,
    option(
        WORDS,
        metavar="LANGUAGE",
        help="Of the lyrics, as en or German.",
        show_default="what lyrics or tags say, else English",
    ),
]
Offset = Annotated[float, option(WORDS, metavar="SECONDS", help="Move all words; + is later.")]
Out = Annotated[
    Path,
    option(
        OUTPUT,
        "-o",
        "--out",
        metavar="DIR",
        help="Folder for the results; - writes one stem to standard output.",
        readable=False,
        variable="OUT",
    ),
]
Stems = Annotated[
    str | None,
    option(
        OUTPUT,
        metavar="A,B",
        help="Which of the model's stems to write.",
        show_default="all",
        variable="STEMS",
    ),
]
Name = Annotated[
    str,
    option(
        OUTPUT,
        "--name",
        "--filename",
        metavar="TEMPLATE",
        help="Names of the files within DIR: {title} is the song's name, {stem} and {ext} are the"
        " result's stem and extension, {parent} is the song's folder within the one you named, "
        "{folder} its whole folder as you named it, {source_ext} its extension, {model} the model.",
        variable="NAME",
    ),
]
Format = Annotated[
    str,
    option(
        OUTPUT,
        "--format",
        metavar="NAME",
        help="wav, flac, mp3, m4a, ogg or opus.",
        variable="FORMAT",
    ),
]
BitDepth = Annotated[
    str | None,
    option(
        OUTPUT,
        "--bit-depth",
        metavar="BITS",
        help="16, 24 or, for WAV, 32f.",
        show_default="24",
        variable="BIT_DEPTH",
    ),
]
Bitrate = Annotated[
    str | None,
    option(
        OUTPUT,
        metavar="RATE",
        help="For lossy formats, such as 192k.",
        show_default="high",
        variable="BITRATE",
    ),
]
Overwrite = Annotated[bool, option(OUTPUT, "--overwrite", help="Replace files that exist.")]
SkipExisting = Annotated[
    bool,
    option(
        OUTPUT,
        "--skip-existing",
        help="Skip songs whose results are complete and would come out the same.",
    ),
]
DryRun = Annotated[
    bool,
    option(
        OUTPUT,
        "--dry-run",
        help="Check everything, and print what would be written.",
    ),
]
FailFast = Annotated[bool, option(OUTPUT, "--fail-fast", help="Stop at the first song that fails.")]
Jobs = Annotated[
    int,
    option(MODEL, "-j", "--jobs", metavar="N", min=1, help="How many songs to work on at a time."),
]
EngineName = Annotated[
    str,
    option(
        MODEL,
        "--engine",
        metavar="NAME",
        help="Workers: threads, or dask for those of a cluster.",
    ),
]
Address = Annotated[
    str | None,
    option(MODEL, "--address", metavar="HOST:PORT", help="Scheduler of the Dask cluster."),
]
Model = Annotated[
    str,
    option(
        MODEL,
        "-n",
        "--model",
        metavar="NAME|PATH",
        help="A name from `karaoke models`, or a checkpoint file.",
        variable="MODEL",
    ),
]
Device = Annotated[
    str,
    option(
        MODEL,
        "-d",
        "--device",
        metavar="NAME",
        help="auto (the fastest available), cpu, cuda or mps.",
        variable="DEVICE",
    ),
]
Overlap = Annotated[
    float | None,
    option(
        MODEL,
        metavar="SHARE",
        help="Overlap of successive segments, from 0 to below 1.",
        show_default="the model's",
        variable="OVERLAP",
    ),
]
Quality = Annotated[
    str,
    option(
        MODEL,
        metavar="NAME",
        help="default, fast, or best of all models here.",
        variable="QUALITY",
    ),
]
Json = Annotated[
    bool, option(REPORT, "--json", help="Print one JSON object per song on standard output.")
]
ProgressKind = Annotated[
    str,
    option(
        REPORT,
        "--progress",
        metavar="KIND",
        help="auto (a bar on a terminal), lines, json (on standard error) or none.",
    ),
]
Quiet = Annotated[bool, option(REPORT, "-q", "--quiet", help="Print only errors and paths.")]
Verbose = Annotated[bool, option(REPORT, "-v", "--verbose", help="Print more about each song.")]
Debug = Annotated[
    bool, option(REPORT, "--debug", help="Show where in the code an error comes from.")
]

# Of commands whose help has no panels.
PlainDebug = Annotated[
    bool, typer.Option("--debug", help="Show where in the code an error comes from.")
]
PlainDevice = Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Corpora = Annotated[list[Path], typer.Argument(metavar="CORPUS...", help="Folders of recordings.")]
