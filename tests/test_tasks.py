"""The engine of jobs: tasks that can be done anywhere, and what becomes of them."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from karaoke.audio import AudioReader, output_format
from karaoke.errors import KaraokeError, NoInputError
from karaoke.files import checksum, write_text
from karaoke.jobs.batch import BatchOptions, run_batch
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.naming import Song
from karaoke.jobs.planning import Job, plan
from karaoke.jobs.splitting import SplitTask
from karaoke.jobs.task import Cancelled, Result, Space, Tools, check_outputs
from karaoke.separation.separator import Separator
from karaoke.store.loading import load_model

STEMS = ("vocals", "instrumental")
SETTINGS = SplitSettings("tiny", "wav", 24, "")
Loader = Callable[[], Separator]


@pytest.fixture
def separator(tiny_model: Path) -> Loader:
    """Load the tiny model, on first use; can be pickled."""
    return partial(load_model, tiny_model, device="cpu")


def tasks_for(songs: list[Path], folder: Path, **options: Any) -> list[SplitTask]:
    """Plan to split songs to WAV files in a folder."""
    jobs = plan([Song(song) for song in songs], folder, STEMS, "wav")
    return [SplitTask(job, SETTINGS, output_format("wav", None), **options) for job in jobs]


def never() -> Separator:
    """Fail where no model is needed."""
    raise AssertionError("a model was loaded")


@dataclass
class CountTask:
    """Counts the bytes of a file: work of another kind than splitting."""

    job: Job
    settings: SplitSettings = SETTINGS
    overwrite: bool = False
    needs_model: bool = False

    def estimate(self, stopped: Event, *, keep_open: bool) -> Space:
        if not self.job.source.exists():
            raise NoInputError(f'"{self.job.source}": no such file')
        return Space(kept_bytes=10)

    def run(self, tools: Tools) -> Result:
        check_outputs(self.job, self.overwrite)
        data = self.job.source.read_bytes()
        if data == b"boom":
            raise KaraokeError("boom")
        tools.check()
        tools.progress(1.0, 1.0)
        (target,) = self.job.outputs.values()
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, str(len(data)))
        return Result(self.job.outputs, {}, 0.0, 0.0, facts={"bytes": len(data)})

    def from_anywhere(self) -> CountTask:
        return replace(self, job=self.job.from_anywhere())

    def close(self) -> None:
        pass


def count_tasks(contents: list[bytes | None], folder: Path) -> list[CountTask]:
    """Make tasks that count files with these contents, of which some are missing."""
    tasks = []
    for number, content in enumerate(contents):
        source = folder / f"{number}.txt"
        if content is not None:
            source.write_bytes(content)
        outputs = {"count": folder / "out" / f"{number}.count"}
        tasks.append(CountTask(Job(source, outputs, folder / "out" / f".{number}.json")))
    return tasks


def executors() -> list[Callable[[], Executor] | None]:
    """List ways to do tasks: by itself, in threads of the caller, and in another process."""
    spawn = multiprocessing.get_context("spawn")
    # With as many threads of torch as here, on which the last bits depend.
    process = partial(ProcessPoolExecutor, 1, spawn, torch.set_num_threads, (1,))
    return [None, partial(ThreadPoolExecutor, 2), process]


@pytest.mark.parametrize("make", executors(), ids=["alone", "threads", "process"])
def test_any_executor_splits_to_the_same_bytes(
    make: Callable[[], Executor] | None, song: Path, separator: Loader, tmp_path: Path
) -> None:
    tasks = tasks_for([song], tmp_path / "out")
    (expected,) = tasks_for([song], tmp_path / "expected")
    expected.run(Tools(separator))
    executor = make() if make is not None else None
    try:
        (outcome,) = run_batch(tasks, cache(separator) if executor is None else separator,
                               BatchOptions(), executor=executor)  # fmt: skip
    finally:
        if executor is not None:
            executor.shutdown()
    assert outcome.status == "done" and outcome.result is not None
    for stem, path in outcome.result.outputs.items():
        assert checksum(path) == checksum(expected.job.outputs[stem])
        assert outcome.result.manifest["outputs"][stem]["sha256"] == checksum(path)


@pytest.mark.parametrize("make", executors(), ids=["alone", "threads", "process"])
@pytest.mark.parametrize("fail_fast", [False, True])
def test_work_of_any_kind(
    make: Callable[[], Executor] | None, fail_fast: bool, tmp_path: Path
) -> None:
    tasks = count_tasks([b"abc", None, b"x"], tmp_path)
    executor = make() if make is not None else None
    options = BatchOptions(fail_fast=fail_fast)
    outcomes = list(run_batch(tasks, never,
                              options, executor=executor))  # fmt: skip
    if executor is not None:
        executor.shutdown()
    assert [outcome.job for outcome in outcomes] == [task.job for task in tasks]
    assert [outcome.status for outcome in outcomes][:2] == ["done", "failed"]
    # An executor may have begun already what comes after the failure.
    possible = (
        {"done"} if not fail_fast else {"not tried"} if make is None else {"not tried", "done"}
    )
    assert outcomes[2].status in possible
    assert (tmp_path / "out" / "0.count").read_text() == "3"


def test_what_is_not_begun_is_not_tried_after_a_failure(tmp_path: Path) -> None:
    tasks = count_tasks([b"boom", b"a", b"b"], tmp_path)
    with ThreadPoolExecutor(1) as executor:
        blocked = Event()
        executor.submit(blocked.wait)
        outcomes = run_batch(tasks, never, BatchOptions(fail_fast=True), executor=executor)
        blocked.set()
        first = next(outcomes)
        assert first.status == "failed" and str(first.error).startswith("boom")
        assert {outcome.status for outcome in outcomes} <= {"not tried", "done"}


def test_a_dry_run_and_songs_that_are_done_need_no_model(song: Path, tmp_path: Path) -> None:
    tasks = tasks_for([song], tmp_path / "out")
    (outcome,) = run_batch(tasks, never, BatchOptions(dry_run=True))
    assert outcome.status == "planned" and not (tmp_path / "out").exists()


def test_a_song_is_opened_once(
    song: Path, separator: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[list[str]] = []
    start = subprocess.Popen.__init__

    def counting(self: Any, arguments: Any, *rest: Any, **options: Any) -> None:
        starts.append([str(argument) for argument in arguments])
        start(self, arguments, *rest, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", counting)
    (outcome,) = run_batch(tasks_for([song], tmp_path), cache(separator), BatchOptions())
    assert outcome.status == "done"
    assert len([one for one in starts if any(str(song) in word for word in one)]) == 1


def test_an_open_song_is_let_go_of(song: Path, tmp_path: Path) -> None:
    (task,) = tasks_for([song], tmp_path)
    assert task.estimate(Event(), keep_open=True).working_bytes > 0
    opened = task._song
    assert opened is not None and isinstance(opened.reader, AudioReader)
    again = pickle.loads(pickle.dumps(task))
    assert again == task and again._song is None
    task.close()
    assert task._song is None
    with pytest.raises(ValueError, match="closed"):
        next(opened.reader.blocks())


def test_work_that_nobody_wants_is_unwound(song: Path, separator: Loader, tmp_path: Path) -> None:
    (task,) = tasks_for([song], tmp_path / "out")
    stopped = Event()
    seen: list[float] = []

    def progress(done: float, total: float | None) -> None:
        seen.append(done)
        stopped.set()

    with pytest.raises((Cancelled, KaraokeError)):
        task.run(Tools(separator, progress, stopped))
    assert seen and not list(tmp_path.rglob("*.wav")) and task._song is None
