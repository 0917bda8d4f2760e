"""``karaoke models``: list models, and download, import, verify and remove them."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from karaoke.cli.commands import Command, Group
from karaoke.cli.defaults import default_model
from karaoke.cli.output import make_console, print_json, print_paragraph, print_rows, say
from karaoke.cli.parameters import AsJson, PlainDebug
from karaoke.cli.timing import memory_of, speeds_of, stems_in_short, times_of
from karaoke.cli.trial import say_speed
from karaoke.errors import ChecksumError, ExitCode, ModelError, UsageError
from karaoke.store import catalogue
from karaoke.store.catalogue import WHOLE_SHA256

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.store.catalogue import Entry

app = typer.Typer(
    cls=Group, help="List, download, measure and choose models.", invoke_without_command=True
)
command = partial(app.command, cls=Command)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A listed model.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Listed models.")]
SomeNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Models that are here; by default all."),
]
Accept = Annotated[
    bool,
    typer.Option("--accept-license", "--accept-licence", help="Agree to the model's terms of use."),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Do not use the network; also KARAOKE_OFFLINE=1.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors and paths.")]
Files = Annotated[
    list[str],
    typer.Argument(metavar="[STEM=]FILE", help="A .pth or .ckpt file for each stem."),
]
Architecture = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="open_unmix, spleeter_unet, mel_band_roformer or bs_roformer."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="YAML or JSON that a RoFormer was published with; it names the stems."
    ),
]
NewName = Annotated[str, typer.Option("--name", metavar="NAME", help="What to call the model.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a model of the same name.")]


@app.callback()
def models(context: typer.Context, json_: AsJson = False) -> None:
    """List, download, check, measure, choose and remove models.

    Downloads go to the folder named by KARAOKE_MODELS; entries in the folder named by
    KARAOKE_CATALOGUE override those that ship.
    """
    if context.invoked_subcommand is None:
        list_models(context, json_)
    elif json_:
        context.default_map = {context.invoked_subcommand: {"json_": True}}


@command("list")
def list_models(context: typer.Context, json_: AsJson = False, debug: PlainDebug = False) -> None:
    """List the models that ship with karaoke, were downloaded, or can be downloaded."""
    names = {**catalogue.catalogue(), **dict.fromkeys(catalogue.available_models())}
    default, _ = default_model(context)
    found = [{**model_facts(name), "default": name == default} for name in sorted(names)]
    if json_:
        print_json({"default": default, "models": found})
        return
    print_table(found)
    partly = [facts["name"] for facts in found if facts["checksums"] == "partial"]
    if partly:
        those = ", ".join(partly)
        said = f"Downloads of {those} cannot be fully verified; see karaoke models info."
        make_console().print(said, markup=False)


@command()
def info(
    context: typer.Context, name: Name, json_: AsJson = False, debug: PlainDebug = False
) -> None:
    """Show everything that is known about a model."""
    facts = model_facts(name)
    entry = catalogue.find_entry(name)
    facts.update(
        default=name == default_model(context)[0],
        notice=entry.notice,
        commercial_use=entry.commercial_use,
        citation=entry.citation,
        unverified=entry.unverified,
        sha256=entry.sha256,
        downloads=[asdict(file) for file in entry.downloads],
        wheel=asdict(entry.wheel) if entry.wheel else None,
    )
    if json_:
        print_json(facts)
        return
    for key, value in facts.items():
        if key not in ("downloads", "wheel", "speeds") and value not in ("", None, [], {}):
            text = ", ".join(value) if isinstance(value, list) else value
            text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else text
            print_paragraph(f"{key}: {figures(value) if key == 'metrics' else text}")
    for said, measured in zip(times_of(facts["speeds"]), facts["speeds"].values(), strict=True):
        memory = memory_of(measured)
        print_paragraph(f"a song of 4 minutes on this machine: {said}, memory {memory}")
    for file in entry.sources:
        print_paragraph(f"download: {file.source} ({checksum_of(file.sha256)})")


@command()
def pull(
    names: Names,
    accept: Accept = False,
    offline: Offline = False,
    quiet: Quiet = False,
    json_: AsJson = False,
    debug: PlainDebug = False,
) -> None:
    """Download models and convert them, resuming broken downloads.

    Files are verified against the sizes and SHA-256 checksums given by their publishers.
    """
    if offline:
        os.environ["KARAOKE_OFFLINE"] = "1"
    console = make_console(quiet=quiet)
    wanted = dict.fromkeys(names)
    for name in wanted:
        agree(catalogue.find_entry(name), accept, console)
    pulled = []
    for name in wanted:
        path, new = pull_model(name, console)
        status = "downloaded" if new else "here"
        checksums = catalogue.find_entry(name).checksums
        pulled.append({"name": name, "path": str(path), "status": status, "checksums": checksums})
        if not json_:
            typer.echo(path)
    if json_:
        print_json({"pulled": pulled})


def pull_model(name: str, console: Console) -> tuple[Path, bool]:
    """Download a model whose license was agreed to, showing progress."""
    from karaoke.cli.progress import download_display
    from karaoke.store.installing import pull as pull_files

    with download_display(console) as display:
        return pull_files(name, display=display)


def agree(entry: Entry, accept: bool, console: Console) -> None:
    """Show the license of a model that is not here, and ask for consent if it needs any.

    Raises
    ------
    UsageError
        It needs consent, and nobody gave it.
    """
    if entry.name in catalogue.available_models():
        return
    console.print(f"{entry.name}: licence {entry.license}. {entry.notice}", markup=False)
    console.print(f"{entry.name}: {megabytes(entry.download_bytes)} to download", markup=False)
    say_speed(entry, console)
    if entry.unverified:
        say(console, "warning: ", "yellow", f"{entry.name}: {entry.unverified}")
    if entry.commercial_use or accept:
        return
    if not at_terminal() or not typer.confirm("Do you agree?", err=True):
        raise UsageError(
            f"{entry.name}: {entry.license} was not agreed to. {entry.notice.rstrip('.')}",
            hint="Add --accept-license to agree.",
        )


def at_terminal() -> bool:
    """Return whether there is a user to ask."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def offer_to_pull(name: str) -> None:
    """On a terminal, offer to download a model of the catalogue that is not here."""
    if name in catalogue.available_models() or os.path.exists(name):
        return
    entry = catalogue.catalogue().get(name)
    if entry is None or not entry.sources or not at_terminal() or catalogue.is_offline():
        return
    question = f"{name} is not here. Download it ({megabytes(entry.download_bytes)})?"
    if typer.confirm(question, err=True):
        console = make_console()
        agree(entry, False, console)
        pull_model(name, console)


@command()
def verify(names: SomeNames = None, json_: AsJson = False, debug: PlainDebug = False) -> None:
    """Verify the checksums of models; exit with 76 if any is damaged."""
    results = []
    for name in names or catalogue.available_models():
        try:
            status = "whole" if catalogue.verify(name) else "no checksum known"
        except ChecksumError:
            status = "damaged"
        checksums = catalogue.find_entry(name).checksums
        path = str(catalogue.find_model(name))
        results.append({"name": name, "status": status, "checksums": checksums, "path": path})
        if not json_:
            # It is what was downloaded, but whether that is what was published is uncertain.
            partial = status == "whole" and checksums == "partial"
            typer.echo(f"{name}: {status}{', from a partly verified download' if partial else ''}")
    if json_:
        print_json({"models": results})
    if any(result["status"] == "damaged" for result in results):
        raise typer.Exit(int(ExitCode.CHECKSUM))


@command()
def remove(
    context: typer.Context, names: Names, json_: AsJson = False, debug: PlainDebug = False
) -> None:
    """Delete downloaded or imported models, and what broken downloads left."""
    from karaoke.store.installing import remove as remove_files

    removed = [{"name": name, "path": str(remove_files(name))} for name in names]
    default, _ = default_model(context)
    if default in names:
        said = f"{default} was the default; karaoke models use chooses another"
        say(make_console(), "warning: ", "yellow", said)
    if json_:
        print_json({"removed": removed})


@command()
def path(name: Name, json_: AsJson = False, debug: PlainDebug = False) -> None:
    """Print where a model's checkpoint is."""
    found = str(catalogue.find_model(name))
    if json_:
        print_json({"name": name, "path": found})
    else:
        typer.echo(found)


@command("import")
def import_(
    files: Files,
    architecture: Architecture,
    name: NewName,
    config: Config = None,
    overwrite: Overwrite = False,
    json_: AsJson = False,
    debug: PlainDebug = False,
) -> None:
    """Import weights from elsewhere as a model, without running any code in them.

    Pass one file per stem. The stem is given as in vocals=a.pth, or else the file's name must begin
    with it. A RoFormer is one file, and --config names its stems.
    """
    from karaoke.store.installing import take_over

    found = {f"file{n}": Path(file) for n, file in enumerate(files)} if config else stems_of(files)
    target = take_over(found, architecture, name, config=config, overwrite=overwrite)
    if json_:
        print_json({"name": name, "path": str(target)})
    else:
        typer.echo(target)


def stems_of(files: list[str]) -> dict[str, Path]:
    """Find out which stem each file separates.

    Raises
    ------
    UsageError
        A file's stem is unclear, or two files are for the same stem.
    """
    known = ("vocals", "drums", "bass", "other")
    found: dict[str, Path] = {}
    for file in files:
        stem, equals, rest = file.partition("=")
        if not equals:
            begins = [name for name in known if Path(file).name.startswith(name)]
            stem, rest = (begins or [""])[0], file
        if not stem.isidentifier() or stem in found:
            twice = f'"{file}": a second file for {stem}'
            unclear = f'"{file}": its name does not say which stem it separates'
            raise UsageError(twice if stem in found else unclear, hint=f"Write vocals={rest}.")
        found[stem] = Path(rest)
    return found


def model_facts(name: str) -> dict[str, Any]:
    """Collect the facts about a model that a list shows.

    Raises
    ------
    ModelError
        There is no such model.
    """
    entry = catalogue.find_entry(name)
    stems, parameters, size = entry.stems, entry.parameters, entry.download_bytes
    where = "available"
    if name in catalogue.available_models():
        where = "embedded" if name in catalogue.shipped_models() else "downloaded"
        file = catalogue.find_model(name)
        size = file.stat().st_size
        try:
            inside, count = catalogue.look_into(file)
            stems, parameters = inside, parameters or count
        except ModelError:
            where = "damaged"
    return {
        "name": name,
        "where": where,
        "stems": list(stems),
        "parameters": parameters,
        "size_bytes": size,
        "license": entry.license,
        "checksums": entry.checksums,
        "metrics": entry.metrics,
        "speeds": speeds_of(name),
    }


def figures(metrics: dict[str, Any]) -> str:
    """Format figures on one line."""
    numbers = {key: value for key, value in metrics.items() if isinstance(value, (int, float))}
    line = ", ".join(
        f"{k.removesuffix('_db').replace('_', ' ')} {v} dB" for k, v in numbers.items()
    )
    rest = "; ".join(str(metrics[key]) for key in ("data", "source") if key in metrics)
    return f"{line} ({rest})" if rest else line


def quality_of(metrics: dict[str, Any]) -> str:
    """Format the figures of the vocals, and what they were measured on, in short."""
    line = figures({key: value for key, value in metrics.items() if key.startswith("vocals")})
    songs = re.split("[,;:]", str(metrics.get("data", "")))[0]
    return f"{line}, on {songs}" if line and songs else line


def checksum_of(digits: str) -> str:
    """Format as much of a checksum as was published."""
    if len(digits) == WHOLE_SHA256:
        return f"SHA-256 {digits}"
    return f"SHA-256 begins {digits}; the rest was not published"


def megabytes(size: int | None) -> str:
    """Format a size for people."""
    return "size unknown" if size is None else f"{size / 1e6:.1f} MB"


def print_table(found: list[dict[str, Any]]) -> None:
    """Print one model per line, or more lines on a narrow terminal; names are never cut."""
    titles = ("model", "where", "stems", "weights", "size", "licence", "4-minute song", "quality")
    rows = [
        (
            f"{facts['name']} (default)" if facts["default"] else facts["name"],
            facts["where"],
            stems_in_short(facts["stems"]),
            f"{facts['parameters'] / 1e6:.1f} M" if facts["parameters"] else "",
            megabytes(facts["size_bytes"]),
            facts["license"],
            "; ".join(times_of(facts["speeds"])),
            quality_of(facts["metrics"]),
        )
        for facts in found
    ]
    print_rows(titles, rows, "karaoke models info NAME")
