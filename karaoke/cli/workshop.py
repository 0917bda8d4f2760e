"""``karaoke workshop``: tools that prepare, measure and pack what training needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from karaoke.cli.commands import Command, Group
from karaoke.cli.parameters import Corpora, PlainDebug
from karaoke.errors import UsageError

app = typer.Typer(
    cls=Group,
    help="Prepare, measure and pack what training a model needs.",
    no_args_is_help=True,
)

Corpus = Annotated[Path, typer.Argument(metavar="CORPUS", help="A folder with a manifest.tsv.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write the new corpus.")]
Cache = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder for decoded recordings.", show_default=False)
]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]


@app.command(cls=Command)
def music(
    folder: Folder,
    pieces: Annotated[int, typer.Option(min=1, help="How many to compose.")] = 102,
    seconds: Annotated[float, typer.Option(min=1, help="Approximate length of each.")] = 45.0,
    seed: Seed = 1,
    parts: Annotated[
        bool, typer.Option("--parts", help="Write drums, bass and other to separate files.")
    ] = False,
    debug: PlainDebug = False,
) -> None:
    """Compose and render instrumental music; needs FluidSynth and a soundfont."""
    from karaoke.training.workshop.music import write_corpus

    write_corpus(folder, pieces=pieces, seconds=seconds, seed=seed, parts=parts)


@app.command(cls=Command)
def listen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To write what was learned to.")],
    songs: Annotated[int, typer.Option(min=1, help="How many to render.")] = 300,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
    debug: PlainDebug = False,
) -> None:
    """Learn to hear beats, bars and chords; needs FluidSynth and a soundfont."""
    from karaoke.training.workshop.listening import learn

    learn(file, songs, workers, partial(print, flush=True))


@app.command(cls=Command)
def sing(
    corpus: Corpus,
    folder: Folder,
    cache: Cache,
    minutes: Annotated[float, typer.Option(min=0.1, help="Total length.")] = 120.0,
    seconds: Annotated[float, typer.Option(min=1, help="Approximate length of a file.")] = 24.0,
    seed: Seed = 1,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
    debug: PlainDebug = False,
) -> None:
    """Join the syllables and words of a corpus into sung lines; needs the package pyworld."""
    from karaoke.training.workshop.singing import write_corpus

    write_corpus(
        corpus, folder, minutes=minutes, seconds=seconds, seed=seed, cache=cache, workers=workers
    )


@app.command(cls=Command)
def estimate(
    corpus: Corpus,
    folder: Folder,
    model: Annotated[
        list[str],
        typer.Option(metavar="NAME[=WEIGHT]", help="Model whose estimates count; may be repeated."),
    ],
    debug: PlainDebug = False,
) -> None:
    """Estimate stems of finished songs (recordings of role mixture), and keep plausible ones."""
    from karaoke.training.workshop.estimate import write_corpus

    named = [one.rpartition("=") if "=" in one else (one, "", "1") for one in model]
    total, kept = write_corpus(
        corpus,
        folder,
        models=[name for name, _, _ in named],
        weights=[read_number("--model", weight) for _, _, weight in named],
    )
    print(f"kept {kept:.0f} of {total:.0f} s")


@app.command(cls=Command)
def combine(
    members: Annotated[
        list[Path], typer.Argument(metavar="CHECKPOINT...", help="Networks to combine.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The checkpoint to write.")],
    exponent: Annotated[float, typer.Option(help="Exponent of their masks' mean.")] = 1.0,
    weights: Annotated[
        str | None, typer.Option(help="Their weights, such as 0.7,0.3.", show_default="all equal")
    ] = None,
    member: Annotated[
        int | None, typer.Option(metavar="N", help="Instead, extract one network from a vote.")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Instead, convert a network to half precision.")
    ] = False,
    between: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Instead, interpolate between two states."),
    ] = None,
    debug: PlainDebug = False,
) -> None:
    """Join networks into one checkpoint where they vote, or extract, halve or interpolate them."""
    from karaoke.training.workshop import combine as combining

    single = half or member is not None
    if between is None and not single:
        shares = (
            None if weights is None else [read_number("--weights", w) for w in weights.split(",")]
        )
        if shares is not None and len(shares) != len(members):
            raise UsageError(f"--weights: {len(shares)} for {len(members)} members")
        combining.combine(members, out, exponent, shares)
    elif len(members) != (1 if between is None else 2):
        raise UsageError("--between takes two checkpoints, --half and --member one")
    elif between is not None:
        combining.interpolate(members[0], members[1], out, between)
    elif member is not None:
        combining.take_out(members[0], out, member)
    else:
        combining.halve(members[0], out)


@app.command(cls=Command)
def pack(
    corpora: Corpora,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the slices.")],
    megabytes: Annotated[float, typer.Option(min=0.1, help="Size of a slice.")] = 50.0,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Cache whose measured traits to include.", show_default="none"
        ),
    ] = None,
    debug: PlainDebug = False,
) -> None:
    """Pack corpora into slices for a machine without a network."""
    from karaoke.training.workshop import pack as packing

    size = round(megabytes * packing.MEGABYTE)
    for path in packing.pack(corpora, out, slice_bytes=size, cache=cache):
        print(path)


@app.command(cls=Command)
def credits(corpora: Corpora, debug: PlainDebug = False) -> None:
    """Print a Markdown table of everyone whose recordings are trained on."""
    from karaoke.training.workshop.credits import credit_table

    print(credit_table(corpora))


@app.command(cls=Command)
def gap(
    models: Annotated[
        list[Path], typer.Argument(metavar="CHECKPOINT...", help="Networks to compare.")
    ],
    corpus: Annotated[list[Path], typer.Option(metavar="DIR", help="A corpus; may be repeated.")],
    cache: Cache,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each sound.")] = 6.0,
    debug: PlainDebug = False,
) -> None:
    """Compare known and new voices over known and new music."""
    from karaoke.separation.checkpoints import load_checkpoint
    from karaoke.training.corpus import load_corpus
    from karaoke.training.workshop.gap import sources, table

    voices, music = sources(load_corpus(corpus, cache), seconds)
    for path in models:
        print(f"{path}\n{table(load_checkpoint(path)[0], voices, music)}", flush=True)


@app.command(cls=Command)
def overlap(
    corpora: Corpora,
    cache: Cache,
    count: Annotated[int, typer.Option(min=1, help="Mixtures of each kind.")] = 300,
    debug: PlainDebug = False,
) -> None:
    """Measure how much voices and music overlap, in songs and in made-up mixtures."""
    import torch

    from karaoke.training.corpus import load_corpus
    from karaoke.training.workshop.overlap import table

    torch.set_num_threads(1)
    print(table(load_corpus(corpora, cache), count))


def read_number(option: str, text: str) -> float:
    """Read a number that is part of an option's value, or raise UsageError."""
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option}: {text!r} is not a number") from error
