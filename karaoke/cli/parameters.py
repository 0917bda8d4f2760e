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
    typer.Argument(metavar="[SONG...]", help="Sound or video files, folders, @LIST, - for stdin."),
]
Recursive = Annotated[
    bool, typer.Option("-r", "--recursive", help="Folders of folders.", rich_help_panel=INPUT)
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file", metavar="LIST", help="Names, one a line or NUL-ended.", rich_help_panel=INPUT
    ),
]
Track = Annotated[
    int | None,
    typer.Option(
        "--stream",
        min=1,
        help="Audio stream of a film.",
        show_default="the film's default",
        rich_help_panel=INPUT,
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Damaged songs are failures.", rich_help_panel=INPUT)
]
Out = Annotated[
    Path,
    typer.Option(
        *("-o", "--out"),
        metavar="DIR",
        help="Folder; - is stdout.",
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
        help="Which to write.",
        show_default="all",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_STEMS",
        show_envvar=False,
    ),
]
Name = Annotated[
    str,
    typer.Option(
        *("--name", "--filename"),
        metavar="TEMPLATE",
        help="With {parent}, {track}, {stem}, {ext}, {model}.",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_NAME",
        show_envvar=False,
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="wav, flac, mp3, m4a, ogg or opus.",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_FORMAT",
        show_envvar=False,
    ),
]
BitDepth = Annotated[
    str | None,
    typer.Option(
        help="16, 24 or, for WAV, 32f.",
        show_default="24 for WAV, FLAC",
        rich_help_panel=OUTPUT,
        envvar="KARAOKE_BIT_DEPTH",
        show_envvar=False,
    ),
]
Bitrate = Annotated[
    str | None,
    typer.Option(
        metavar="RATE", help="Of lossy formats, as 192k.", show_default="high",
        rich_help_panel=OUTPUT, envvar="KARAOKE_BITRATE", show_envvar=False,
    ),
]  # fmt: skip
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=OUTPUT)
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Skip songs that are complete.", rich_help_panel=OUTPUT),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check, print, split nothing.", rich_help_panel=OUTPUT)
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=OUTPUT)
]
Jobs = Annotated[
    int, typer.Option("-j", "--jobs", min=1, help="Songs side by side.", rich_help_panel=MODEL)
]
Model = Annotated[
    str,
    typer.Option(
        "-n",
        "--model",
        metavar="NAME|PATH",
        help="Model.",
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
        help="auto, cpu, cuda or mps.",
        rich_help_panel=MODEL,
        envvar="KARAOKE_DEVICE",
        show_envvar=False,
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        help="Of segments, in [0, 1).",
        show_default="the model's",
        rich_help_panel=MODEL,
        envvar="KARAOKE_OVERLAP",
        show_envvar=False,
    ),
]
Quality = Annotated[
    str,
    typer.Option(
        help="fast or default.",
        rich_help_panel=MODEL,
        envvar="KARAOKE_QUALITY",
        show_envvar=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="An object a song on stdout.", rich_help_panel=REPORT)
]
ProgressKind = Annotated[
    str,
    typer.Option(
        "--progress", help="auto, lines, json (on stderr) or none.", rich_help_panel=REPORT
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Errors only, and paths.", rich_help_panel=REPORT),
]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="More about each song.", rich_help_panel=REPORT)
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show where errors come from.", rich_help_panel=REPORT)
]
