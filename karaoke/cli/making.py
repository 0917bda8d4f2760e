"""What ``karaoke make`` does with its options."""

from __future__ import annotations

import hashlib
import math
import re
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from karaoke.cli.piping import STANDARD
from karaoke.cli.split import (
    gather,
    model_loader,
    parse_bit_depth,
    run,
    settings_for,
    song_from_standard_input,
)
from karaoke.errors import KaraokeError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.jobs.naming import Song
    from karaoke.lyrics.model import Lyrics
    from karaoke.making.task import Film

MOST_SEMITONES = 12.0
SLOWEST, FASTEST = 0.5, 2.0
KINDS = ("audio", "mp4", "lrc", "elrc", "srt", "ass", "kar")


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
    from karaoke.cli.reporting import reporter_for
    from karaoke.jobs.batch import BatchOptions
    from karaoke.jobs.planning import plan
    from karaoke.making.task import MakeSettings, MakeTask

    wanted = context.params
    if wanted["out"] == STANDARD:
        raise UsageError("-o -: karaoke make writes files only", hint="Name a folder.")
    console = make_console(quiet=wanted["quiet"])
    bit_depth = parse_bit_depth(wanted["bit_depth"])
    chosen = output_format(wanted["format_"], bit_depth, wanted["bitrate"])
    wishes = read_wishes(wanted)
    kinds = read_kinds(wanted["to"])
    songs = gather(wanted["songs"] or [], wanted["from_file"], wanted["recursive"])
    for option in ("lyrics", "stems_from"):
        if wanted[option] is not None and len(songs) != 1:
            name = option.replace("stems_from", "from")
            raise UsageError(f"--{name}: for one song, not {len(songs)}", hint="Name one song.")
    model, quality, overlap = wanted["model"], wanted["quality"], wanted["overlap"]
    offer_to_pull(model)
    load, device = model_loader(model, wanted["device"], overlap, quality, console)
    facts = {"command": "make", "model": model, "device": device}
    reporter = reporter_for(context, console, facts, ("making", "made"))
    common = settings_for(model, chosen, overlap, quality, wanted["stream"])
    options = BatchOptions(
        wanted["skip_existing"], wanted["dry_run"], wanted["fail_fast"], wanted["jobs"]
    )
    with ExitStack() as saved:
        songs = [song_from_standard_input(song, saved) for song in songs]
        films, failures = films_of(songs, wanted, kinds, console)
        require_filters(wishes, bool(films) and "mp4" in kinds)
        planned = plan(
            songs,
            wanted["out"],
            ["karaoke"],
            chosen.extension if "audio" in kinds else "mp4",
            template=wanted["name"],
            model=model,
            more=lambda song: outputs_of(kinds) if song.path in films else {},
        )
        tasks = []
        for song, job in zip(songs, planned, strict=True):
            film = films.get(song.path)
            job = replace(job, error=job.error or failures.get(song.path))
            if "audio" not in kinds:
                files = dict(job.outputs)
                job = replace(job, outputs={"video": files.pop("karaoke"), **files})
            settings = MakeSettings(**common.as_dict(), **wishes, **settings_of(film))
            overwrite, strict = wanted["overwrite"], wanted["strict"]
            tasks.append(MakeTask(job, settings, chosen, overwrite, strict, film=film))
        run(tasks, load, options, reporter)


def require_filters(wishes: dict[str, Any], films: bool) -> None:
    """Refuse an ffmpeg that cannot do what is wished for, before any work.

    Raises
    ------
    ToolMissingError
        It lacks a filter.
    """
    from karaoke.audio.filtering import require_filter

    if wishes["semitones"] or wishes["tempo"] != 1:
        require_filter("rubberband")
    if wishes["loudness_lufs"] is not None:
        require_filter("ebur128")
    if films:
        require_filter("ass")


def films_of(
    songs: list[Song], wanted: dict[str, Any], kinds: set[str], console: Console
) -> tuple[dict[Path, Film], dict[Path, KaraokeError]]:
    """Find the words of all songs, and say of which a film is to be made, and what is wrong."""
    from karaoke.cli.output import say, visible
    from karaoke.making.words import find_words

    look = read_look(wanted)
    films: dict[Path, Film] = {}
    failures: dict[Path, KaraokeError] = {}
    asked = wanted["to"] is not None
    if wanted["no_lyrics"] and asked and kinds != {"audio"}:
        raise UsageError(f"--to {wanted['to']}: needs words", hint="Leave out --no-lyrics.")
    if wanted["no_lyrics"] or kinds == {"audio"}:
        return films, failures
    for song in songs:
        try:
            words = find_words(song.path, wanted["lyrics"])
            problem = trouble_with(words)
            if not problem and words is not None:
                look(words)  # the font may lack characters
                films[song.path] = look(words)
            elif asked:
                raise UsageError(
                    f'"{song.path}": no words to write or to draw ({problem})',
                    hint="Name lyrics with times by --lyrics FILE, or say --to audio.",
                )
            elif words is not None:
                name = visible(song.path.name)
                say(console, "warning: ", "yellow", f'"{name}": no film; {problem}')
        except KaraokeError as error:
            failures[song.path] = error
    return films, failures


def trouble_with(words: Lyrics | None) -> str:
    """Say why no film can be made of words, or nothing."""
    if words is None:
        return "no lyrics were found"
    if words.timing == "none":
        return "its lyrics have no times"
    return ""


def read_look(wanted: dict[str, Any]) -> Any:
    """Read how films are to look; give what makes one of words.

    Raises
    ------
    UsageError
        Some of it cannot be.
    """
    from karaoke.making.font import BUNDLED, Font
    from karaoke.making.screens import STYLES
    from karaoke.making.task import Film
    from karaoke.making.video import DEFAULT_COLOUR, Picture

    if wanted["style"] not in STYLES:
        known = ", ".join(STYLES)
        raise UsageError(f"--style {wanted['style']}: unknown", hint=f"Choose of {known}.")
    if not 1 <= wanted["fps"] <= 120:
        raise UsageError(f"--fps {wanted['fps']:g}: not from 1 to 120")
    if not abs(wanted["offset"]) <= 3600:
        raise UsageError(f"--offset {wanted['offset']:g}: not within an hour")
    back = wanted["background"]
    colour = back if re.fullmatch(r"#[0-9a-fA-F]{6}", back) else DEFAULT_COLOUR
    image = None if back == "auto" or back == colour else Path(back)
    if image is not None and not image.is_file():
        raise UsageError(
            f"--background {back}: neither a colour nor a file", hint="Give #rrggbb or a picture."
        )
    font_path = wanted["font"] or BUNDLED
    font = Font(font_path)
    picture = Picture(parse_size(wanted["size"]), wanted["fps"], colour, image)

    def look(words: Lyrics) -> Film:
        font.check(words.text + words.title + words.artist, "lyrics")
        return Film(
            words,
            STYLES[wanted["style"]],
            font_path,
            picture,
            wanted["offset"],
            cover=back == "auto",
        )

    return look


def settings_of(film: Film | None) -> dict[str, Any]:
    """Write down what a film depends on, for its manifest."""
    if film is None:
        return {}
    looks = asdict(film.picture) | {"image": str(film.picture.image or ""), "cover": film.cover}
    drawn = repr((film.lyrics.lines, film.lyrics.title, film.lyrics.artist, film.style,
                  film.offset_seconds, str(film.font_path)))  # fmt: skip
    digest = hashlib.sha256(drawn.encode("utf-8", "surrogatepass")).hexdigest()
    return {"words_sha256": digest, "picture": looks | {"size": list(film.picture.size)}}


def read_kinds(text: str | None) -> set[str]:
    """Read what is to be made: sound or a film among it.

    Raises
    ------
    UsageError
        It has other kinds.
    """
    if text is None:
        return {"audio", "mp4"}
    kinds = {part.strip() for part in text.lower().split(",")}
    if unknown := kinds - {*KINDS}:
        raise UsageError(
            f"--to: unknown {', '.join(sorted(unknown))}", hint=f"Choose of {', '.join(KINDS)}."
        )
    return kinds if kinds & {"audio", "mp4"} else kinds | {"audio"}


def outputs_of(kinds: set[str]) -> dict[str, str]:
    """Name what a song with words becomes besides its main file, with the extensions."""
    texts = {kind: kind for kind in KINDS[2:] if kind in kinds}
    return {"video": "mp4", **texts} if {"audio", "mp4"} <= kinds else texts


def read_wishes(wanted: dict[str, Any]) -> dict[str, Any]:
    """Read what the singer wants, as fields of :class:`karaoke.making.task.MakeSettings`.

    Raises
    ------
    UsageError
        Some of it cannot be.
    """
    excerpt, stems_from = wanted["excerpt"], wanted["stems_from"]
    return {
        "guide_db": parse_level("--guide", wanted["guide"], (-60.0, 12.0)),
        "semitones": parse_key(wanted["key"]),
        "tempo": parse_tempo(wanted["tempo"]),
        "loudness_lufs": parse_level("--loudness", wanted["loudness"], (-40.0, -5.0)),
        "excerpt": None if excerpt is None else parse_excerpt(excerpt),
        "stems_from": "" if stems_from is None else str(stems_from.absolute()),
    }


def parse_size(text: str) -> tuple[int, int]:
    """Read the size of a picture, whose sides come out even.

    Raises
    ------
    UsageError
        It is none, or far too large.
    """
    from karaoke.making.video import MOST_PIXELS, SIZES

    if text.lower() in SIZES:
        return SIZES[text.lower()]
    sides = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text.lower())
    if sides is None or math.prod(map(int, sides.groups())) > MOST_PIXELS:
        raise UsageError(
            f"--size {text}: not a size", hint=f"Choose {', '.join(SIZES)}, or say 1080x1920."
        )
    return int(sides[1]) // 2 * 2, int(sides[2]) // 2 * 2


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
    if not abs(semitones) <= MOST_SEMITONES:
        raise UsageError(f"--key {semitones:g}: not from -12 to 12", hint="Give semitones.")
    return semitones


def parse_tempo(text: str) -> float:
    """Read a speed: a factor or a percentage.

    Raises
    ------
    UsageError
        It is neither, or out of range.
    """
    word = text.strip()
    try:
        tempo = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError as error:
        raise UsageError(
            f"--tempo {text}: not a speed", hint="Give a factor, such as 0.9, or 90%."
        ) from error
    if not SLOWEST <= tempo <= FASTEST:
        raise UsageError(f"--tempo {text}: not from {SLOWEST:g} to {FASTEST:g}")
    return tempo


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
