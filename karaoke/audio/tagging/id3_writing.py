"""Write ID3 tags of version 2.4.

Only 2.4 keeps several artists apart and has UTF-8, full dates and sort names; all software still
in use reads it.
"""

from __future__ import annotations

import shutil
from io import BytesIO
from typing import IO

from karaoke.audio.tagging.id3 import read_id3
from karaoke.audio.tagging.id3_names import FRAMES, OTHER_TEXT, events_from_lyrics
from karaoke.audio.tagging.model import SPELLINGS, Found, Tags, numbered

UTF_8 = b"\x03"
ADDRESSES = {"website": "WOAR", "license": "WCOP"}


def synchsafe(value: int) -> bytes:
    """Encode an integer with seven bits per byte."""
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def encode(text: str) -> bytes:
    """Encode text in UTF-8; lone surrogates become question marks."""
    return text.encode("utf-8", "replace")


def frame(name: str, content: bytes) -> bytes:
    """Write a frame without flags."""
    return name.encode() + synchsafe(len(content)) + b"\0\0" + content


def text_frame(name: str, values: list[str]) -> bytes:
    """Write a text frame; zeros separate several values."""
    return frame(name, UTF_8 + b"\0".join(map(encode, values)))


def id3_tag(tags: Tags) -> bytes:
    """Write a whole tag; empty if there is nothing to write."""
    fields = tags.common_fields()
    language = (tags.language or "XXX").encode()[:3].ljust(3)
    parts = []
    for name, total, place in (
        ("tracknumber", "tracktotal", "TRCK"),
        ("discnumber", "disctotal", "TPOS"),
    ):
        if number := numbered(fields, name, total):
            parts.append(text_frame(place, [number]))
    for name, values in fields.items():
        kind, _, description = name.partition(":")
        if name in FRAMES:
            parts.append(text_frame(FRAMES[name], values))
        elif kind == "comment":
            words = b"\0".join(map(encode, values))
            parts.append(frame("COMM", UTF_8 + language + encode(description) + b"\0" + words))
        elif kind == "lyrics":
            for count, value in enumerate(values, start=1):
                label = description if count == 1 else f"{description} {count}".strip()
                words = encode(label) + b"\0" + encode(value)
                parts.append(frame("USLT", UTF_8 + language + words))
        elif name == "syncedlyrics":
            parts += [timed_lyrics(value, language) for value in values]
        elif name == "musicbrainz_trackid":
            identifier = values[0].encode("ascii", "replace")[:64]
            parts.append(frame("UFID", b"http://musicbrainz.org\0" + identifier))
            if len(values) > 1:
                parts.append(custom(SPELLINGS[name], values[1:]))
        elif name in ADDRESSES and len(values) == 1 and values[0].isascii():
            parts.append(frame(ADDRESSES[name], values[0].encode()))
        elif name in OTHER_TEXT:
            parts.append(text_frame(name, values))
        else:
            parts.append(custom(SPELLINGS.get(name, name), values))
    parts += [frame(name, content) for name, content in tags.frames]
    parts += pictures(tags)
    body = b"".join(parts)
    return b"ID3\x04\0\0" + synchsafe(len(body)) + body if body else b""


def custom(name: str, values: list[str]) -> bytes:
    """Write a custom text frame."""
    return text_frame("TXXX", [name, *values])


def timed_lyrics(value: str, language: bytes) -> bytes:
    """Write timed lyrics from the lines of an LRC file; as custom text if there are no times."""
    events = events_from_lyrics(value)
    if not events:
        return custom("syncedlyrics", [value])
    lines = [encode(text) + b"\0" + time.to_bytes(4, "big") for time, text in events]
    return frame("SYLT", UTF_8 + language + b"\x02\x01\0" + b"".join(lines))


def pictures(tags: Tags) -> list[bytes]:
    """Write the pictures, whose descriptions have to differ."""
    written, said = [], set()
    for picture in tags.pictures:
        description = picture.description
        while description in said:
            description += " "
        said.add(description)
        head = UTF_8 + picture.mime.encode() + b"\0" + bytes([picture.kind])
        written.append(frame("APIC", head + encode(description) + b"\0" + picture.data))
    return written


def tag_mp3(source: IO[bytes], target: IO[bytes], tags: Tags) -> None:
    """Copy an MP3 file with a new tag; its frames stay as they are."""
    start = read_id3(source, Found())
    source.seek(start)
    target.write(id3_tag(tags))
    shutil.copyfileobj(source, target, 1 << 20)


def read_id3_bytes(data: bytes, found: Found) -> None:
    """Read a tag that is embedded in another container."""
    read_id3(BytesIO(data), found)
