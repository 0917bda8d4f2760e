"""``karaoke analyse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from karaoke.cli import parameters
from karaoke.store.catalogue import DEFAULT_MODEL

#: Names of what is written.
TEMPLATE = "{parent}/{title}/{title}.{ext}"

Write = Annotated[
    str | None,
    typer.Option(
        "--write",
        metavar="A,B",
        help="Files to write: json, midi, beats, chords, notes, kar, ultrastar, lead-sheet,"
        " picture, tutorial, or all.",
        show_default="none",
        rich_help_panel=parameters.OUTPUT,
    ),
]
NoSplit = Annotated[
    bool,
    typer.Option(
        "--no-split",
        help="Analyse the song as it is: quicker, and without the melody.",
        rich_help_panel=parameters.MODEL,
    ),
]


def analyse(
    context: typer.Context,
    songs: parameters.Songs = None,
    recursive: parameters.Recursive = False,
    from_file: parameters.FromFile = None,
    shard: parameters.Shard = None,
    stems_from: parameters.StemsFrom = None,
    stream: parameters.Stream = None,
    strict: parameters.Strict = False,
    lyrics: parameters.LyricsFile = None,
    no_lyrics: parameters.NoLyrics = False,
    language: parameters.Language = None,
    offset: parameters.Offset = 0.0,
    write: Write = None,
    out: parameters.Out = Path("analysed"),
    name: parameters.Name = TEMPLATE,
    overwrite: parameters.Overwrite = False,
    skip_existing: parameters.SkipExisting = False,
    dry_run: parameters.DryRun = False,
    fail_fast: parameters.FailFast = False,
    no_split: NoSplit = False,
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
    """Find the key, tempo, beats, chords and melody of songs.

    Words from --lyrics, from a file beside the song with its name, or from its tags are put on the
    notes; those without times are aligned to the voice.

    Without --write nothing is written: a table per song, or with --json an object per song on one
    line, goes to standard output. With it, the paths of the files go there instead of the table.
    """
    from karaoke.cli.analysing import analyse_all

    analyse_all(context)
