"""Progress displays: bars with speed and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from karaoke.cli.output import visible

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.jobs.task import SongProgress
    from karaoke.store.catalogue import Download, Wheel
    from karaoke.training.loop import Trainer
    from karaoke.training.validation import SongFigures


class SpeedColumn(ProgressColumn):
    """Seconds of music per second of waiting."""

    def render(self, task: Task) -> Text:
        """Show the speed as a multiple of real time."""
        return Text(f"{task.speed:.1f} x real time" if task.speed else "")


def shortened(name: str, width: int) -> str:
    """Cut the middle out of a name that is wider than ``width`` columns."""
    if cell_len(name) <= width:
        return name
    half = max((width - 1) // 2, 1)
    return f"{set_cell_size(name, half).rstrip()}…{set_cell_size(name[::-1], half)[::-1].lstrip()}"


def bar_beside(console: Console, others: int) -> BarColumn:
    """Make a bar as wide as the other columns leave room for."""
    return BarColumn(bar_width=min(max(console.width - others, 5), 40))


@contextmanager
def progress_display(
    console: Console, source: Path, *, bar: bool, doing: str
) -> Iterator[SongProgress]:
    """Yield a function to call with the seconds that are done and the duration, if known."""
    from karaoke.jobs.task import unseen

    if console.quiet:
        yield unseen
        return
    if not (bar and console.is_terminal):
        console.print(f'"{visible(source.name)}": {doing}', markup=False)
        yield unseen
        return
    # Percentage, speed and time take 32 columns, the bar ten or more.
    name = shortened(visible(source.name), max(console.width - 43, 8))
    columns = (
        TextColumn("{task.description}", markup=False),
        bar_beside(console, cell_len(name) + 33),
        TextColumn("{task.percentage:>3.0f} %"),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task(name, total=None)

        def update(done: float, total: float | None) -> None:
            display.update(task, completed=done, total=total and max(total, done))

        yield update


@contextmanager
def json_progress(song: str) -> Iterator[SongProgress]:
    """Print a song's progress as JSON objects on standard error, at most twice a second."""
    last = -math.inf

    def update(done: float, total: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.5:
            last = now
            entry = {"song": song, "done_seconds": round(done, 2), "total_seconds": total}
            print(json.dumps(entry), file=sys.stderr, flush=True)

    yield update


class TrainingDisplay:
    """A bar for a training run on a terminal, and a line per validation everywhere.

    It is a listener of :class:`karaoke.training.loop.Trainer`.
    """

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            # Beside it are the step, the loss, the speed, the percentage and the time.
            bar_beside(console, 62),
            TextColumn("{task.percentage:>5.1f} %"),
            TimeRemainingColumn(),
        )
        self.console = console
        self.bar = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self.task = self.bar.add_task("training", total=1.0)
        self.bar.start()

    def on_step(self, trainer: Trainer, loss: float) -> None:
        """Update the bar."""
        state = trainer.state
        heard = state.step * trainer.recipe.batch_size * trainer.recipe.mixtures.segment_seconds
        speed = heard / max(state.seconds, 1e-9)
        description = f"step {state.step}  loss {loss:.4f}"
        if self.console.width >= 70:
            description += f"  {speed:.0f} x real time"
        self.bar.update(self.task, completed=trainer.progress, description=description)

    def on_validation(self, trainer: Trainer, figures: SongFigures) -> None:
        """Print the measured figures."""
        from karaoke.training.validation import to_line

        line = f"step {trainer.state.step} ({trainer.state.seconds:.0f} s)"
        if figures:
            line += f": {to_line(figures['choose'])}"
        self.console.print(line, markup=False)

    def on_end(self) -> None:
        """Remove the bar."""
        self.bar.stop()


@contextmanager
def download_display(
    console: Console,
) -> Iterator[Callable[[Download | Wheel], Callable[..., None]]]:
    """Yield a function that takes a download and returns one to call with its progress."""
    if not console.is_terminal:
        yield lambda file: say_once(console, file)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        # Sizes, speed and time take 34 columns, and names of files about 20.
        bar_beside(console, 56),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:

        def show(file: Download | Wheel) -> Callable[..., None]:
            task: TaskID | None = None
            name = shortened(file.name, max(console.width - 42, 8))

            def update(have: int, size: int | None) -> None:
                nonlocal task
                # Not earlier, as there may be nothing left to download.
                task = bar.add_task(name, total=size) if task is None else task
                bar.update(task, completed=have, total=size)

            return update

        yield show


def say_once(console: Console, file: Download | Wheel) -> Callable[..., None]:
    """Print the name of a download when it begins, and nothing more."""
    said = False

    def update(have: int, size: int | None) -> None:
        nonlocal said
        if not said:
            console.print(f"downloading {file.source}", markup=False)
        said = True

    return update
