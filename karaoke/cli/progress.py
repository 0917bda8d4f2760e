"""How far a song is: a bar with speed and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.splitting import SongProgress


class SpeedColumn(ProgressColumn):
    """Seconds of music per second of waiting."""

    def render(self, task: Task) -> Text:
        """Show the speed as a multiple of real time."""
        return Text(f"{task.speed:.1f} x real time" if task.speed else "")


@contextmanager
def progress_display(console: Console, source: Path) -> Iterator[SongProgress | None]:
    """Give a function to call with the seconds that are done and the duration, if known."""
    if console.quiet:
        yield None
        return
    if not console.is_terminal:
        console.print(f'"{source.name}": splitting', markup=False)
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(source.name, total=None)

        def update(done: float, total: float | None) -> None:
            bar.update(task, completed=done, total=total and max(total, done))

        yield update
