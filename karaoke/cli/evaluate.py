"""``karaoke evaluate``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karaoke.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from rich.table import Table

    from karaoke.evaluation import SongFigures

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Holds a folder per song.")]
Songs = Annotated[
    list[str] | None, typer.Argument(metavar="[SONG...]", help="Folders; all by default.")
]
Model = Annotated[str, typer.Option("-n", "--model", metavar="NAME|PATH", help="Model to use.")]
Device = Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda or mps.")]
Overlap = Annotated[
    float | None,
    typer.Option(help="Share of a segment in common with the next.", show_default="the model's"),
]
WithBaselines = Annotated[
    bool, typer.Option("--baselines", help="Compare with methods that learn nothing.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write every figure to a file.")
]


def evaluate(
    folder: Folder,
    songs: Songs = None,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    overlap: Overlap = None,
    with_baselines: WithBaselines = False,
    json_file: JsonFile = None,
) -> None:
    """Measure a model on songs whose stems are known.

    FOLDER/SONG holds vocals.* and accompaniment.* (or instrumental.*, or drums.*, bass.* and
    other.*). They are mixed to an MP3 and separated again. Printed are medians over windows of
    10 s with singing: SI-SDR above the mixture's and SDR of both stems; the level of the vocals
    file relative to the song where nobody sings; and for each octave how much of the voice was
    kept and how much of the music leaked.
    """
    from rich.console import Console

    from karaoke import evaluation
    from karaoke.separation import choose_device, load_model

    separator = load_model(model, device=str(choose_device(device)[0]), overlap=overlap)
    methods = {model: evaluation.by_model(separator)}
    if with_baselines:
        methods.update(evaluation.BASELINES)
    chosen = songs or evaluation.find_songs(folder)
    results = list(evaluation.evaluate_songs(folder, chosen, methods))
    console = Console(width=None if Console().is_terminal else 120)
    console.print(figure_table(results))
    console.print(share_table(results))
    if json_file:
        rows = [asdict(result) for result in results]
        json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def figure_table(results: list[SongFigures]) -> Table:
    """Lay out the medians."""
    from rich.table import Table

    from karaoke.evaluation import summarise

    names = ("vocals gain", "instr. gain", "vocals SDR", "instr. SDR", "leak")
    shown = Table("method", "song", "windows", *names, title="dB")
    for method, song, count, medians in summarise(results):
        cells = ["-" if value is None else f"{value:.2f}" for value in medians]
        shown.add_row(method, song, str(count), *cells)
    return shown


def share_table(results: list[SongFigures]) -> Table:
    """Lay out kept and leaked shares per octave."""
    from rich.table import Table

    from karaoke.metrics import OCTAVES_HZ

    bands = [f"{low}+" for low in OCTAVES_HZ[:-1]]
    shown = Table("method", "song", *bands, title="kept / leaked, by octave from ... Hz")
    for result in results:
        pairs = zip(result.kept, result.leaked, strict=True)
        cells = [f"{kept:.2f} / {leaked:.2f}" for kept, leaked in pairs]
        shown.add_row(result.method, result.song, *cells)
    return shown
