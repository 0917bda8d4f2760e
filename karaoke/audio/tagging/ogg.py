"""Comment packets of Ogg Vorbis, Opus, FLAC and Speex."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from karaoke.audio.tagging.model import LARGEST_TAG, Found, MalformedError, Tags
from karaoke.audio.tagging.vorbis import comment_block, read_comments, read_picture, vendor_of

HEAD = struct.Struct("<4sBBqIII B")
CONTINUED, FIRST = 1, 2
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
#: First bytes of an audio stream's first packet, and of the packet with its comments.
SOUNDS = {
    b"\x01vorbis": b"\x03vorbis",
    b"OpusHead": b"OpusTags",
    b"Speex   ": b"",
    b"\x7fFLAC": b"",
}


@dataclass(frozen=True)
class Page:
    """A page of a stream.

    Parameters
    ----------
    flags
        1 if it continues a packet, 2 if it is the stream's first page, 4 if its last.
    granule
        Position in the stream at the end of the page.
    serial, sequence
        Number of the stream, and of the page within it.
    lacing
        Lengths of the segments; one shorter than 255 ends a packet.
    body
        The segments.
    """

    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes

    def encode(self) -> bytes:
        """Encode the page with its checksum."""
        fields = (b"OggS", 0, self.flags, self.granule, self.serial, self.sequence)
        page = HEAD.pack(*fields, 0, len(self.lacing)) + self.lacing + self.body
        return page[:22] + struct.pack("<I", checksum(page)) + page[26:]

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the pieces of packets in the page, and whether each ends its packet."""
        start = end = 0
        for length in self.lacing:
            end += length
            if length < 255:
                yield self.body[start:end], True
                start = end
        if end > start or (self.lacing and self.lacing[-1] == 255):
            yield self.body[start:end], False


def checksum(page: bytes) -> int:
    """Compute Ogg's CRC-32, which reverses zlib's bit order and has no inversions."""
    value = zlib.crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def pages(file: IO[bytes]) -> Iterator[Page]:
    """Yield the pages of a file."""
    while len(head := file.read(HEAD.size)) == HEAD.size:
        mark, _, flags, granule, serial, sequence, _, count = HEAD.unpack(head)
        if mark != b"OggS":
            raise MalformedError("not an Ogg page")
        lacing = file.read(count)
        body = file.read(sum(lacing))
        if len(lacing) < count or len(body) < sum(lacing):
            raise MalformedError("a page ends early")
        yield Page(flags, granule, serial, sequence, lacing, body)


def kind_of(packet: bytes) -> bytes | None:
    """Return which audio format a stream's first packet announces; None if it is not audio."""
    return next((kind for kind in SOUNDS if packet.startswith(kind)), None)


def read_ogg(file: IO[bytes], found: Found, stream: int = 1) -> None:
    """Read the tags of an audio stream, counted from 1, of an Ogg file."""
    kinds: dict[int, bytes] = {}
    packet, seen = bytearray(), 0
    wanted: int | None = None
    for page in pages(file):
        seen += len(page.body)
        if page.flags & FIRST:
            if (kind := kind_of(page.body)) is not None:
                kinds[page.serial] = kind
                if len(kinds) == stream:
                    wanted = page.serial
            continue  # the first packet has a page to itself
        if wanted is None or seen > LARGEST_TAG:
            return
        if page.serial != wanted:
            continue
        for piece, ends in page.pieces():
            packet += piece
            if not ends:
                continue
            if not read_packet(bytes(packet), kinds[wanted], found):
                return
            packet.clear()


def read_packet(packet: bytes, kind: bytes, found: Found) -> bool:
    """Read a packet with tags, and return whether more may follow."""
    if kind != b"\x7fFLAC":
        start = SOUNDS[kind]
        if packet.startswith(start):
            read_comments(packet[len(start) :], found)
        return False
    block = packet[:1].ljust(1, b"\xff")[0]
    if block & 0x7F == 4:
        read_comments(packet[4:], found)
    elif block & 0x7F == 6:
        read_picture(packet[4:], found)
    return not block & 0x80


def paginate(packets: list[bytes], serial: int, sequence: int) -> Iterator[Page]:
    """Lay out header packets on pages."""
    lacing = b"".join(
        b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets
    )
    body = b"".join(packets)
    position, flags = 0, 0
    for start in range(0, len(lacing), 255):
        part = lacing[start : start + 255]
        size = sum(part)
        # A page where no packet ends has no position.
        granule = 0 if any(length < 255 for length in part) else -1
        yield Page(flags, granule, serial, sequence, part, body[position : position + size])
        flags = CONTINUED if part[-1] == 255 else 0
        position, sequence = position + size, sequence + 1


def tag_ogg(source: IO[bytes], target: IO[bytes], tags: Tags) -> None:
    """Copy an Ogg Vorbis or Opus file of one stream with new comments.

    The pages after the comments only change in number and checksum.
    """
    reader = pages(source)
    first = next(reader)
    kind = kind_of(first.body)
    if kind not in (b"\x01vorbis", b"OpusHead"):
        raise MalformedError("neither Vorbis nor Opus")
    # Vorbis has its codebooks in a third packet, which also ends its page.
    packets, missing = [b""], 2 if kind == b"\x01vorbis" else 1
    while missing:
        for piece, ends in next(reader).pieces():
            packets[-1] += piece
            if ends:
                missing -= 1
                packets.append(b"")
    start = SOUNDS[kind]
    vendor = vendor_of(packets[0][len(start) :])
    end = b"\x01" if kind == b"\x01vorbis" else b""  # the framing bit
    packets[0] = start + comment_block(tags, vendor, pictures=True) + end
    target.write(first.encode())
    sequence = 1
    for page in paginate(packets[:-1], first.serial, sequence):
        target.write(page.encode())
        sequence += 1
    for page in reader:
        target.write(replace(page, sequence=sequence).encode())
        sequence += 1
