"""Read APE tags, found in Monkey's Audio, WavPack, Musepack and some MP3 files."""

from __future__ import annotations

from typing import IO

from karaoke.audio.tagging.model import ALIASES, LARGEST_TAG, Cursor, Found

MARK = b"APETAGEX"
PICTURES = {"cover art (front)": 3, "cover art (back)": 4}


def read_ape(file: IO[bytes], found: Found) -> None:
    """Read the tag at the end of a file, where an ID3v1 tag may follow it."""
    end = file.seek(0, 2)
    for behind in (0, 128):
        file.seek(max(0, end - behind - 32))
        footer = Cursor(file.read(32))
        if footer.data[:8] == MARK:
            footer.take(12)
            size, count = footer.number(order="little"), footer.number(order="little")
            size = min(size, LARGEST_TAG, end - behind)
            file.seek(end - behind - size)
            read_items(Cursor(file.read(max(0, size - 32))), count, found)
            return


def read_items(items: Cursor, count: int, found: Found) -> None:
    """Read the items; fields already found came from a better source and stay."""
    known = set(found.fields)
    for _ in range(count):
        size, flags = items.number(order="little"), items.number(order="little")
        end = items.data.index(b"\0", items.position)
        name = items.take(end - items.position).decode("utf-8", "replace")
        items.take(1)
        value = items.take(size)
        field = ALIASES.get(name.lower(), name)
        if flags & 6 == 2:
            description, _, data = value.partition(b"\0")
            if name.lower() in PICTURES:
                kind = PICTURES[name.lower()]
                found.add_picture(data, kind, description.decode("utf-8", "replace"))
            elif not name.lower().startswith("cover art"):
                found.left_out.append(name)
        elif field not in known:
            texts = value.decode("utf-8", "replace").split("\0")
            if field in ("tracknumber", "discnumber"):
                found.add_numbers(texts[0], field, field.replace("number", "total"))
            else:
                found.add_all(field, texts)
