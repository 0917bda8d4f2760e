"""Tags and cover art: read from any song, written into any output, all by ffmpeg."""

from __future__ import annotations

import base64
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from karaoke.audio.ffmpeg import DEMUXERS, find_ffmpeg

#: What containers say about themselves and not about the song.
TECHNICAL = frozenset(
    """
    bps compatible_brands creation_time duration encoder handler_name language major_brand
    metadata_block_picture minor_version number_of_bytes number_of_frames vendor_id
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
#: As libsndfile knows the tags of WAV files.
WAV_FIELDS = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "comment": "comment",
    "copyright": "copyright",
    "date": "date",
    "genre": "genre",
    "track": "tracknumber",
}
COVER_LINE = re.compile(rb"Stream #0:(\d+).*: Video: .*\(attached pic\)")
#: Larger pictures are left out: Vorbis comments hold them as text in memory.
LARGEST_COVER = 16_000_000


@dataclass(frozen=True)
class Tags:
    """What a file says about its song.

    Parameters
    ----------
    fields
        ffmpeg's names (``title``, ``artist``, ``album``, ``track``, ...) and their values.
    cover
        A JPEG or PNG picture, or nothing.
    """

    fields: dict[str, str] = field(default_factory=dict)
    cover: bytes = b""

    def for_stem(self, stem: str) -> Tags:
        """Tell the stem in the title, if there is one."""
        if "title" not in self.fields:
            return self
        title = f"{self.fields['title']} ({stem.capitalize()})"
        return replace(self, fields={**self.fields, "title": title})

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.fields or self.cover)


def _ffmpeg(path: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg on a file; what comes out is what it could do."""
    guards = ["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS]
    command = [find_ffmpeg(), "-nostdin", "-hide_banner", *guards, "-i", f"file:{path}"]
    return subprocess.run(
        [os.fsencode(part) for part in (*command, *options, "pipe:1")],
        capture_output=True,
        check=False,
    )


def read_tags(path: str | os.PathLike[str]) -> Tags:
    """Read what a song says about itself; nothing if it cannot be read."""
    source = Path(path)
    # Ogg keeps its tags with the stream; hence one is mapped, of no length.
    stream = ("-map", "0:a:0", "-c", "copy", "-t", "0", "-f", "ffmetadata")
    done = _ffmpeg(source, *stream)
    fields = parse_metadata(done.stdout.decode("utf-8", errors="replace"))
    picture = COVER_LINE.search(done.stderr)
    cover = b""
    if picture is not None:
        one = ("-map", f"0:{picture[1].decode()}", "-c", "copy", "-frames:v", "1")
        cover = _ffmpeg(source, *one, "-f", "image2pipe").stdout
    known = cover.startswith((b"\xff\xd8\xff", b"\x89PNG")) and len(cover) <= LARGEST_COVER
    return Tags(fields, cover if known else b"")


def parse_metadata(text: str) -> dict[str, str]:
    """Read ffmpeg's metadata format: the file's fields and, after them, its stream's.

    A backslash escapes the next character, also the end of a line.
    """
    found: dict[str, str] = {}
    for line in re.findall(r"(?:\\.|[^\\\n])+", text, re.DOTALL):
        if line.startswith(";"):
            continue
        pair = re.fullmatch(r"((?:\\.|[^\\=])+)=((?:\\.|[^\\])*)", line, re.DOTALL)
        if pair is not None:
            key, value = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in pair.groups())
            if key.lower() not in TECHNICAL and value.strip():
                found.setdefault(key.lower(), value)
    return found


def format_metadata(fields: dict[str, str]) -> str:
    """Write ffmpeg's metadata format."""

    def escape(text: str) -> str:
        return re.sub(r"([=;#\\\n])", r"\\\1", text.replace("\0", ""))

    lines = (f"{escape(key)}={escape(value)}\n" for key, value in fields.items())
    return ";FFMETADATA1\n" + "".join(lines)


def picture_block(cover: bytes) -> str:
    """Encode a front cover as Vorbis comments hold it: a FLAC picture block in base 64."""
    kind = b"image/png" if cover.startswith(b"\x89PNG") else b"image/jpeg"
    head = struct.pack(">II", 3, len(kind)) + kind
    # No description; width, height, depth and colours are for the decoder to find out.
    sizes = struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(cover))
    return base64.b64encode(head + sizes + cover).decode()


@contextmanager
def tag_arguments(tags: Tags, extension: str) -> Iterator[tuple[list[str], list[str]]]:
    """Give the arguments that write tags: more inputs after the first, and output options.

    Parameters
    ----------
    tags
        What to write.
    extension
        Of the output: ``flac``, ``mp3``, ``m4a``, ``ogg`` or ``opus``.
    """
    if not tags:
        yield [], []
        return
    in_comments = extension in ("ogg", "opus")
    fields = dict(tags.fields)
    if tags.cover and in_comments:
        fields["METADATA_BLOCK_PICTURE"] = picture_block(tags.cover)
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        text = Path(folder, "tags.txt")
        text.write_text(format_metadata(fields), encoding="utf-8", errors="replace")
        inputs = ["-f", "ffmetadata", "-i", f"file:{text}"]
        outputs = ["-map_metadata:s:a" if in_comments else "-map_metadata", "1:g", "-map", "0:a"]
        if tags.cover and not in_comments:
            picture = Path(
                folder, "cover.png" if tags.cover.startswith(b"\x89PNG") else "cover.jpg"
            )
            picture.write_bytes(tags.cover)
            inputs += ["-i", f"file:{picture}"]
            outputs += ["-map", "2:v", "-c:v", "copy", "-disposition:v:0", "attached_pic"]
        if extension == "mp3":
            outputs += ["-id3v2_version", "3"]  # which every player reads
        yield inputs, outputs
