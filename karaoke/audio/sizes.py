"""Sizes declared in the headers of sound files, compared with the files themselves.

ffmpeg trusts the headers: of a 5 GiB WAV, whose 32-bit sizes have wrapped, it silently reads 1 GiB,
and it takes a truncated file for a shorter song.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

#: A limit for files of zeros, which consist of endless empty chunks.
MOST_CHUNKS = 1000
#: What a 32-bit size loses each time it overflows.
WRAP = 1 << 32
#: Largest header that is kept.
MOST_HEADER_BYTES = 1 << 24
#: Open size in the RIFF family, with which ffmpeg reads to the end of the file.
OPEN = b"\xff\xff\xff\xff"
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


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


@dataclass(frozen=True)
class Sizes:
    """What a header declares about its samples, and what the file contains.

    Parameters
    ----------
    start
        Offset of the first sample, in bytes.
    declared
        Bytes of samples that the header declares; None where it leaves that open.
    available
        Bytes from the first sample to the end of the file.
    trailing
        Bytes after the declared end that are not chunks of the format.
    true
        True bytes of samples where the header's number has wrapped, else None.
    open_header
        For such a file of the RIFF family, its header with open sizes.
    bytes_per_second
        Bytes of samples per second if the header states it, else 0.
    """

    start: int
    declared: int | None
    available: int
    trailing: int = 0
    true: int | None = None
    open_header: bytes = b""
    bytes_per_second: int = 0

    @property
    def missing(self) -> int:
        """Declared bytes that the file lacks."""
        return 0 if self.declared is None else max(0, self.declared - self.available)

    @property
    def seconds(self) -> float | None:
        """Duration of the samples with an open header, which ffmpeg cannot know."""
        if not self.open_header or not self.bytes_per_second:
            return None
        return (self.available if self.true is None else self.true) / self.bytes_per_second


def read_sizes(path: Path) -> Sizes | None:
    """Read the sizes that a WAV, RF64, BW64, AIFF, AU, CAF or W64 file declares.

    Returns
    -------
    Sizes or None
        None for other formats, and for headers that lead to no samples.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        try:
            if start[:4] in (b"RIFF", b"RF64", b"BW64") and start[8:12] == b"WAVE":
                return _riff(file, size)
            if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
                return _aiff(file, size)
            if start[:4] == b".snd":
                return _au(file, size)
            if start[:4] == b"caff":
                return _caf(file, size)
            if start == W64_RIFF:
                return _w64(file, size)
        except struct.error:  # the header is cut off
            return None
    return None


def _read(file: IO[bytes], layout: str) -> tuple[int, ...]:
    """Read numbers; raise ``struct.error`` at the end of the file."""
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _riff(file: IO[bytes], size: int) -> Sizes | None:
    """Walk the chunks of a WAV or one of its 64-bit relatives up to the samples."""
    file.seek(0)
    kind, riff_size = struct.unpack("<4sI", file.read(8))
    wide: tuple[int, ...] = (0, 0)
    bytes_per_second = 0
    for name, chunk_length, here in chunks(file, "<"):
        if name == b"data":
            length = chunk_length
            break
        file.seek(here)
        if name == b"ds64":
            wide = _read(file, "<QQ")
        elif name == b"fmt ":
            *_, bytes_per_second = _read(file, "<HHII")
    else:
        return None
    declared: int | None = None if _is_open(length) else length
    total: int | None = None if _is_open(riff_size) else riff_size
    if kind != b"RIFF":
        # An interrupted recorder never filled in the 64-bit sizes.
        total, declared = (number or None for number in wide)
    true, header = None, b""
    if kind == b"RIFF" and declared is not None and size > WRAP:
        true = _unwrapped(file, size, here, declared, total)
    if (true is not None or (kind != b"RIFF" and declared is None)) and here <= MOST_HEADER_BYTES:
        header = _open_header(file, here)
    trailing = 0
    if declared is not None and true is None:
        trailing = _trailing(file, here + declared, size)
    return Sizes(here, declared, size - here, trailing, true, header, bytes_per_second)


def _is_open(declared: int) -> bool:
    """Return whether a writer to a pipe left a size open: 0, or near 2^31 or 2^32."""
    return declared == 0 or any(
        limit - (1 << 16) <= declared <= limit + (1 << 16) for limit in (1 << 31, 1 << 32)
    )


def _unwrapped(
    file: IO[bytes], size: int, here: int, declared: int, total: int | None
) -> int | None:
    """Return the true number of bytes of samples where 32 bits lost multiples of 4 GiB."""
    if total is not None and (size - total - 8) % WRAP in (0, 1) and size > total + 9:
        # The file has as many bytes after the samples as the header declares.
        true = declared + (size - total - 8) // WRAP * WRAP
        return true if here + true <= size else None
    rounds = (size - here - declared) // WRAP
    for count in range(rounds, 0, -1):
        true = declared + count * WRAP
        if _trailing(file, here + true, size) == 0:
            return true
    return None


def _open_header(file: IO[bytes], here: int) -> bytes:
    """Copy the header of a WAV with open sizes, and without the chunk of 64-bit sizes."""
    file.seek(12)
    chunks = []
    while file.tell() < here - 8:
        name, length = struct.unpack("<4sI", file.read(8))
        content = file.read(length + length % 2)
        if name != b"ds64":
            chunks.append(name + struct.pack("<I", length) + content)
    return b"RIFF" + OPEN + b"WAVE" + b"".join(chunks) + b"data" + OPEN


def _trailing(file: IO[bytes], end: int, size: int, layout: str = "<4sI") -> int:
    """Count the bytes after the samples' declared end that are neither chunks nor padding."""
    if end >= size - 1:
        return 0
    for position in (end + end % 2, end):
        while position < size - 8:
            file.seek(position)
            name, length = struct.unpack(layout, file.read(8))
            is_name = all(32 <= byte < 127 for byte in name) and name not in (b"RIFF", b"FORM")
            if not is_name or position + 8 + length > size + 1:
                break
            position += 8 + length + length % 2
        if position >= size - 8:
            return 0
    return size - end


def _aiff(file: IO[bytes], size: int) -> Sizes | None:
    """Walk the chunks of an AIFF up to the samples."""
    per_second = 0
    for name, chunk_length, here in chunks(file, ">"):
        if name == b"SSND":
            length = chunk_length
            break
        if name == b"COMM":
            file.seek(here)
            channels, _, bits = struct.unpack(">HIH", file.read(8))
            per_second = channels * ((bits + 7) // 8) * _extended(file.read(10))
    else:
        return None
    start, declared = here + 8, None if _is_open(length) else length - 8
    trailing = _trailing(file, start + declared, size, ">4sI") if declared else 0
    return Sizes(start, declared, size - start, trailing, bytes_per_second=per_second)


def _extended(data: bytes) -> int:
    """Read an 80-bit float, which holds a sample rate."""
    exponent, mantissa = struct.unpack(">HQ", data)
    power = (exponent & 0x7FFF) - 16383 - 63
    return mantissa >> -power if -64 < power <= 0 else 0


def _au(file: IO[bytes], size: int) -> Sizes | None:
    """Read the header of an AU; ffmpeg reads to the end of the file, whatever it declares."""
    file.seek(4)
    start, declared = _read(file, ">II")
    known = None if declared == 0xFFFFFFFF or declared == 0 else declared
    return Sizes(start, known, max(0, size - start))


def _caf(file: IO[bytes], size: int) -> Sizes | None:
    """Walk the chunks of a CAF, whose sizes have 64 bits; -1 means open."""
    file.seek(8)
    for _ in range(MOST_CHUNKS):
        name = file.read(4)
        (length,) = _read(file, ">q")
        here = file.tell()
        if name == b"data":
            # A four-byte edit count comes before the samples.
            declared = None if length <= 4 else length - 4
            rest = 0 if declared is None else size - here - length
            trailing = 0 if rest < 12 or _is_named(file, here + length) else rest
            return Sizes(here + 4, declared, max(0, size - here - 4), trailing)
        if not 0 <= length < size:
            return None
        file.seek(here + length)
    return None


def _w64(file: IO[bytes], size: int) -> Sizes | None:
    """Walk the chunks of a W64, whose 64-bit sizes include their own 24-byte header."""
    file.seek(40)
    bytes_per_second = 0
    for _ in range(MOST_CHUNKS):
        name = file.read(16)
        (length,) = _read(file, "<Q")
        here = file.tell()
        if name == W64_DATA:
            declared = None if length <= 24 or length >= 1 << 62 else length - 24
            end = here + (declared or 0)
            end += -end % 8
            open_ended = declared is None or end >= size
            trailing = 0 if open_ended or _is_named(file, end) else size - end
            return Sizes(here, declared, size - here, trailing, bytes_per_second=bytes_per_second)
        if name[:4] == b"fmt ":
            *_, bytes_per_second = _read(file, "<HHII")
        if length > size:
            return None
        file.seek(here - 24 + max(24, length + -length % 8))
    return None


def _is_named(file: IO[bytes], position: int) -> bool:
    """Return whether a chunk seems to begin at a position, with a name of four letters."""
    file.seek(position)
    name = file.read(4)
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)
