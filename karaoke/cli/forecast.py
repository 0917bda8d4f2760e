"""Say before long work how long it will take: as was measured before, or by its first segments."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from karaoke import __version__
from karaoke.cli.timing import spoken_time
from karaoke.store import speeds

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.jobs.outcomes import Display
    from karaoke.jobs.planning import Job
    from karaoke.jobs.task import SongProgress, Task
    from karaoke.separation.separator import Separator

#: Work that takes less is not worth a word.
LONG_SECONDS = 60.0
#: Seconds of work per second of music above which a model is slow, however short the song.
SLOW = 1.0


class Forecast:
    """Says once how long a batch takes, if it is long.

    Parameters
    ----------
    console
        Where to say it.
    tasks
        The batch; all songs have the same settings.
    device
        Kind of device that the model runs on.
    load
        Returns the model.
    """

    def __init__(
        self,
        console: Console,
        tasks: Sequence[Task],
        device: str,
        load: Callable[[], Separator],
    ) -> None:
        self.console, self.tasks, self.load = console, tasks, load
        self.device = device.partition(":")[0]
        self.music_seconds = 0.0
        self.is_settled = console.quiet

    def begin(self, music_seconds: float) -> None:
        """Take the length of all songs, and judge by what was measured, if that is known."""
        self.music_seconds = music_seconds
        settings = self.tasks[0].settings
        if self.is_settled or settings.overlap is not None:
            return
        weights = settings.weights_sha256
        speed = speeds.recall(speeds.Setup(__version__, weights, self.device, settings.quality))
        if speed is not None:
            self._say(speed.real_time_factor, "karaoke models bench")

    def watch(self, display: Display) -> Display:
        """Wrap a display of progress, to judge by the first segments if nothing else is known."""

        def watching(job: Job) -> AbstractContextManager[SongProgress]:
            return self._watched(display(job))

        return watching

    @contextmanager
    def _watched(self, shown: AbstractContextManager[SongProgress]) -> Iterator[SongProgress]:
        """Yield a function that passes progress on, and judges by what it sees first."""
        with shown as update:
            # Without music to separate, the model is not loaded.
            separator = self.load() if self.music_seconds and not self.is_settled else None
            begun = time.monotonic()

            def judge(done: float, total: float | None) -> None:
                if separator is not None and not self.is_settled and done > 0:
                    # What is worked on comes in whole batches, and is done one segment later.
                    batch, stride = separator.batch_size, separator.stride_seconds
                    worked = math.ceil((done / stride + 1 - 1e-6) / batch) * batch
                    factor = (time.monotonic() - begun) / (worked * stride)
                    self._say(factor, "its first segments")
                update(done, total)

            yield judge

    def _say(self, factor: float, source: str) -> None:
        """Say how long it takes, if that is long."""
        self.is_settled = True
        expected = factor * self.music_seconds
        if expected > LONG_SECONDS or (factor > SLOW and expected > 0):
            length = spoken_time(self.music_seconds)
            self.console.print(
                f"separating {length} of music will take about {spoken_time(expected)},"
                f" going by {source}",
                markup=False,
            )
