"""What ``karaoke make`` does with its options."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from karaoke.cli.defaults import settle_model
from karaoke.cli.films import films_of, read_kinds, settings_of
from karaoke.cli.output import visible
from karaoke.cli.piping import STANDARD
from karaoke.cli.reporting import Reporter, reporter_for
from karaoke.cli.split import (
    batch_options,
    check_for_one_song,
    gather,
    model_loader,
    parse_bit_depth,
    run,
    settings_for,
    song_from_standard_input,
)
from karaoke.errors import UsageError

if TYPE_CHECKING:
    from karaoke.jobs.outcomes import Outcome

LOWEST_BPM, HIGHEST_BPM = 20.0, 400.0
#: Pitch classes of the names of notes.
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def make_all(context: typer.Context) -> None:
    """Do what the options of ``karaoke make`` say.

    Raises
    ------
    KaraokeError
        Some of them cannot be, or the only song failed, or some of several did.
    """
    from karaoke.audio import output_format
    from karaoke.cli.models import offer_to_pull
    from karaoke.cli.output import make_console
    from karaoke.jobs.planning import plan
    from karaoke.making.outputs import lacks_pitches, outputs_of
    from karaoke.making.settings import MakeSettings
    from karaoke.making.task import MakeTask

    settle_model(context)
    wanted = context.params
    if wanted["out"] == STANDARD:
        raise UsageError("-o -: karaoke make writes files only", hint="Name a folder.")
    console = make_console(quiet=wanted["quiet"])
    bit_depth = parse_bit_depth(wanted["bit_depth"])
    chosen = output_format(wanted["format_"], bit_depth, wanted["bitrate"])
    wishes = read_wishes(wanted)
    kinds = read_kinds(wanted["to"])
    in_full = wishes["tempo"] == 1 and wishes["bpm"] is None
    in_full = in_full and wishes["excerpt"] is None and not wishes["count_in"]
    songs, elsewhere = gather(wanted)
    check_for_one_song([*songs, *elsewhere], wanted, ("lyrics", "stems_from"))
    model, quality, overlap = wanted["model"], wanted["quality"], wanted["overlap"]
    offer_to_pull(model)
    load, device = model_loader(model, wanted["device"], overlap, quality, console)
    facts = {"command": "make", "model": model, "device": device}
    reporter = reporter_for(context, console, facts, ("making", "made"), MakingReporter)
    common = settings_for(model, chosen, overlap, quality, wanted["stream"])
    options = batch_options(wanted)
    with ExitStack() as saved:
        songs = [song_from_standard_input(song, saved) for song in songs]
        films, failures = films_of(songs, wanted, kinds, in_full, console)
        drawn = any(film.lyrics is not None for film in films.values())
        require_parts(wishes, kinds if drawn else set())
        planned = plan(
            songs,
            wanted["out"],
            ["karaoke"],
            chosen.extension,
            template=wanted["name"],
            model=model,
            more=lambda song: outputs_of(kinds, song.path, films.get(song.path), chosen.extension),
            elsewhere=elsewhere,
        )
        tasks = []
        for song, job in zip(songs, planned, strict=True):
            film = films.get(song.path)
            job = replace(job, error=job.error or failures.get(song.path))
            if "audio" not in kinds and film is not None:
                outputs = {name: p for name, p in job.outputs.items() if name != "karaoke"}
                job = replace(job, outputs=outputs)
            described = settings_of(film, wanted["language"])
            described["pitches_heard"] = lacks_pitches(film, job.outputs)
            settings = MakeSettings(**common.as_dict(), **wishes, **described)
            overwrite, strict, verified = (wanted[n] for n in ("overwrite", "strict", "verify"))
            task = MakeTask(job, settings, chosen, overwrite, strict, film=film, verified=verified)
            tasks.append(task)
        run(tasks, load, options, reporter, wanted)


class MakingReporter(Reporter):
    """Prints what was measured, too, where that was asked for."""

    def _print_paths(self, outcome: Outcome) -> None:
        """Print it before the paths."""
        proof = outcome.result and outcome.result.facts.get("verified")
        if proof:
            from karaoke.making.verifying import as_sentence

            name = visible(outcome.job.source.name)
            self.console.print(f'"{name}": measured: {as_sentence(proof)}', markup=False)
        super()._print_paths(outcome)


def require_parts(wishes: dict[str, Any], kinds: set[str]) -> None:
    """Refuse an ffmpeg that cannot do what is wished for, before any work.

    Raises
    ------
    ToolMissingError
        It lacks a filter or a decoder.
    """
    from karaoke.audio.filtering import require_filter
    from karaoke.making.outputs import kinds_among

    moved = wishes["semitones"] or wishes["tempo"] != 1
    if moved or wishes["bpm"] is not None or wishes["singer_range"] is not None:
        require_filter("rubberband")
    if wishes["loudness_lufs"] is not None:
        require_filter("ebur128")
    for kind in kinds_among(kinds):
        for name, what in kind.parts:
            require_filter(name, what)


def read_wishes(wanted: dict[str, Any]) -> dict[str, Any]:
    """Read what the singer wants, as fields of :class:`karaoke.making.settings.MakeSettings`.

    Raises
    ------
    UsageError
        Some of it cannot be.
    """
    excerpt, stems_from = wanted["excerpt"], wanted["stems_from"]
    guide_db = parse_level("--guide", wanted["guide"], (-60.0, 12.0))
    band_db = parse_level("--band", wanted["band"], (-60.0, 12.0))
    if guide_db is None and band_db is None:
        raise UsageError("--band off: nothing is left to hear", hint="Say --guide 0, too.")
    return {
        "guide_db": guide_db,
        "band_db": band_db,
        "semitones": parse_key(wanted["key"]),
        **parse_tempo(wanted["tempo"]),
        "singer_range": parse_range(wanted["range"], wanted["key"]),
        "count_in": wanted["count_in"],
        "chords": wanted["chords"],
        "loudness_lufs": parse_level("--loudness", wanted["loudness"], (-40.0, -5.0)),
        "excerpt": None if excerpt is None else parse_excerpt(excerpt),
        "stems_from": "" if stems_from is None else str(stems_from.absolute()),
    }


def parse_level(option: str, text: str, limits: tuple[float, float]) -> float | None:
    """Read a level in decibels within limits, or ``off``.

    Raises
    ------
    UsageError
        It is neither.
    """
    if text.strip().lower() == "off":
        return None
    try:
        level = float(re.sub(r"\s*(db|lufs)$", "", text.strip().lower()))
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: not a level", hint="Give decibels, such as -12, or off."
        ) from error
    low, high = limits
    if not low <= level <= high:
        raise UsageError(f"{option} {text}: not from {low:g} to {high:g}", hint="Or say off.")
    return level


def parse_key(semitones: float) -> float:
    """Check a number of semitones.

    Raises
    ------
    UsageError
        It is more than an octave.
    """
    from karaoke.making.settings import MOST_SEMITONES

    if not abs(semitones) <= MOST_SEMITONES:
        raise UsageError(f"--key {semitones:g}: not from -12 to 12", hint="Give semitones.")
    return semitones


def parse_tempo(text: str) -> dict[str, float | None]:
    """Read a speed: a factor, a percentage, or beats a minute.

    Returns
    -------
    dict
        ``tempo``, a factor, and ``bpm``, or None.

    Raises
    ------
    UsageError
        It is neither, or out of range.
    """
    from karaoke.making.settings import FASTEST, SLOWEST

    word = text.strip().lower()
    try:
        if word.endswith("bpm"):
            bpm = float(word.removesuffix("bpm"))
            if not LOWEST_BPM <= bpm <= HIGHEST_BPM:
                raise UsageError(f"--tempo {text}: not from {LOWEST_BPM:g} to {HIGHEST_BPM:g} bpm")
            return {"tempo": 1.0, "bpm": bpm}
        tempo = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError as error:
        raise UsageError(
            f"--tempo {text}: not a speed", hint="Give a factor, such as 0.9, or 90%, or 108bpm."
        ) from error
    if not SLOWEST <= tempo <= FASTEST:
        raise UsageError(f"--tempo {text}: not from {SLOWEST:g} to {FASTEST:g}")
    return {"tempo": tempo, "bpm": None}


def parse_range(text: str | None, semitones: float) -> tuple[int, int] | None:
    """Read a singer's range: the names of the lowest and the highest note, as MIDI.

    Raises
    ------
    UsageError
        They are no notes, or in the wrong order; or a key was chosen, too.
    """
    if text is None:
        return None
    if semitones:
        raise UsageError("--range and --key: choose one of them")
    found = re.fullmatch(r"([A-Ga-g])([#b]?)(\d)\s*-\s*([A-Ga-g])([#b]?)(\d)", text.strip())
    if found is None:
        raise UsageError(
            f"--range {text}: not two notes", hint="Give the lowest and the highest: A2-E4."
        )
    names = found.groups()
    low, high = (
        STEPS[step.upper()] + {"": 0, "#": 1, "b": -1}[accidental] + 12 * (int(octave) + 1)
        for step, accidental, octave in (names[:3], names[3:])
    )
    if high <= low:
        raise UsageError(f"--range {text}: ends where it begins, or below", hint="Say A2-E4.")
    return low, high


def parse_excerpt(text: str) -> tuple[float, float | None]:
    """Read the times between which a part of a song lies; without the second, to its end.

    Raises
    ------
    UsageError
        They are no times, or the second is not after the first.
    """
    begin, dash, end = text.partition("-")
    hint = "Give two times, such as 0:40-1:10 or 40-70."
    if not dash:
        raise UsageError(f"--excerpt {text}: not a part of a song", hint=hint)
    try:
        first = parse_time(begin) if begin.strip() else 0.0
        last = parse_time(end) if end.strip() else None
    except ValueError as error:
        raise UsageError(f"--excerpt {text}: not a part of a song", hint=hint) from error
    if last is not None and last <= first:
        raise UsageError(f"--excerpt {text}: ends before it begins", hint=hint)
    return first, last


def parse_time(text: str) -> float:
    """Read seconds, minutes and seconds, or hours, minutes and seconds; or raise ValueError."""
    if not re.fullmatch(r"\s*(\d+:){0,2}\d+(\.\d*)?\s*", text):
        raise ValueError(text)
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
