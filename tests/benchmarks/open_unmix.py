"""Compare Open-Unmix in this project's engine with Open-Unmix in its authors' package.

    python tests/benchmarks/open_unmix.py
    python tests/benchmarks/open_unmix.py --seconds 30 180 --long 3600 --runs 5 --threads 1

Both have the same random weights, of umxhq's shape, and hear the same clips: the test song, looped.
The package runs as it does by default (the song in one piece, all cores in each operation) and
without its Wiener filter, which this project does not have; with it, it is slower. The engine gives
its results away as they come. Time is that of the separation alone, after a short warm-up; memory
is the peak of the whole process. Nothing is asserted about time. Needs the package ``openunmix``
and a torchaudio that loads beside the installed torch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speed import describe_machine, make_clip, measure, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The heavy imports are in the functions that run in a child, as in speed.py.

STEMS = ("vocals", "drums", "bass", "other")
CHECKPOINT = "open_unmix.safetensors"
WARM_UP_SECONDS = 5
BLOCK = 1 << 16


@dataclass(frozen=True)
class Figures:
    """What one separation took."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def make_weights(folder: Path, stems: Sequence[str]) -> None:
    """Write random weights as the authors publish theirs, and as a checkpoint of ours."""
    from karaoke.store.conversion import convert
    from tests.published import write_open_unmix

    files = {s: write_open_unmix(folder / f"{s}.pth", seed=n) for n, s in enumerate(stems)}
    convert(files, "open_unmix", folder / CHECKPOINT)


def timed(work: Callable[[], None]) -> None:
    """Run it and print what it took."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    print(json.dumps([time.perf_counter() - started, time.process_time() - cpu]))


def be_karaoke(clip: Path, folder: Path) -> None:
    """Separate a clip by our engine, streamed; runs in a child."""
    import soundfile

    from karaoke import load_model

    def blocks(seconds: float | None = None) -> Iterator[NDArray[Any]]:
        with soundfile.SoundFile(clip) as file:
            length = -1 if seconds is None else round(seconds * file.samplerate)
            for block in file.blocks(BLOCK, frames=length, dtype="float32", always_2d=True):
                yield block.T

    separator = load_model(folder / CHECKPOINT, device="cpu")
    for _ in separator.stream(blocks(WARM_UP_SECONDS), sample_rate=44100):
        pass

    def work() -> None:
        for _ in separator.stream(blocks(), sample_rate=44100):
            pass

    timed(work)


def be_package(clip: Path, folder: Path) -> None:
    """Separate a clip by the authors' package, in one piece; runs in a child."""
    import soundfile
    import torch
    from openunmix.model import OpenUnmix, Separator  # type: ignore[import-not-found]

    networks = {}
    for stem in STEMS:
        if (folder / f"{stem}.pth").is_file():
            networks[stem] = OpenUnmix(nb_bins=2049, hidden_size=512, max_bin=1487)
            weights = torch.load(folder / f"{stem}.pth", weights_only=True)
            networks[stem].load_state_dict(weights, strict=False)
    separator = Separator(networks, niter=0).eval()
    with torch.inference_mode():
        samples, rate = soundfile.read(clip, dtype="float32", always_2d=True)
        mixture = torch.from_numpy(samples.T.copy())[None]
        separator(mixture[..., : WARM_UP_SECONDS * rate])
        timed(lambda: separator(mixture))


def run(program: str, clip: Path, folder: Path) -> Figures:
    """Run a program on a clip, in a process of its own with all cores."""
    command = [sys.executable, __file__, "--as", program, os.fspath(clip), os.fspath(folder)]
    usage, output = measure(command)
    wall, cpu = json.loads(output)
    return Figures(wall, cpu, usage.peak_rss_mb)


def child(*command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a child."""
    return subprocess.run([sys.executable, *command], check=False, capture_output=True, text=True)


def compare(seconds: int, folder: Path, runs: int) -> None:
    """Run both in turn on a clip and print their figures and ratios, pair by pair."""
    clip = folder / f"{seconds}.mp3"
    make_clip(clip, seconds)
    pairs = [(run("karaoke", clip, folder), run("package", clip, folder)) for _ in range(runs)]
    for number, program in enumerate(("karaoke", "package")):
        figures = [pair[number] for pair in pairs]
        print(f"{seconds:5d} s  {program:8s}", describe(figures, seconds))
    for name in ("wall_seconds", "cpu_seconds", "peak_rss_mb"):
        ratios = [getattr(ours, name) / getattr(theirs, name) for ours, theirs in pairs]
        texts = " / ".join(f"{value:.2f}" for value in spread(ratios))
        print(f"{seconds:5d} s  karaoke / package, {name}: {texts}", flush=True)


def describe(figures: Sequence[Figures], seconds: int) -> str:
    """Write minimum, median and maximum of each figure."""
    factors = " / ".join(f"{v:.3f}" for v in spread([f.wall_seconds / seconds for f in figures]))
    cpu = " / ".join(f"{v:.1f}" for v in spread([f.cpu_seconds for f in figures]))
    memory = " / ".join(f"{v:.0f}" for v in spread([f.peak_rss_mb for f in figures]))
    return f"real-time factor {factors}, CPU s {cpu}, peak RSS MB {memory}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Open-Unmix here and in its authors' package.")
    parser.add_argument("--seconds", type=int, nargs="+", default=[30, 120], metavar="N")
    parser.add_argument("--long", type=int, default=1200, metavar="N", help="for ours alone; or 0")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of the package; by default as it likes")
    parser.add_argument("--stems", nargs="+", choices=STEMS, default=STEMS)
    parser.add_argument("--as", dest="program", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark, or, in a child of its own, one of the programs."""
    options = parse(arguments)
    if options.program:
        name, *paths = options.program
        {"karaoke": be_karaoke, "package": be_package}[name](*map(Path, paths))
        return
    probe = child("-c", "import openunmix.model")
    if probe.returncode:
        reason = probe.stderr.strip().splitlines()[-1]
        print(f"nothing to compare with: openunmix does not import ({reason})")
        return
    # Ours sets its own; on a busy machine the package's threads wait for each other.
    os.environ.pop("OMP_NUM_THREADS", None)
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    print(", ".join(f"{name} {value}" for name, value in describe_machine().items()))
    print(f"stems: {', '.join(options.stems)}; minimum / median / maximum of {options.runs} runs")
    with tempfile.TemporaryDirectory(prefix="karaoke-umx-") as name:
        folder = Path(name)
        root = os.fspath(Path(__file__).parents[2])
        code = f"import sys; sys.path[:0] = {[root, os.path.dirname(__file__)]!r}\n"
        code += "import open_unmix as o; from pathlib import Path\n"
        code += f"o.make_weights(Path({name!r}), {tuple(options.stems)!r})"
        made = child("-c", code)
        if made.returncode:
            raise SystemExit(made.stderr)
        for seconds in sorted(set(options.seconds)):
            compare(seconds, folder, options.runs)
        if options.long:
            clip = folder / "long.mp3"
            make_clip(clip, options.long)
            alone = [run("karaoke", clip, folder)]
            print(f"{options.long:5d} s  karaoke ", describe(alone, options.long))


if __name__ == "__main__":
    main()
