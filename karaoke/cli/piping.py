"""``karaoke split`` with ``-`` for a song or for the results."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, cast

from karaoke.errors import UsageError
from karaoke.planning import Song

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.separation import Separator

STANDARD = Path("-")


@contextmanager
def spooled() -> Iterator[Path]:
    """Save standard input to a temporary file: some formats can be read only with their end."""
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        path = Path(folder, "stdin")
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


def pipe_song(
    songs: Sequence[Song],
    stems: Sequence[str],
    load: Callable[[], Separator],
    name: str,
    track: int,
    console: Console,
) -> None:
    """Write one stem of one song to standard output as it comes.

    Raises
    ------
    UsageError
        There is more than one song or stem, or standard output is a terminal.
    KaraokeError
        The song cannot be read, or standard output not written.
    """
    from karaoke.audio import can_be_piped

    if len(songs) != 1 or len(stems) != 1:
        said = f"-o -: one song and one stem only, not {len(songs)} and {len(stems)}"
        raise UsageError(said, hint="Name one song, and --stems instrumental.")
    if sys.stdout.isatty():
        raise UsageError("-o -: standard output is a terminal", hint="Send it to a program.")
    path, stdin = songs[0].path, cast(BufferedReader, sys.stdin.buffer)
    if path != STANDARD:
        write_stem(path, None, stems[0], load(), name, track, console)
    elif can_be_piped(stdin.peek(16)[:16]):
        write_stem(path, stdin, stems[0], load(), name, track, console)
    else:
        with spooled() as saved:
            write_stem(saved, None, stems[0], load(), name, track, console)


def write_stem(
    path: Path,
    stream: BufferedReader | None,
    stem: str,
    separator: Separator,
    name: str,
    track: int,
    console: Console,
) -> None:
    """Separate as it comes, from a file or a stream to standard output."""
    from karaoke.audio import AudioReader, PipeWriter

    with AudioReader(path, track=track, stream=stream) as reader:
        rate, channels = reader.sample_rate, reader.channels
        with PipeWriter(sys.stdout.buffer, name, sample_rate=rate, channels=channels) as writer:
            for stems in separator.stream(reader.blocks(), sample_rate=rate):
                writer.write(stems[stem])
        if reader.damage:
            console.print(f"warning: decoding stopped: {reader.damage}", markup=False)
