"""The bench that a fault is tried on: a folder, a song, a model, and a count of what went wrong."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
import torch

from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.separation.checkpoints import build_network, save_checkpoint
from karaoke.separation.headers import Header
from tests.launching import TIMED_OUT, run_karaoke

RATE = 44100
TINY = {
    **{"n_fft": 512, "hop_length": 256, "features": 8, "hidden": 8, "layers": 1, "mask_hidden": 8},
    "band_edges_hz": [0.0, 1000.0, 4000.0, 22050.0],
}
Done = subprocess.CompletedProcess[str]


@dataclass
class Tally:
    """What was seen in all cases together; all but ``killed`` and ``published`` should be zero."""

    tracebacks: int = 0
    hangs: int = 0
    altered: int = 0
    lost: int = 0
    partial: int = 0
    leaked: int = 0
    killed: int = 0
    published: int = 0
    probed: int = 0


@dataclass
class Bench:
    """Where a case is tried.

    Parameters
    ----------
    folder
        Of the case alone, and empty.
    model
        A checkpoint that is small and quick.
    tally
        Of all cases.
    """

    folder: Path
    model: Path
    tally: Tally
    inputs: dict[Path, str] = field(default_factory=dict)
    finished: dict[Path, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """Folder of the stems."""
        return self.folder / "out"

    def put(self, name: str | bytes, content: bytes) -> Path:
        """Write an input; it must never change."""
        path = self.folder / (
            name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.keep(path)

    def keep(self, path: Path) -> Path:
        """Take a file for an input that must never change."""
        self.inputs[path] = digest(path)
        return path

    def song(
        self,
        name: str = "song.wav",
        *,
        seconds: float = 0.5,
        rate: int = RATE,
        channels: int = 2,
        scale: float = 0.1,
        **options: str,
    ) -> Path:
        """Write noise as a song; the options are those of ``soundfile.write``."""
        samples = np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, (scale * samples).clip(-25 * scale, 25 * scale), rate, **options)
        return self.keep(path)

    def convert(self, source: Path, name: str, *options: str) -> Path:
        """Convert a file by ffmpeg."""
        target = self.folder / name
        command = [find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-i", f"file:{source}"]
        subprocess.run([*command, *options, f"file:{target}"], check=True)
        return self.keep(target)

    def karaoke(self, *arguments: object, **options: object) -> Done:
        """Run a command in the folder, and look at what it did."""
        options = {"cwd": self.folder, **options}
        done = run_karaoke(*arguments, **options)
        self.watch(done)
        return done

    def split(self, *arguments: object, **options: object) -> Done:
        """Run ``karaoke split`` with the small model; the stems go to ``out``."""
        more = [] if "-o" in arguments else ["-o", self.out]
        return self.karaoke("split", *arguments, "-n", self.model, *more, **options)

    def watch(self, done: Done) -> None:
        """Count what must not be, and remember what was finished."""
        self.tally.tracebacks += "Traceback" in done.stderr
        self.tally.hangs += done.returncode == TIMED_OUT
        if done.returncode in (0, 3):
            for line in done.stdout.splitlines():
                path = self.folder / line
                if len(line) < 4000 and path.is_file():
                    self.finished[path] = digest(path)

    def refused(self, done: Done, code: int, words: str = "") -> None:
        """Check that a command failed as documented and left nothing."""
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert words in done.stderr, done.stderr
        (line,) = done.stderr.splitlines()[-1:]
        assert line.startswith("karaoke: ") and line.endswith("]"), line
        assert not self.files(), self.files()

    def stopped(self, done: Done, code: int) -> None:
        """Check that a command that was stopped said so and left nothing."""
        assert (done.returncode, done.stdout) == (code, ""), (done.returncode, done.stderr)
        assert "stopped, nothing half-written" in done.stderr, done.stderr
        assert not self.files(), self.files()

    def files(self) -> list[Path]:
        """List all that lies in the output folder, hidden files too."""
        return sorted(path for path in self.out.rglob("*") if path.is_file())

    def stems(self, track: str = "song", extension: str = "wav") -> tuple[Path, Path]:
        """Give the paths of a song's stems."""
        return (
            self.out / track / f"vocals.{extension}",
            self.out / track / f"instrumental.{extension}",
        )

    def add_up(self, source: Path, track: str = "song", tolerance: float = 1e-4) -> None:
        """Check that the stems have the song's rate, channels and length and add up to it."""
        song, rate = soundfile.read(source, always_2d=True)
        vocals, instrumental = (soundfile.read(path, always_2d=True) for path in self.stems(track))
        assert vocals[1] == instrumental[1] == rate
        assert vocals[0].shape == instrumental[0].shape == song.shape
        if len(song):
            assert np.abs(vocals[0] + instrumental[0] - song).max() < tolerance

    def close(self) -> None:
        """Count inputs that were altered, finished outputs that were lost, and stray parts."""
        self.tally.altered += sum(digest(path) != before for path, before in self.inputs.items())
        self.tally.lost += sum(digest(path) != before for path, before in self.finished.items())
        self.tally.partial += sum(path.name.startswith(".karaoke-") for path in self.files())


Case = Callable[[Bench], None]
#: All cases: a name, which begins with the class of the fault, to what tries it.
CASES: dict[str, Case] = {}


def fault(kind: str, *variants: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Enter a function as a case; with variants as several, each called with one of them."""

    def enter(function: Callable[..., None]) -> Callable[..., None]:
        name = f"{kind}: {function.__name__.replace('_', ' ')}"
        if not variants:
            CASES[name] = function
        for number, variant in enumerate(variants):

            def case(bench: Bench, variant: object = variant) -> None:
                function(bench, variant)

            label = variant[0] if isinstance(variant, tuple) else variant
            CASES[f"{name} [{number}: {label!r:.40}]"] = case
        return function

    return enter


def digest(path: Path) -> str:
    """Hash a file; a missing one has a hash of its own."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def ffmpeg_builds() -> list[str]:
    """List the builds of ffmpeg that users have: the one on the PATH and the wheel's."""
    return sorted({find_ffmpeg(), str(imageio_ffmpeg.get_ffmpeg_exe())})


def small_model(folder: Path, **header: object) -> Path:
    """Write a checkpoint with random weights."""
    torch.manual_seed(0)
    fields = {"stems": ("vocals",), **header}
    described = Header(
        "band_split_bilstm", TINY, RATE, 2, segment_seconds=1.0, overlap=0.25, **fields
    )  # type: ignore[arg-type]
    path = folder / "tiny.safetensors"
    save_checkpoint(path, build_network(described), described)
    return path


@contextmanager
def bench(model: Path, tally: Tally) -> Iterator[Bench]:
    """Give a bench and clear it away; what happened there is counted even if the case fails."""
    with tempfile.TemporaryDirectory() as folder:
        there = Bench(Path(folder), model, tally)
        try:
            yield there
        finally:
            there.close()
