"""Tags of all other containers, as far as ffmpeg reads them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from karaoke.audio.ffmpeg import DEMUXERS, find_ffmpeg
from karaoke.audio.tagging.model import ALIASES, FRONT_COVER, Found

#: Fields about the container, not the song.
TECHNICAL = frozenset(
    """
    bps compatible_brands creation_time handler_name language major_brand minor_version
    number_of_bytes number_of_frames software vendor_id
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
#: Time limit for reading a file that was already decoded once.
PATIENCE_SECONDS = 60.0
STREAM = re.compile(r"  Stream #0:(\d+)")
#: ffmpeg's names of the first picture types, by number.
KINDS = ("other", "file icon", "other file icon", "cover (front)", "cover (back)")


def run(path: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg on a file; on failure, the output is whatever there is."""
    guards = ["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS]
    command = [find_ffmpeg(), "-nostdin", "-hide_banner", *guards, "-i", f"file:{path}"]
    parts = [os.fsencode(part) for part in (*command, *options, "pipe:1")]
    try:
        return subprocess.run(parts, capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(parts, 1, b"", b"")


def read_by_ffmpeg(path: Path, found: Found) -> None:
    """Read a file's tags and attached pictures."""
    # A stream of zero length is mapped, since ffmpeg writes nothing without one.
    done = run(path, "-map", "0:a:0", "-c", "copy", "-t", "0", "-f", "ffmetadata")
    for name, value in parse_metadata(done.stdout.decode("utf-8", "replace")):
        if name in ("track", "disc"):
            found.add_numbers(value, f"{name}number", f"{name}total")
        elif name.startswith("lyrics-"):
            found.add("lyrics", value)
        else:
            found.add("album" if name == "product" else ALIASES.get(name, name), value)
    for stream, kind in attached_pictures(done.stderr.decode("utf-8", "replace")):
        one = ("-map", f"0:{stream}", "-c", "copy", "-frames:v", "1", "-f", "image2pipe")
        found.add_picture(run(path, *one).stdout, kind)


def attached_pictures(said: str) -> list[tuple[int, int]]:
    """Find the picture streams and their types in what ffmpeg says about its input."""
    found: list[tuple[int, int]] = []
    stream, attached = -1, False
    for line in said.split("Stream mapping:")[0].split("Output #0")[0].splitlines():
        if match := STREAM.match(line):
            stream, attached = int(match[1]), "(attached pic)" in line
            if attached:
                # Many containers state no type and only have the front cover.
                found.append((stream, FRONT_COVER if not found else 0))
        elif attached and (comment := re.match(r"\s+comment\s*: (.*)", line)):
            kind = comment[1].strip().lower()
            found[-1] = (stream, KINDS.index(kind) if kind in KINDS else 0)
    return found


def parse_metadata(text: str) -> list[tuple[str, str]]:
    """Read the fields of the file itself from ffmpeg's metadata format.

    A backslash escapes the next character, even a line break. The sections for streams and
    chapters that follow are not about the song.
    """
    found = []
    for line in re.findall(r"(?:\\.|[^\\\n])+", text, re.DOTALL):
        if line.startswith("["):
            break
        pair = re.fullmatch(r"((?:\\.|[^\\=])+)=((?:\\.|[^\\])*)", line, re.DOTALL)
        if pair is not None and not line.startswith(";"):
            name, value = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in pair.groups())
            if name.lower() not in TECHNICAL:
                found.append((name.lower(), value))
    return found
