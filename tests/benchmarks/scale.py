"""Measure what a song costs besides its separation, where there are very many songs.

``python tests/benchmarks/scale.py --songs 100000`` prints the table that ``docs/scale.md`` shows.
Times are of the processor, ffmpeg's included, and hold on a busy machine, too.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pickle
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import torch

from karaoke.audio import output_format
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.files import sweep
from karaoke.jobs.manifest import SplitSettings, identify, is_complete, make_manifest
from karaoke.jobs.naming import Song
from karaoke.jobs.planning import find_songs, plan
from karaoke.jobs.shards import Shard
from karaoke.jobs.splitting import SplitTask
from karaoke.jobs.task import Tools
from karaoke.separation.headers import Header
from karaoke.separation.separator import Separator

STEMS = ("vocals", "instrumental")
SETTINGS = SplitSettings("duo-v1", "flac", 24, "", weights_sha256="0" * 64)
#: Length of the song that is taken through everything but a model.
SONG_SECONDS = 60


def cpu_seconds() -> float:
    """Return the processor time of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def resident_bytes() -> int:
    """Return the memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def row(name: str, count: int, unit: str = "song", *, kept: bool = False) -> Iterator[None]:
    """Print a row of the table: the time of a block, and perhaps the memory that it keeps."""
    gc.collect()
    before, memory = cpu_seconds(), resident_bytes()
    yield
    each = (cpu_seconds() - before) / count
    grown = f"{max(resident_bytes() - memory, 0) / count / 1e3:.1f} kB per {unit}" if kept else ""
    print(f"| {name} | {1e3 * each:,.2f} ms per {unit} | {grown} |", flush=True)


def names_only(count: int) -> None:
    """Measure what is done with names, before any file is opened."""
    songs = [
        Song(Path(f"music/{n // 1000:04}/song {n}.mp3"), Path(f"{n // 1000:04}"), from_folder=True)
        for n in range(count)
    ]
    with row("divide into shards", count):
        ours, others = Shard(1, 100).divide(songs)
    with row("plan all", count, kept=True):
        jobs = plan(songs, Path("out"), STEMS, "flac")
    tasks = [SplitTask(job, SETTINGS, output_format("flac")) for job in jobs]
    size = sum(len(pickle.dumps(task.from_anywhere())) for task in tasks[:100]) / 100
    del jobs, tasks
    with row("plan one shard of 100", count, kept=True):
        jobs = plan(ours, Path("out"), STEMS, "flac", elsewhere=others)
    del jobs
    print(f"| send to a worker | {size:,.0f} bytes per song | |")


def one_folder(folder: Path, count: int) -> None:
    """Measure what is done with the results of many songs, all of them in one folder."""
    songs = [Song(folder / "songs" / f"{n}.mp3", from_folder=True) for n in range(count)]
    out = folder / "out"
    out.mkdir()
    (folder / "songs").mkdir()
    jobs = plan(songs, out, STEMS, "flac", template="{title} ({stem}).{ext}")
    for job in jobs:
        job.source.touch()
        for path in job.outputs.values():
            path.touch()
        sums = dict.fromkeys(STEMS, "0" * 64)
        facts = make_manifest(job, SETTINGS, dict.fromkeys(STEMS, 0), sums, identify(job.source))
        job.manifest.write_text(json.dumps(facts, indent=1))
    with row("find songs in a folder", count):
        find_songs([folder / "songs"])
    with row("see that it is done (--skip-existing)", count):
        assert all(is_complete(job, SETTINGS) for job in jobs)
    with row("sweep a folder of results", 1, "folder"):
        sweep(out)


def whole_song(folder: Path) -> None:
    """Measure the way of a song through everything but a model worth the name."""
    source = folder / "song.mp3"
    tone = ["-f", "lavfi", "-i", f"anoisesrc=d={SONG_SECONDS}:a=0.2", "-ac", "2", "-b:a", "320k"]
    subprocess.run([find_ffmpeg(), "-nostdin", "-v", "error", *tone, source], check=True)
    separator = nothing_separator()
    for extension in ("wav", "flac", "m4a"):
        chosen = output_format(extension)
        (job,) = plan([Song(source)], folder / extension, STEMS, extension)
        task = SplitTask(job, SETTINGS, chosen)
        if extension == "wav":
            with row("open, before the work", 1):
                task.estimate(Event(), keep_open=False)
        with row(f"decode, spool, encode and verify, {extension}", SONG_SECONDS // 60, "minute"):
            task.run(Tools(lambda: separator))
        sizes = sum(path.stat().st_size for path in job.outputs.values())
        print(f"| results, {extension} | {sizes / 1e6:.1f} MB per minute (of noise) | |")


class Nothing(torch.nn.Module):
    """A network that takes half of the mixture for the voice."""

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return it."""
        return (mixture / 2)[:, None]


def nothing_separator() -> Separator:
    """Make a separator of that."""
    header = Header("band_split_bilstm", {}, 44100, 2, ("vocals",), 8.0, 0.1)
    return Separator(Nothing(), header, device=torch.device("cpu"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--songs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="Where files are made; by default temporary.")
    wanted = parser.parse_args()
    print("| what | processor time | memory |\n|---|---|---|")
    names_only(wanted.songs)
    parts: list[Callable[[Path], None]] = [lambda f: one_folder(f, wanted.songs // 10), whole_song]
    for part in parts:
        with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
            part(Path(folder))


if __name__ == "__main__":
    main()
