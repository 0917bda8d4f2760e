"""The command line as a program that shells and pipes can start, forked as in ``launching``.

The program is a few lines that ask the tests' process to fork, and wait for the end. What was
forked opens their streams itself: pipes, terminals and files are the real ones.
"""

from __future__ import annotations

import json
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.launching import Launch, context

ASKING = """\
#!{python} -IS
import json, os, signal, socket, sys
door = socket.socket(socket.AF_UNIX)
door.connect({door!r})
asked = [os.getpid(), os.getcwd(), sys.argv[1:], dict(os.environ)]
door.sendall(json.dumps(asked).encode() + b"\\n")
said = door.makefile()
pid = int(said.readline())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
code = int(said.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
#: Where processes cannot open each other's streams.
STARTING = '#!/bin/sh\nexec "{python}" -m karaoke "$@"\n'


class Asked(socketserver.StreamRequestHandler):
    """Forks a command, and tells its number and its exit code."""

    def handle(self) -> None:
        pid, cwd, arguments, env = json.loads(self.rfile.readline())
        stdin, stdout, stderr = (f"/proc/{pid}/fd/{number}" for number in range(3))
        launch = Launch(arguments, (stdin, stdout, stderr), env=env, cwd=cwd)
        process = context.Process(target=launch)
        process.start()
        self.wfile.write(b"%d\n" % (process.pid or 0))
        process.join()
        self.wfile.write(b"%d\n" % (process.exitcode or 0))
        process.close()


class Door(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Where programs ask."""

    daemon_threads = True


@contextmanager
def karaoke_program() -> Iterator[Path]:
    """Give the path of a program that is ``karaoke``."""
    with tempfile.TemporaryDirectory() as folder:  # a short one: a socket's name has a limit
        program, door = Path(folder, "karaoke"), str(Path(folder, "door"))
        text = ASKING if Path("/proc/self/fd").is_dir() else STARTING
        program.write_text(text.format(python=sys.executable, door=door), encoding="utf-8")
        program.chmod(0o755)
        with Door(door, Asked) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            yield program
            server.shutdown()
