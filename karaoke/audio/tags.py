"""Tags and pictures: read from any song, and fitted to a format."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO

from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.audio.formats import FORMATS
from karaoke.audio.tagging.ape import read_ape
from karaoke.audio.tagging.asf import HEADER, read_asf
from karaoke.audio.tagging.ffmetadata import read_by_ffmpeg
from karaoke.audio.tagging.flac import read_flac
from karaoke.audio.tagging.id3 import read_id3, read_id3v1
from karaoke.audio.tagging.model import (
    LARGEST_PICTURES,
    LARGEST_TEXT,
    LONGEST_VALUE,
    MOST_WANTED,
    Found,
    Picture,
    Tags,
)
from karaoke.audio.tagging.mp4 import read_mp4
from karaoke.audio.tagging.ogg import read_ogg
from karaoke.audio.tagging.riff import read_riff

#: What readers raise on malformed data.
MALFORMED = (OSError, ValueError, struct.error, IndexError, OverflowError, zlib.error)
DECODERS = {"image/webp": "webp_pipe", "image/gif": "gif_pipe", "image/bmp": "bmp_pipe"}
DECODERS["image/tiff"] = "tiff_pipe"
LISTED = 8


def read_tags(path: str | os.PathLike[str], stream: int = 1) -> Tags:
    """Read a song's tags; damage never raises an error.

    Parameters
    ----------
    path
        The song.
    stream
        Audio stream, counted from 1: Ogg has tags for each.
    """
    source, found = Path(path), Found()
    try:
        with source.open("rb") as file:
            read_natively(file, found, stream)
    except MALFORMED:
        pass  # what was found so far counts
    if not found.fields and not found.pictures:
        read_by_ffmpeg(source, found)
    return found.tags()


def read_natively(file: IO[bytes], found: Found, stream: int) -> None:
    """Read the tags of a container that is supported natively."""
    # FLAC and AAC may start with an ID3 tag too; some files have more than one.
    start = 0
    while length := read_id3(file, found):
        start += length
        file.seek(start)
    file.seek(start)
    head = file.read(16)
    file.seek(start)
    if head.startswith(b"fLaC"):
        read_flac(file, found)
    elif head.startswith(b"OggS"):
        read_ogg(file, found, stream)
    elif re.match(rb"(RIFF|RF64)....WAVE|FORM....AIF", head, re.DOTALL):
        read_riff(file, found)
    elif head[4:8] == b"ftyp":
        read_mp4(file, found)
    elif head == HEADER:
        read_asf(file, found)
    elif head.startswith(b"DSD "):
        file.seek(start + 20)
        file.seek(int.from_bytes(file.read(8), "little"))
        read_id3(file, found)
    else:
        # MP3, AAC, Monkey's Audio, WavPack and others may have a tag at the end.
        read_ape(file, found)
        read_id3v1(file, found)


def fit_tags(tags: Tags, extension: str) -> tuple[Tags, list[str]]:
    """Cut or leave out what a format cannot hold.

    Parameters
    ----------
    tags
        From :func:`read_tags`.
    extension
        The format.

    Returns
    -------
    tuple
        Tags that can be written, and warnings that name what was lost.
    """
    said: list[str] = []
    chosen = FORMATS[extension]
    lost = list(tags.left_out)
    fields, cut, left = fit_text(tags.fields)
    lost += left
    if names := chosen.tag_names:
        lost += [name for name in fields if not names.fullmatch(name)]
        fields = {name: values for name, values in fields.items() if names.fullmatch(name)}
    frames = tags.frames
    if not chosen.holds_id3 or sum(len(f) for _, f in frames) > LARGEST_TEXT:
        lost += [name for name, _ in frames]
        frames = ()
    pictures, said_of_pictures = fit_pictures(tags.pictures, extension)
    if cut:
        said.append(f"tags were cut to {LONGEST_VALUE} bytes: {listed(cut)}")
    if lost:
        said.append(f"tags were left out that {extension} cannot hold: {listed(lost)}")
    said += said_of_pictures
    return replace(tags, fields=fields, frames=frames, pictures=pictures), said


def listed(names: list[str]) -> str:
    """List the first few of many names, shortened and without duplicates."""
    names = list(dict.fromkeys(name if len(name) <= 40 else f"{name[:40]}..." for name in names))
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def fit_text(
    fields: dict[str, tuple[str, ...]],
) -> tuple[dict[str, tuple[str, ...]], list[str], list[str]]:
    """Cut values that are too long, and leave out values that are too many.

    Returns
    -------
    tuple
        The fields, the names of those that were cut, and the names of those that were left out.
    """
    cut: list[str] = []
    left: list[str] = []
    room = LARGEST_TEXT
    kept: dict[str, tuple[str, ...]] = {}
    for name in sorted(fields, key=lambda name: name not in MOST_WANTED):
        values = []
        for value in fields[name]:
            data = value.encode("utf-8", "replace")
            if len(data) > LONGEST_VALUE:
                cut.append(name)
                data = data[:LONGEST_VALUE]
            # Every value has a name and a header, which ID3 repeats.
            room -= len(data) + len(name.encode("utf-8", "replace")) + 64
            if room < 0:
                left.append(name)
                break
            values.append(data.decode("utf-8", "ignore"))
        if values:
            kept[name] = tuple(values)
    return {name: kept[name] for name in fields if name in kept}, cut, left


def fit_pictures(
    pictures: tuple[Picture, ...], extension: str
) -> tuple[tuple[Picture, ...], list[str]]:
    """Convert pictures that a format does not support, and leave out those that are too large."""
    said: list[str] = []
    kept: list[Picture] = []
    room, types = LARGEST_PICTURES, FORMATS[extension].picture_types
    for picture in pictures:
        kind = "the cover" if picture.kind == 3 else "a picture"
        what = f"{kind} ({picture.mime.removeprefix('image/')})"
        if len(picture.data) > room:
            said.append(f"{what} was left out: {len(picture.data) / 1e6:.1f} MB is too large")
            continue
        if types and picture.mime not in types:
            data = converted(picture)
            if not data or len(data) > room:
                said.append(f"{what} was left out, as {extension} cannot hold it")
                continue
            said.append(f"{what} was converted, as {extension} cannot hold this kind")
            picture = replace(picture, data=data)
        room -= len(picture.data)
        kept.append(picture)
    return tuple(kept), said


def converted(picture: Picture) -> bytes:
    """Convert a picture to PNG or, from WebP, to JPEG; return nothing if that fails."""
    if picture.mime not in DECODERS:
        return b""
    encoder = ["mjpeg", "-q:v", "2"] if picture.mime == "image/webp" else ["png"]
    command = [find_ffmpeg(), "-hide_banner", "-v", "error", "-protocol_whitelist", "pipe"]
    command += ["-f", DECODERS[picture.mime], "-i", "pipe:0", "-frames:v", "1", "-c:v", *encoder]
    command += ["-f", "image2pipe", "pipe:1"]
    try:
        done = subprocess.run(
            command, input=picture.data, capture_output=True, check=False, timeout=60
        )
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout if Picture(done.stdout).mime in ("image/png", "image/jpeg") else b""
