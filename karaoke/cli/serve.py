"""``karaoke serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from karaoke.cli import parameters
from karaoke.cli.parameters import option
from karaoke.store.catalogue import DEFAULT_MODEL

WHERE, LIMITS = "Where", "Limits"

Host = Annotated[
    str,
    option(
        WHERE,
        metavar="ADDRESS",
        help="0.0.0.0 for phones in the same network, which then need a code.",
    ),
]
Port = Annotated[
    int,
    option(WHERE, "-p", "--port", min=0, max=65535, help="0 for any that is free."),
]
Open = Annotated[bool, option(WHERE, "--open", help="Open the browser.")]
Data = Annotated[
    Path | None,
    option(
        WHERE,
        metavar="DIR",
        help="Folder for songs, results and the queue.",
        show_default="karaoke in the user's data folder",
    ),
]
LibraryFolders = Annotated[
    list[Path] | None,
    option(
        WHERE,
        "--library",
        metavar="DIR",
        help="A folder of songs that may be picked; it is only read. May be repeated.",
    ),
]
Code = Annotated[
    str | None,
    option(
        WHERE,
        metavar="TEXT",
        help="The code that lets phones in, or none, on this computer alone.",
        show_default="one that is made up once",
    ),
]
ReadOnly = Annotated[
    bool,
    option(WHERE, "--read-only", help="Guests only look and listen."),
]
MaxUpload = Annotated[
    str,
    option(LIMITS, metavar="SIZE", help="Largest song, as 500MB."),
]
MaxLength = Annotated[
    float,
    option(LIMITS, metavar="MINUTES", min=0.1, help="Longest song."),
]
MaxQueue = Annotated[int, option(LIMITS, metavar="N", min=1, help="Most jobs that wait.")]
MaxData = Annotated[
    str | None,
    option(
        LIMITS,
        metavar="SIZE",
        help="Most space for all songs, as 50GB.",
        show_default="90 % of the disk",
    ),
]
Keep = Annotated[
    float | None,
    option(
        LIMITS,
        metavar="DAYS",
        min=0.0,
        help="Delete songs that nobody opened for so long.",
        show_default="for ever",
    ),
]


def serve(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8093,
    open_: Open = False,
    data: Data = None,
    library: LibraryFolders = None,
    code: Code = None,
    read_only: ReadOnly = False,
    max_upload: MaxUpload = "500MB",
    max_length: MaxLength = 60.0,
    max_queue: MaxQueue = 100,
    max_data: MaxData = None,
    keep: Keep = None,
    model: parameters.Model = DEFAULT_MODEL,
    device: parameters.Device = "auto",
    quality: parameters.Quality = "default",
    jobs: parameters.Jobs = 1,
    quiet: parameters.Quiet = False,
    debug: parameters.Debug = False,
) -> None:
    """Serve the same to browsers and phones: songs, a queue, and a page to sing by.

    It needs no network and no account. The address goes to standard output; Ctrl-C stops it, and
    what was under way goes on the next time.
    """
    from karaoke.cli.serving import serve_all

    serve_all(context)
