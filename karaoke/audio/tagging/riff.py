"""Chunks of WAV, RF64 and AIFF files: tags, and which speaker each channel is for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from karaoke.audio.sizes import chunks
from karaoke.audio.tagging.id3_writing import id3_tag, read_id3_bytes
from karaoke.audio.tagging.model import LARGEST_TAG, Found, MalformedError, Tags

#: Fields of a LIST chunk of type INFO.
INFO = {
    "INAM": "title",
    "IART": "artist",
    "IPRD": "album",
    "ICRD": "date",
    "IGNR": "genre",
    "ICMT": "comment",
    "ICOP": "copyright",
    "ITRK": "tracknumber",
    "IMUS": "composer",
    "ILNG": "language",
}
ALSO_READ = INFO | {"IPRT": "tracknumber", "TRCK": "tracknumber", "IWRI": "lyricist"}
AIFF = {"NAME": "title", "AUTH": "artist", "ANNO": "comment", "(c) ": "copyright"}
#: Longest text in INFO, in bytes; libsndfile gives up on more. ID3 holds the whole text.
LONGEST_INFO = 2000
EXTENSIBLE = 0xFFFE


def read_riff(file: IO[bytes], found: Found) -> None:
    """Read the tags of a WAV, RF64 or AIFF file; those in ID3 take precedence, being fuller."""
    file.seek(0)
    aiff = file.read(4) == b"FORM"
    texts: list[tuple[str, bytes]] = []
    for name, size, position in chunks(file, ">" if aiff else "<"):
        key = name.decode("latin-1")
        if key not in AIFF and name not in (b"LIST", b"id3 ", b"ID3 ", b"bext"):
            continue
        file.seek(position)
        content = file.read(min(size, LARGEST_TAG))
        if name in (b"id3 ", b"ID3 "):
            read_id3_bytes(content, found)
        elif aiff:
            texts.append((AIFF.get(key, ""), content))
        elif name == b"LIST" and content[:4] == b"INFO":
            texts += info_fields(content[4:])
        elif name == b"bext":
            texts += [("description", content[:256]), ("originator", content[256:288])]
    known = set(found.fields)
    for field, content in texts:
        if field and field not in known:
            found.add(field, text_of(content.split(b"\0")[0]))


def info_fields(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the fields of a LIST chunk of type INFO."""
    position = 0
    while position + 8 <= len(content):
        name = content[position : position + 4].decode("latin-1").upper()
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        yield ALSO_READ.get(name, ""), content[position + 8 : position + 8 + size]
        position += 8 + size + size % 2


def text_of(content: bytes) -> str:
    """Decode text of unstated encoding: as UTF-8, or else as Windows-1252."""
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace").strip()


def shortened(text: str, length: int) -> bytes:
    """Encode text in UTF-8, cut to a number of bytes at a whole character."""
    return text.encode("utf-8", "replace")[:length].decode("utf-8", "ignore").encode()


def chunk(name: bytes, content: bytes) -> bytes:
    """Write a chunk, padded to an even length."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def tag_chunks(tags: Tags) -> bytes:
    """Write tags as chunks: as INFO, as far as it goes, for simple programs, and fully as ID3."""
    if not tags:
        return b""
    fields = tags.common_fields()
    info = b"".join(
        chunk(name.encode(), shortened("; ".join(fields[field]), LONGEST_INFO) + b"\0")
        for name, field in INFO.items()
        if field in fields
    )
    listed = chunk(b"LIST", b"INFO" + info) if info else b""
    return listed + chunk(b"id3 ", id3_tag(tags))


def tag_wav(file: IO[bytes], tags: Tags) -> None:
    """Append tags to a WAV or RF64 and correct its size."""
    file.seek(0)
    kind = file.read(4)
    end = file.seek(0, 2)
    file.write(b"\0" * (end % 2) + tag_chunks(tags))
    size = file.tell() - 8
    if kind == b"RF64":
        file.seek(20)  # in ds64, which comes first
        file.write(struct.pack("<Q", size))
    else:
        file.seek(4)
        file.write(struct.pack("<I", size))


def set_channel_mask(file: IO[bytes], mask: int) -> None:
    """Set the channel mask of a WAV of the extensible kind."""
    for name, size, position in chunks(file, "<"):
        if name == b"fmt ":
            file.seek(position)
            if size < 40 or struct.unpack("<H", file.read(2))[0] != EXTENSIBLE:
                raise MalformedError("the WAV has no channel mask")
            file.seek(position + 20)
            file.write(struct.pack("<I", mask))
            return
    raise MalformedError("the WAV has no format")
