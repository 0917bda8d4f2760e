"""What ``karaoke analyse`` does with its options."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from karaoke.cli.output import visible, write_out
from karaoke.cli.piping import STANDARD
from karaoke.cli.reporting import Reporter, reporter_for
from karaoke.cli.split import (
    batch_options,
    check_for_one_song,
    gather,
    model_loader,
    run,
    settings_for,
    song_from_standard_input,
)
from karaoke.errors import UsageError

if TYPE_CHECKING:
    from karaoke.jobs.batch import Outcome


def analyse_all(context: typer.Context) -> None:
    """Do what the options of ``karaoke analyse`` say.

    Raises
    ------
    KaraokeError
        Some of them cannot be, or the only song failed, or some of several did.
    """
    from karaoke.audio import output_format
    from karaoke.audio.filtering import require_filter
    from karaoke.cli.models import offer_to_pull
    from karaoke.cli.output import make_console
    from karaoke.jobs.analysing import AnalyseSettings
    from karaoke.jobs.planning import Job, plan
    from karaoke.making.drawing import DRAWERS, KINDS, DrawTask

    wanted = context.params
    if wanted["out"] == STANDARD:
        raise UsageError("-o -: karaoke analyse writes files only", hint="Name a folder.")
    console = make_console(quiet=wanted["quiet"])
    kinds = read_kinds(wanted["write"])
    if set(kinds) & set(DRAWERS):
        require_filter("ass")
    songs = gather(wanted["songs"] or [], wanted["from_file"], wanted["recursive"])
    stems_from, model = wanted["stems_from"], wanted["model"]
    check_for_one_song(songs, wanted, ("stems_from",))
    if stems_from is not None and wanted["no_split"]:
        raise UsageError("--from and --no-split: choose one of them")
    if not wanted["no_split"] and stems_from is None:
        offer_to_pull(model)
    overlap, quality = wanted["overlap"], wanted["quality"]
    load, device = model_loader(model, wanted["device"], overlap, quality, console)
    facts = {"command": "analyse", "model": model, "device": device}
    work = ("analysing", "analysed")
    reporter = reporter_for(context, console, facts, work, AnalysisReporter)
    chosen = output_format("wav")
    common = settings_for(model, chosen, overlap, quality, wanted["stream"]).as_dict()
    common |= {
        "stems_from": "" if stems_from is None else str(stems_from.absolute()),
        "separated": not wanted["no_split"],
    }
    options = batch_options(wanted)
    with ExitStack() as saved:
        songs = [song_from_standard_input(song, saved) for song in songs]
        if kinds:
            first, *others = kinds
            planned = plan(
                songs,
                wanted["out"],
                [first],
                KINDS[first].extension,
                template=wanted["name"],
                model=model,
                more=lambda song: {kind: KINDS[kind].extension for kind in others},
            )
        else:
            nowhere = Path(tempfile.gettempdir(), "unwritten.json")
            planned = [Job(song.path, {}, nowhere, song.named) for song in songs]
        overwrite, strict = wanted["overwrite"], wanted["strict"]
        settings = AnalyseSettings(**common)
        tasks = [DrawTask(job, settings, chosen, overwrite, strict) for job in planned]
        run(tasks, load, options, reporter)


class AnalysisReporter(Reporter):
    """Prints what was found, where no files are written."""

    def _print_paths(self, outcome: Outcome) -> None:
        """Print a table for people."""
        super()._print_paths(outcome)
        result = outcome.result
        if result is not None and not result.outputs:
            from karaoke.analysis.writing import as_table

            table = as_table(result.facts["analysis"])
            write_out(f"{visible(outcome.job.source.name)}\n{table}".encode())


def read_kinds(text: str | None) -> list[str]:
    """Read what is to be written.

    Raises
    ------
    UsageError
        It has other kinds.
    """
    from karaoke.making.drawing import KINDS

    if text is None:
        return []
    kinds = [part.strip() for part in text.lower().split(",")]
    if kinds == ["all"]:
        return list(KINDS)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        known = ", ".join([*KINDS, "all"])
        raise UsageError(f"--write: unknown {', '.join(unknown)}", hint=f"Choose of {known}.")
    return list(dict.fromkeys(kinds))
