"""Walk the chunks of WAV, RF64, BW64 and AIFF files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

#: A limit for files of zeros, which consist of endless empty chunks.
MOST_CHUNKS = 1000


def chunks(file: IO[bytes], order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield the names, declared sizes and positions of the chunks after a file's header.

    Parameters
    ----------
    file
        A seekable file; its position afterwards is undefined.
    order
        Byte order: ``<`` in WAV and related formats, ``>`` in AIFF.
    """
    long_size = None
    end = file.seek(0, 2)
    position = 12
    for _ in range(MOST_CHUNKS):
        if position + 8 > end:
            return
        file.seek(position)
        head = file.read(8)
        name, size = head[:4], struct.unpack(f"{order}I", head[4:])[0]
        if name == b"ds64" and size >= 16:
            (long_size,) = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))
        yield name, size, position + 8
        if name == b"data" and size == 0xFFFFFFFF and long_size is not None:
            size = long_size
        position += 8 + size + size % 2
