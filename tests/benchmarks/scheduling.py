"""Simulate a cluster whose workers fail: virtual time, but the project's own batches and files.

``python tests/benchmarks/scheduling.py`` prints the table that ``docs/scale.md`` shows. Workers
take songs in virtual time, from one event to the next, and fail at random in one of four ways. What
is real is what has to be right: :func:`karaoke.jobs.elsewhere.do_elsewhere` hands out songs and
takes what became of them, :func:`karaoke.jobs.elsewhere.work` does them, and files are begun,
locked, published and swept on the disk.
"""

from __future__ import annotations

import argparse
import heapq
import random
import secrets
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from karaoke.audio import output_format
from karaoke.errors import ClusterError
from karaoke.files import MACHINE, PART_PREFIX, PartFile, checksum, sweep
from karaoke.jobs.elsewhere import do_elsewhere, work
from karaoke.jobs.folders import _sweep
from karaoke.jobs.manifest import SplitSettings, identify, is_complete
from karaoke.jobs.naming import Song
from karaoke.jobs.outcomes import Outcome, no_display
from karaoke.jobs.planning import plan
from karaoke.jobs.splitting import SplitTask, prepare, publish_stems
from karaoke.jobs.task import Result, Space, Tools, check_outputs

#: Seconds that a song takes: the median and the spread of its logarithm.
MEDIAN_SECONDS, SPREAD = 12.0, 0.5
#: Until a worker that failed is there again, model and all.
RESTART_SECONDS = 20.0
#: Until the scheduler gives up a worker whose connection is open but silent (Dask's worker-ttl).
SILENCE_SECONDS = 300.0
#: Losses of workers to one song after which Dask gives it up.
MOST_LOSSES = 4
#: How workers fail, in which proportion: those that are cut off from the scheduler go on, and
#: publish, and those that are hung end when they are given up.
WAYS = {"killed": 0.6, "killed after publishing": 0.1, "cut off": 0.2, "hung": 0.1}
#: Time to see that a song is done already.
LOOK_SECONDS = 0.1


class SmallTask(SplitTask):
    """Publishes, in the way that all songs are, a few bytes that depend on the song alone."""

    def run(self, tools: Tools) -> Result:
        check_outputs(self.job, self.overwrite)
        with ExitStack() as files:
            prepare(self.job, files)
            return self.publish(self.write(files))

    def write(self, files: ExitStack) -> dict[str, PartFile]:
        """Write the outputs, but do not publish them."""
        parts = {stem: files.enter_context(PartFile(p)) for stem, p in self.job.outputs.items()}
        for stem, part in parts.items():
            part.path.write_text(self.content(stem))
        return parts

    def content(self, stem: str) -> str:
        """Say what an output holds."""
        return f"{stem} of {self.job.source.name}"

    def publish(self, parts: dict[str, PartFile]) -> Result:
        """Give them their names."""
        sums = {stem: checksum(part.path) for stem, part in parts.items()}
        facts = publish_stems(self.job, self.settings, parts, sums, identify(self.job.source))
        return Result(self.job.outputs, facts, 0.0, 0.0)

    def leave_half_written(self) -> None:
        """Leave what a killed process does: part files, whose locks have lapsed."""
        for path in self.job.outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        for path in self.job.outputs.values():
            left = f"{PART_PREFIX}{MACHINE}-{secrets.token_hex(6)}{path.suffix}"
            path.with_name(left).write_text("half")


@dataclass
class Tally:
    """What happened.

    Parameters
    ----------
    seconds, busy_seconds
        Virtual time until the last song was done, and what workers spent on songs in all.
    failures
        Workers that were lost.
    twice
        Songs that were published again by a worker that had been given up for lost.
    whole, given_up, half_written
        Songs whose outputs are complete and right, songs to which too many workers were lost, and
        part files that are left.
    """

    seconds: float = 0.0
    busy_seconds: float = 0.0
    failures: int = 0
    twice: int = 0
    whole: int = 0
    given_up: int = 0
    half_written: int = 0


@dataclass
class Attempt:
    """A song that was submitted, how often it was lost, and whether it was there when begun."""

    task: SmallTask
    future: Future[Outcome]
    run: Callable[..., Outcome]
    seconds: float
    losses: int = 0
    there: bool = False


class VirtualFuture(Future[Outcome]):
    """Something whose result comes as virtual time passes."""

    def __init__(self, cluster: VirtualCluster) -> None:
        super().__init__()
        self.cluster = cluster

    def result(self, timeout: float | None = None) -> Outcome:
        """Let time pass until it is there."""
        while not self.done():
            self.cluster.step()
        return super().result(timeout)


@dataclass
class VirtualCluster(Executor):
    """Workers in virtual time, which fail with a probability while they work on a song."""

    seed: int
    workers: int
    failing: float
    tally: Tally = field(default_factory=Tally)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.random, self.lengths = random.Random(self.seed), random.Random(self.seed + 1)
        self.idle = self.workers
        self.waiting: list[Attempt] = []
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0

    def submit(self, run: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        seconds = self.lengths.lognormvariate(0, SPREAD) * MEDIAN_SECONDS
        attempt = Attempt(arguments[0], VirtualFuture(self), run, seconds)
        self.waiting.append(attempt)
        self.hand_out()
        return attempt.future

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something after a while."""
        self.count += 1
        heapq.heappush(self.events, (self.now + seconds, self.count, do))

    def step(self) -> None:
        """Go on to the next event."""
        self.now, _, do = heapq.heappop(self.events)
        do()

    def hand_out(self) -> None:
        """Give songs to idle workers."""
        while self.idle and self.waiting:
            self.idle -= 1
            self.begin(self.waiting.pop(0))

    def begin(self, attempt: Attempt) -> None:
        """Have a worker take a song, which it finishes or fails."""
        attempt.there = is_complete(attempt.task.job, attempt.task.settings)
        seconds = LOOK_SECONDS if attempt.there else attempt.seconds
        fails = self.random.random() < self.failing
        if not fails:
            self.tally.busy_seconds += seconds
            self.at(seconds, lambda: self.finish(attempt))
            return
        (way,) = self.random.choices(list(WAYS), list(WAYS.values()))
        spent = seconds * (1 if way == "after" else self.random.random())
        self.tally.busy_seconds += spent
        self.at(spent, lambda: self.fail(attempt, way, seconds - spent))

    def free(self) -> None:
        """Have a worker idle again."""
        self.idle += 1
        self.hand_out()

    def finish(self, attempt: Attempt) -> None:
        """Do a song in earnest, at the end of its time."""
        attempt.future.set_result(attempt.run(attempt.task, never))
        self.tally.seconds = self.now
        self.free()

    def fail(self, attempt: Attempt, way: str, rest: float) -> None:
        """Lose a worker, in one of four ways."""
        self.tally.failures += 1
        self.at(RESTART_SECONDS, self.free)
        silence = 1.0
        if way == "killed after publishing":
            work(attempt.task, never)
        elif way == "cut off":
            self.at(rest, self.going_on(attempt.task))
        else:
            if not attempt.there:
                attempt.task.leave_half_written()
            silence = SILENCE_SECONDS if way == "hung" else silence
        self.at(silence, lambda: self.give_again(attempt))

    def going_on(self, task: SmallTask) -> Callable[[], None]:
        """Begin to write on a machine that nobody sees, whose locks nobody sees; give the rest."""
        for folder in {path.parent for path in task.job.outputs.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        files = ExitStack()
        parts = task.write(files)

        def publish() -> None:
            with files:
                self.tally.twice += is_complete(task.job, task.settings)
                task.publish(parts)

        return publish

    def give_again(self, attempt: Attempt) -> None:
        """Have a song done by another worker, unless too many were lost to it."""
        _sweep.cache_clear()  # as it is in the process of another worker
        attempt.losses += 1
        if attempt.losses == MOST_LOSSES:
            attempt.future.set_exception(ClusterError("its workers were lost"))
            return
        self.waiting.insert(0, attempt)
        self.hand_out()

    def settle(self) -> None:
        """Let the rest happen, when all songs are reported already."""
        while self.events:
            self.step()


def never() -> Any:
    """Load no model: none is needed."""
    raise AssertionError


def simulate(folder: Path, songs: int, workers: int, failing: float, seed: int) -> Tally:
    """Do songs on a cluster, and count what became of them.

    Parameters
    ----------
    folder
        An empty folder.
    songs, workers
        How many there are.
    failing
        Probability that a worker fails while it works on a song.
    seed
        Of all that is random.
    """
    sources = [folder / f"{number}.mp3" for number in range(songs)]
    for source in sources:
        source.write_text(source.name)
    settings = SplitSettings("none", "wav", 24, "")
    jobs = plan([Song(path) for path in sources], folder / "out", ["a", "b"], "wav")
    tasks = [SmallTask(job, settings, output_format("wav")) for job in jobs]
    cluster = VirtualCluster(seed, workers, failing)
    seen = [Space() for _ in tasks]
    outcomes = list(do_elsewhere(tasks, seen, never, False, cluster, no_display))
    cluster.settle()
    tally = cluster.tally
    assert [outcome.job for outcome in outcomes] == jobs, "each reported once, in order"
    for task, outcome in zip(tasks, outcomes, strict=True):
        whole = is_complete(task.job, task.settings)
        texts = {stem: path.read_text() for stem, path in task.job.outputs.items() if whole}
        tally.given_up += outcome.status == "failed"
        tally.whole += texts == {stem: task.content(stem) for stem in task.job.outputs}
    tally.half_written = len(list(folder.rglob(f"{PART_PREFIX}*")))
    return tally


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    print("| workers lost per 100 songs | workers lost | songs whole | published twice, alike"
          " | given up | half-written | more work | longer |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    ideal = None
    for failing in (0.0, 0.001, 0.01, 0.03, 0.1, 0.3):
        with tempfile.TemporaryDirectory() as folder:
            tally = simulate(Path(folder), wanted.songs, wanted.workers, failing, wanted.seed)
        ideal = ideal or tally
        work_more = tally.busy_seconds / ideal.busy_seconds - 1
        longer = tally.seconds / ideal.seconds - 1
        print(
            f"| {100 * failing:g} | {tally.failures} | {tally.whole} of {wanted.songs}"
            f" | {tally.twice} | {tally.given_up} | {tally.half_written}"
            f" | {100 * work_more:.1f} % | {100 * longer:.0f} % |"
        )


if __name__ == "__main__":
    main()
