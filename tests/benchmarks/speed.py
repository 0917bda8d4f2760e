"""Measure what ``karaoke split`` costs as a whole command: time, processor time and memory.

    python tests/benchmarks/speed.py
    python tests/benchmarks/speed.py --seconds 30 180 --peer openunmix --json speed.json

The clips are the test song, looped. Every run is a process of its own, from the start of Python to
the finished files, and is charged with the ffmpeg processes that it starts. Nothing is asserted
about time: the figures are for people to compare. Needs Linux or macOS and, for an hour of music,
about 5 GB of room in the folder for temporary files.
"""

from __future__ import annotations

import argparse
import json
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
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

# The heavy imports are in the functions that run in a child. Linux counts the memory of a parent
# at the fork towards the peak of its child, so this process must stay small to be no part of what
# it measures.

SONG = Path(__file__).parents[1] / "data" / "song.mp3"
#: Clips at least this long run once: an hour of music averages out what noise there is.
ONCE_FROM_SECONDS = 1800
#: The peer takes a song in one piece; longer ones would measure the machine's swap.
PEER_UP_TO_SECONDS = 180
#: Open-Unmix's umxhq: size of its spectra, and the bins below 16 kHz that its network hears.
N_FFT, HOP, BINS, HEARD_BINS, HIDDEN = 4096, 1024, 2049, 1487, 512
PEER_PARAMETERS = 8_893_348
#: Figures of a run: field of :class:`Usage` and name for people.
FIGURES = {"wall_seconds": "wall", "cpu_seconds": "CPU", "peak_rss_mb": "peak RSS"}


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


@dataclass
class Clip:
    """A clip and its runs, by program in the order in which they ran."""

    seconds: int
    runs: dict[str, list[Usage]] = field(default_factory=dict)

    def spread(self, program: str, figure: str) -> tuple[float, float, float]:
        """Give minimum, median and maximum of a figure over the runs of a program."""
        return spread([getattr(run, figure) for run in self.runs[program]])

    def ratios(self, figure: str) -> list[float]:
        """Divide karaoke's figure by the peer's, pair by pair of neighbouring runs."""
        pairs = zip(self.runs["karaoke"], self.runs["openunmix"], strict=True)
        return [getattr(ours, figure) / getattr(theirs, figure) for ours, theirs in pairs]


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


def measure(command: Sequence[str]) -> tuple[Usage, str]:
    """Run a command to its end.

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
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
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


def run_karaoke(clip: Path, folder: Path, model: str | None) -> Usage:
    """Run the command on a clip."""
    out = folder / "karaoke"
    command = [sys.executable, "-m", "karaoke", "split", os.fspath(clip), "-o", os.fspath(out)]
    command += ["--overwrite", "--quiet", *([] if model is None else ["--model", model])]
    usage, _ = measure(command)
    if not (out / clip.stem / "vocals.wav").is_file():
        raise SystemExit("karaoke wrote no vocals.wav")
    shutil.rmtree(out)
    return usage


def run_peer(clip: Path, folder: Path) -> tuple[Usage, str]:
    """Run the peer on a clip; also tell which of its variants ran."""
    out = folder / "openunmix.wav"
    command = [sys.executable, __file__, "--as-peer", os.fspath(clip), os.fspath(out)]
    usage, variant = measure(command)
    out.unlink()
    return usage, variant.strip()


def run_clip(
    clip: Clip, folder: Path, *, runs: int, model: str | None, peer: bool, warm_up: bool
) -> str:
    """Make a clip and run the programs on it in turn, so that noise hits both alike.

    Returns
    -------
    str
        The variant of the peer that ran; empty where none did.
    """
    path = folder / f"clip-{clip.seconds}.mp3"
    make_clip(path, clip.seconds)
    peer = peer and clip.seconds <= PEER_UP_TO_SECONDS
    variant = ""
    count = 1 if clip.seconds >= ONCE_FROM_SECONDS else runs
    for number in range(0 if warm_up else 1, count + 1):
        what = f"run {number} of {count}" if number else "warm-up"
        print(f"{clip.seconds} s of music: {what}", file=sys.stderr, flush=True)
        usages = {"karaoke": run_karaoke(path, folder, model)}
        if peer:
            usages["openunmix"], variant = run_peer(path, folder)
        if number:
            for program, usage in usages.items():
                clip.runs.setdefault(program, []).append(usage)
    path.unlink()
    return variant


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
    for name in ("clip", "program", "runs", "wall s", "real-time factor", "CPU s", "peak RSS MB"):
        figures.add_column(name, justify="left" if name == "program" else "right", no_wrap=True)
    ratios = Table(title="karaoke / openunmix, pair by pair", title_justify="left")
    for name in ("clip", *FIGURES.values()):
        ratios.add_column(name, justify="right", no_wrap=True)
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
            )
        if "openunmix" in clip.runs:
            ratios.add_row(length, *(texts(spread(clip.ratios(f)), 2) for f in FIGURES))
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
        if "openunmix" in clip.runs:
            entry["ratios"] = {figure: clip.ratios(figure) for figure in FIGURES}
        found.append(entry)
    return found


def umxhq_shape() -> nn.Module:
    """Build a network of exactly the shape of Open-Unmix's umxhq, with random weights.

    Magnitudes ``(1, 2, BINS, frames)`` in, magnitudes of the vocals out; the order of the steps is
    that of the paper of Stöter et al., "Open-Unmix", JOSS 2019.
    """
    import torch
    from torch import nn

    class UmxhqShape(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input_mean = nn.Parameter(torch.zeros(HEARD_BINS))
            self.input_scale = nn.Parameter(torch.ones(HEARD_BINS))
            self.squeeze = nn.Linear(2 * HEARD_BINS, HIDDEN, bias=False)
            self.squeeze_norm = nn.BatchNorm1d(HIDDEN)
            self.lstm = nn.LSTM(HIDDEN, HIDDEN // 2, num_layers=3, bidirectional=True)
            self.mix = nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
            self.mix_norm = nn.BatchNorm1d(HIDDEN)
            self.expand = nn.Linear(HIDDEN, 2 * BINS, bias=False)
            self.expand_norm = nn.BatchNorm1d(2 * BINS)
            self.output_scale = nn.Parameter(torch.ones(BINS))
            self.output_mean = nn.Parameter(torch.ones(BINS))

        def forward(self, magnitude: Tensor) -> Tensor:
            # Frames first: (frames, 1, 2, bins), as the LSTM wants them.
            mixture = magnitude.permute(3, 0, 1, 2)
            frames = len(mixture)
            heard = (mixture[..., :HEARD_BINS] + self.input_mean) * self.input_scale
            squeezed = self.squeeze_norm(self.squeeze(heard.reshape(frames, -1))).tanh()
            context = self.lstm(squeezed[:, None])[0][:, 0]
            mixed = self.mix_norm(self.mix(torch.cat([squeezed, context], -1))).relu()
            mask = self.expand_norm(self.expand(mixed)).reshape(frames, 1, 2, BINS)
            mask = (mask * self.output_scale + self.output_mean).relu()
            vocals: Tensor = (mask * mixture).permute(1, 2, 3, 0)
            return vocals

    return UmxhqShape()


def peer_network() -> tuple[nn.Module, str]:
    """Build the peer's network with random weights: speed does not depend on their values.

    Returns
    -------
    Module, str
        The network, and where it came from.
    """
    import torch

    torch.manual_seed(0)
    try:
        from openunmix.model import OpenUnmix  # type: ignore[import-not-found,unused-ignore]
    except (ImportError, OSError):  # OSError: a torchaudio made for another torch
        network, variant = umxhq_shape(), "a network of umxhq's shape (no usable package openunmix)"
    else:
        network = OpenUnmix(nb_bins=BINS, nb_channels=2, hidden_size=HIDDEN, max_bin=HEARD_BINS)
        variant = f"umxhq's network from openunmix {version('openunmix')}"
    count = sum(parameter.numel() for parameter in network.parameters())
    assert abs(count / PEER_PARAMETERS - 1) < 0.01, f"{count} parameters are not umxhq's"
    return network.eval(), f"{variant}, random weights, {count} parameters"


def be_peer(clip: Path, out: Path) -> None:
    """Split a clip as Open-Unmix does, in one piece, without a Wiener filter; runs in a child."""
    import soundfile
    import torch

    network, variant = peer_network()
    samples, rate = soundfile.read(clip, dtype="float32", always_2d=True)
    mixture = torch.from_numpy(samples.T.copy())
    window = torch.hann_window(N_FFT)
    with torch.inference_mode():
        spectrum = torch.stft(mixture, N_FFT, HOP, window=window, return_complex=True)
        vocals = torch.polar(network(spectrum.abs()[None])[0], spectrum.angle())
        sound = torch.istft(vocals, N_FFT, HOP, window=window, length=mixture.shape[1])
    soundfile.write(out, sound.T.numpy(), rate, subtype="PCM_24")
    print(variant)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure karaoke split as a whole command.")
    parser.add_argument("--seconds", type=int, nargs="+", default=[30, 180, 3600], metavar="N")
    parser.add_argument("--model", metavar="NAME|PATH", help="as in karaoke split --model")
    parser.add_argument("--runs", type=int, default=3, help="per clip; clips of 30 min: 1")
    parser.add_argument("--peer", choices=["openunmix"], help="run it in turn, up to 180 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--as-peer", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.runs < 1 or min(options.seconds) < 1:
        parser.error("--runs and --seconds must be at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark, or, in a child of its own, the peer."""
    options = parse(arguments)
    if options.as_peer:
        be_peer(*options.as_peer)
        return
    machine = describe_machine()
    clips = [Clip(seconds) for seconds in sorted(set(options.seconds))]
    variants = []
    with tempfile.TemporaryDirectory(prefix="karaoke-speed-") as folder:
        for clip in clips:
            variants.append(
                run_clip(
                    clip,
                    Path(folder),
                    runs=options.runs,
                    model=options.model,
                    peer=options.peer is not None,
                    # One does: it fills the disk's cache and compiles the modules.
                    warm_up=clip is clips[0],
                )
            )
    print_tables(clips, machine=machine)
    variant = next(filter(None, variants), None)
    if variant:
        print(f"openunmix: {variant}")
    if options.json:
        found = {"machine": machine, "model": options.model, "peer": variant}
        text = json.dumps({**found, "clips": as_json(clips)}, indent=2)
        options.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
