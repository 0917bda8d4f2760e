"""Metadata blocks of FLAC files."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from typing import IO

from karaoke.audio.tagging.model import Found, MalformedError, Tags
from karaoke.audio.tagging.vorbis import (
    comment_block,
    picture_block,
    read_comments,
    read_picture,
    vendor_of,
)

PADDING, COMMENTS, PICTURE = 1, 4, 6
#: A block's length has 24 bits.
LARGEST_BLOCK = (1 << 24) - 1


def blocks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the types and contents of the blocks, leaving the file at the first frame."""
    if file.read(4) != b"fLaC":
        raise MalformedError("no FLAC")
    last = False
    while not last:
        head = file.read(4)
        if len(head) < 4:
            raise MalformedError("the blocks end early")
        last = bool(head[0] & 0x80)
        yield head[0] & 0x7F, file.read(int.from_bytes(head[1:], "big"))


def read_flac(file: IO[bytes], found: Found) -> None:
    """Read the tags of a FLAC file, starting at its beginning."""
    for kind, content in blocks(file):
        try:
            if kind == COMMENTS:
                read_comments(content, found)
            elif kind == PICTURE:
                read_picture(content, found)
        except MalformedError:
            continue  # the next block may be intact


def tag_flac(source: IO[bytes], target: IO[bytes], tags: Tags) -> None:
    """Copy a FLAC file with new tags; its frames stay as they are."""
    kept, vendor = [], b"karaoke"
    for kind, content in blocks(source):
        if kind == COMMENTS:
            vendor = vendor_of(content)
        elif kind not in (PADDING, PICTURE):
            kept.append((kind, content))
    kept.append((COMMENTS, comment_block(tags, vendor, pictures=False)))
    kept += [(PICTURE, picture_block(picture)) for picture in tags.pictures]
    target.write(b"fLaC")
    for number, (kind, content) in enumerate(kept, start=1):
        last = 0x80 if number == len(kept) else 0
        assert len(content) <= LARGEST_BLOCK, "tags are cut to fit beforehand"
        target.write(struct.pack(">I", (last | kind) << 24 | len(content)) + content)
    shutil.copyfileobj(source, target, 1 << 20)
