"""Songs on a cluster: the same bytes in the same order, whatever becomes of its workers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from karaoke.audio import AudioReader, Samples, output_format
from karaoke.audio.blocks import Warn
from karaoke.files import PART_PREFIX, PartFile, checksum
from karaoke.jobs.batch import BatchOptions, run_batch
from karaoke.jobs.loading import ModelLoader
from karaoke.jobs.manifest import SplitSettings, is_complete
from karaoke.jobs.naming import Song
from karaoke.jobs.outcomes import Outcome
from karaoke.jobs.planning import plan
from karaoke.jobs.splitting import SplitTask
from karaoke.jobs.task import Result, Tools
from tests.launching import Running, wait_for

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")

Run = Callable[..., subprocess.CompletedProcess[str]]
STEMS = ("vocals", "instrumental")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Address of a cluster of three processes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None
        )
        with cluster:
            yield cluster.scheduler_address.removeprefix("tcp://")


@pytest.fixture
def songs(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Make a folder of twelve short songs."""
    folder = tmp_path / "songs"
    folder.mkdir()
    for number in range(12):
        sound = 0.1 * rng.standard_normal((int(rng.integers(4000, 30_000)), 2))
        soundfile.write(folder / f"{number:02}.wav", sound.clip(-0.9, 0.9), 44100)
    return folder


def write_long_song(path: Path, rng: np.random.Generator) -> None:
    """Write ten minutes of noise that repeats itself."""
    second = (2000 * rng.standard_normal((44100, 2))).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(600 * second)


def entries(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Parse the JSON lines of a run, without what differs each time."""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    timed = ("elapsed_seconds", "real_time_factor", "device")
    return [{key: entry[key] for key in entry if key not in timed} for entry in found]


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def parts(folder: Path) -> list[Path]:
    """List what is half-written."""
    return list(folder.rglob(f"{PART_PREFIX}*"))


def test_twelve_songs_come_out_as_on_one_machine(
    address: str, run_karaoke: Run, songs: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (songs / "05.wav").write_bytes(b"no music at all")
    runs = {}
    for where, options in {"here": [], "there": ["--engine", "dask", "--address", address]}.items():
        (tmp_path / where).mkdir()
        # Relative paths, which workers in another folder could not resolve.
        command = ["split", "../songs", "-o", "out", "-n", tiny_model, "--json", *options]
        runs[where] = run_karaoke(*command, cwd=tmp_path / where)
        assert runs[where].returncode == 3, runs[where].stderr
    assert entries(runs["here"]) == entries(runs["there"])
    here, there = (contents(tmp_path / where / "out") for where in runs)
    assert here == there, "manifests included"
    assert len(here) == 11 * 3
    told = [re.findall(r'"(.*)": splitting', run.stderr) for run in runs.values()]
    assert told[0] == told[1] == [f"{n:02}.wav" for n in range(12) if n != 5]


def test_a_cluster_is_checked(
    address: str, run_karaoke: Run, songs: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = ["cluster", "check", "--address", address, "-n", tiny_model]
    before = contents(tmp_path)
    done = run_karaoke(*command, songs, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert told["fit"] and len(told["workers"]) == 3
    assert {worker["found"]["locks"] for worker in told["workers"]} == {"shared"}
    assert contents(tmp_path) == before and not (tmp_path / "out").exists()
    # The workers live in this process's view of the disk; this client looks at another.
    done = run_karaoke(*command, "/proc/self/status", "-o", tmp_path / "out")
    assert done.returncode == 69, "each process has its own"
    assert done.stdout.endswith("0 of 3 workers are fit\n") and "songs: " in done.stdout
    # Without -n, the model is the one that karaoke split would take.
    chosen = {**os.environ, "KARAOKE_MODEL": str(tmp_path / "gone.safetensors")}
    done = run_karaoke(*command[:-2], songs, env=chosen)
    assert done.returncode == 69 and "gone.safetensors" in done.stderr


@pytest.mark.parametrize("guide", ["README.md", "docs/scale.md"])
def test_the_guides_commands(
    guide: str, address: str, run_karaoke: Run, tiny_model: Path, songs: Path, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[1] / guide).read_text(encoding="utf-8")
    commands = re.findall(r"^karaoke (.* head:8786)", text, re.MULTILINE)
    assert len(commands) == 2
    (tmp_path / "music").mkdir()
    (songs / "00.wav").rename(tmp_path / "music" / "a.wav")
    for command in commands:
        words = command.replace("head:8786", address).split()
        done = run_karaoke(*words, "-n", tiny_model, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "stems" / "a").glob("vocals.*"))) == 1


@dataclass
class PausingTask(SplitTask):
    """Splits a song, and stops before it is published until a file exists; once.

    It notes the process that works on it in a file beside its outputs, a line each time.
    """

    def add(
        self,
        parts: dict[str, PartFile],
        spools: Mapping[str, Samples],
        gain: float,
        reader: AudioReader,
        tools: Tools,
        files: ExitStack,
        warn: Warn,
    ) -> None:
        notes = self.job.source.with_suffix(".notes")
        first = not notes.exists()
        with notes.open("a") as file:
            file.write(f"{os.getpid()}\n")
        while first and not notes.with_suffix(".go").exists():
            tools.check()
            time.sleep(0.02)


class FinishingTask(SplitTask):
    """Splits a song, and loses its worker before anybody hears of it; once."""

    def run(self, tools: Tools) -> Result:
        result = super().run(tools)
        notes = self.job.source.with_suffix(".notes")
        if not notes.exists():
            notes.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def tasks_for(kind: type[SplitTask], songs: Path, out: Path, model: Path) -> list[SplitTask]:
    """Plan to split all songs of a folder."""
    found = [Song(path) for path in sorted(songs.glob("*.wav"))]
    settings = SplitSettings(str(model), "wav", 24, "", weights_sha256=checksum(model))
    jobs = plan(found, out, STEMS, "wav")
    return [kind(job, settings, output_format("wav")) for job in jobs]


def lines(path: Path) -> list[str]:
    """Read what was noted so far."""
    return path.read_text().splitlines() if path.exists() else []


def test_songs_of_lost_workers_are_done_elsewhere_once(
    address: str, songs: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from karaoke.jobs.engines.dask import DaskEngine, connected

    for path in sorted(songs.glob("*.wav"))[3:]:
        path.unlink()
    load = ModelLoader(str(tiny_model), checksum(tiny_model), "cpu")
    expected = tasks_for(SplitTask, songs, tmp_path / "expected", tiny_model)
    list(run_batch(expected, load, BatchOptions()))
    out = tmp_path / "out"
    # One is killed in the middle of a song, and one when it has just published another.
    tasks = [
        *tasks_for(PausingTask, songs, out, tiny_model)[:1],
        *tasks_for(FinishingTask, songs, out, tiny_model)[1:2],
        *tasks_for(SplitTask, songs, out, tiny_model)[2:],
    ]
    notes = songs / "00.notes"
    with connected(address) as client:
        outcomes = run_batch(tasks, load, BatchOptions(), executor=DaskEngine(client))
        with closing(outcomes):
            found: list[Outcome] = []
            reading = threading.Thread(target=lambda: found.extend(outcomes))
            reading.start()
            wait_for(lambda: bool(lines(notes)), 60)
            assert parts(out), "it is half-written"
            os.kill(int(lines(notes)[0]), signal.SIGKILL)
            reading.join(120)
            assert not reading.is_alive()
    first, second = lines(notes)
    assert first != second, "done elsewhere, once"
    assert [outcome.status for outcome in found] == ["done", "skipped", "done"]
    assert all(is_complete(task.job, task.settings) for task in tasks)
    assert contents(out) == contents(tmp_path / "expected")
    assert not parts(out)


def test_ctrl_c_cancels(
    address: str, run_karaoke: Run, tiny_model: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    for number in range(4):
        write_long_song(tmp_path / f"{number}.wav", rng)
    dask = ["--engine", "dask", "--address", address]
    running = Running("split", tmp_path, "-n", tiny_model, *dask, "-o", "out", cwd=tmp_path)
    out = tmp_path / "out"
    wait_for(lambda: "splitting" in running.stderr.read_text() and out.exists(), 60)
    running.kill(signal.SIGINT)
    done = running.wait(30)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "Traceback" not in done.stderr
    # The workers clean up, which takes the song's folders away.
    wait_for(lambda: not (out.exists() and any(out.iterdir())), 60)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a part of a cluster in a process of its own."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", *arguments], **quiet)  # type: ignore[call-overload]


def test_without_a_scheduler_nothing_is_half_written(
    tiny_model: Path, tmp_path: Path, run_karaoke: Run, rng: np.random.Generator
) -> None:
    for number in range(2):
        write_long_song(tmp_path / f"{number}.wav", rng)
    place = tmp_path / "scheduler.json"
    with ExitStack() as started:
        where = ["--no-dashboard", "--scheduler-file", str(place)]
        scheduler = start("distributed.cli.dask_scheduler", "--port", "0", *where)
        started.callback(scheduler.kill)
        worker = start("distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", *where)
        started.callback(worker.kill)
        wait_for(lambda: place.exists() and place.read_text().strip().endswith("}"), 60)
        address = json.loads(place.read_text())["address"]
        wait_for(lambda: run_karaoke("cluster", "check", "--address", address).returncode != 75, 60)
        command = ["split", *sorted(tmp_path.glob("*.wav")), "-n", tiny_model, "-o", "out"]
        running = Running(*command, "--engine", "dask", "--address", address, cwd=tmp_path)
        out = tmp_path / "out"
        wait_for(lambda: "splitting" in running.stderr.read_text() and out.exists(), 60)
        scheduler.kill()
        done = running.wait(60)
        assert done.returncode == 75, done.stderr
        assert done.stderr.count("\n") == 3 and "[cluster]" in done.stderr, "and no traceback"
        assert worker.wait(60) is not None, "its worker ends, too"
        assert not out.exists()
        assert run_karaoke(*command, "--engine", "dask", "--address", address).returncode == 75
