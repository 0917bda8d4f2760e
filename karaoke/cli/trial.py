"""How fast a model would be on this machine, before it is downloaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from karaoke import __version__
from karaoke.cli.timing import SONG_SECONDS, as_facts, memory_of, spoken_time
from karaoke.errors import KaraokeError
from karaoke.store import speeds

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.store.catalogue import Entry
    from karaoke.store.speeds import Speed


def say_speed(entry: Entry, console: Console) -> None:
    """Measure a model by random weights of its shape, unless it was done before, and say so."""
    if console.quiet or not entry.outline:
        return
    setup = speeds.Setup(__version__, f"outline of {entry.name}", "cpu")
    speed = speeds.recall(setup)
    if speed is None:
        console.print(f"{entry.name}: measuring how fast it would be here", markup=False)
        try:
            speed = try_shape(entry)
            speeds.remember(setup, speed)
        except KaraokeError as error:
            # Whoever has a GPU may still want it.
            console.print(f"{entry.name}: it cannot run on the CPU here: {error}", markup=False)
            return
    song = spoken_time(speed.seconds_for(SONG_SECONDS))
    memory = memory_of(as_facts(speed))
    console.print(
        f"{entry.name}: a song of 4 minutes would take {song} on this machine's CPU, and {memory}"
        " of memory",
        markup=False,
    )


def try_shape(entry: Entry) -> Speed:
    """Measure random weights of a model's shape, on the CPU."""
    from karaoke.evaluation.bench import measure
    from karaoke.separation.checkpoints import build_network, save_checkpoint
    from karaoke.separation.headers import Header

    header = Header(stems=entry.stems, **entry.outline)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outline.safetensors"
        save_checkpoint(path, build_network(header).half(), header)
        return measure(str(path), device="cpu")[1]
