"""What ``karaoke split`` reports: paths and sentences, or one JSON object per song."""

from __future__ import annotations

import os
import traceback
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from karaoke.cli.output import (
    error_object,
    print_json,
    say,
    say_error,
    visible,
    write_out,
)
from karaoke.errors import KaraokeError, UsageError
from karaoke.jobs.planning import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer
    from rich.console import Console

    from karaoke.jobs.outcomes import Outcome
    from karaoke.jobs.planning import Job
    from karaoke.jobs.task import Result, SongProgress


def reporter_for(
    context: typer.Context,
    console: Console,
    facts: dict[str, Any],
    work: tuple[str, str],
    kind: type[Reporter] | None = None,
) -> Reporter:
    """Make a reporter, perhaps of a special kind, as the options of a command want it."""
    wanted = context.params
    progress = wanted["progress"]
    # Two bars cannot share a terminal's last line.
    progress = "lines" if progress == "auto" and wanted["jobs"] > 1 else progress
    verbose, debug = wanted["verbose"], wanted["debug"]
    reporter = (kind or Reporter)(
        console, wanted["json_"], facts, progress, verbose=verbose, debug=debug, work=work
    )
    reporter.explain = context.obj.explain
    return reporter


class Reporter:
    """Prints outcomes as they arrive and counts the failures.

    Parameters
    ----------
    console
        Console for sentences, on standard error.
    as_json
        Print one object per song on standard output instead of the paths.
    facts
        Facts that every object contains: model and device.
    progress
        ``auto`` for a bar on a terminal and a line elsewhere, ``lines``, ``json`` for objects on
        standard error, ``none``.
    verbose
        Print more about each song.
    debug
        Print where errors come from.
    work
        What is done to a song, and what was done to it when it is over.

    Attributes
    ----------
    explain
        Adds to an error where the options that it mentions were set.
    counts
        Number of songs by status.

    Raises
    ------
    UsageError
        The kind of progress is unknown.
    """

    def __init__(
        self,
        console: Console,
        as_json: bool,
        facts: dict[str, Any],
        progress: str,
        *,
        verbose: bool,
        debug: bool,
        work: tuple[str, str],
    ) -> None:
        if progress not in ("auto", "lines", "json", "none"):
            raise UsageError(f"--progress {progress}", hint="Choose auto, lines, json or none.")
        self.console, self.as_json, self.facts = console, as_json, facts
        self.progress, self.verbose, self.debug = progress, verbose, debug
        self.doing, self.done = work
        self.explain: Callable[[KaraokeError], object] = lambda error: None
        self.counts: dict[str, int] = {}

    def progress_display(self, job: Job) -> AbstractContextManager[SongProgress]:
        """Show a song's progress as the user wished."""
        from karaoke.cli.progress import json_progress, progress_display
        from karaoke.jobs.outcomes import no_display

        if self.progress == "none":
            return no_display(job)
        if self.progress == "json":
            return json_progress(printable(job.label))
        return progress_display(
            self.console, job.source, bar=self.progress == "auto", doing=self.doing
        )

    def report(self, outcome: Outcome, alone: bool) -> None:
        """Print what became of a song; the error of an only song is left to the caller."""
        self.counts[outcome.status] = self.counts.get(outcome.status, 0) + 1
        if outcome.error is not None:
            self.explain(outcome.error)
        if self.as_json:
            self._print_json(outcome)
        else:
            self._print_paths(outcome)
        if outcome.error is not None:
            if self.debug:
                traceback.print_exception(outcome.error)
            if not alone and not self.as_json:
                say_error(outcome.error)

    def _print_paths(self, outcome: Outcome) -> None:
        """Print the paths for scripts and a summary for people."""
        name = visible(outcome.job.source.name)
        if outcome.status in ("skipped", "planned"):
            said = {"skipped": "is done already", "planned": f"would be {self.done}"}[
                outcome.status
            ]
            self.console.print(f'"{name}": {said}', markup=False)
        result = outcome.result
        if result is not None:
            for warning in result.warnings:
                say(self.console, "warning: ", "yellow", f'"{outcome.job.label}": {warning}')
            speed = result.seconds / max(result.elapsed_seconds, 1e-9)
            self.console.print(
                f'"{name}": {clock(result.seconds)} of music in'
                f" {result.elapsed_seconds:.1f} s, {speed:.1f} x real time",
                markup=False,
            )
            if self.verbose:
                self.console.print(f"  {details(result)}", markup=False)
        if outcome.status in ("done", "planned"):
            paths = outcome.job.outputs.values()
            # As bytes: names as on the disk, whatever the terminal's encoding.
            write_out(b"".join(os.fsencode(path) + b"\n" for path in paths))

    def _print_json(self, outcome: Outcome) -> None:
        """Print one object on one line."""
        entry: dict[str, Any] = {
            "song": printable(outcome.job.label),
            "status": outcome.status,
            "outputs": {},
            **self.facts,
        }
        if outcome.status not in ("failed", "not tried"):
            for stem, path in outcome.job.outputs.items():
                entry["outputs"][stem] = {"path": printable(path)}
        result = outcome.result
        if result is not None:
            for stem, written in result.manifest["outputs"].items():
                entry["outputs"][stem].update(
                    sha256=written["sha256"], size_bytes=written["size_bytes"]
                )
            entry.update(
                seconds=round(result.seconds, 6),
                elapsed_seconds=round(result.elapsed_seconds, 3),
                real_time_factor=round(result.elapsed_seconds / max(result.seconds, 1e-9), 4),
                **result.facts,
                warnings=result.warnings,
            )
        if outcome.error is not None:
            entry["error"] = error_object(outcome.error)
        print_json(entry)


def details(result: Result) -> str:
    """Describe a song's result in more detail."""
    facts = result.facts
    residual = facts.get("residual_dbfs")
    sizes = sum(entry["size_bytes"] for entry in result.manifest["outputs"].values())
    return (
        f"{facts['sample_rate']} Hz, {facts['channels']} channels, gain {facts['gain']:.3f},"
        f" {len(result.outputs)} files of {sizes / 1e6:.1f} MB in all"
        + ("" if residual is None else f", which add up to the song within {residual:.1f} dBFS")
    )


def clock(seconds: float) -> str:
    """Format a duration as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
