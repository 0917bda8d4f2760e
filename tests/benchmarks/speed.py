"""Measure what ``karaoke split`` costs as a whole command: time, processor time and memory.

    python tests/benchmarks/speed.py
    python tests/benchmarks/speed.py --seconds 30 180 --peer openunmix --json speed.json
    python tests/benchmarks/speed.py --tree before=../old after=. --model duo-v1 duo-v1@fast

The clips are the test song, looped. Other models run in karaoke's own engine; for the peers, see
``peers.py``. Every run is a process of its own, from the start of Python to the finished files, and
is charged with the ffmpeg processes that it starts. Nothing is asserted about time: the figures are
for people to compare. Needs Linux or macOS and, for an hour of music, about 5 GB of room in the
folder for temporary files.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

# The heavy imports are in the functions that run in a child. Linux counts the memory of a parent
# at the fork towards the peak of its child, so this process must stay small to be no part of what
# it measures.

#: Runs networks of other packages.
PEERS = Path(__file__).with_name("peers.py")
SONG = Path(__file__).parents[1] / "data" / "song.mp3"
#: Clips at least this long run once: an hour of music averages out what noise there is.
ONCE_FROM_SECONDS = 1800
#: The peer takes a song in one piece; longer ones would measure the machine's swap.
PEER_UP_TO_SECONDS = 180
#: The time to the first output is measured for clips up to this length.
FIRST_UP_TO_SECONDS = 60
#: Bytes of raw samples that are the first output.
FIRST_BYTES = 1 << 16
#: Figures of a run: field of :class:`Usage` and name for people.
FIGURES = {
    "wall_seconds": "wall",
    "cpu_seconds": "CPU",
    "peak_rss_mb": "peak RSS",
    "first_seconds": "first output",
}


@dataclass(frozen=True)
class Usage:
    """What one run took.

    Parameters
    ----------
    wall_seconds
        From the start of the process to its end.
    cpu_seconds
        User and system time of the process and its children.
    peak_rss_mb
        Largest resident memory, in 10^6 bytes.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    first_seconds: float = math.nan


@dataclass(frozen=True)
class Program:
    """What runs on the clips: a model in a tree of karaoke, or a peer."""

    name: str
    tree: Path = Path()
    model: str | None = None
    peer: str = ""
    python: str = sys.executable

    def run(self, clip: Path, folder: Path, *, first: bool) -> Usage:
        """Run on a clip; ``first`` also measures the time to the first output."""
        if self.peer:
            usage, said = run_peer(self, clip, folder)
            print(f"{self.peer}: {said}", file=sys.stderr)
            return usage
        usage = run_karaoke(self, clip, folder)
        return replace(usage, first_seconds=first_output(self, clip)) if first else usage

    def karaoke(self, clip: Path) -> list[str]:
        """Give the command that splits a clip, without where to.

        To be run in the tree: Python looks for karaoke first in the folder where it starts.
        """
        name, _, quality = (self.model or "").partition("@")
        command = [self.python, "-m", "karaoke", "split", os.fspath(clip), "--quiet"]
        command += ["--model", name] if name else []
        return command + (["--quality", quality] if quality else [])


@dataclass
class Clip:
    """A clip and its runs, by program in the order in which they ran."""

    seconds: int
    runs: dict[str, list[Usage]] = field(default_factory=dict)

    def spread(self, program: str, figure: str) -> tuple[float, float, float]:
        """Give minimum, median and maximum of a figure over the runs of a program."""
        return spread([getattr(run, figure) for run in self.runs[program]])

    def ratios(self, program: str, figure: str) -> list[float]:
        """Divide a program's figure by the first one's, pair by pair of neighbouring runs."""
        pairs = zip(self.runs[program], next(iter(self.runs.values())), strict=True)
        return [getattr(its, figure) / getattr(base, figure) for its, base in pairs]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Give minimum, median and maximum."""
    return min(values), statistics.median(values), max(values)


def make_clip(path: Path, seconds: int) -> None:
    """Loop the test song to a length, as MP3; ffmpeg streams, so an hour takes no memory."""
    from karaoke.audio.ffmpeg import find_ffmpeg

    source = ["-stream_loop", "-1", "-i", os.fspath(SONG), "-t", str(seconds)]
    coding = ["-vn", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    coding += ["-ar", "44100", "-ac", "2", "-codec:a", "libmp3lame", "-b:a", "192k"]
    command = [find_ffmpeg(), "-nostdin", "-v", "error", *source, *coding, os.fspath(path)]
    subprocess.run(command, check=True)


def measure(command: Sequence[str], folder: Path | None = None) -> tuple[Usage, str]:
    """Run a command in a folder to its end.

    Returns
    -------
    Usage, str
        What it took, and what it wrote to standard output.

    Raises
    ------
    SystemExit
        It failed: the figures of a failure mean nothing.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=folder
        )
        try:
            _, status, taken = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - started
        # Popen must know that its process is gone, or it would wait for it again.
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            said = errors.read().strip()
            raise SystemExit(f"{' '.join(command)}\nfailed ({process.returncode}):\n{said}")
        # The maximum over the process and its children, not their sum. The children are ffmpeg's,
        # far smaller than a Python that has loaded torch, so it is that of the process itself.
        unit = 1 if sys.platform == "darwin" else 1024
        rss = taken.ru_maxrss * unit
        if taken.ru_maxrss <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            raise SystemExit("this process is larger than the one that it measures")
        return Usage(wall, taken.ru_utime + taken.ru_stime, rss / 1e6), output.read()


def run_karaoke(program: Program, clip: Path, folder: Path) -> Usage:
    """Run the command on a clip."""
    out = folder / "karaoke"
    command = [*program.karaoke(clip), "--overwrite", "-o", os.fspath(out)]
    usage, _ = measure(command, program.tree)
    if not (out / clip.stem / "vocals.wav").is_file():
        raise SystemExit("karaoke wrote no vocals.wav")
    shutil.rmtree(out)
    return usage


def first_output(program: Program, clip: Path) -> float:
    """Measure the seconds from the start to the first sound on standard output."""
    command = [*program.karaoke(clip), "--stems", "vocals", "-o", "-", "--format", "raw"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=program.tree) as process:
        assert process.stdout is not None
        if len(process.stdout.read(FIRST_BYTES)) < FIRST_BYTES:
            raise SystemExit("karaoke wrote no sound to standard output")
        taken = time.perf_counter() - started
        while process.stdout.read(1 << 20):
            pass
    return taken


def run_peer(program: Program, clip: Path, folder: Path) -> tuple[Usage, str]:
    """Run a peer on a clip; also tell which of its variants ran."""
    out = folder / "peer.wav"
    command = [program.python, os.fspath(PEERS), program.peer]
    usage, variant = measure([*command, os.fspath(clip), os.fspath(out)])
    out.unlink()
    return usage, variant.strip()


def run_clip(
    clip: Clip, folder: Path, programs: Sequence[Program], *, runs: int, warm_up: bool
) -> None:
    """Make a clip and run the programs on it in turn, so that noise hits all alike."""
    path = folder / f"clip-{clip.seconds}.mp3"
    make_clip(path, clip.seconds)
    count = 1 if clip.seconds >= ONCE_FROM_SECONDS else runs
    for number in range(0 if warm_up else 1, count + 1):
        what = f"run {number} of {count}" if number else "warm-up"
        for program in programs:
            if program.peer and clip.seconds > PEER_UP_TO_SECONDS:
                continue
            print(f"{clip.seconds} s of music: {what}, {program.name}", file=sys.stderr, flush=True)
            usage = program.run(path, folder, first=clip.seconds <= FIRST_UP_TO_SECONDS)
            if number:
                clip.runs.setdefault(program.name, []).append(usage)
    path.unlink()


def describe_machine() -> dict[str, str | int | float]:
    """Tell what the figures depend on besides the program."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "cores": os.cpu_count() or 1,
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def print_tables(clips: Sequence[Clip], *, machine: dict[str, str | int | float]) -> None:
    """Print the figures for people."""
    from rich.console import Console
    from rich.table import Table

    def texts(values: Sequence[float], digits: int) -> str:
        return " / ".join(f"{value:.{digits}f}" for value in values)

    console = Console(highlight=False)
    # In a file or a pipe rich would take the width for 80 and cut the figures.
    console.width = max(console.width, 140)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), markup=False)
    figures = Table(title="min / median / max over the runs; real time = 1", title_justify="left")
    names = ("clip", "program", "runs", "wall s", "real-time factor", "CPU s", "peak RSS MB")
    for name in (*names, "first output s"):
        figures.add_column(name, justify="left" if name == "program" else "right", no_wrap=True)
    ratios = Table(title="ratios to the first program, pair by pair", title_justify="left")
    for name in ("clip", "program", *FIGURES.values()):
        ratios.add_column(name, justify="left" if name == "program" else "right", no_wrap=True)
    for clip in clips:
        length = f"{clip.seconds} s"
        for program, usages in clip.runs.items():
            wall = clip.spread(program, "wall_seconds")
            figures.add_row(
                length,
                program,
                str(len(usages)),
                texts(wall, 1),
                texts([value / clip.seconds for value in wall], 3),
                texts(clip.spread(program, "cpu_seconds"), 1),
                texts(clip.spread(program, "peak_rss_mb"), 0),
                texts(clip.spread(program, "first_seconds"), 2),
            )
        for program in list(clip.runs)[1:]:
            found = (texts(spread(clip.ratios(program, figure)), 2) for figure in FIGURES)
            ratios.add_row(length, program, *found)
    console.print(figures)
    if ratios.row_count:
        console.print(ratios)


def as_json(clips: Sequence[Clip]) -> list[dict[str, object]]:
    """Give all runs, real-time factors and ratios as plain lists."""
    found = []
    for clip in clips:
        entry: dict[str, object] = {"seconds": clip.seconds}
        for program, usages in clip.runs.items():
            entry[program] = [
                {**asdict(u), "real_time_factor": u.wall_seconds / clip.seconds} for u in usages
            ]
        entry["ratios"] = {
            program: {figure: clip.ratios(program, figure) for figure in FIGURES}
            for program in list(clip.runs)[1:]
        }
        found.append(entry)
    return found


def programs_of(options: argparse.Namespace) -> list[Program]:
    """List what is to run: each model in each tree, then the peers."""
    trees = dict(text.partition("=")[::2] for text in options.tree)
    several = len(trees) > 1
    programs = [
        Program(f"{model} {label}" if several else model, Path(tree).resolve(), model)
        for label, tree in trees.items()
        for model in options.model
    ]
    python = options.peer_python
    return [*programs, *(Program(peer, peer=peer, python=python) for peer in options.peer)]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure karaoke split as a whole command.")
    parser.add_argument("--seconds", type=int, nargs="+", default=[30, 180, 3600], metavar="N")
    parser.add_argument(
        "--model", nargs="+", default=["duo-v1"], metavar="NAME[@QUALITY]", help="in each tree"
    )
    parser.add_argument(
        "--tree",
        nargs="+",
        default=[f"here={SONG.parents[2]}"],
        metavar="LABEL=DIR",
        help="checkouts of karaoke to compare; by default this one",
    )
    parser.add_argument("--runs", type=int, default=3, help="per clip; clips of 30 min: 1")
    parser.add_argument("--peer", nargs="*", default=[], choices=["openunmix", "htdemucs"])
    parser.add_argument("--peer-python", default=sys.executable, metavar="PATH")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    if options.runs < 1 or min(options.seconds) < 1:
        parser.error("--runs and --seconds must be at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    options = parse(arguments)
    machine, programs = describe_machine(), programs_of(options)
    clips = [Clip(seconds) for seconds in sorted(set(options.seconds))]
    with tempfile.TemporaryDirectory(prefix="karaoke-speed-") as folder:
        for clip in clips:
            # One warms up: it fills the disk's cache and compiles the modules.
            first = clip is clips[0]
            run_clip(clip, Path(folder), programs, runs=options.runs, warm_up=first)
    print_tables(clips, machine=machine)
    if options.json:
        text = json.dumps({"machine": machine, "clips": as_json(clips)}, indent=2)
        options.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
