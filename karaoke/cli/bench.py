"""``karaoke models bench``: how long models take on this machine, and how much memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from karaoke import __version__
from karaoke.cli.models import quality_of
from karaoke.cli.output import (
    error_object,
    make_console,
    print_json,
    print_rows,
    say,
    say_error,
)
from karaoke.cli.parameters import AsJson, PlainDebug, PlainDevice
from karaoke.cli.timing import as_facts, memory_of, spoken_time, stems_in_short
from karaoke.errors import BatchError, KaraokeError
from karaoke.store import catalogue, speeds

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

BenchNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME[@QUALITY]",
        help="Models that are here, or checkpoint files; by default all that are here.",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors and the result.")]


def bench(
    names: BenchNames = None,
    device: PlainDevice = "auto",
    quiet: Quiet = False,
    json_: AsJson = False,
    debug: PlainDebug = False,
) -> None:
    """Measure how long a song takes on this machine, and how much memory.

    Each model separates at least ten seconds of made-up music, in a process of its own, as karaoke
    split does. Results are remembered: karaoke models shows them, and a split that will take long
    says so before it begins.
    """
    from karaoke.separation.qualities import split_quality

    console = make_console(quiet=quiet)
    warn_if_busy(console)
    chosen = list(dict.fromkeys(names or catalogue.available_models()))
    # What is not there is found before minutes of work.
    paths = {name: catalogue.find_model(split_quality(name)[0]) for name in chosen}
    found = [bench_one(name, paths[name], device, console) for name in chosen]
    if json_:
        print_json({"machine": speeds.machine(), "models": [entry for entry, _ in found]})
    else:
        print_measured([entry for entry, error in found if error is None])
    errors = [error for _, error in found if error is not None]
    if errors and not json_:
        for error in errors if len(chosen) > 1 else ():
            say_error(error)
        if len(chosen) == 1:
            raise errors[0]
    if errors:
        raise typer.Exit(int(BatchError.exit_code if len(chosen) > 1 else errors[0].exit_code))


def warn_if_busy(console: Console) -> None:
    """Warn if other programs want more cores than there are, on systems that tell."""
    from karaoke.separation.cores import usable_cores

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = usable_cores()
    if load > cores + 0.5:
        busy = f"other programs keep the processor busy (load {load:.1f}, {cores} cores)"
        say(console, "warning: ", "yellow", f"{busy}: times will be longer than on a quiet machine")


def bench_one(
    name: str, path: Path, device: str, console: Console
) -> tuple[dict[str, Any], KaraokeError | None]:
    """Measure a model and remember the result; return what is known of it, and what went wrong."""
    from karaoke.evaluation.bench import measure
    from karaoke.separation.qualities import split_quality

    model, quality = split_quality(name)
    console.print(f"{name}: measuring", markup=False)
    entry: dict[str, Any] = {"name": name, "quality": quality}
    try:
        stems, _ = catalogue.look_into(path)
        kind, speed = measure(str(path), device=device, quality=quality)
        known = speeds.Setup(__version__, speeds.weights_of(model), kind, quality)
        speeds.remember(known, speed)
    except KaraokeError as error:
        return {**entry, "status": "failed", "error": error_object(error)}, error
    shipped = model in catalogue.available_models()
    metrics = catalogue.find_entry(model).metrics if shipped and quality == "default" else {}
    facts = {"stems": list(stems), "device": kind, **as_facts(speed), "metrics": metrics}
    return {**entry, "status": "measured", **facts}, None


def print_measured(found: list[dict[str, Any]]) -> None:
    """Print a table of what was measured."""
    titles = ("model", "stems", "device", "4-minute song", "x real time", "memory", "quality")
    rows = []
    for facts in found:
        rows.append(
            (
                facts["name"],
                stems_in_short(facts["stems"]),
                facts["device"],
                spoken_time(facts["expected_seconds"]),
                f"{1 / facts['real_time_factor']:.1f}",
                memory_of(facts),
                quality_of(facts["metrics"]) or "-",
            )
        )
    if rows:
        print_rows(titles, rows, "karaoke models bench --json")
