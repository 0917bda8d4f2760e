"""From lyrics, mixes and a background to the files of a film."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from karaoke.audio import AudioReader, OutputFormat, Samples, Tags, output_format
from karaoke.audio.writing import NO_TAGS
from karaoke.files import PartFile
from karaoke.jobs.aligning import Listening
from karaoke.jobs.encoding import encode_spool
from karaoke.lyrics import Lyrics, Timeline
from karaoke.lyrics.languages import LANGUAGES
from karaoke.making.font import Font
from karaoke.making.screens import draw
from karaoke.making.styles import Style
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
        With times, or to be given some; None for a film of pictures alone.
    style, font_path, picture
        Of the words, and behind them.
    offset_seconds
        How much later the words come than the lyrics say.
    cover
        Whether the song's cover is the background, if it has one.
    tracks
        Names of the sounds by container.
    align
        What of the lyrics is found by listening.
    chords
        When each begins in the song, and its name in the singer's key.
    sung
        The lyrics on the notes of the voice, in the singer's key and without the offset, which
        their times have already; None where nobody listened.
    """

    lyrics: Lyrics | None
    style: Style
    font_path: Path
    picture: Picture
    offset_seconds: float = 0.0
    cover: bool = True
    tracks: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: DEFAULT_TRACKS)
    align: Listening = "none"
    chords: tuple[tuple[float, str], ...] = ()
    sung: Lyrics | None = None

    def from_anywhere(self) -> Film:
        """Return the same film for a process whose current folder is another."""
        picture, footage = self.picture, self.picture.footage
        image = None if picture.image is None else picture.image.absolute()
        if footage is not None:
            footage = replace(footage, path=footage.path.absolute())
        picture = replace(picture, image=image, footage=footage)
        return replace(self, font_path=self.font_path.absolute(), picture=picture)

    def can_be(self, kind: str) -> bool:
        """Tell whether it can be written so: what is text needs words."""
        return kind in SOUNDS or self.lyrics is not None

    @property
    def lacks_pitches(self) -> bool:
        """Whether it has words, other than a draft's, and none of them has a pitch."""
        if self.lyrics is None or self.align == "draft":
            return False
        return all(syllable.pitch is None for syllable in self.lyrics.syllables())

    def with_pitches(self, timeline: Timeline) -> tuple[Lyrics, Timeline]:
        """Give the words on the notes that were heard, if any were, and the clock they go by."""
        assert self.lyrics is not None, "planned for songs with words"
        return (self.lyrics, timeline) if self.sung is None else (self.sung, timeline.of_sound)

    @property
    def keeps_time(self) -> bool:
        """Whether the sound has to begin when the picture of the song does."""
        return self.picture.footage is not None


@dataclass(frozen=True)
class Studio:
    """What writers of outputs are lent of the song's task.

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
    chosen
        Format that the user wants of sound.
    tags
        Of the song, as made.
    sounds
        Mixes that are encoded already, by track and format: ``karaoke.m4a``.
    """

    reader: AudioReader
    mixes: Mapping[str, Samples]
    gain: float
    timeline: Timeline
    progress: Callable[[float, float], None]
    check: Callable[[], None]
    files: ExitStack
    chosen: OutputFormat
    tags: Tags
    sounds: dict[str, Path]

    @property
    def seconds(self) -> float:
        """How long the singer's mix is."""
        return self.mixes["karaoke"].frames / self.reader.sample_rate

    def sound(self, name: str, extension: str, beside: PartFile) -> Path:
        """Encode a mix beside an output for the meantime, if that was not done yet."""
        key = f"{name}.{extension}"
        if key not in self.sounds:
            target = beside.target.with_name(f"{beside.target.stem}.{key}")
            part = self.files.enter_context(PartFile(target))
            self.encode(part, name, output_format(extension))
            self.sounds[key] = part.path
        return self.sounds[key]

    def encode(self, part: PartFile, name: str, chosen: OutputFormat, tags: Tags = NO_TAGS) -> None:
        """Encode a mix to an output."""
        chosen.check_channels(self.reader.channels)
        encode_spool(part, self.mixes[name], self.gain, self.reader, chosen, self.check, tags)


def write_films(film: Film, parts: Mapping[str, PartFile], studio: Studio) -> None:
    """Write a film in each container that is wanted; the pictures are drawn once.

    Parameters
    ----------
    film
        What it is made of.
    parts
        Of the outputs, with the containers among them.
    studio
        What the song's task lends.
    """
    reader, seconds = studio.reader, studio.seconds
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
            chords=film.chords,
        )
    if film.keeps_time and studio.timeline.end_seconds is None:
        # Pictures may go on when the sound is over.
        rest = (reader.declared_seconds or 0.0) - studio.timeline.start_seconds
        seconds = max(seconds, rest / studio.timeline.tempo + studio.timeline.lead_in_seconds)
    picture = behind(film, reader, studio.files)

    def progress(done: float) -> None:
        studio.progress(done, seconds)

    drawn: Path | None = None
    for container in [name for name in SOUNDS if name in parts]:
        part = parts[container]
        tracks = [
            Track(TRACKS[name], studio.sound(name, SOUNDS[container], part), language(name, film))
            for name in film.tracks[container]
        ]
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


def language(name: str, film: Film) -> str:
    """Give the language of a track: that of the words, or none where nobody sings."""
    if name == "instrumental":
        return "zxx"
    spoken = film.lyrics.language if film.lyrics is not None else ""
    return LANGUAGES[spoken][1].split()[0] if spoken in LANGUAGES else "und"


def behind(film: Film, reader: AudioReader, files: ExitStack) -> Picture:
    """Choose the background: the song's cover, where it has one and nobody chose another."""
    pictures = reader.tags.pictures if film.cover else ()
    if not pictures:
        return film.picture
    folder = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="karaoke-")))
    cover = folder / "cover"
    cover.write_bytes(pictures[0].data)
    return replace(film.picture, image=cover, blurred=True)
