"""The command line in a process of its own, forked from one that has imported everything.

The process is real: its own arguments, environment, folder, streams, limits, signals and exit
code. Only the second or two that importing torch takes is spent once instead of every time.
"""

from __future__ import annotations

import multiprocessing
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PRELOADED = ["tests.launching", "tests.preloading"]
SECONDS_ALLOWED = 300.0
#: What a process that did not end in time is reported to have ended with, as by `timeout`.
TIMED_OUT = 124

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(PRELOADED)


@dataclass(frozen=True)
class Launch:
    """What a process starts with.

    Parameters
    ----------
    arguments
        Of the command line.
    streams
        Paths of its standard input, output and error.
    env, cwd
        Environment and folder; those of the caller by default.
    limits
        Resource limits, by their numbers in :mod:`resource`.
    before
        Called in the process before the command line: for what a test registers or breaks.
    """

    arguments: Sequence[str]
    streams: tuple[str, str, str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: str = field(default_factory=os.getcwd)
    limits: Mapping[int, int] = field(default_factory=dict)
    before: Callable[[], None] | None = None

    def __call__(self) -> None:
        """Become the command: runs in the forked process."""
        modes = (os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND)
        for number, (path, mode) in enumerate(zip(self.streams, modes, strict=True)):
            os.dup2(os.open(path, mode), number)
        sys.stdin = os.fdopen(0, "r", closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)  # as Python's own
        os.environ.clear()
        os.environ.update(self.env)
        tempfile.tempdir = None  # which follows from the environment
        os.chdir(self.cwd)
        for limit, value in self.limits.items():
            resource.setrlimit(limit, (value, value))
        if resource.RLIMIT_FSIZE in self.limits:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python itself does at its start
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)  # tests that run under nohup ignore them
        # What it starts, it starts as any command does, not from another server of forks.
        multiprocessing.set_start_method(None, force=True)
        if self.before is not None:
            self.before()
        from karaoke.cli import main

        sys.argv = ["karaoke", *self.arguments]
        main()


class Running:
    """A process that was started, with its output in files; input is bytes, or a pipe's path."""

    def __init__(self, *arguments: object, stdin: bytes | Path = b"", **options: object) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.arguments = [str(argument) for argument in arguments]
        paths = [Path(self.folder.name) / name for name in ("stdin", "stdout", "stderr")]
        for path in paths:
            path.touch()
        if isinstance(stdin, Path):
            paths[0] = stdin
        else:
            paths[0].write_bytes(stdin)
        _, self.stdout, self.stderr = paths
        streams = tuple(map(str, paths))
        cwd = str(options.pop("cwd", os.getcwd()))
        launch = Launch(self.arguments, streams, cwd=cwd, **options)  # type: ignore[arg-type]
        self.process = context.Process(target=launch)
        self.process.start()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, if the process is still there."""
        if self.process.is_alive():
            os.kill(self.process.pid or 0, number)

    def wait(self, timeout: float = SECONDS_ALLOWED) -> subprocess.CompletedProcess[str]:
        """Wait for the end, by force after the timeout, and read what was said."""
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
            code = TIMED_OUT
        said = [
            path.read_text(encoding="utf-8", errors="surrogateescape")
            for path in (self.stdout, self.stderr)
        ]
        self.process.close()
        self.folder.cleanup()
        return subprocess.CompletedProcess(self.arguments, code, *said)


def run_karaoke(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; options are those of :class:`Launch`, and ``stdin``."""
    return Running(*arguments, **options).wait()  # type: ignore[arg-type]


def at_terminal(typed: str, *arguments: object, env: Mapping[str, str]) -> tuple[int, str]:
    """Run the command line at a terminal at which somebody types; give code and what is shown."""
    parent, child = pty.openpty()
    name = os.ttyname(child)
    words = {**env, "TERM": "xterm", "COLUMNS": "120"}
    launch = Launch([str(argument) for argument in arguments], (name, name, name), env=words)
    process = context.Process(target=launch)
    process.start()
    os.write(parent, typed.encode())
    shown = b""
    while process.is_alive() or select.select([parent], [], [], 0.1)[0]:
        if select.select([parent], [], [], 0.1)[0]:
            shown += os.read(parent, 4096)
    os.close(child)
    os.close(parent)
    process.join()
    return process.exitcode or 0, shown.decode(errors="replace")


def wait_for(ready: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)
