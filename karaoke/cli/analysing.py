"""What ``karaoke analyse`` does with its options."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import typer

from karaoke.cli.aligning import check_language, check_offset
from karaoke.cli.defaults import settle_model
from karaoke.cli.output import say, visible, write_out
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
from karaoke.errors import KaraokeError, LyricsError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.jobs.naming import Song
    from karaoke.jobs.outcomes import Outcome
    from karaoke.jobs.planning import Job
    from karaoke.lyrics.model import Lyrics


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
    from karaoke.lyrics.model import NO_LYRICS
    from karaoke.making.drawing import DRAWERS, DrawTask

    settle_model(context)
    wanted = context.params
    if wanted["out"] == STANDARD:
        raise UsageError("-o -: karaoke analyse writes files only", hint="Name a folder.")
    console = make_console(quiet=wanted["quiet"])
    kinds = read_kinds(wanted["write"])
    if set(kinds) & set(DRAWERS):
        require_filter("ass")
    songs, elsewhere = gather(wanted)
    stems_from, model = wanted["stems_from"], wanted["model"]
    check_for_one_song([*songs, *elsewhere], wanted, ("lyrics", "stems_from"))
    worded = worded_among(kinds, wanted)
    check_voice(wanted, worded)
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
        words, failures = words_of(songs, wanted, worded, console)
        tasks = []
        for job in planned(songs, elsewhere, wanted, kinds, words):
            job = replace(job, error=job.error or failures.get(job.source))
            lyrics = words.get(job.source, NO_LYRICS)
            described = settings_of(lyrics, wanted["language"])
            described["offset_seconds"] = wanted["offset"] if lyrics.lines else 0.0
            settings = AnalyseSettings(**common, **described)
            overwrite, strict = wanted["overwrite"], wanted["strict"]
            tasks.append(DrawTask(job, settings, chosen, overwrite, strict, lyrics))
        run(tasks, load, options, reporter, wanted)


def worded_among(kinds: list[str], wanted: dict[str, Any]) -> list[str]:
    """List the kinds that were asked for by name and cannot be written without words."""
    from karaoke.making.drawing import KINDS

    if wanted["write"] is not None and wanted["write"].strip().lower() == "all":
        return []
    return [kind for kind in kinds if KINDS[kind].needs_words]


def check_voice(wanted: dict[str, Any], worded: list[str]) -> None:
    """Refuse what takes the voice where it is not separated, and unknown languages.

    Raises
    ------
    UsageError
        These options cannot be together.
    """
    check_language(wanted["language"])
    check_offset(wanted["offset"])
    if wanted["lyrics"] is not None and wanted["no_lyrics"]:
        raise UsageError("--lyrics and --no-lyrics: choose one of them")
    if worded and wanted["no_lyrics"]:
        raise UsageError(f"--write {worded[0]}: needs words", hint="Leave out --no-lyrics.")
    if not wanted["no_split"]:
        return
    if wanted["stems_from"] is not None:
        raise UsageError("--from and --no-split: choose one of them")
    if wanted["lyrics"] is not None or worded:
        option = f"--write {worded[0]}" if worded else "--lyrics"
        raise UsageError(f"{option}: takes the voice", hint="Leave out --no-split.")


def words_of(
    songs: list[Song], wanted: dict[str, Any], worded: list[str], console: Console
) -> tuple[dict[Path, Lyrics], dict[Path, KaraokeError]]:
    """Find what is known of the words of all songs, and what is wrong with them.

    Lyrics that nobody named and nothing takes are left out where they cannot be read.
    """
    from karaoke.jobs.words import find_words, without_words

    words: dict[Path, Lyrics] = {}
    failures: dict[Path, KaraokeError] = {}
    unsung = wanted["no_lyrics"] or wanted["no_split"]
    for song in songs:
        found = None
        try:
            found = None if unsung else find_words(song.path, wanted["lyrics"])
            words[song.path] = found or without_words(song.path)
        except LyricsError as error:
            if worded or wanted["lyrics"] is not None:
                failures[song.path] = error
                continue
            words[song.path] = without_words(song.path)
            say(console, "warning: ", "yellow", f"{error.message}; no words are put on the notes")
        except KaraokeError as error:
            failures[song.path] = error
            continue
        if worded and found is None:
            failures[song.path] = UsageError(
                f'"{song.path}": no words to write ({worded[0]})',
                hint="Name lyrics by --lyrics FILE.",
            )
    return words, failures


def planned(
    songs: list[Song],
    elsewhere: list[Song],
    wanted: dict[str, Any],
    kinds: list[str],
    words: dict[Path, Lyrics],
) -> list[Job]:
    """Plan the files of all songs; of those without words, what takes none."""
    from karaoke.jobs.planning import Job, plan
    from karaoke.making.drawing import KINDS

    if not kinds:
        nowhere = Path(tempfile.gettempdir(), "unwritten.json")
        return [Job(song.path, {}, nowhere, song.named) for song in songs]
    first, *others = kinds

    def more(song: Song) -> dict[str, str | PurePath]:
        sung = song.path in words and words[song.path].lines
        written = {kind: KINDS[kind] for kind in others}
        return {k: w.extension for k, w in written.items() if sung or not w.needs_words}

    return plan(
        songs,
        wanted["out"],
        [first],
        KINDS[first].extension,
        template=wanted["name"],
        model=wanted["model"],
        more=more,
        elsewhere=elsewhere,
    )


def settings_of(lyrics: Lyrics, language: str | None) -> dict[str, Any]:
    """Write down what the words depend on, for a manifest; title and artist are written, too."""
    from karaoke.jobs.aligning import choose_listening, depends_on
    from karaoke.jobs.words import digest_of

    digest = digest_of(lyrics.lines, lyrics.title, lyrics.artist)
    align = choose_listening(lyrics if lyrics.lines else None, "auto", set())
    stated = language or lyrics.language
    return {"words_sha256": digest, "language": stated, **depends_on(align, stated)}


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
