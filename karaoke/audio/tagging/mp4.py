"""Tag atoms of MP4 files, as iTunes writes them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import IO

from karaoke.audio.tagging.id3_names import GENRES
from karaoke.audio.tagging.model import (
    LARGEST_TAG,
    SPELLINGS,
    USUAL,
    Found,
    MalformedError,
    Tags,
)

#: Text atoms by field name.
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
#: Integer atoms and their sizes in bytes, by field name.
NUMBERS = {
    "bpm": ("tmpo", 2),
    "compilation": ("cpil", 1),
    "movement": ("©mvi", 2),
    "movementtotal": ("©mvc", 2),
}
NUMBER_NAMES = {atom: name for name, (atom, _) in NUMBERS.items()}
#: Fields of atoms that hold a number and a total, and the atoms' sizes in bytes.
PAIRS = {"trkn": ("tracknumber", "tracktotal", 8), "disk": ("discnumber", "disctotal", 6)}
#: Atoms about the shop or the program that the file comes from, not the song.
OF_THE_SHOP = frozenset(
    """
    apID akID atID cmID cnID geID plID sfID xid ownr purd pgap hdvd stik pcst purl egid keyw catg
    tvnn tvsh tven tvsn tves sosn rtng rate ©too ©enc shwm flvr ©st3
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
UTF_8, UTF_16, JPEG, PNG, INTEGER = 1, 2, 13, 14, 21
ITUNES = b"com.apple.iTunes"
#: Atoms on the path to the tags.


def atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of the atoms in some bytes."""
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
    """Yield each atom's name, start, start of its content, and end in a file."""
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
            # The atom starts with a version, except in QuickTime files.
            content = content if content[4:8] == b"hdlr" else content[4:]
            for atom, value in atoms(inside(content, b"ilst")):
                try:
                    read_item(atom.decode("latin-1"), value, found)
                except (MalformedError, struct.error, IndexError):
                    found.left_out.append(atom.decode("latin-1"))
            return


def inside(data: bytes, *way: bytes) -> bytes:
    """Descend into atoms by name; empty if they are missing."""
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
            # MP4 states no picture types: take the first picture for the front cover.
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
    """Read a custom item."""
    parts = dict(atoms(item))
    name = parts.get(b"name", b"")[4:].decode("utf-8", "replace")
    for kind, value in values_of(item):
        if kind in (UTF_8, UTF_16, 0):
            text = value.decode("utf-16-be" if kind == UTF_16 else "utf-8", "replace")
            if name.lower() in NUMBERS:
                found.forget(name)  # the integer atom only has a rounded value
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
    """Write a text item, with one atom per value."""
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
    """Return the integer nearest to a number in text; None if it does not fit ``size`` bytes."""
    if not re.fullmatch(r"\s*\d{1,9}(\.\d*)?\s*", value, re.ASCII):
        return None
    number = round(float(value))
    return number if number < 1 << (8 * size) else None


def pair(fields: dict[str, list[str]], names: tuple[str, str], size: int) -> bytes:
    """Encode a number and its total, taken out of fields; empty if they are not integers."""
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
    """Write tags into an MP4 file whose index follows the sound, which is not moved."""
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
