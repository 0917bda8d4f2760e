"""The pieces of a MIDI file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

#: Kinds of events that are not sound.
TEXT, NAME, LYRIC, MARKER = 0x01, 0x03, 0x05, 0x06
END, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x2F, 0x51, 0x58, 0x59
#: Tick, order among simultaneous events, bytes.
Event = tuple[int, int, bytes]


def meta_event(kind: int, data: bytes) -> bytes:
    """Write a meta event."""
    return bytes((0xFF, kind)) + variable(len(data)) + data


def tempo_event(microseconds: int) -> bytes:
    """Write the duration of a beat."""
    return meta_event(TEMPO, microseconds.to_bytes(3, "big"))


def encoding_for(text: str) -> str:
    """Choose how text is written: in Latin-1, as programs expect, where that has its characters."""
    return "latin-1" if all(ord(character) < 0x100 for character in text) else "utf-8"


def variable(number: int) -> bytes:
    """Write a number with seven bits per byte; the eighth bit is set in all but the last."""
    written = [number & 0x7F]
    while number := number >> 7:
        written.append(number & 0x7F | 0x80)
    return bytes(reversed(written))


def track(events: Iterable[Event]) -> bytes:
    """Write a track: each event with the ticks since the previous one."""
    now = 0
    parts = []
    for time, _, data in sorted(events, key=lambda event: event[:2]):
        parts.append(variable(time - now) + data)
        now = time
    body = b"".join(parts) + variable(0) + meta_event(END, b"")
    return b"MTrk" + struct.pack(">I", len(body)) + body


def midi_file(tracks: Sequence[bytes], ticks_per_beat: int) -> bytes:
    """Write a file of format 1."""
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), ticks_per_beat) + b"".join(tracks)
