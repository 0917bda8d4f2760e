"""What ``karaoke make`` makes besides sound: which words and pictures, and how they look."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karaoke.cli.aligning import check_align, check_offset
from karaoke.errors import KaraokeError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from karaoke.jobs.naming import Song
    from karaoke.lyrics.model import Lyrics
    from karaoke.making.films import Film
    from karaoke.making.footage import Footage
    from karaoke.making.styles import Style

FILMS = ("mp4", "mkv")
#: What needs no words.
PICTURES = {"audio", *FILMS}
BACKGROUNDS = ("auto", "original", "cover", "none")


def read_kinds(text: str | None) -> set[str]:
    """Read what is to be made: something to hear among it.

    Raises
    ------
    UsageError
        It has other kinds.
    """
    from karaoke.making.outputs import KINDS, kinds_among

    if text is None:
        return {"audio", "mp4"}
    kinds = {part.strip() for part in text.lower().split(",")}
    known = ("audio", *KINDS)
    if unknown := kinds - {*known}:
        raise UsageError(
            f"--to: unknown {', '.join(sorted(unknown))}", hint=f"Choose of {', '.join(known)}."
        )
    return kinds if any(kind.sound for kind in kinds_among(kinds)) else kinds | {"audio"}


def films_of(
    songs: list[Song], wanted: dict[str, Any], kinds: set[str], in_full: bool, console: Console
) -> tuple[dict[Path, Film], dict[Path, KaraokeError]]:
    """Find the words and pictures of all songs, of those that have any; and what is wrong.

    ``in_full`` says whether songs keep their length.
    """
    films: dict[Path, Film] = {}
    failures: dict[Path, KaraokeError] = {}
    if kinds == {"audio"}:
        return films, failures
    if wanted["no_lyrics"] and kinds - PICTURES:
        raise UsageError(f"--to {wanted['to']}: needs words", hint="Leave out --no-lyrics.")
    check_align(wanted)
    look = read_look(wanted, kinds, in_full)
    for song in songs:
        try:
            film = film_of(song, wanted, kinds, look, console)
            if film is not None:
                films[song.path] = film
        except KaraokeError as error:
            failures[song.path] = error
    return films, failures


def film_of(
    song: Song,
    wanted: dict[str, Any],
    kinds: set[str],
    look: Callable[[Lyrics | None, Footage | None], Film],
    console: Console,
) -> Film | None:
    """Find the words and the pictures of a song; None where it has neither and none were asked for.

    Raises
    ------
    KaraokeError
        What was asked for cannot be made of this song.
    """
    from karaoke.cli.output import say, visible
    from karaoke.jobs.aligning import choose_listening
    from karaoke.jobs.words import find_words, without_words

    words = None if wanted["no_lyrics"] else find_words(song.path, wanted["lyrics"])
    align = choose_listening(words, wanted["align"], kinds)
    problem = "" if align != "none" else trouble_with(words)
    usable = None if problem else words or without_words(song.path)
    footage = footage_of(song, wanted["background"]) if kinds & {*FILMS} else None
    asked = wanted["to"] is not None
    if usable is None and asked and (footage is None or kinds - PICTURES):
        raise UsageError(
            f'"{song.path}": no words to write or to draw ({problem})',
            hint="Name lyrics with times by --lyrics FILE, or say --to audio.",
        )
    if problem and words is not None:
        lost = "no film" if footage is None else "no words in its film"
        name = visible(song.path.name)
        say(console, "warning: ", "yellow", f'"{name}": {lost}; {problem}')
    if usable is None and footage is None:
        return None
    return replace(look(usable, footage), align=align)


def footage_of(song: Song, background: str) -> Footage | None:
    """Look for moving pictures in a song, where they are wanted as the background.

    Raises
    ------
    UsageError
        They were asked for, and there are none.
    """
    from karaoke.jobs.planning import FILMS as FILM_FILES
    from karaoke.making.footage import look_at

    if background != "original" and not (
        background == "auto" and song.path.suffix.lower() in FILM_FILES
    ):
        return None
    footage = look_at(song.path) if song.path.is_file() else None
    if footage is None and background == "original" and song.path.is_file():
        raise UsageError(
            f'"{song.path}": has no moving pictures', hint="Choose another --background."
        )
    return footage


def trouble_with(words: Lyrics | None) -> str:
    """Say why no film can be made of words, or nothing."""
    if words is None:
        return "no lyrics were found"
    if words.timing == "none":
        return "its lyrics have no times, and --align none finds none"
    return ""


def read_look(
    wanted: dict[str, Any], kinds: set[str], in_full: bool
) -> Callable[[Lyrics | None, Footage | None], Film]:
    """Read how films are to look; give what makes one of words and of the song's own pictures.

    Raises
    ------
    UsageError
        Some of it cannot be.
    """
    from karaoke.making.films import Film
    from karaoke.making.font import BUNDLED, Font
    from karaoke.making.styles import STYLES
    from karaoke.making.video import COPIED, Picture

    own_style, own_font = parse_style(wanted["style"])
    fps, size = wanted["fps"], wanted["size"]
    if fps is not None and not 1 <= fps <= 120:
        raise UsageError(f"--fps {fps:g}: not from 1 to 120")
    check_offset(wanted["offset"])
    chosen_size = None if size is None else parse_size(size)
    back = wanted["background"]
    colour = back if re.fullmatch(r"#[0-9a-fA-F]{6}", back) else None
    image = None if back in BACKGROUNDS or colour is not None else Path(back)
    if image is not None and not image.is_file():
        raise UsageError(
            f"--background {back}: neither a colour nor a file",
            hint=f"Give #rrggbb, a picture, or one of {', '.join(BACKGROUNDS)}.",
        )
    font_path = wanted["font"] or own_font or BUNDLED
    font = Font(font_path)
    tracks = read_tracks(wanted["tracks"])
    as_it_is = in_full and fps is None and size is None

    def look(words: Lyrics | None, footage: Footage | None) -> Film:
        if words is not None:
            font.check(words.text + words.title + words.artist, "lyrics")
        style = own_style or STYLES["plain" if footage is None else "film"]
        own = Picture() if footage is None else Picture(footage.size, footage.fps)
        picture = replace(
            own,
            size=chosen_size or own.size,
            fps=fps or own.fps,
            colour=colour or style.background,
            image=image,
            footage=footage,
            copied=as_it_is
            and words is None
            and footage is not None
            and all(footage.codec in COPIED[kind] for kind in kinds & {*FILMS}),
        )
        cover = back in ("auto", "cover") and footage is None
        return Film(words, style, font_path, picture, wanted["offset"], cover, tracks)

    return look


def parse_style(text: str | None) -> tuple[Style | None, Path | None]:
    """Find a style by its name or its file, and the font that the file names.

    Raises
    ------
    UsageError
        There is none, or what the file says cannot be.
    """
    from karaoke.making.styles import STYLES, read_style

    if text is None or text in STYLES:
        return (None if text is None else STYLES[text]), None
    path = Path(text)
    if not path.is_file():
        known = ", ".join(STYLES)
        raise UsageError(f"--style {text}: unknown", hint=f"Choose of {known}, or give a file.")
    return read_style(path)


def read_tracks(text: str | None) -> dict[str, tuple[str, ...]]:
    """Read which sounds films have, by container.

    Raises
    ------
    UsageError
        It has other sounds, or one twice.
    """
    from karaoke.making.films import DEFAULT_TRACKS, TRACKS

    if text is None:
        return DEFAULT_TRACKS
    names = tuple(part.strip() for part in text.lower().split(","))
    if unknown := set(names) - {*TRACKS}:
        raise UsageError(
            f"--tracks: unknown {', '.join(sorted(unknown))}",
            hint=f"Choose of {', '.join(TRACKS)}.",
        )
    if len(set(names)) < len(names):
        raise UsageError(f"--tracks {text}: names one twice", hint="Name each once.")
    return dict.fromkeys(DEFAULT_TRACKS, names)


def settings_of(film: Film | None, language: str | None) -> dict[str, Any]:
    """Write down what a film depends on, for its manifest; the language as far as it is stated."""
    from karaoke.jobs.aligning import depends_on
    from karaoke.jobs.words import digest_of

    if film is None:
        return {}
    picture, lyrics = film.picture, film.lyrics
    looks = asdict(replace(picture, footage=None)) | {
        "size": list(picture.size),
        "image": str(picture.image or ""),
        "cover": film.cover,
        "footage": picture.footage is not None,
        "tracks": {container: list(names) for container, names in film.tracks.items()},
    }
    words = None if lyrics is None else (lyrics.lines, lyrics.title, lyrics.artist)
    digest = digest_of(words, film.style, film.offset_seconds, str(film.font_path))
    stated = language or ("" if lyrics is None else lyrics.language)
    return {"words_sha256": digest, "picture": looks, **depends_on(film.align, stated)}


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
