"""The atoms of MP4 files that hold tags, as iTunes writes them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import IO

from karaoke.audio.tagging.genres import GENRES
from karaoke.audio.tagging.model import (
    LARGEST_TAG,
    SPELLINGS,
    USUAL,
    Found,
    MalformedError,
    Tags,
)

#: Atoms of text by the name of their field.
TEXTS = {
    "title": "©nam",
    "artist": "©ART",
    "album": "©alb",
    "albumartist": "aART",
    "composer": "©wrt",
    "genre": "©gen",
    "date": "©day",
    "comment": "©cmt",
    "lyrics": "©lyr",
    "grouping": "©grp",
    "copyright": "cprt",
    "description": "desc",
    "titlesort": "sonm",
    "artistsort": "soar",
    "albumsort": "soal",
    "albumartistsort": "soaa",
    "composersort": "soco",
    "work": "©wrk",
    "movementname": "©mvn",
}
NAMES = {atom: name for name, atom in TEXTS.items()}
#: Atoms of integers, and their sizes in bytes.
NUMBERS = {
    "bpm": ("tmpo", 2),
    "compilation": ("cpil", 1),
    "movement": ("©mvi", 2),
    "movementtotal": ("©mvc", 2),
}
NUMBER_NAMES = {atom: name for name, (atom, _) in NUMBERS.items()}
#: Pairs of a number and a total, and their sizes in bytes.
PAIRS = {"trkn": ("tracknumber", "tracktotal", 8), "disk": ("discnumber", "disctotal", 6)}
#: Of the shop and the program that the file comes from, not of the song.
OF_THE_SHOP = frozenset(
    """
    apID akID atID cmID cnID geID plID sfID xid ownr purd pgap hdvd stik pcst purl egid keyw catg
    tvnn tvsh tven tvsn tves sosn rtng rate ©too ©enc shwm flvr ©st3
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
UTF_8, UTF_16, JPEG, PNG, INTEGER = 1, 2, 13, 14, 21
ITUNES = b"com.apple.iTunes"
#: What contains other atoms on the way to the tags.
WAY = (b"moov", b"udta", b"meta", b"ilst")


def atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of the atoms in a piece of memory."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        name, start = data[position + 4 : position + 8], position + 8
        if size == 1:
            size, start = int.from_bytes(data[position + 8 : position + 16], "big"), position + 16
        size = size or len(data) - position
        if position + size < start:
            return
        yield name, data[start : position + size]
        position += size


def file_atoms(file: IO[bytes]) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield the names, beginnings, beginnings of contents, and ends of a file's atoms."""
    end = file.seek(0, 2)
    position = 0
    while position + 8 <= end:
        file.seek(position)
        head = file.read(16)
        size, start = int.from_bytes(head[:4], "big"), position + 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), position + 16
        size = size or end - position
        if position + size < start:
            return
        yield head[4:8], position, start, min(end, position + size)
        position += size


def read_mp4(file: IO[bytes], found: Found) -> None:
    """Read the tags of an MP4 file."""
    for name, _, start, end in file_atoms(file):
        if name == b"moov":
            file.seek(start)
            moov = file.read(min(end - start, LARGEST_TAG))
            content = inside(moov, b"udta", b"meta") or inside(moov, b"meta")
            # The atom has a version first, but not in files of QuickTime.
            content = content if content[4:8] == b"hdlr" else content[4:]
            for atom, value in atoms(inside(content, b"ilst")):
                try:
                    read_item(atom.decode("latin-1"), value, found)
                except (MalformedError, struct.error, IndexError):
                    found.left_out.append(atom.decode("latin-1"))
            return


def inside(data: bytes, *way: bytes) -> bytes:
    """Go down into atoms by their names; nothing if they are not there."""
    for wanted in way:
        data = next((content for name, content in atoms(data) if name == wanted), b"")
    return data


def values_of(item: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the types and values of an item."""
    for name, content in atoms(item):
        if name == b"data" and len(content) >= 8:
            yield int.from_bytes(content[1:4], "big"), content[8:]


def read_item(atom: str, item: bytes, found: Found) -> None:
    """Read an item of the list."""
    if atom in OF_THE_SHOP or atom == "free":
        return
    if atom == "----":
        read_custom(item, found)
        return
    for kind, value in values_of(item):
        if atom == "covr":
            # The types of pictures are unknown here: the first one is the front.
            first = not found.pictures
            found.add_picture(value, 3 if first else 0)
        elif atom in PAIRS:
            number, total, _ = PAIRS[atom]
            for name, part in ((number, value[2:4]), (total, value[4:6])):
                if count := int.from_bytes(part, "big"):
                    found.add(name, str(count))
        elif atom == "gnre":
            index = int.from_bytes(value, "big") - 1
            if 0 <= index < len(GENRES):
                found.add("genre", GENRES[index])
        elif atom in NUMBER_NAMES:
            number_value = int.from_bytes(value[:8], "big", signed=False)
            if number_value:
                found.add(NUMBER_NAMES[atom], str(number_value))
        elif kind in (UTF_8, UTF_16, 0) and (atom in NAMES or kind):
            text = value.decode("utf-16-be" if kind == UTF_16 else "utf-8", "replace")
            found.add(NAMES.get(atom, atom), text)
        else:
            found.left_out.append(atom)


def read_custom(item: bytes, found: Found) -> None:
    """Read an item with a name of its own."""
    parts = dict(atoms(item))
    name = parts.get(b"name", b"")[4:].decode("utf-8", "replace")
    for kind, value in values_of(item):
        if kind in (UTF_8, UTF_16, 0):
            text = value.decode("utf-16-be" if kind == UTF_16 else "utf-8", "replace")
            if name.lower() in NUMBERS:
                found.forget(name)  # the integer is only as near as integers come
            found.add(name, text)
        elif kind == INTEGER and len(value) in (1, 2, 3, 4, 8):
            found.add(name, str(int.from_bytes(value, "big", signed=True)))
        else:
            found.left_out.append(name)


def atom(name: str | bytes, content: bytes) -> bytes:
    """Write an atom."""
    kind = name.encode("latin-1") if isinstance(name, str) else name
    return struct.pack(">I", len(content) + 8) + kind + content


def data(kind: int, value: bytes) -> bytes:
    """Write a value."""
    return atom(b"data", struct.pack(">II", kind, 0) + value)


def text_item(name: str, values: list[str]) -> bytes:
    """Write an item of text, with an atom for each of several values."""
    written = b"".join(data(UTF_8, value.encode("utf-8", "replace")) for value in values)
    if name in TEXTS:
        return atom(TEXTS[name], written)
    if len(name) == 4 and name.startswith("©") and name[1:].isascii():
        return atom(name, written)
    usual = name in USUAL and name != "initialkey"
    spelling = SPELLINGS.get(name, name.upper() if usual else name)
    custom = atom(b"mean", bytes(4) + ITUNES)
    custom += atom(b"name", bytes(4) + spelling.encode("utf-8", "replace"))
    return atom(b"----", custom + written)


def nearest(value: str, size: int) -> int | None:
    """Give the integer nearest to a number in text, if so many bytes can hold it, else None."""
    if not re.fullmatch(r"\s*\d{1,9}(\.\d*)?\s*", value, re.ASCII):
        return None
    number = round(float(value))
    return number if number < 1 << (8 * size) else None


def pair(fields: dict[str, list[str]], names: tuple[str, str], size: int) -> bytes:
    """Take a number and its total out of fields and write them; nothing if they are no integers."""
    values = [fields.get(name, ["0"]) for name in names]
    counts = [nearest(value[0], 2) for value in values]
    if any(len(value) > 1 or "." in value[0] for value in values) or None in counts:
        return b""
    for name in names:
        fields.pop(name, None)
    return data(0, struct.pack(">HHH", 0, *counts).ljust(size, b"\0"))


def item_list(tags: Tags) -> bytes:
    """Write the list of items."""
    fields = tags.common_fields()
    parts = []
    for place, (number, total, size) in PAIRS.items():
        if (number in fields or total in fields) and (
            written := pair(fields, (number, total), size)
        ):
            parts.append(atom(place, written))
    for name, values in fields.items():
        if name in NUMBERS and (count := nearest(values[0], NUMBERS[name][1])) is not None:
            place, size = NUMBERS[name]
            parts.append(atom(place, data(INTEGER, count.to_bytes(size, "big"))))
            if values == [str(count)]:
                continue
        parts.append(text_item(name, values))
    if tags.pictures:
        kinds = {"image/jpeg": JPEG, "image/png": PNG}
        shown = (data(kinds[p.mime], p.data) for p in tags.pictures if p.mime in kinds)
        parts.append(atom(b"covr", b"".join(shown)))
    return atom(b"ilst", b"".join(parts))


def tag_mp4(file: IO[bytes], tags: Tags) -> None:
    """Put tags into an MP4 file whose index lies behind the sound, which stays where it is."""
    places = {name: (position, start, end) for name, position, start, end in file_atoms(file)}
    end = file.seek(0, 2)
    if b"moov" not in places or places[b"moov"][2] != end:
        raise MalformedError("the index of the MP4 is not at its end")
    position, start, _ = places[b"moov"]
    file.seek(start)
    kept = [atom(name, content) for name, content in atoms(file.read()) if name != b"udta"]
    handler = atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    meta = atom(b"meta", bytes(4) + handler + item_list(tags))
    file.seek(position)
    file.write(atom(b"moov", b"".join(kept) + atom(b"udta", meta)))
    file.truncate()
