"""What a song can be made into besides its sound: one entry for each kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from karaoke.files import PartFile, writing_to
from karaoke.lyrics import (
    Lyrics,
    Timeline,
    write_ass,
    write_enhanced_lrc,
    write_kar,
    write_lrc,
    write_srt,
)
from karaoke.making.disc import write_disc
from karaoke.making.films import SOUNDS, Film, Studio, write_films
from karaoke.making.game import GAME_MIXES, game_files, sound_format, write_game

#: Writes outputs, of which it knows its own by their names.
Writer = Callable[[Film, Mapping[str, PartFile], Studio], None]
#: Of a song's words and file and of the format of its sound: by the name of each output, its
#: extension, or its path beside the song's sound.
Files = Callable[[Film, Path, str], Mapping[str, str | PurePath]]


@dataclass(frozen=True)
class Kind:
    """A kind of output, by whose name the first of its files goes.

    Parameters
    ----------
    files
        Names them.
    write
        Writes them; kinds that have one in common are written together.
    sound
        Gives the format of its sound, by the one that the user wants; None for kinds without.
    mixes
        That it needs besides the singer's.
    parts
        Of ffmpeg that it takes where there are words, with their kind.
    is_sung
        Whether it takes the pitches at which the words are sung.
    """

    files: Files
    write: Writer
    sound: Callable[[str], str] | None = None
    mixes: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    is_sung: bool = False


def text(extension: str, write: Callable[[Lyrics, Timeline], bytes], is_sung: bool = False) -> Kind:
    """Make the kind of a file of words, perhaps with their notes."""

    def write_text(film: Film, parts: Mapping[str, PartFile], studio: Studio) -> None:
        if film.lyrics is not None:
            timeline = studio.timeline
            worded = film.with_pitches(timeline) if is_sung else (film.lyrics, timeline)
            with writing_to(parts[extension].target):
                parts[extension].path.write_bytes(write(*worded))

    return Kind(lambda *_: {extension: extension}, write_text, is_sung=is_sung)


DRAWN, DECODED = ("ass", "filter"), ("cdgraphics", "decoder")
KINDS = {
    "mp4": Kind(lambda *_: {"mp4": "mp4"}, write_films, lambda _: SOUNDS["mp4"], parts=(DRAWN,)),
    "mkv": Kind(lambda *_: {"mkv": "mkv"}, write_films, lambda _: SOUNDS["mkv"], parts=(DRAWN,)),
    "cdg": Kind(lambda *_: {"cdg": "zip"}, write_disc, lambda _: "mp3", parts=(DRAWN, DECODED)),
    "ultrastar": Kind(game_files, write_game, sound_format, GAME_MIXES, is_sung=True),
    "lrc": text("lrc", write_lrc),
    "elrc": text("elrc", write_enhanced_lrc),
    "srt": text("srt", write_srt),
    "ass": text("ass", write_ass),
    "kar": text("kar", write_kar, is_sung=True),
}


def outputs_of(
    kinds: Collection[str], song: Path, film: Film | None, sound: str
) -> dict[str, str | PurePath]:
    """Name what a song becomes besides sound, as kinds of outputs do; nothing without a film."""
    outputs: dict[str, str | PurePath] = {}
    for name, kind in KINDS.items():
        if name in kinds and film is not None and film.can_be(name):
            outputs |= kind.files(film, song, sound)
    return outputs


def kinds_among(names: Collection[str]) -> Iterator[Kind]:
    """Yield the kinds that are among names of outputs, in the order of the table."""
    return (kind for name, kind in KINDS.items() if name in names)


def lacks_pitches(film: Film | None, names: Collection[str]) -> bool:
    """Tell whether an output among names takes pitches that the words of a film do not have."""
    return film is not None and film.lacks_pitches and any(k.is_sung for k in kinds_among(names))


def write_all(film: Film, parts: Mapping[str, PartFile], studio: Studio) -> None:
    """Write all outputs but the sound itself."""
    for write in dict.fromkeys(kind.write for kind in kinds_among(parts)):
        write(film, parts, studio)
