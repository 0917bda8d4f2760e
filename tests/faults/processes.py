"""Processes that are killed, and processes that want the same."""

from __future__ import annotations

import os
import random
import signal
import time

import soundfile

from karaoke.files import checksum
from tests.faults.bench import Bench, fault
from tests.launching import Running


@fault("signal", signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
def ends_it_in_order(bench: Bench, number: signal.Signals) -> None:
    source = bench.song("long.wav", seconds=300.0)
    running = Running("split", source, "-n", bench.model, "-o", bench.out, cwd=bench.folder)
    while not bench.out.exists() and running.process.is_alive():
        time.sleep(0.02)
    time.sleep(0.3)
    started = time.monotonic()
    running.kill(number)
    done = running.wait(60)
    bench.watch(done)
    bench.stopped(done, 130 if number == signal.SIGINT else 143)
    # Two seconds where nothing else is running; a test may share its machine.
    assert time.monotonic() - started < 10


def kill_at_random(bench: Bench, times: int, seed: int = 0) -> None:
    """Kill runs at random instants: what has a final name is whole, always."""
    source = bench.song(seconds=3.0)
    rng = random.Random(seed)
    command = ("split", source, "-n", bench.model, "-q", "--overwrite")
    for _ in range(2):  # the first also pays for the start of what forks the others
        started = time.monotonic()
        done = Running(*command, "-o", bench.folder / "measured", cwd=bench.folder).wait()
        whole = time.monotonic() - started
        assert done.returncode == 0, done.stderr
    lengths = 3 * 44100
    for number in range(times):
        out = bench.folder / f"killed-{number}"
        running = Running(*command, "-o", out, cwd=bench.folder)
        time.sleep(rng.uniform(0.3, 1.3) * whole)
        running.kill()
        running.wait(60)
        bench.tally.killed += 1
        stems = [out / "song" / f"{stem}.wav" for stem in ("vocals", "instrumental")]
        bench.tally.published += all(stem.exists() for stem in stems)
        for stem in stems:
            if stem.exists():
                bench.tally.partial += soundfile.info(stem).frames != lengths
        sweeping = Running(*command, "-o", out, cwd=bench.folder).wait()
        assert sweeping.returncode == 0, sweeping.stderr
        left = [path for path in out.rglob(".karaoke-*") if path.is_file()]
        bench.tally.partial += len(left)
        assert not left
        assert all(checksum(stem) for stem in stems)


@fault("kill -9")
def at_random_instants_leaves_nothing_half(bench: Bench) -> None:
    kill_at_random(bench, times=5)
    assert not bench.tally.partial


@fault("writers")
def eight_of_one_output_leave_a_whole_one(bench: Bench) -> None:
    source = bench.song(seconds=2.0)
    command = ("split", source, "-n", bench.model, "-o", bench.out, "-q", "--overwrite")
    running = [Running(*command, cwd=bench.folder) for _ in range(8)]
    ended = [process.wait() for process in running]
    assert {done.returncode for done in ended} <= {0, 75}, [done.stderr for done in ended]
    assert any(done.returncode == 0 for done in ended)
    bench.add_up(source)
    assert len(bench.files()) == 3


@fault("writers")
def that_vanish_take_their_lock_with_them(bench: Bench) -> None:
    source = bench.song(seconds=60.0)
    running = Running("split", source, "-n", bench.model, "-o", bench.out, cwd=bench.folder)
    while not bench.out.exists() and running.process.is_alive():
        time.sleep(0.02)
    busy = bench.split(source, "-q", "--overwrite")
    running.kill()
    running.wait(60)
    assert busy.returncode == 75 and "[locked]" in busy.stderr, busy.stderr
    short = bench.song("song2.wav")
    os.replace(short, source)
    bench.inputs.clear()
    assert bench.split(source, "-q", "--overwrite").returncode == 0
