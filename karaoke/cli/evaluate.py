"""``karaoke evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karaoke.cli.parameters import PlainDebug, PlainDevice
from karaoke.store.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.evaluation.methods import Method
    from karaoke.evaluation.scoring import Figures


Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of the songs.")]
Songs = Annotated[list[str] | None, typer.Argument(metavar="[SONG...]", help="All by default.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "-n",
        "--model",
        metavar="NAME|PATH[@QUALITY]",
        help="Model to measure, @fast for that quality; may be repeated.",
        show_default=f"{DEFAULT_MODEL}, unless a baseline is named",
    ),
]
Baselines = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        metavar="NAME",
        help="mixture, centre, HPSS, REPET-SIM, ideal-ratio-mask, ideal-binary-mask, or all;"
        " may be repeated.",
    ),
]
Subset = Annotated[
    str | None,
    typer.Option(
        help="train, test, validation or all.",
        show_default="test or validation, if there is one",
    ),
]
AsMp3 = Annotated[
    bool | None,
    typer.Option(
        "--mp3/--no-mp3",
        help="Convert mixtures to MP3 first.",
        show_default="if the songs come without a mixture",
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(help="Overlap of successive segments.", show_default="the model's"),
]
Memory = Annotated[
    bool,
    typer.Option("--memory", help="Measure peak memory, each model in its own process."),
]
Details = Annotated[
    bool, typer.Option("--details", help="Also print stems and octaves of every song.")
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write all figures; FILE.lines keeps them so that a stopped run can resume.",
    ),
]
CsvFile = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write one row per song and stem.")
]
PlotFile = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Draw a PNG, PDF or SVG figure.")
]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Use the results in FILE.lines of --json.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")]


def evaluate(
    dataset: Dataset,
    songs: Songs = None,
    model: Models = None,
    baseline: Baselines = None,
    subset: Subset = None,
    mp3: AsMp3 = None,
    device: PlainDevice = "auto",
    overlap: Overlap = None,
    json_: JsonFile = None,
    csv_: CsvFile = None,
    plot: PlotFile = None,
    memory: Memory = False,
    details: Details = False,
    resume: Resume = True,
    quiet: Quiet = False,
    debug: PlainDebug = False,
) -> None:
    """Measure models on songs whose stems are known.

    DATASET is MUSDB18, MUSDB18-HQ, DSD100, MIR-1K, a corpus for karaoke train (its validation songs
    are used), or a folder with one folder per SONG that contains vocals.* and accompaniment.* (or
    instrumental.*, or drums.*, bass.* and other.*), and optionally mixture.*, by default their sum.
    For each stem, the tables show BSSEval v4's ratios, SDR, SI-SDR, SI-SNR and NSDR of the whole
    song, and the quality of masks and magnitudes; for each octave, how much of the voice was kept
    and how much of the music leaked; for each song, for the half of the songs to choose a model by,
    for the half to report, and over all, SI-SDR above the mixture's over 10 s windows with singing,
    and the level of the vocals where nobody sings; and how far each model is ahead of the first,
    with the interval of a paired bootstrap.
    """
    from rich.console import Console

    from karaoke.evaluation import running
    from karaoke.evaluation.datasets import find_pieces
    from karaoke.evaluation.summary import to_csv, to_json
    from karaoke.files import locked, write_text
    from karaoke.separation.devices import choose_device

    check_outputs(json_, csv_, plot)
    layout, pieces = find_pieces(dataset, songs or (), subset)
    device = str(choose_device(device)[0])
    methods = choose_methods(model, baseline, device, overlap, memory=memory)
    lines = json_ and json_.with_name(f"{json_.name}.lines")
    console = Console(stderr=True, quiet=quiet, highlight=False, emoji=False)
    with locked([lines] if lines else []):
        journal = running.Journal(lines, resume=resume)
        with progress_display(console, len(pieces) * len(methods)) as progress:
            results = running.evaluate(
                pieces,
                methods,
                journal,
                device=device,
                as_mp3=mp3,
                progress=progress,
                warn=partial(warn, console),
            )
        if json_ is not None:
            write_text(json_, to_json({"dataset": layout, "mp3": mp3}, results, methods))
        if csv_ is not None:
            write_text(csv_, to_csv(results))
    show(results, methods, details=details)
    if plot is not None:
        from karaoke.evaluation.plots import draw
        from karaoke.evaluation.songs import load_reference

        chosen = next(piece for piece in pieces if piece.name == results[0].song)
        draw(plot, results, methods[0], load_reference(chosen, as_mp3=mp3))


def warn(console: Console, problem: str) -> None:
    """Warn that a song is left out."""
    console.print(f"warning: {problem}", markup=False, soft_wrap=True)


def show(results: Sequence[Figures], methods: Sequence[Method], *, details: bool) -> None:
    """Print all tables, as wide as the terminal, or 80 columns wide without one."""
    from rich.console import Console

    from karaoke.cli.figures import tables

    out = Console(emoji=False, highlight=False)
    if not out.is_terminal:
        out.width = 80
    for table in tables(results, methods, out.width, details=details):
        out.print(table)


def choose_methods(
    models: list[str] | None,
    baselines: list[str] | None,
    device: str,
    overlap: float | None,
    *,
    memory: bool = False,
) -> list[Method]:
    """Load the models and baselines asked for, by default the default model."""
    from dataclasses import replace

    from karaoke.evaluation.memory import peak_memory
    from karaoke.evaluation.methods import baseline_methods, model_method

    found = baseline_methods(baselines or ())
    names = models or ([] if found else [DEFAULT_MODEL])
    loaded = [model_method(name, device=device, overlap=overlap) for name in dict.fromkeys(names)]
    if memory:
        loaded = [
            replace(one, peak_memory_bytes=peak_memory(one.name, device=device, overlap=overlap))
            for one in loaded
        ]
    return [*loaded, *found]


def check_outputs(json_file: Path | None, csv_file: Path | None, plot_file: Path | None) -> None:
    """Refuse outputs that could not be written, before hours of work.

    Raises
    ------
    UsageError
        The format of the plot is unknown, or matplotlib is missing.
    WriteError, PermissionDeniedError
        A folder does not exist or may not be written to.
    """
    from karaoke.files import check_writable

    for path in (json_file, csv_file, plot_file):
        if path is not None:
            check_writable(path.parent)
    if plot_file is not None:
        from karaoke.evaluation.plots import check_plot

        check_plot(plot_file)


@contextmanager
def progress_display(console: Console, total: int) -> Iterator[Callable[[str, str], None]]:
    """Yield a function to call with the next song and method, shown as a bar or as lines."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        done = 0

        def show(song: str, method: str) -> None:
            nonlocal done
            bar.update(task, completed=done, description=f"{song}: {method}")
            if not console.is_terminal:
                console.print(f"{done + 1}/{total} {song}: {method}", markup=False, soft_wrap=True)
            done += 1

        yield show
