"""Read the tags of ASF files (Windows Media Audio)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from karaoke.audio.tagging.model import ALIASES, LARGEST_TAG, Cursor, Found, MalformedError

HEADER = bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C")
DESCRIPTION = bytes.fromhex("3326B2758E66CF11A6D900AA0062CE6C")
EXTENDED = bytes.fromhex("40A4D0D207E3D21197F000A0C95EA850")
EXTENSION = bytes.fromhex("B503BF5F2EA9CF118EE300C00C205365")
LIBRARIES = (
    bytes.fromhex("EACBF8C5AF5B77488467AA8C44FA4CCA"),
    bytes.fromhex("941C23449894D149A1411D134E457054"),
)
TEXT, BYTES, IDENTIFIER = 0, 1, 6
NAMES = {
    "author": "artist",
    "description": "comment",
    "wm/albumtitle": "album",
    "wm/albumartist": "albumartist",
    "wm/year": "date",
    "wm/originalreleaseyear": "originaldate",
    "wm/genre": "genre",
    "wm/composer": "composer",
    "wm/conductor": "conductor",
    "wm/writer": "lyricist",
    "wm/modifiedby": "remixer",
    "wm/producer": "producer",
    "wm/lyrics": "lyrics",
    "wm/beatsperminute": "bpm",
    "wm/initialkey": "initialkey",
    "wm/isrc": "isrc",
    "wm/publisher": "label",
    "wm/contentgroupdescription": "grouping",
    "wm/subtitle": "subtitle",
    "wm/setsubtitle": "discsubtitle",
    "wm/mood": "mood",
    "wm/media": "media",
    "wm/language": "language",
    "wm/iscompilation": "compilation",
    "wm/albumsortorder": "albumsort",
    "wm/artistsortorder": "artistsort",
    "wm/titlesortorder": "titlesort",
    "wm/albumartistsortorder": "albumartistsort",
    "wm/composersortorder": "composersort",
}
#: Attributes of the shop, the player or the sound, not of the song.
TECHNICAL = (
    *("wm/wmcontentid", "wm/wmcollection", "wm/provider", "wm/unique", "wm/mediaclass", "wmfsdk"),
    *("isvbr", "asfleakybucket", "devicecon", "wm/encod", "averagelevel", "peakvalue", "wm/mcdi"),
    *("aspectratio", "wm/tool", "wm/codec", "wm/shared"),
)


def read_asf(file: IO[bytes], found: Found) -> None:
    """Read the tags of an ASF file, starting at its beginning."""
    head = Cursor(file.read(30))
    if head.take(16) != HEADER:
        raise MalformedError("no ASF")
    size = head.number(8, "little")
    read_objects(file.read(min(max(0, size - 30), LARGEST_TAG)), found)


def read_objects(data: bytes, found: Found) -> None:
    """Read the objects in the header or its extension."""
    # The first of several values is in the older kind of object.
    order = {DESCRIPTION: 0, EXTENDED: 1}
    for kind, content in sorted(objects(data), key=lambda pair: order.get(pair[0], 2)):
        try:
            if kind == DESCRIPTION:
                read_description(Cursor(content), found)
            elif kind in (EXTENDED, *LIBRARIES):
                read_attributes(Cursor(content), found, library=kind != EXTENDED)
            elif kind == EXTENSION:
                for inner, library in objects(content[22:]):
                    if inner in LIBRARIES:
                        read_attributes(Cursor(library), found, library=True)
        except MalformedError:
            continue  # the next object may be intact


def objects(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the identifiers and contents of objects."""
    position = 0
    while position + 24 <= len(data):
        size = int.from_bytes(data[position + 16 : position + 24], "little")
        if size < 24:
            return
        yield data[position : position + 16], data[position + 24 : position + size]
        position += size


def text(data: bytes) -> str:
    """Decode text."""
    return data.decode("utf-16-le", "replace").rstrip("\0")


def read_description(cursor: Cursor, found: Found) -> None:
    """Read the five fields that every file has."""
    sizes = [cursor.number(2, "little") for _ in range(5)]
    for name, size in zip(("title", "artist", "copyright", "comment", ""), sizes, strict=True):
        found.add(name, text(cursor.take(size)))


def read_attributes(cursor: Cursor, found: Found, *, library: bool) -> None:
    """Read a list of attributes; those of a library have longer values and a stream."""
    for _ in range(cursor.number(2, "little")):
        if library:
            cursor.take(4)
            name_size, kind = cursor.number(2, "little"), cursor.number(2, "little")
            size = cursor.number(4, "little")
            name, value = text(cursor.take(name_size)), cursor.take(size)
        else:
            name = text(cursor.take(cursor.number(2, "little")))
            kind = cursor.number(2, "little")
            value = cursor.take(cursor.number(2, "little"))
        read_attribute(name, kind, value, found)


def read_attribute(name: str, kind: int, value: bytes, found: Found) -> None:
    """Read one attribute."""
    low = name.lower()
    if low.startswith(TECHNICAL):
        return
    if low == "wm/picture" and kind == BYTES:
        picture = Cursor(value)
        number, size = picture.number(1), picture.number(4, "little")
        _, rest = split_once(picture.rest())
        description, data = split_once(rest)
        found.add_picture(data[:size], number, description)
    elif low in ("wm/tracknumber", "wm/partofset", "wm/track"):
        field = "disc" if low == "wm/partofset" else "track"
        number_text = text(value) if kind == TEXT else str(int.from_bytes(value, "little"))
        if low != "wm/track":  # which counts from 0
            found.add_numbers(number_text, f"{field}number", f"{field}total")
    elif kind == TEXT:
        # MusicBrainz/Album Id here is MusicBrainz Album Id elsewhere.
        plain = name.replace("MusicBrainz/", "MusicBrainz ").removeprefix("WM/")
        found.add(NAMES.get(low, ALIASES.get(low, plain)), text(value))
    elif kind in (BYTES, IDENTIFIER):
        found.left_out.append(name)
    elif number := int.from_bytes(value, "little"):
        found.add(NAMES.get(low, name.removeprefix("WM/")), str(number))


def split_once(data: bytes) -> tuple[str, bytes]:
    """Split off the text before the first two-byte zero."""
    position = data.find(b"\0\0")
    while position > 0 and position % 2:
        position = data.find(b"\0\0", position + 1)
    if position < 0:
        raise MalformedError("text without an end")
    return text(data[:position]), data[position + 2 :]
