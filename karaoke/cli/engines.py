"""``--engine`` and ``--address``: where songs are worked on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from karaoke.cli.piping import STANDARD
from karaoke.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.jobs.engines import Engine
    from karaoke.jobs.loading import ModelLoader
    from karaoke.jobs.naming import Song
    from karaoke.jobs.task import Task

ENGINES = ("threads", "dask")


def check_engine(wanted: Mapping[str, Any], songs: Sequence[Song]) -> None:
    """Refuse options that contradict each other, before any work.

    Raises
    ------
    UsageError
        The engine is unknown or lacks an address, or songs cannot be worked on elsewhere.
    """
    engine, address = wanted["engine"], wanted["address"]
    if engine not in ENGINES:
        raise UsageError(f"--engine {engine}: unknown", hint=f"Choose {' or '.join(ENGINES)}.")
    if engine == "threads":
        if address is not None:
            raise UsageError("--address: for --engine dask", hint="Add --engine dask.")
        return
    if address is None:
        raise UsageError("--engine dask: needs --address", hint="Give the scheduler's HOST:PORT.")
    if wanted["jobs"] > 1:
        raise UsageError(
            "--engine dask and --jobs: choose one of them",
            hint="Each thread of a worker takes a song: dask worker --nthreads.",
        )
    if wanted["out"] == STANDARD or any(song.path == STANDARD for song in songs):
        raise UsageError("-: only this computer has it", hint="Use files with --engine dask.")


@contextmanager
def engine_for(
    tasks: Sequence[Task], wanted: Mapping[str, Any], console: Console
) -> Iterator[tuple[Engine, ModelLoader] | None]:
    """Connect to where songs are worked on, and make what loads the model there.

    None is this process.

    Raises
    ------
    ClusterError
        Nobody can work on them.
    """
    if wanted["engine"] == "threads" or not tasks:
        yield None
        return
    from karaoke.jobs.cluster import require_fit
    from karaoke.jobs.engines.dask import DaskEngine, connected
    from karaoke.jobs.loading import ModelLoader
    from karaoke.store.catalogue import name_from_anywhere

    settings = tasks[0].settings
    model = name_from_anywhere(settings.model)
    load = ModelLoader(
        model, settings.weights_sha256, wanted["device"], settings.overlap, settings.quality
    )
    with connected(wanted["address"]) as client:
        require_fit(client, tasks[0], model)
        workers = len(client.nthreads())
        console.print(f"{workers} workers at {wanted['address']}", markup=False)
        yield DaskEngine(client), load
