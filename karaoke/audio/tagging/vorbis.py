"""Vorbis comments and FLAC picture blocks, as used by FLAC, Ogg Vorbis and Opus."""

from __future__ import annotations

import base64
import binascii
import re
import struct

from karaoke.audio.tagging.model import Cursor, Found, MalformedError, Picture, Tags

#: Characters that the Vorbis comment specification allows in names.
NAME = re.compile(r"[\x20-\x3c\x3e-\x7d]+")


def read_picture(data: bytes, found: Found) -> None:
    """Read a picture block."""
    cursor = Cursor(data)
    kind = cursor.number()
    mime = cursor.take(cursor.number())
    description = cursor.take(cursor.number()).decode("utf-8", "replace")
    cursor.take(16)  # width, height, depth and colours, which the picture itself states
    declared = cursor.number()
    picture = cursor.rest()[:declared]
    if mime == b"-->":
        found.left_out.append("a picture that is only a link")
    else:
        found.add_picture(picture, kind, description)


def picture_block(picture: Picture) -> bytes:
    """Write a picture block; width, height, depth and colours are left unstated."""
    mime, description = picture.mime.encode(), picture.description.encode("utf-8", "replace")
    return b"".join(
        (
            struct.pack(">II", picture.kind, len(mime)) + mime,
            struct.pack(">I", len(description)) + description,
            struct.pack(">IIIII", 0, 0, 0, 0, len(picture.data)) + picture.data,
        )
    )


def read_comments(data: bytes, found: Found) -> None:
    """Read a block of comments; what was found before an error counts."""
    cursor = Cursor(data)
    cursor.take(cursor.number(order="little"))
    for _ in range(cursor.number(order="little")):
        entry = cursor.take(cursor.number(order="little"))
        name, _, value = entry.decode("utf-8", "replace").partition("=")
        if name.lower() in ("metadata_block_picture", "coverart"):
            try:
                picture = base64.b64decode(value)
                if name.lower() == "coverart":
                    found.add_picture(picture, 3)
                else:
                    read_picture(picture, found)
            except (binascii.Error, MalformedError, ValueError):
                found.left_out.append("a damaged picture")
        elif name.lower() != "coverartmime":
            found.add(name, value)


def vendor_of(data: bytes) -> bytes:
    """Return which program wrote a block of comments."""
    cursor = Cursor(data)
    return cursor.take(cursor.number(order="little"))


def comment_block(tags: Tags, vendor: bytes, *, pictures: bool) -> bytes:
    """Write a block of comments, with the pictures as text if they have nowhere else to go."""
    entries = [
        f"{name.upper()}={value}".encode("utf-8", "replace")
        for name, values in tags.fields.items()
        for value in values
    ]
    if pictures:
        entries += [
            b"METADATA_BLOCK_PICTURE=" + base64.b64encode(picture_block(picture))
            for picture in tags.pictures
        ]
    parts = [struct.pack("<I", len(vendor)), vendor, struct.pack("<I", len(entries))]
    for entry in entries:
        parts += [struct.pack("<I", len(entry)), entry]
    return b"".join(parts)
