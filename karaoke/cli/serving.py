"""What ``karaoke serve`` does with its options."""

from __future__ import annotations

import os
import re
import socket
import sys
import webbrowser
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from karaoke import __version__
from karaoke.cli.defaults import settle_model
from karaoke.cli.output import make_console, write_out
from karaoke.cli.split import model_loader, settings_for
from karaoke.errors import NoInputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.separation.separator import Separator
    from karaoke.service.limits import Limits
    from karaoke.service.security import Door

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
#: Addresses that stand for all of this machine's.
EVERYWHERE = ("0.0.0.0", "::")


def serve_all(context: typer.Context) -> None:
    """Do what the options of ``karaoke serve`` say.

    Raises
    ------
    KaraokeError
        Some of them cannot be, or the port is taken.
    """
    from karaoke.audio import output_format
    from karaoke.cli.models import offer_to_pull
    from karaoke.separation.headers import read_header, stem_names
    from karaoke.service.app import make_app
    from karaoke.service.engine import Engine
    from karaoke.service.server import listen, serve
    from karaoke.service.service import Service, Wishes, check_model
    from karaoke.store.catalogue import find_model

    settle_model(context)
    wanted = context.params
    console = make_console(quiet=wanted["quiet"])
    limits, data = read_limits(wanted), data_folder(wanted["data"])
    door = read_door(wanted, data)
    folders = [check_folder(folder) for folder in wanted["library"] or []]
    model, quality = wanted["model"], wanted["quality"]
    offer_to_pull(model)
    check_model(stem_names(read_header(find_model(model)).stems), model)
    if wanted["device"] != "auto":
        model_loader(model, wanted["device"], None, quality, console)  # it may not be there

    @cache
    def load() -> Separator:
        # Takes seconds to import, in which the page can be there already.
        return model_loader(model, wanted["device"], None, quality, console)[0]()

    settings = settings_for(model, output_format("wav", 32), None, quality, None)
    engine = Engine(settings, limits.length_seconds, load)
    sock = listen(wanted["host"], wanted["port"])
    with sock:
        wishes = Wishes(data, folders, limits, wanted["jobs"], model, __version__)
        service = Service(wishes, door, engine)
        port = sock.getsockname()[1]
        address, phones = addresses_of(wanted["host"], port, door.code)
        service.addresses = phones

        def ready() -> None:
            announce(address, phones, wishes.data, console)
            if wanted["open_"]:
                webbrowser.open(address)

        serve(make_app(service), sock, service.events.close, ready)
    console.print("stopped; the queue is kept", markup=False)
    # A thread that computes cannot be stopped, and has nothing half-written to lose; to take torch
    # down in order would take a second, too.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def announce(address: str, phones: list[str], data: Path, console: Console) -> None:
    """Say where the service is; for phones, also as a picture that their cameras read."""
    write_out(f"{address}\n".encode())
    console.print(f"songs and results in {data}; Ctrl-C stops it", markup=False, highlight=False)
    if not phones:
        return
    import segno

    console.print(f"phones: {phones[0]}", markup=False, highlight=False)
    if console.is_terminal:
        segno.make(phones[0], error="m").terminal(sys.stderr, compact=True)


def addresses_of(host: str, port: int, code: str) -> tuple[str, list[str]]:
    """Return the address for this computer, and those for phones, with the code."""
    shown = "127.0.0.1" if host in EVERYWHERE else host
    address = f"http://{bracketed(shown)}:{port}/"
    if not code:
        return address, []
    names = own_addresses() if host in EVERYWHERE else [host]
    phones = [f"http://{bracketed(name)}:{port}/?code={code}" for name in names]
    return f"{address}?code={code}", phones


def bracketed(host: str) -> str:
    """Write an address as it is in a URL."""
    return f"[{host}]" if ":" in host else host


def own_addresses() -> list[str]:
    """List the addresses by which other machines reach this one, the likeliest first."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        # Sends nothing: it only asks the system which way it would go, if there is a network.
        probe.connect(("192.0.2.1", 9))
        found.append(probe.getsockname()[0])
    with suppress(OSError):  # a computer may not know its own name
        found += [str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None, 2)]
    found = [address for address in found if not address.startswith("127.")]
    return list(dict.fromkeys(found)) or ["127.0.0.1"]


def data_folder(named: Path | None) -> Path:
    """Return the folder of the songs."""
    from platformdirs import user_data_path

    return (named or user_data_path("karaoke")).absolute()


def check_folder(folder: Path) -> Path:
    """Refuse a library that is no folder.

    Raises
    ------
    NoInputError
        It is none.
    """
    if not folder.is_dir():
        raise NoInputError(f'"{folder}": no such folder', hint="Name a folder by --library.")
    return folder


def read_limits(wanted: dict[str, Any]) -> Limits:
    """Read how much is taken on.

    Raises
    ------
    UsageError
        Some of it cannot be.
    """
    from karaoke.service.limits import Limits

    most = wanted["max_data"]
    return Limits(
        upload_bytes=parse_size("--max-upload", wanted["max_upload"]),
        length_seconds=60 * wanted["max_length"],
        queue=wanted["max_queue"],
        data_bytes=None if most is None else parse_size("--max-data", most),
        keep_seconds=None if wanted["keep"] is None else 86400 * wanted["keep"],
    )


def parse_size(option: str, text: str) -> int:
    """Read a size in bytes, as 500MB.

    Raises
    ------
    UsageError
        It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if found is None or float(found[1]) <= 0:
        raise UsageError(f"{option} {text}: not a size", hint="Say 500MB or 2GB.")
    return int(float(found[1]) * UNITS[found[2]])


def read_door(wanted: dict[str, Any], data: Path) -> Door:
    """Read who is let in; phones that were, stay so when the service starts anew.

    Raises
    ------
    UsageError
        Other machines would be let in without a code.
    """
    from karaoke.service.security import Door, is_loopback, kept_secrets, normal

    host, code = wanted["host"], wanted["code"]
    hosts = {"localhost", host.lower(), socket.gethostname().lower()}
    hosts |= {f"{name}.local" for name in hosts if "." not in name}
    own = is_loopback(host)
    if code is not None and code.lower() == "none":
        if not own:
            raise UsageError(
                f"--code none: --host {host} lets other machines in", hint="Leave out --code."
            )
        code = ""
    elif code is None:
        code = "" if own else kept_secrets(data)[0]
    elif len(normal(code)) < 4:
        raise UsageError(f"--code {code}: too short", hint="Use 4 letters or digits at least.")
    return Door(code, hosts, wanted["read_only"], kept_secrets(data)[1] if code else b"")
