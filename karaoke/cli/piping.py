"""``karaoke split`` with ``-`` as the song or as the output."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, cast

from karaoke.cli.output import say
from karaoke.errors import UsageError
from karaoke.jobs.naming import Song
from karaoke.jobs.planning import address_error

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.audio import AudioReader
    from karaoke.separation.separator import Separator

STANDARD = Path("-")


#: Number of first bytes that show whether a song can be decoded as it arrives.
FIRST_BYTES = 16


def unbuffered() -> RawIOBase:
    """Return standard input without its buffer; see :func:`karaoke.audio.reading.feed`."""
    return cast(RawIOBase, cast(BufferedReader, sys.stdin.buffer).raw)


@contextmanager
def spooled(start: bytes = b"") -> Iterator[Path]:
    """Save standard input to a temporary file, since some formats need their end to be read.

    Parameters
    ----------
    start
        Bytes already read from it.
    """
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        path = Path(folder, "stdin")
        with path.open("wb") as file:
            file.write(start)
            shutil.copyfileobj(unbuffered(), file)
        yield path


def read_start(stream: RawIOBase) -> bytes:
    """Read the start of a stream, enough to recognise its format."""
    start = b""
    while len(start) < FIRST_BYTES and (data := stream.read(1 << 16)):
        start += data
    return start


def pipe_song(
    songs: Sequence[Song],
    stems: Sequence[str],
    load: Callable[[], Separator],
    name: str,
    stream: int | None,
    console: Console,
) -> None:
    """Write one stem of one song to standard output as the song arrives.

    Raises
    ------
    UsageError
        There is more than one song or stem, or standard output is a terminal.
    KaraokeError
        The song cannot be read, or standard output cannot be written to.
    """
    from karaoke.audio import AudioReader, can_be_piped

    if len(songs) != 1 or len(stems) != 1:
        said = f"-o -: one song and one stem only, not {len(songs)} and {len(stems)}"
        raise UsageError(said, hint="Name one song, and --stems instrumental.")
    if sys.stdout.isatty():
        raise UsageError("-o -: standard output is a terminal", hint="Redirect or pipe it.")
    if songs[0].named:
        raise address_error(songs[0])
    path = songs[0].path
    if path != STANDARD:
        write_stem(partial(AudioReader, path, stream=stream), stems[0], load(), name, console)
        return
    stdin = unbuffered()
    start = read_start(stdin)
    if can_be_piped(start):
        piped = partial(AudioReader, path, stream=stream, source=stdin, source_start=start)
        write_stem(piped, stems[0], load(), name, console)
    else:
        with spooled(start) as saved:
            opened = partial(AudioReader, saved, stream=stream)
            write_stem(opened, stems[0], load(), name, console)


def write_stem(
    open_song: Callable[[], AudioReader],
    stem: str,
    separator: Separator,
    name: str,
    console: Console,
) -> None:
    """Separate a song to standard output as it arrives."""
    from karaoke.audio import PipeWriter, channel_groups, unspoken

    with open_song() as reader:
        rate, channels = reader.sample_rate, reader.channels
        with PipeWriter(
            sys.stdout.buffer, name, sample_rate=rate, channels=channels, layout=reader.layout
        ) as writer:
            groups = channel_groups(reader.layout, channels)
            stream = separator.stream(reader.blocks(), sample_rate=rate, groups=groups, ahead=False)
            for stems in stream:
                writer.write(stems[stem])
        nameless = "" if name == "raw" else unspoken(reader.layout, channels)
        lost = f"{name} cannot say that its channels are {nameless}" if nameless else ""
        for warning in (reader.damage, *reader.remarks, lost):
            if warning:
                say(console, "warning: ", "yellow", f'"{reader.path}": {warning}')
