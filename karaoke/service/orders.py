"""Jobs of the queue as tasks of the engine: those that the command line has, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from karaoke.audio import output_format
from karaoke.audio.filtering import require_filter
from karaoke.errors import LyricsError, UsageError
from karaoke.jobs.aligning import depends_on
from karaoke.jobs.analysing import AnalyseSettings
from karaoke.jobs.manifest import SplitSettings
from karaoke.jobs.planning import Job
from karaoke.jobs.stems import STEMS
from karaoke.jobs.task import Task
from karaoke.jobs.words import digest_of
from karaoke.lyrics import Lyrics
from karaoke.making.drawing import KINDS as DRAWINGS
from karaoke.making.drawing import DrawTask
from karaoke.making.films import Film
from karaoke.making.font import BUNDLED, Font
from karaoke.making.outputs import kinds_among, lacks_pitches, outputs_of
from karaoke.making.settings import MakeSettings
from karaoke.making.styles import STYLES
from karaoke.making.task import MakeTask
from karaoke.making.video import SIZES, Picture
from karaoke.service import words as words_files
from karaoke.service.engine import Engine
from karaoke.service.places import Place, label_of
from karaoke.service.store import Row
from karaoke.service.tasks import AlignTask, PrepareTask


def build(job: Row, song: Row, place: Place, engine: Engine) -> Task:
    """Make the task of a job.

    Raises
    ------
    KaraokeError
        It cannot be done.
    """
    builders = {"split": splitting, "align": aligning, "analyse": analysing, "make": making}
    return builders[job["command"]](job["options"], song, place, engine)


def splitting(_options: Row, song: Row, place: Place, engine: Engine) -> Task:
    """Make the task that splits a song."""
    outputs = {stem: place.stem(stem) for stem in STEMS}
    outputs |= {"player": place.player("opus"), "peaks": place.peaks}
    planned = Job(Path(song["source"]), outputs, place.manifest("split"), song["name"])
    chosen = output_format("wav", 32)
    settings = SplitSettings(**engine.common("wav", 32))
    return PrepareTask(
        planned, settings, chosen, overwrite=True, longest_seconds=engine.longest_seconds
    )


def words_of(song: Row, place: Place) -> Lyrics:
    """Return the words of a song, or lyrics without lines, as people call them."""
    found = words_files.read(place.words)
    lyrics = Lyrics(()) if found is None else words_files.from_object(found)
    return replace(lyrics, title=song["title"], artist=song["artist"])


def hearing(
    outputs: dict[str, Path], lyrics: Lyrics, language: str, name: str,
    song: Row, place: Place, engine: Engine,
) -> tuple[Job, AnalyseSettings]:  # fmt: skip
    """Plan what is heard in the stems of a song."""
    planned = Job(Path(song["source"]), outputs, place.manifest(name), song["name"])
    settings = AnalyseSettings(
        **engine.common("wav", 16),
        stems_from=str(place.stems),
        words_sha256=digest_of(lyrics.lines, lyrics.title, lyrics.artist),
        language=language or lyrics.language,
    )
    return planned, settings


def analysing(options: Row, song: Row, place: Place, engine: Engine) -> Task:
    """Make the task that hears what is in a song, and writes and draws it."""
    label, lyrics = label_of(song["title"]), words_of(song, place)
    kinds = [kind for kind in options["write"] if lyrics.lines or not DRAWINGS[kind].needs_words]
    if options["write"] and not kinds:
        raise LyricsError("this takes words, and the song has none", hint="Add its words first.")
    outputs = {kind: place.made / f"{label}.{DRAWINGS[kind].extension}" for kind in kinds}
    outputs["json"] = place.analysis
    name = "analyse" if not kinds else "analyse-" + "-".join(sorted(kinds))
    planned, settings = hearing(outputs, lyrics, "", name, song, place, engine)
    return DrawTask(planned, settings, output_format("wav"), overwrite=True, lyrics=lyrics)


def aligning(options: Row, song: Row, place: Place, engine: Engine) -> Task:
    """Make the task that finds when the words of a song are sung."""
    found = words_files.read(place.wanted_words) or words_files.read(place.words)
    if found is None:
        raise LyricsError("the song has no words", hint="Add them first.")
    lyrics = words_files.from_object(found)
    outputs = {"words": place.words}
    planned, settings = hearing(outputs, lyrics, options["language"], "align", song, place, engine)
    wanted = options["align"]
    depends: dict[str, Any] = dict(depends_on(wanted, settings.language))
    settings = replace(settings, **depends)
    return AlignTask(
        planned, settings, output_format("wav"), overwrite=True, lyrics=lyrics, wanted=wanted
    )


def film_of(options: Row, song: Row, place: Place) -> Film | None:
    """Put together words and pictures; None where only sound is wanted.

    Raises
    ------
    LyricsError
        It takes words, and there are none with times.
    UsageError
        The font lacks some of their characters.
    """
    if options["to"] == ["audio"]:
        return None
    lyrics = words_of(song, place)
    if lyrics.timing == "none":
        raise LyricsError(
            "this takes words with times, and the song has none", hint="Add its words first."
        )
    Font(BUNDLED).check(lyrics.text + lyrics.title + lyrics.artist, "lyrics")
    style = STYLES[options["style"]]
    is_cover = options["background"] == "cover"
    colour = style.background if is_cover else options["background"]
    picture = Picture(SIZES[options["size"]], colour=colour)
    return Film(lyrics, style, BUNDLED, picture, cover=is_cover)


def making(options: Row, song: Row, place: Place, engine: Engine) -> Task:
    """Make the task of the singer's version of a song.

    Raises
    ------
    KaraokeError
        It cannot be made.
    """
    film = film_of(options, song, place)
    chosen = output_format(options["format"])
    label = label_of(song["title"])
    called = Path(song["source"]).with_name(label + Path(song["source"]).suffix)
    sound = place.made / f"{label} (karaoke).{chosen.extension}"
    outputs = {"karaoke": sound} if "audio" in options["to"] else {}
    for name, path in outputs_of(options["to"], called, film, chosen.extension).items():
        is_extension = isinstance(path, str)
        outputs[name] = sound.with_suffix(f".{path}") if is_extension else sound.parent / path
    if film is not None:
        for kind in kinds_among(options["to"]):
            for part, what in kind.parts:
                require_filter(part, what)
    return make_task(options, song, place, engine, outputs, film)


def make_task(
    options: Row, song: Row, place: Place, engine: Engine, outputs: dict[str, Path],
    film: Film | None = None,
) -> MakeTask:  # fmt: skip
    """Make the task of a mix of the stems.

    Raises
    ------
    UsageError
        Nothing is left to hear.
    """
    if options["guide_db"] is None and options["band_db"] is None:
        raise UsageError("nothing is left to hear", hint="Turn the voice or the band up.")
    if options["key"] or options["tempo"] != 1:
        require_filter("rubberband")
    chosen = output_format(options["format"])
    name = "make-" + digest_of(sorted(map(str, outputs.values())))[:16]
    settings = MakeSettings(
        **engine.common(chosen.extension, chosen.bit_depth),
        guide_db=options["guide_db"],
        band_db=options["band_db"],
        semitones=options["key"],
        tempo=options["tempo"],
        stems_from=str(place.stems),
        chords=options.get("chords", False),
        pitches_heard=lacks_pitches(film, outputs),
        words_sha256="" if film is None else digest_of(film.lyrics, film.style, film.picture),
    )
    planned = Job(Path(song["source"]), outputs, place.manifest(name), song["name"])
    return MakeTask(planned, settings, chosen, overwrite=True, film=film)
