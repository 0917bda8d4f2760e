"""``karaoke cluster``: the machines that ``--engine dask`` works on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karaoke.cli.commands import Command, Group
from karaoke.cli.defaults import default_model
from karaoke.cli.output import print_json, visible
from karaoke.cli.parameters import AsJson, PlainDebug
from karaoke.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from karaoke.jobs.cluster import Worker

app = typer.Typer(cls=Group, help="Check the machines of a Dask cluster.", no_args_is_help=True)
command = partial(app.command, cls=Command)

Inputs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="SONG", help="Songs and folders that the workers must see."),
]
Address = Annotated[str, typer.Option(metavar="HOST:PORT", help="Scheduler of the cluster.")]
Out = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the results.")]
Model = Annotated[
    str | None,
    typer.Option(
        "-n",
        "--model",
        metavar="NAME|PATH",
        help="The model that they must have.",
        show_default="that of karaoke split",
    ),
]


@app.callback()
def cluster() -> None:
    """Check the machines of a Dask cluster."""


@command()
def check(
    context: typer.Context,
    address: Address,
    songs: Inputs = None,
    out: Out = Path("separated"),
    model: Model = None,
    json_: AsJson = False,
    debug: PlainDebug = False,
) -> None:
    """Prove that each worker sees the same files and has the same karaoke, model and ffmpeg.

    A probe is written into the folder for results, read by each worker, answered beside it, and
    removed. The exit code is 0 if all workers are fit, 69 if one is not, and 75 without any.
    """
    from karaoke.files import checksum
    from karaoke.jobs.cluster import as_object, ask, probing
    from karaoke.jobs.engines.dask import connected
    from karaoke.store.catalogue import find_model, name_from_anywhere

    model = model or default_model(context)[0]
    weights = checksum(find_model(model))
    model = name_from_anywhere(model)
    with connected(address) as client, probing(out, songs or [], model, weights) as probe:
        workers = list(ask(client, probe))
    fit = sum(worker.is_fit for worker in workers)
    if json_:
        print_json({"fit": fit == len(workers), "workers": [as_object(each) for each in workers]})
    else:
        print_table(workers)
        print(f"{fit} of {len(workers)} workers are fit")
    if fit < len(workers):
        raise typer.Exit(int(ExitCode.UNAVAILABLE))


def print_table(workers: Sequence[Worker]) -> None:
    """Print a line for each worker, and below it what it lacks."""
    from karaoke.jobs.cluster import NEEDS

    names = [*NEEDS, "locks"]
    width = max(len(f"{each.address} {each.host}") for each in workers)
    print(f"{'worker':{width}}  {'  '.join(f'{name:8}' for name in names)}".rstrip())
    for each in workers:
        marks = "  ".join(f"{mark(each, name):8}" for name in names)
        print(f"{f'{each.address} {each.host}':{width}}  {marks}".rstrip())
        for name, reason in each.lacks.items():
            print(visible(f"  {name}: {reason}"))


def mark(worker: Worker, name: str) -> str:
    """Say in a word how it is with something."""
    from karaoke.jobs.cluster import NEEDS

    if name in worker.lacks:
        return "NO" if name in NEEDS else "no"
    return "ok" if name in worker.found else "?"
