"""The moving pictures of a song that is a film."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from karaoke.audio.ffmpeg import DEMUXERS, PATH, FfmpegProcess, arguments_with

CODEC = re.compile(r"(\w+)")
RATE = re.compile(r" (\d+(?:\.\d+)?)(k?) (fps|tbr)")
#: Words that change between so few pictures seem to come late.
LOWEST_FPS, HIGHEST_FPS = 20.0, 120.0
DEFAULT_FPS = 25.0
PPM = re.compile(rb"P6\s+(\d+)\s+(\d+)\s")


@dataclass(frozen=True)
class Footage:
    """What a film looks like.

    Parameters
    ----------
    path
        Of the film.
    size
        Width and height as they are seen, in square pixels, upright.
    fps
        Pictures a second; of films that hold each picture as long as it lasts, about.
    codec
        In ffmpeg's words.
    """

    path: Path
    size: tuple[int, int]
    fps: float
    codec: str


def look_at(path: Path) -> Footage | None:
    """Find out whether a file is a film, by decoding its first picture.

    Returns
    -------
    Footage or None
        None if it has no moving picture that can be decoded.
    """
    source = ffmpeg.input(PATH, nostdin=None, v="level+info", protocol_whitelist="file",
                          format_whitelist=DEMUXERS)  # fmt: skip
    shown = source["v:0"].filter("scale", "trunc(iw*sar/2)*2", "trunc(ih/2)*2")
    out = ffmpeg.output(shown, "pipe:1", vframes=1, vcodec="ppm", f="image2pipe")
    process = FfmpegProcess(arguments_with(os.fspath(path), out), stdout=True)
    try:
        picture = process.stdout.read(1 << 8)
    finally:
        process.kill()
    facts, size = process.facts, PPM.match(picture)
    films = [stream for stream in facts.streams if stream.is_film]
    if not films or size is None:
        return None
    description = films[0].description
    codec = CODEC.match(description)
    return Footage(
        path, (int(size[1]), int(size[2])), rate_of(description), codec[1] if codec else ""
    )


def rate_of(description: str) -> float:
    """Read the pictures a second out of what ffmpeg says, where that makes sense."""
    rates = {
        unit: float(number) * (1000 if thousand else 1)
        for number, thousand, unit in RATE.findall(description)
    }
    for unit in ("fps", "tbr"):
        fps = rates.get(unit, 0.0)
        if 0 < fps <= HIGHEST_FPS:
            while fps < LOWEST_FPS:
                fps *= 2
            return fps
    return DEFAULT_FPS
