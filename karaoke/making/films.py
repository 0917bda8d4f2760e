"""From lyrics, mixes and a background to the files of a film."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from karaoke.audio import AudioReader, Samples, output_format, read_tags
from karaoke.files import PartFile
from karaoke.jobs.splitting import encode_spool
from karaoke.lyrics import Lyrics, Timeline
from karaoke.lyrics.languages import LANGUAGES
from karaoke.making.font import Font
from karaoke.making.screens import Style, draw
from karaoke.making.video import Picture, Track, copy_pictures, render

#: Sounds that a film can hold, with the title that players show.
TRACKS = {
    "karaoke": "Karaoke",
    "original": "Original",
    "instrumental": "Instrumental",
    "vocals": "Vocals",
}
#: Format of the sounds of each container.
SOUNDS = {"mp4": "m4a", "mkv": "flac"}
DEFAULT_TRACKS = {"mp4": ("karaoke",), "mkv": ("karaoke", "original")}


@dataclass(frozen=True)
class Film:
    """What a film is made of besides its sound.

    Parameters
    ----------
    lyrics
        With times; None for a film of pictures alone.
    style, font_path, picture
        Of the words, and behind them.
    offset_seconds
        How much later the words come than the lyrics say.
    cover
        Whether the song's cover is the background, if it has one.
    tracks
        Names of the sounds by container.
    """

    lyrics: Lyrics | None
    style: Style
    font_path: Path
    picture: Picture
    offset_seconds: float = 0.0
    cover: bool = True
    tracks: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: DEFAULT_TRACKS)

    def can_be(self, kind: str) -> bool:
        """Tell whether it can be written so: what is text needs words."""
        return kind in SOUNDS or self.lyrics is not None

    @property
    def keeps_time(self) -> bool:
        """Whether the sound has to begin when the picture of the song does."""
        return self.picture.footage is not None


@dataclass(frozen=True)
class Studio:
    """What :func:`write_films` is lent of the song's task.

    Parameters
    ----------
    reader
        Of the song.
    mixes
        By the names of tracks.
    gain
        Factor for all mixes.
    timeline
        From the song's times to the film's.
    progress, check
        As :class:`karaoke.jobs.task.Tools` has them.
    files
        Closes what was opened.
    """

    reader: AudioReader
    mixes: Mapping[str, Samples]
    gain: float
    timeline: Timeline
    progress: Callable[[float, float], None]
    check: Callable[[], None]
    files: ExitStack


def write_films(
    film: Film, parts: Mapping[str, PartFile], ready: Mapping[str, Path], studio: Studio
) -> None:
    """Write a film in each container that is wanted; the pictures are drawn once.

    Parameters
    ----------
    film
        What it is made of.
    parts
        Of the containers.
    ready
        Mixes that are encoded already, by track and format: ``karaoke.m4a``.
    studio
        What the song's task lends.
    """
    reader, mix = studio.reader, studio.mixes["karaoke"]
    seconds = mix.frames / reader.sample_rate
    font = Font(film.font_path)
    words = ""
    if film.lyrics is not None:
        words = draw(
            film.lyrics,
            studio.timeline,
            size=film.picture.size,
            font=font,
            style=film.style,
            title=film.lyrics.title,
            artist=film.lyrics.artist,
        )
    if film.keeps_time and studio.timeline.end_seconds is None:
        # Pictures may go on when the sound is over.
        rest = (reader.declared_seconds or 0.0) - studio.timeline.start_seconds
        seconds = max(seconds, rest / studio.timeline.tempo)
    picture = behind(film, reader, studio.files)
    sounds: dict[str, Path] = dict(ready)

    def progress(done: float) -> None:
        studio.progress(done, seconds)

    drawn: Path | None = None
    for container, part in parts.items():
        tracks = [encoded(name, container, sounds, part, film, studio)
                  for name in film.tracks[container]]  # fmt: skip
        if drawn is not None:
            copy_pictures(part.path, container=container, film=drawn, tracks=tracks,
                          progress=progress, check=studio.check)  # fmt: skip
            continue
        drawn = part.path
        render(
            part.path,
            container=container,
            words=words,
            font=font,
            tracks=tracks,
            timeline=studio.timeline,
            seconds=seconds,
            picture=picture,
            progress=progress,
            check=studio.check,
        )


def encoded(
    name: str, container: str, sounds: dict[str, Path], part: PartFile, film: Film, studio: Studio
) -> Track:
    """Encode a mix as a container wants it, if that was not done yet."""
    extension = SOUNDS[container]
    key = f"{name}.{extension}"
    if key not in sounds:
        chosen = output_format(extension)
        chosen.check_channels(studio.reader.channels)
        target = part.target.with_name(f"{part.target.stem}.{key}")
        sound = studio.files.enter_context(PartFile(target))
        encode_spool(sound, studio.mixes[name], studio.gain, studio.reader, chosen, studio.check)
        sounds[key] = sound.path
    return Track(TRACKS[name], sounds[key], language(name, film))


def language(name: str, film: Film) -> str:
    """Give the language of a track: that of the words, or none where nobody sings."""
    if name == "instrumental":
        return "zxx"
    spoken = film.lyrics.language if film.lyrics is not None else ""
    return LANGUAGES[spoken][1].split()[0] if spoken in LANGUAGES else "und"


def behind(film: Film, reader: AudioReader, files: ExitStack) -> Picture:
    """Choose the background: the song's cover, where it has one and nobody chose another."""
    pictures = read_tags(reader.path, reader.stream).pictures if film.cover else ()
    if not pictures:
        return film.picture
    folder = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="karaoke-")))
    cover = folder / "cover"
    cover.write_bytes(pictures[0].data)
    return replace(film.picture, image=cover, blurred=True)
