"""Songs for singing games: a folder of UltraStar's ``.txt``, the song, its stems and its cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from karaoke.audio import fit_tags, output_format, read_tags
from karaoke.audio.tags import fit_pictures
from karaoke.files import PartFile, writing_to
from karaoke.jobs.naming import LONGEST_NAME, make_safe
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.reading import one_line
from karaoke.lyrics.ultrastar_writing import write_ultrastar
from karaoke.making.films import Film, Studio

#: What the names of files end with, as the games' editors call them.
MARKS = {"song": "", "vocals": " [VOC]", "instrumental": " [INSTR]"}
#: The mixes that these hold.
GAME_MIXES = ("original", "vocals", "instrumental")
#: Of the names of their outputs.
PREFIX = "ultrastar_"
#: Room in a name for the mark and the extension.
MARK_LENGTH = 20
#: Formats of sound that the games read and in which stems do not lie beside the song.
FORMATS = ("opus", "flac")
COVERS = {"image/jpeg": "jpg", "image/png": "png"}


def label_of(lyrics: Lyrics, song: Path) -> str:
    """Name a song's folder and its files: by artist and title, or as the song's file."""
    known = lyrics.artist and lyrics.title
    name = f"{lyrics.artist} - {lyrics.title}" if known else song.stem
    name = make_safe(one_line(name.replace("/", "_")), windows=True).lstrip(". ") or "song"
    while len(name.encode("utf-8", "surrogateescape")) > LONGEST_NAME - MARK_LENGTH:
        name = name[:-1]
    return make_safe(name.strip(), windows=True)


def cover_of(song: Path) -> tuple[bytes, str]:
    """Find a song's cover, and its extension; nothing if it has none that games could show."""
    pictures, _ = fit_pictures(read_tags(song).pictures[:1], "m4a")
    for picture in pictures:
        if picture.mime in COVERS:
            return picture.data, COVERS[picture.mime]
    return b"", ""


def game_files(film: Film, song: Path, sound: str) -> dict[str, str | PurePath]:
    """Lay out the folder of a song.

    Parameters
    ----------
    film
        With the names of title and artist, if they are known.
    song
        Its file.
    sound
        Format that is wanted.
    """
    assert film.lyrics is not None, "planned for songs with words"
    label, extension = label_of(film.lyrics, song), sound_format(sound)
    endings = {name: f"{mark}.{extension}" for name, mark in MARKS.items()}
    if kind := cover_of(song)[1]:
        endings["cover"] = f" [CO].{kind}"
    files: dict[str, str | PurePath] = {"ultrastar": PurePath(label, f"{label}.txt")}
    for name, ending in endings.items():
        files[f"{PREFIX}{name}"] = PurePath(label, label + ending)
    return files


def sound_format(wanted: str) -> str:
    """Choose the format of the sound: the one that is wanted, if games read it."""
    return wanted if wanted in FORMATS else FORMATS[0]


def write_game(film: Film, parts: Mapping[str, PartFile], studio: Studio) -> None:
    """Write the folder of a song for games; parameters are those of all such writers.

    Syllables without a pitch become freestyle notes: every game shows them and none counts them.
    Rap notes would give points for any sound, and older games stop at them.
    """
    song = Path(studio.reader.path)
    extension = sound_format(studio.chosen.extension)
    chosen = studio.chosen if studio.chosen.extension == extension else output_format(extension)
    tags, _ = fit_tags(studio.tags, chosen.extension)
    tags = replace(tags, pictures=())  # the cover lies beside
    for name, mix in zip(MARKS, GAME_MIXES, strict=True):
        titled = tags if name == "song" else tags.for_stem(name)
        studio.encode(parts[f"{PREFIX}{name}"], mix, chosen, titled)
    if cover := parts.get(f"{PREFIX}cover"):
        with writing_to(cover.target):
            cover.path.write_bytes(cover_of(song)[0])
    names = {
        name.removeprefix(PREFIX): part.target.name
        for name, part in parts.items()
        if name.startswith(PREFIX)
    }
    lyrics, timeline = film.with_pitches(studio.timeline)
    named = replace(lyrics, title=lyrics.title or song.stem)
    text = write_ultrastar(named, timeline, audio=names["song"], files=names)
    with writing_to(parts["ultrastar"].target):
        parts["ultrastar"].path.write_bytes(text)
