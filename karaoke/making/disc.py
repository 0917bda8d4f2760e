"""Songs for karaoke players: words drawn as CD+G, and zipped with their sound as MP3."""

from __future__ import annotations

import os
import tempfile
import unicodedata
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import ffmpeg
import numpy as np

from karaoke.audio.ffmpeg import FfmpegProcess
from karaoke.errors import WriteError
from karaoke.files import SPACE, PartFile, writing_to
from karaoke.jobs.naming import make_safe
from karaoke.making.cdg import (
    BORDER_PRESET,
    HIGH,
    PACKET_LENGTH,
    PACKETS_PER_PICTURE,
    PACKETS_PER_SECOND,
    PICTURES_PER_SECOND,
    SHADES,
    TILE_HIGH,
    WIDE,
    Encoder,
    Pixels,
    opening,
    packet,
    shades_of,
)
from karaoke.making.films import Film, Studio
from karaoke.making.font import Font
from karaoke.making.screens import draw
from karaoke.making.styles import Style, rgb
from karaoke.making.video import pictures_of, with_words

#: Height of the letters, from line to line, and where their middle is, in pixels: so all of a line
#: stands in two rows of tiles, and there is a third between lines.
LETTERS, STEP, MIDDLE = 24, 36, 114
LINES = 4
#: In which the two rows of tiles of a line can be sent.
LINE_SECONDS = 0.28
#: Kinds of letters, in the colour table: not sung yet, or sung by one of three singers.
KINDS = 4
#: What they are drawn in, to be told apart by the colours' parts: the first is blue, the others
#: have none, so that blue and the larger of red and green together are the share of a pixel that
#: is letter.
MARKS = ("#0000ff", "#ff0000", "#00ff00", "#ffff00")
#: Of a picture of numbers of colours, as ffmpeg writes it.
PALETTE_BYTES = 1024
LONGEST_NAME = 60
#: Times in archives begin with it.
EARLIEST = (1980, 1, 1, 0, 0, 0)


def marked(style: Style) -> Style:
    """Give the style in which words are to be drawn so that :func:`in_colours` knows them."""
    return replace(
        style,
        rows=LINES,
        size=LETTERS / HIGH,
        spacing=STEP / LETTERS,
        middle=MIDDLE / HIGH,
        unsung=MARKS[0],
        sung=MARKS[1],
        singers=MARKS[1:],
        outline="#000000",
        fade_seconds=0.0,
        line_seconds=LINE_SECONDS,
        tint=0.0,
    )


def table(style: Style, background: str) -> list[tuple[int, int, int]]:
    """Mix the colour table of a style on a background."""
    singers = [style.sung, *style.singers[1:]]
    singers = (singers * KINDS)[: KINDS - 1]
    return shades_of(rgb(background), [rgb(colour) for colour in (style.unsung, *singers)])


def in_colours(picture: Pixels) -> Pixels:
    """Turn a picture ``(216, 300, 3)`` in marking colours into numbers of colours."""
    numbers = np.zeros(picture.shape[:2], np.uint8)
    inked = np.flatnonzero(picture.reshape(len(picture), -1).any(axis=1))
    if not len(inked):
        return numbers
    rows = slice(inked[0], inked[-1] + 1)
    red, green, blue = (picture[rows, :, part].astype(np.int16) for part in range(3))
    sung = np.maximum(red, green)
    share = np.minimum(sung + blue, 255)
    shade = (share * (SHADES - 1) + 127) // 255
    singer = np.where(2 * np.minimum(red, green) > sung, 3, np.where(red >= green, 1, 2))
    kind = np.where(blue >= sung, 0, singer)
    numbers[rows] = np.where(shade == 0, 0, kind * SHADES + shade)
    return numbers


def pictures(words: str, font: Font, seconds: float) -> Iterator[Pixels]:
    """Have words drawn, 25 pictures a second, ``(216, 300)`` numbers of colours each.

    Parameters
    ----------
    words
        From :func:`karaoke.making.screens.draw`, in a style that is :func:`marked`.
    font
        That they are written in.
    seconds
        How long.

    Raises
    ------
    WriteError
        They did not all come.
    """
    count = round(seconds * PICTURES_PER_SECOND) + 1
    spec = f"color=c=black:s={WIDE}x{HIGH}:r={PICTURES_PER_SECOND}"
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        shown = ffmpeg.input(spec, f="lavfi").filter("format", "rgb24")
        shown = with_words(shown, words, font, Path(folder))
        before, made = np.zeros((HIGH, WIDE, 3), np.uint8), np.zeros((HIGH, WIDE), np.uint8)
        for picture in pictures_of(shown, (WIDE, HIGH), failure, count):
            if not np.array_equal(picture, before):
                before, made = picture, in_colours(picture)
            yield made


def failure(problem: str) -> WriteError:
    """Make an error of what ffmpeg says."""
    return WriteError(f"the words could not be drawn: {problem}", hint=SPACE)


def write_disc(film: Film, parts: Mapping[str, PartFile], studio: Studio) -> None:
    """Write the archive of a song's CD+G and MP3; parameters are those of all such writers."""
    assert film.lyrics is not None, "planned for songs with words"
    part, font = parts["cdg"], Font(film.font_path)
    words = draw(
        film.lyrics,
        studio.timeline,
        size=(WIDE, HIGH),
        font=font,
        style=marked(film.style),
        title=film.lyrics.title,
        artist=film.lyrics.artist,
        matrix="None",
    )
    drawn = studio.files.enter_context(PartFile(part.target.with_suffix(".cdg")))
    write_cdg(
        drawn.path,
        words=words,
        font=font,
        seconds=studio.seconds,
        colours=table(film.style, film.picture.colour),
        progress=lambda done: studio.progress(done, studio.seconds),
        check=studio.check,
    )
    name = plain_name(part.target.stem)
    sound = studio.sound("karaoke", "mp3", part)
    write_zip(part.path, {f"{name}.mp3": sound, f"{name}.cdg": drawn.path}, studio.check)


def write_cdg(
    path: Path,
    *,
    words: str,
    font: Font,
    seconds: float,
    colours: list[tuple[int, int, int]],
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> None:
    """Write a CD+G file, decode it again, and compare.

    Parameters
    ----------
    path
        To write to, whatever is there.
    words, font, seconds
        As in :func:`pictures`.
    colours
        Of the table, from :func:`table`.
    progress
        Told the seconds that are done.
    check
        Called between pictures; what it raises ends the work.

    Raises
    ------
    WriteError
        It cannot be written, or a player would not show the pictures that it was made from.
    """
    packets = max(round(seconds * PACKETS_PER_SECOND), 1)
    with writing_to(path), path.open("wb") as file:
        encoder = Encoder(file.write, opening(colours), STEP // TILE_HIGH)
        for number, picture in enumerate(pictures(words, font, seconds)):
            check()
            encoder.show(picture)
            if number % PICTURES_PER_SECOND == 0:
                progress(number / PICTURES_PER_SECOND)
        # The last packet changes nothing, but shows decoders how long the last picture stays.
        file.truncate((packets - 1) * PACKET_LENGTH)
        file.seek(0, os.SEEK_END)
        file.write(packet(BORDER_PRESET, [0]))
    compare(path, encoder.checksums[: packets // PACKETS_PER_PICTURE], colours, check)


def compare(
    path: Path,
    checksums: array[int],
    colours: list[tuple[int, int, int]],
    check: Callable[[], None],
) -> None:
    """Decode a CD+G file by ffmpeg, and see whether each picture is what it should be.

    Raises
    ------
    WriteError
        One is not.
    """
    # Each picture is what the last packet before or at its time left on the screen.
    shown = ffmpeg.input(f"file:{path}", f="cdg", protocol_whitelist="file")
    shown = shown.filter("fps", PICTURES_PER_SECOND, round="up")
    out = ffmpeg.output(shown, "pipe:1", f="rawvideo", pix_fmt="pal8", v="level+info")
    process = FfmpegProcess(["-nostdin", *map(str, ffmpeg.get_args(out))], stdout=True)
    expected = b"".join(bytes([blue, green, red, 255]) for red, green, blue in colours)
    try:
        pixels = HIGH * WIDE
        for number, checksum in enumerate(checksums):
            check()
            raw = process.stdout.read(pixels + PALETTE_BYTES)
            # The table is not there yet at the first.
            loaded = number == 0 or raw[pixels:].startswith(expected)
            if zlib.crc32(raw[:pixels]) != checksum or not loaded:
                raise WriteError(
                    f'"{path}": picture {number} did not read back as it was drawn', hint=SPACE
                )
    finally:
        process.kill()


def write_zip(path: Path, files: Mapping[str, Path], check: Callable[[], None]) -> None:
    """Put files into an archive, as they are, by the names that they are to have there."""
    with writing_to(path), zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, source in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.file_size = source.stat().st_size
            with source.open("rb") as file, archive.open(entry, "w") as written:
                while data := file.read(1 << 20):
                    check()
                    written.write(data)


def plain_name(title: str) -> str:
    """Spell a name in letters, digits and marks that every system and player takes."""
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    name = make_safe(" ".join(letters.replace("/", "_").split()), windows=True)
    return name[:LONGEST_NAME].strip(" .") or "song"
