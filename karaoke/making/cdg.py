"""CD+G, the pictures of karaoke discs: packets, and how a screen is kept up to date by them.

A second has 300 packets of 24 bytes. Each can change one tile of 6 by 12 pixels to two colours of
a table of 16, or exchange colours in it, so what changes has to be sent in a good order.

References
----------
Jim Bumgardner, "CD+G Revealed", https://jbum.com/cdg_revealed.html
"""

from __future__ import annotations

import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PACKETS_PER_SECOND, PACKET_LENGTH = 300, 24
PICTURES_PER_SECOND = 25
PACKETS_PER_PICTURE = PACKETS_PER_SECOND // PICTURES_PER_SECOND
#: Of the screen in pixels; players show it without a border of one tile.
WIDE, HIGH = 300, 216
TILE_WIDE, TILE_HIGH = 6, 12
COLUMNS, ROWS = WIDE // TILE_WIDE, HIGH // TILE_HIGH
COMMAND = 9
MEMORY_PRESET, BORDER_PRESET, TILE_NORMAL, TILE_XOR = 1, 2, 6, 38
LOAD_LOW, LOAD_HIGH = 30, 31
#: How often a screen is cleared at the start, since a disc may lose packets.
PRESETS = 16
#: Colours of one table, and from one level of red, green or blue to the next.
COLOURS, LEVEL = 16, 17
#: The two lower bits of a colour's number say how much of a pixel is letter, the others of which
#: kind: not sung yet, or sung by somebody. So one exchange of bits lights a whole tile.
SHADES = 4
EMPTY = bytes(PACKET_LENGTH)
#: Tiles from which on it is quicker to clear the screen than to wipe them one by one.
MANY_TILES = 2

Pixels = NDArray[np.uint8]
#: From pixels of a row of a tile to six bits.
_BITS = (1 << np.arange(TILE_WIDE - 1, -1, -1)).astype(np.uint8)


@dataclass(frozen=True)
class Step:
    """A packet that changes tiles, and what they are then.

    Parameters
    ----------
    packet
        24 bytes.
    rows, columns
        Of one tile, or of all.
    after
        Pixels ``(12, 6)``, or a colour.
    """

    packet: bytes
    rows: int | slice
    columns: int | slice
    after: Pixels | int


def packet(instruction: int, data: Iterable[int]) -> bytes:
    """Compose a packet; its parity, which only discs need, is left empty."""
    body = bytes(data).ljust(16, b"\0")
    return bytes([COMMAND, instruction, 0, 0]) + body + bytes(4)


def colour_table(colours: Sequence[tuple[int, int, int]]) -> list[bytes]:
    """Load 16 colours, of which four bits each of red, green and blue are kept."""
    packets = []
    for instruction, first in ((LOAD_LOW, 0), (LOAD_HIGH, COLOURS // 2)):
        data = []
        for red, green, blue in colours[first : first + COLOURS // 2]:
            r, g, b = (round(part / LEVEL) for part in (red, green, blue))
            data += [r << 2 | g >> 2, (g & 3) << 4 | b]
        packets.append(packet(instruction, data))
    return packets


def shades_of(
    background: tuple[int, int, int], inks: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """Mix the colour table: from the background to each ink in four shades, of four bits each."""
    table = []
    for ink in inks:
        for shade in range(SHADES):
            share = shade / (SHADES - 1)
            red, green, blue = (
                LEVEL * round((b + (i - b) * share) / LEVEL)
                for b, i in zip(background, ink, strict=True)
            )
            table.append((red, green, blue))
    return table


def opening(colours: Sequence[tuple[int, int, int]]) -> list[bytes]:
    """Give the packets that a file begins with: a screen of colour 0, and the table."""
    presets = [packet(MEMORY_PRESET, [0, repeat]) for repeat in range(PRESETS)]
    return [presets[0], *colour_table(colours), packet(BORDER_PRESET, [0]), *presets[1:]]


def tiles_of(picture: Pixels) -> Pixels:
    """View a picture ``(216, 300)`` as tiles ``(18, 50, 12, 6)``."""
    return picture.reshape(ROWS, TILE_HIGH, COLUMNS, TILE_WIDE).transpose(0, 2, 1, 3)


def directions(values: Iterable[int]) -> tuple[int, list[tuple[int, int]]]:
    """Say how numbers of four bits come out of one of them by exchanging bits.

    Returns
    -------
    tuple
        The one, and pairs of a bit's place and the bits to exchange where it differs from the
        one's; as many pairs as packets are needed, or none if all values are the same.
    """
    base, *others = values
    reduced: list[tuple[int, int]] = []
    for value in others:
        left = value ^ base
        for place, bits in reduced:
            if left >> place & 1:
                left ^= bits
        if left:
            place = left.bit_length() - 1
            reduced = [
                (other, bits ^ left if bits >> place & 1 else bits) for other, bits in reduced
            ]
            reduced.append((place, left))
    return base, reduced


def steps(before: Pixels, after: Pixels, row: int, column: int) -> list[Step]:
    """Turn a tile into another in as few packets as its colours allow."""
    changes = before ^ after
    # Not sets: the first value decides what the first packet makes of a tile.
    whole = directions(dict.fromkeys(after.ravel().tolist()))
    exchanged = directions(dict.fromkeys(changes.ravel().tolist()))
    afresh = len(whole[1]) <= len(exchanged[1])
    wanted, (base, pairs) = (after, whole) if afresh else (changes, exchanged)
    now = np.zeros_like(before) if afresh else before
    made: list[Step] = []
    for place, bits in pairs or [(0, 0)]:
        mask = (wanted ^ base) >> place & 1
        first = 0 if made else base
        now = now ^ np.where(mask, first ^ bits, first).astype(np.uint8)
        instruction = TILE_XOR if made or not afresh else TILE_NORMAL
        data = [first, first ^ bits, row, column, *(mask @ _BITS).tolist()]
        made.append(Step(packet(instruction, data), row, column, now))
    return made


class Encoder:
    """Keeps a screen like pictures that come at 25 a second, and knows what a player shows.

    Parameters
    ----------
    send
        Takes each packet of 24 bytes; there are 12 a picture.
    opening
        Packets to begin with.
    row_group
        Rows of tiles that a line of text stands in: these are drawn together, column by column.

    Attributes
    ----------
    screen
        What a player shows.
    checksums
        CRC-32 of the screen at the time of each picture, after the first of its packets.
    """

    def __init__(
        self, send: Callable[[bytes], object], opening: Sequence[bytes], row_group: int
    ) -> None:
        self.screen = np.zeros((HIGH, WIDE), np.uint8)
        self.checksums = array("I")
        self.sent = 0
        self._send = send
        self._waiting: deque[bytes | Step] = deque(opening)
        self._tiles = tiles_of(self.screen)
        self._since = np.full((ROWS, COLUMNS), -1)
        self._pictures = 0
        self._checksum = zlib.crc32(self.screen.data)
        self._group = np.arange(ROWS) // row_group

    def show(self, picture: Pixels) -> None:
        """Send the packets of one picture's time on the way to a picture ``(216, 300)``."""
        budget = PACKETS_PER_PICTURE
        if not self._pictures:
            # What a picture changes is sent around its time: half before and half after.
            budget //= 2
        if self._waiting or not np.array_equal(self.screen, picture):
            budget -= self._work(picture, budget)
        for _ in range(budget):
            self._put(EMPTY)
        self._pictures += 1

    def _work(self, picture: Pixels, budget: int) -> int:
        """Send what there is to send, and say how many packets."""
        wanted = tiles_of(picture)
        used = self._flush(budget)
        if used == budget:
            return used
        order = self._in_order(wanted)
        if len(order) >= MANY_TILES and not picture.any():
            self._waiting.append(Step(packet(MEMORY_PRESET, [0]), slice(None), slice(None), 0))
            order = []
            self._since[:] = -1
            used += self._flush(budget - used)
        for row, column in order:
            if used == budget:
                break
            self._waiting += steps(self._tiles[row, column], wanted[row, column], row, column)
            used += self._flush(budget - used)
            if not self._waiting:
                self._since[row, column] = -1
        return used

    def _in_order(self, wanted: Pixels) -> list[tuple[int, int]]:
        """List tiles to change: those that are sung first, then those that are wanted longest."""
        change = (self._tiles ^ wanted).reshape(ROWS, COLUMNS, -1)
        dirty: NDArray[np.bool_] = np.any(change, axis=2)
        self._since = np.where(dirty, np.where(self._since < 0, self._pictures, self._since), -1)
        drawn: NDArray[np.bool_] = np.any(change & (SHADES - 1), axis=2)
        rows, columns = np.nonzero(dirty)
        where = rows, columns
        order = np.lexsort((rows, columns, self._group[rows], self._since[where], drawn[where]))
        return [(int(rows[index]), int(columns[index])) for index in order]

    def _flush(self, budget: int) -> int:
        """Send waiting packets, and say how many."""
        used = 0
        while self._waiting and used < budget:
            one = self._waiting.popleft()
            if isinstance(one, Step):
                self._tiles[one.rows, one.columns] = one.after
                self._checksum = -1
                one = one.packet
            self._put(one)
            used += 1
        return used

    def _put(self, one: bytes) -> None:
        """Send one packet, and take note of the screen when it is time for it."""
        self._send(one)
        if self.sent % PACKETS_PER_PICTURE == 0:
            if self._checksum < 0:
                self._checksum = zlib.crc32(self.screen.data)
            self.checksums.append(self._checksum)
        self.sent += 1
