"""``karaoke train``."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from karaoke.cli.parameters import Corpora, PlainDebug, PlainDevice
from karaoke.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.training.listening import Listener


Run = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="DIR", help="Folder of the run; resumed if it exists."),
]
RecipePath = Annotated[
    Path | None, typer.Option("--recipe", metavar="TOML", help="What and how to train.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override part of the recipe; may be repeated."
    ),
]
TimeBudget = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Total length of the run, over all sessions."),
]
StopAfter = Annotated[
    float, typer.Option(metavar="SECONDS", help="Save and stop after this time; reruns resume.")
]
StartFrom = Annotated[Path | None, typer.Option(metavar="CHECKPOINT", help="Initial weights.")]
InitEncoder = Annotated[
    Path | None, typer.Option(metavar="CHECKPOINT", help="Start from another network's encoder.")
]
FreezeEncoder = Annotated[bool, typer.Option("--freeze-encoder", help="Do not train the encoder.")]
BranchFrom = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Continue another run, with its rate falling to zero."),
]
Teacher = Annotated[
    Path | None,
    typer.Option(
        metavar="CHECKPOINT",
        help="Network whose estimates are targets too, weighted by the recipe's hold.",
        show_default="--start-from",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Decoded recordings, 10 MB per minute.", show_default="DIR/cache"
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Processes that make mixtures.", show_default="depends on the device"),
]
Tensorboard = Annotated[
    bool, typer.Option("--tensorboard", help="Write TensorBoard events to the run's folder.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors.")]


def train(
    corpora: Corpora,
    run: Run = Path("run"),
    recipe: RecipePath = None,
    settings: Changes = None,
    time_budget: TimeBudget = None,
    stop_after: StopAfter = math.inf,
    start_from: StartFrom = None,
    init_encoder: InitEncoder = None,
    freeze_encoder: FreezeEncoder = False,
    branch_from: BranchFrom = None,
    teacher: Teacher = None,
    cache: Cache = None,
    device: PlainDevice = "auto",
    workers: Workers = None,
    tensorboard: Tensorboard = False,
    quiet: Quiet = False,
    debug: PlainDebug = False,
) -> None:
    """Train a model on recordings of voices and of music.

    A CORPUS is a folder with a manifest.tsv (columns path, role, group, split, and optionally
    band_hz, moves_in_pitch and mark); or with one folder per song that contains vocals.wav and
    other stems, as in MUSDB18-HQ; or with the folders vocals, speech and accompaniment. The latter
    two layouts may be split into train, validation and test. The weights go to
    DIR/best.safetensors, ready for `karaoke split --model`. Ctrl-C saves; the same command resumes.
    To use several cores: torchrun --nproc-per-node CORES -m karaoke train ...
    """
    from rich.console import Console

    from karaoke.cli.commands import Stopped
    from karaoke.separation.devices import choose_device
    from karaoke.training.recipe import read_recipe
    from karaoke.training.run import RunOptions
    from karaoke.training.run import train as run_training
    from karaoke.training.transfer import Start

    console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True, emoji=False)
    budget = [] if time_budget is None else [f"time_budget={time_budget}"]
    freeze = ["freeze_encoder=true"] if freeze_encoder else []
    chosen = read_recipe(recipe, [*(settings or ()), *budget, *freeze])
    chosen_device, reason = choose_device(device)
    options = RunOptions(
        corpora=corpora,
        run=run,
        cache=cache or run / "cache",
        device=str(chosen_device),
        start=Start(start_from, init_encoder, branch_from, teacher),
        workers=workers,
        stop_after=stop_after,
        warn=lambda problem: console.print(f"warning: {problem}", markup=False),
    )

    def listeners() -> list[Listener]:
        console.print(f"training {chosen.architecture} on {chosen_device} ({reason})", markup=False)
        return make_listeners(console, run, tensorboard)

    trainer, over = run_training(chosen, options, listeners)
    for listener in trainer.listeners:
        listener.on_end()
    state = "done" if over else "stopped; the same command resumes"
    console.print(f"step {trainer.state.step}: {state}", markup=False)
    if trainer.stop_signal:
        interrupted = trainer.stop_signal == signal.SIGINT
        raise Stopped(ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED)


def make_listeners(console: Console, run: Path, tensorboard: bool) -> list[Listener]:
    """Make the listeners that report on the run.

    Raises
    ------
    UsageError
        TensorBoard was requested but is not installed.
    """
    from karaoke.cli.progress import TrainingDisplay

    found: list[Any] = [TrainingDisplay(console)]
    if tensorboard:
        try:
            from karaoke.training.board import Board
        except ImportError as error:
            raise UsageError(
                f"--tensorboard: {error}", hint="Run pip install 'karaoke[train]'."
            ) from error
        found.append(Board(run))
    return found
