"""``karaoke models use``: choose the default model."""

from __future__ import annotations

from typing import Annotated

import typer

from karaoke.cli.defaults import VARIABLE, config_of, default_model
from karaoke.cli.models import offer_to_pull
from karaoke.cli.output import make_console, print_json, say
from karaoke.cli.parameters import AsJson, PlainDebug
from karaoke.cli.settings import read_tables, write_default_model
from karaoke.errors import UsageError
from karaoke.store.catalogue import DEFAULT_MODEL, find_model, name_from_anywhere

ModelName = Annotated[
    str | None,
    typer.Argument(metavar="NAME|PATH", help="A model that is here, or a checkpoint file."),
]
Reset = Annotated[bool, typer.Option("--reset", help=f"Use {DEFAULT_MODEL} again.")]


def use(
    context: typer.Context,
    name: ModelName = None,
    reset: Reset = False,
    json_: AsJson = False,
    debug: PlainDebug = False,
) -> None:
    """Make a model the default of split, make, analyse and serve.

    It is written into the config file. --model and KARAOKE_MODEL come before it, and so does a
    model in a command's own table of that file. Without NAME, print which it is.
    """
    from karaoke.separation.headers import read_header

    if reset and name is not None:
        raise UsageError("--reset and NAME: choose one of them")
    path = config_of(context)
    if name is not None:
        offer_to_pull(name)
        read_header(find_model(name))
        name = name_from_anywhere(name)
    if name is not None or reset:
        write_default_model(path, name)
    chosen, origin = default_model(context)
    told = {"default": chosen, "set_by": origin.strip('"'), "config": str(path)}
    if json_:
        print_json(told)
    else:
        typer.echo(chosen)
    console = make_console()
    if name is not None or reset:
        if origin == VARIABLE:
            say(console, "warning: ", "yellow", f"{VARIABLE} is set, and comes before the file")
        for command, table in read_tables(path if path.exists() else None).items():
            if isinstance(table, dict) and "model" in table:
                said = f'"{path}": [{command}] names a model of its own, which comes first'
                say(console, "warning: ", "yellow", said)
