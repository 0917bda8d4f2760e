"""Signals: they stop the program cleanly."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

from karaoke.errors import ExitCode


class Stopped(BaseException):
    """Raised by a signal that asks us to stop, so that everything is cleaned up on the way out."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


class SignalHandler:
    """Turns a signal into an exception, once, so that more signals do not interrupt the clean-up.

    After some seconds it does so again, in case the first was lost in a callback, where Python
    only prints exceptions.
    """

    patience_seconds = 5.0

    def __init__(self) -> None:
        self._last = -math.inf
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # Ignored signals stay ignored: `nohup` and background jobs rely on it.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise :class:`Stopped`."""
        if time.monotonic() - self._last > self.patience_seconds:
            self._last = time.monotonic()
            interrupted = number == signal.SIGINT
            raise Stopped(ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED)
