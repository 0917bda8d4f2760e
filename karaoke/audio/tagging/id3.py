"""Read ID3 tags: version 1, and 2.2, 2.3 and 2.4 with the quirks of taggers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from karaoke.audio.tagging.id3_names import (
    GENRES,
    LEFT_BEHIND,
    NAMES,
    OLD_NAMES,
    lyrics_from_events,
)
from karaoke.audio.tagging.model import LARGEST_TAG, Cursor, Found, MalformedError

ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
FRAME_NAME = re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9 ]?")
#: Frame flags by version: compressed, encrypted, grouped, unsynchronised, with a data length.
FLAGS = {3: (0x80, 0x40, 0x20, 0, 0), 4: (0x08, 0x04, 0x40, 0x02, 0x01)}


def synchsafe(data: bytes) -> int:
    """Decode an integer with seven bits per byte."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value


def read_id3(file: IO[bytes], found: Found) -> int:
    """Read the ID3v2 tag at the file's position and return its length in bytes; 0 if there is none.

    The file's position afterwards is undefined.
    """
    start = file.read(10)
    if len(start) < 10 or start[:3] != b"ID3" or start[3] not in (2, 3, 4):
        return 0
    version, flags, size = start[3], start[5], synchsafe(start[6:])
    body = file.read(min(size, LARGEST_TAG))
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    if flags & 0x40 and version > 2:
        length = int.from_bytes(body[:4], "big") + 4 if version == 3 else synchsafe(body[:4])
        body = body[length:]
    read_frames(body, version, found, unsynchronised=bool(flags & 0x80))
    return 10 + size + (10 if version == 4 and flags & 0x10 else 0)


def read_frames(body: bytes, version: int, found: Found, *, unsynchronised: bool) -> None:
    """Read the frames of a tag; a damaged one is left out."""
    dates: dict[str, str] = {}
    for name, content in frames(body, version, found, unsynchronised=unsynchronised):
        try:
            if name in ("TYER", "TDAT", "TIME", "TORY"):
                dates.setdefault(name, texts(content)[0])
            else:
                read_frame(name, content, found)
        except (MalformedError, IndexError):
            found.left_out.append(name)
    if "TYER" in dates and "date" not in found:
        found.add("date", date_of(dates))
    if "originaldate" not in found:
        found.add("originaldate", dates.get("TORY", ""))


def frames(
    body: bytes, version: int, found: Found, *, unsynchronised: bool
) -> Iterator[tuple[str, bytes]]:
    """Yield the identifiers, in version 2.4's terms, and contents of frames."""
    width, head = (3, 6) if version == 2 else (4, 10)
    position = 0
    while position + head <= len(body):
        name = body[position : position + width]
        if not FRAME_NAME.fullmatch(name):
            return  # padding, or rubbish
        size = size_of(body, position, version)
        flags = body[position + 9] if version > 2 else 0
        content = body[position + head : position + head + size]
        position += head + size
        readable = name.decode().strip()
        if len(content) < size:
            found.left_out.append(readable)
            return
        try:
            content = plain(content, flags, version, unsynchronised=unsynchronised)
        except (MalformedError, zlib.error):
            found.left_out.append(readable)
            continue
        if readable == "PIC":  # its format has three letters instead of a type
            content = content[:1] + b"image/" + content[1:4] + b"\0" + content[4:]
        yield OLD_NAMES.get(readable, readable), content


def size_of(body: bytes, position: int, version: int) -> int:
    """Read the size of a frame; early iTunes wrote plain integers into version 2.4."""
    if version == 2:
        return int.from_bytes(body[position + 3 : position + 6], "big")
    field = body[position + 4 : position + 8]
    plain_size, safe_size = int.from_bytes(field, "big"), synchsafe(field)
    if version == 3:
        return plain_size
    if plain_size != safe_size:

        def fits(size: int) -> bool:
            end = position + 10 + size
            following = body[end : end + 4]
            return end == len(body) or bool(
                FRAME_NAME.fullmatch(following) or following.startswith(b"\0")
            )

        if max(field) > 0x7F or (not fits(safe_size) and fits(plain_size)):
            return plain_size
    return safe_size


def plain(content: bytes, flags: int, version: int, *, unsynchronised: bool) -> bytes:
    """Undo the transformations that a frame's flags declare."""
    if version == 2:
        return content
    compressed, encrypted, grouped, unsynchronised_flag, sized = FLAGS[version]
    if flags & encrypted:
        raise MalformedError("encrypted")
    if version == 3:
        skip = (4 if flags & compressed else 0) + (1 if flags & grouped else 0)
    else:
        skip = (1 if flags & grouped else 0) + (4 if flags & sized else 0)
    content = content[skip:]
    if version == 4 and (unsynchronised or flags & unsynchronised_flag):
        content = content.replace(b"\xff\x00", b"\xff")
    if flags & compressed:
        inflate = zlib.decompressobj()
        content = inflate.decompress(content, LARGEST_TAG)
    return content


def decode(data: bytes, encoding: int) -> str:
    """Decode text; wrong bytes become question marks."""
    if encoding == 1 and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16-le", "replace")  # without a mark, it comes from Windows
    name = ENCODINGS[encoding] if encoding < len(ENCODINGS) else "latin-1"
    return data.decode(name, "replace").replace("\ufeff", "")


def texts(content: bytes) -> list[str]:
    """Read the values of a text frame."""
    if not content:
        return [""]
    whole = decode(content[1:], content[0])
    return whole.rstrip("\0").split("\0")


def split(data: bytes, encoding: int) -> tuple[str, bytes]:
    """Split off the text before the first zero, which has two bytes in UTF-16."""
    if encoding not in (1, 2):
        first, _, rest = data.partition(b"\0")
        return decode(first, encoding), rest
    position = data.find(b"\0\0")
    while position >= 0 and position % 2:
        position = data.find(b"\0\0", position + 1)
    if position < 0:
        return decode(data, encoding), b""
    return decode(data[:position], encoding), data[position + 2 :]


def date_of(dates: dict[str, str]) -> str:
    """Join version 2.3's year, day and time into a date of version 2.4."""
    date, day, time = (dates.get(name, "").strip() for name in ("TYER", "TDAT", "TIME"))
    if re.fullmatch(r"\d{4}", date) and re.fullmatch(r"\d{4}", day):
        date += f"-{day[2:]}-{day[:2]}"
        if re.fullmatch(r"\d{4}", time):
            date += f"T{time[:2]}:{time[2:]}"
    return date


def genres_of(value: str) -> Iterator[str]:
    """Yield the names of genres, which may be numbers: ``17``, ``(17)``, ``(17)(6)More``."""
    names = {"RX": "Remix", "CR": "Cover"}
    while found := re.match(r"\((\d+|RX|CR)\)", value):
        yield genre(found[1]) or names.get(found[1], found[1])
        value = value[found.end() :]
    value = value.removeprefix("(") if value.startswith("((") else value
    if value:
        yield genre(value) or names.get(value, value)


def genre(number: str) -> str:
    """Return the name of a numbered genre, or nothing."""
    known = number.isascii() and number.isdigit() and int(number) < len(GENRES)
    return GENRES[int(number)] if known else ""


def read_frame(name: str, content: bytes, found: Found) -> None:
    """Read a frame by its identifier."""
    if name in LEFT_BEHIND:
        return
    if name in READERS:
        READERS[name](content, found)
    elif name == "TCON":
        for value in texts(content):
            found.add_all("genre", genres_of(value))
    elif name in ("TRCK", "TPOS"):
        kind = "track" if name == "TRCK" else "disc"
        found.add_numbers(texts(content)[0], f"{kind}number", f"{kind}total")
    elif name.startswith("T"):
        found.add_all(NAMES.get(name, name), texts(content))
    elif name in ("WOAR", "WCOP"):
        found.add("website" if name == "WOAR" else "license", decode(content.rstrip(b"\0"), 0))
    elif len(name) == 4:
        found.frames.append((name, content))
    else:
        found.left_out.append(name)


def read_custom(content: bytes, found: Found) -> None:
    """Read a custom text frame."""
    name, rest = split(content[1:], content[0])
    for value in decode(rest, content[0]).rstrip("\0").split("\0"):
        found.add(name or "TXXX", value)


def read_words(name: str) -> Callable[[bytes, Found], None]:
    """Make a reader for comments or lyrics, which have a language and a description."""

    def read(content: bytes, found: Found) -> None:
        cursor = Cursor(content)
        encoding, language = cursor.number(1), decode(cursor.take(3), 0)
        description, rest = split(cursor.rest(), encoding)
        if description == "ID3v1 Comment":
            return  # a truncated copy of the full comment
        remember_language(language, found)
        if description.startswith("iTun"):
            full_name = description
        else:
            full_name = f"{name}:{description}" if description.strip() else name
        found.add_all(full_name, decode(rest, encoding).rstrip("\0").split("\0"))

    return read


def remember_language(language: str, found: Found) -> None:
    """Keep the first language that is stated."""
    if not found.language and re.fullmatch("[A-Za-z]{3}", language) and language != "XXX":
        found.language = language.lower()


def read_timed_lyrics(content: bytes, found: Found) -> None:
    """Read timed lyrics into the lines of an LRC file."""
    cursor = Cursor(content)
    encoding = cursor.number(1)
    remember_language(decode(cursor.take(3), 0), found)
    if cursor.number(1) != 2 or cursor.number(1) not in (0, 1, 2):
        found.left_out.append("SYLT")  # times in MPEG frames, or chords and the like
        return
    _, rest = split(cursor.rest(), encoding)
    events = []
    while rest:
        text, rest = split(rest, encoding)
        if len(rest) < 4:
            break
        events.append((int.from_bytes(rest[:4], "big"), text))
        rest = rest[4:]
    found.add("syncedlyrics", lyrics_from_events(events))


def read_picture(content: bytes, found: Found) -> None:
    """Read a picture."""
    encoding = content[0]
    mime, rest = split(content[1:], 0)
    description, data = split(rest[1:], encoding)
    if mime == "-->":
        found.left_out.append("a picture that is only a link")
    else:
        found.add_picture(data, rest[0], description)


def read_identifier(content: bytes, found: Found) -> None:
    """Read a unique identifier; MusicBrainz's becomes a field."""
    owner, rest = split(content, 0)
    if owner == "http://musicbrainz.org":
        found.add("musicbrainz_trackid", decode(rest, 0))
    else:
        found.frames.append(("UFID", content))


READERS: dict[str, Callable[[bytes, Found], None]] = {
    "TXXX": read_custom,
    "COMM": read_words("comment"),
    "USLT": read_words("lyrics"),
    "SYLT": read_timed_lyrics,
    "APIC": read_picture,
    "UFID": read_identifier,
}


def read_id3v1(file: IO[bytes], found: Found) -> None:
    """Read the ID3v1 tag at the end of a file, for fields that no better tag has given."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 128))
    tag = file.read(128)
    if len(tag) < 128 or tag[:3] != b"TAG":
        return
    places = {"title": (3, 33), "artist": (33, 63), "album": (63, 93), "date": (93, 97)}
    for name, (start, end) in places.items():
        if name not in found:
            found.add(name, decode(tag[start:end].split(b"\0")[0], 0).strip())
    if "comment" not in found:
        found.add("comment", decode(tag[97:127].split(b"\0")[0], 0).strip())
    if tag[125] == 0 and tag[126] and "tracknumber" not in found:
        found.add("tracknumber", str(tag[126]))
    if "genre" not in found:
        found.add("genre", genre(str(tag[127])))
