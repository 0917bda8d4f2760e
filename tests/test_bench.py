"""``karaoke models bench``, what is remembered of it, and what is said before long work."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from karaoke import __version__
from karaoke.audio import output_format
from karaoke.audio.blocks import Block
from karaoke.cli.forecast import Forecast
from karaoke.cli.timing import spoken_time
from karaoke.errors import DeviceMemoryError, ModelError, UsageError
from karaoke.evaluation import bench
from karaoke.files import checksum
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.planning import Job
from karaoke.jobs.splitting import SplitTask
from karaoke.jobs.task import SongProgress
from karaoke.separation.headers import Header
from karaoke.separation.separator import Separator
from karaoke.store import speeds
from karaoke.store.speeds import Setup, Speed
from tests.launching import run_karaoke

#: Seconds that the slow network takes for a segment.
SLOW = 0.05


class Slow(nn.Module):
    """Takes its time for each segment, and notes how many it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.segments = 0

    def forward(self, mixture: Tensor) -> Tensor:
        self.segments += len(mixture)
        time.sleep(SLOW)
        return 0.5 * mixture[:, None]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a user's folders that are empty."""
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("KARAOKE_MODELS", str(tmp_path / "models"))
    return tmp_path


def test_a_measurement_is_remembered_and_shown(
    home: Path, tiny_model: Path, wav: Callable[..., Path], noise: Callable[..., Block]
) -> None:
    (home / "models").mkdir()
    shutil.copy(tiny_model, home / "models" / "tiny.safetensors")
    done = run_karaoke("models", "bench", "tiny", "--json", "-q", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    (entry,) = json.loads(done.stdout)["models"]
    assert entry["status"] == "measured" and entry["stems"] == ["vocals"]
    assert 0 < entry["real_time_factor"] < 1 < entry["expected_seconds"]
    expected = entry["start_seconds"] + 240 * entry["real_time_factor"]
    assert entry["expected_seconds"] == pytest.approx(expected, abs=0.1)
    assert 100e6 < entry["memory_bytes"] < 4e9, "of a process with torch in it"
    said = spoken_time(entry["expected_seconds"])
    assert re.search(rf"tiny .* {re.escape(said)} ", run_karaoke("models").stdout)
    # What is remembered is what a split goes by.
    setup = Setup(__version__, checksum(tiny_model), "cpu")
    known = speeds.recall(setup)
    assert known is not None and known.memory_bytes == entry["memory_bytes"]
    speeds.remember(setup, replace(known, real_time_factor=61.0, start_seconds=1.0))
    song = wav(noise(1, 44_100 * 10))
    done = run_karaoke("split", song, "-n", "tiny", "-o", home / "out", "--device", "cpu")
    said = "separating 10 s of music will take about 10 min, going by karaoke models bench"
    assert said in done.stderr and done.returncode == 0


def test_models_that_cannot_be_measured(home: Path, tiny_model: Path) -> None:
    done = run_karaoke("models", "bench", "tiny", "duo-v1")
    assert done.returncode == 69 and '"tiny": no such model' in done.stderr
    (home / "models").mkdir()
    damaged = home / "models" / "damaged.safetensors"
    damaged.write_bytes(tiny_model.read_bytes()[:500])
    done = run_karaoke("models", "bench", "damaged", "--json")
    assert done.returncode == 65
    (entry,) = json.loads(done.stdout)["models"]
    assert entry["status"] == "failed" and entry["error"]["code"] == "damaged-model"
    done = run_karaoke("models", "bench", damaged, "damaged", "-q")
    assert done.returncode == 3 and done.stderr.count("karaoke: ") == 2
    assert not speeds.speeds_folder().exists()


def test_errors_come_back_from_the_process_that_measures(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_here(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        bench.main()
        return subprocess.CompletedProcess(arguments, 0, capsys.readouterr().out, "")

    monkeypatch.setattr(bench, "run_module", run_here)
    with pytest.raises(UsageError, match="unknown device 'quantum'"):
        bench.measure(str(tiny_model), device="quantum")
    with pytest.raises(ModelError, match="no such model"):
        bench.measure("nothing")
    killed = subprocess.CompletedProcess([], -9, "", "")
    monkeypatch.setattr(bench, "run_module", lambda *_: killed)
    with pytest.raises(DeviceMemoryError, match="was killed"):
        bench.measure(str(tiny_model))


def test_what_is_remembered_holds_for_one_setup(
    home: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup("1.0", "ab" * 32, "cpu")
    factors = rng.uniform(0.01, 10, 3)
    first, second, third = (Speed(f, 1.5, 10**9, "a processor") for f in factors)
    speeds.remember(setup, first)
    assert speeds.recall(setup) == first
    for other in (
        replace(setup, version="1.1"),
        replace(setup, weights_sha256="cd" * 32),
        replace(setup, device="cuda"),
        replace(setup, quality="fast"),
    ):
        assert speeds.recall(other) is None
    speeds.remember(replace(setup, device="cuda"), second)
    assert dict(speeds.recall_all("1.0", "ab" * 32)) == {"cpu": first, "cuda": second}
    speeds.remember(setup, third)
    assert speeds.recall(setup) == third
    for path in speeds.speeds_folder().iterdir():
        path.write_text(path.read_text()[: rng.integers(0, 100)])
    assert speeds.recall(setup) is None, "of a damaged file, nothing is known"
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert speeds.recall(setup) is None


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_time_is_that_of_whole_batches(
    tiny_header: Header, overlap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "REPEATS", 1)
    header = replace(tiny_header, segment_seconds=2.0)
    network = Slow()
    separator = Separator(network, header, overlap=overlap)
    segments, seconds = bench.whole_batches(separator)
    assert segments % separator.batch_size == 0 and seconds >= bench.SECONDS
    factor, warm_up = bench.time_separator(separator)
    assert network.segments == 2 * segments, "not one more"
    per_batch = factor * separator.stride_seconds * separator.batch_size
    assert SLOW <= per_batch < 10 * SLOW and warm_up >= 0


@pytest.mark.parametrize("batches", [20, 300])
def test_slow_work_is_told_of_by_its_first_segments(
    tiny_header: Header, home: Path, batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("karaoke.cli.forecast.LONG_SECONDS", 100 * SLOW)
    separator = Separator(Slow(), tiny_header)
    console = Console(width=200, file=io.StringIO(), record=True)
    settings = SplitSettings("tiny", "wav", 24, "", weights_sha256="ab" * 32)
    job = Job(Path("a.wav"), {}, Path("a.json"))
    task = SplitTask(job, settings, output_format("wav"))
    forecast = Forecast(console, [task], "cpu", lambda: separator)
    # A batch of segments at a time, each of which adds three quarters of a second.
    forecast.begin(batches * separator.batch_size * separator.stride_seconds)
    seen: list[float] = []

    @contextmanager
    def display(job: Job) -> Iterator[SongProgress]:
        yield lambda done, total: seen.append(done)

    with forecast.watch(display)(job) as update:
        song = np.ones((2, 44_100 * 5), np.float32)
        for _ in separator.stream(
            [song], sample_rate=44_100, progress=lambda done: update(done, None)
        ):
            pass
    said = console.export_text()
    assert len(seen) > 3
    if batches < 100:
        assert not said
        return
    (seconds,) = re.findall(r"will take about (\S+) s, going by its first segments", said)
    assert 0.9 * batches * SLOW < float(seconds) < 5 * batches * SLOW


def test_music_is_never_silent(rng: np.random.Generator) -> None:
    sound = bench.music(float(rng.uniform(3, 12)))
    assert sound.shape[0] == 2 and np.abs(sound).max() <= 0.9
    windows = sound[:, : sound.shape[1] // 4410 * 4410].reshape(2, -1, 4410)
    assert np.sqrt(np.mean(windows**2, axis=2)).min() > 0.01
    assert not np.allclose(sound[0], sound[1])
    assert torch.isfinite(torch.from_numpy(sound)).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use")
def test_a_gpu_is_measured_with_its_memory() -> None:
    device, speed = bench.measure("duo-v1", device="cuda")
    assert device == "cuda" and speed.device_name == torch.cuda.get_device_name()
    assert speed.real_time_factor < 0.1 and speed.device_memory_bytes > 10e6
