"""Output formats: an entry of a table says everything that sets one apart."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from karaoke.audio.ffmpeg import INSTALL, built_with, find_ffmpeg
from karaoke.audio.tagging.flac import tag_flac
from karaoke.audio.tagging.id3_writing import tag_mp3
from karaoke.audio.tagging.model import Tags
from karaoke.audio.tagging.mp4 import tag_mp4
from karaoke.audio.tagging.ogg import tag_ogg
from karaoke.audio.tagging.riff import tag_wav
from karaoke.audio.tagging.vorbis import NAME
from karaoke.errors import ToolMissingError, UsageError

#: Bytes per second of a lossy file, more than at any bit rate on offer.
LOSSY_BYTES_PER_SECOND = 64_000


@dataclass(frozen=True)
class OutputFormat:
    """A file format and how to write it.

    Parameters
    ----------
    extension
        File extension without the dot; also the format's name.
    write_tags
        Writes tags into a file that was just encoded, without changing a byte of its sound.
    bit_depths
        Supported bit depths, the default first; 32 means float. Empty for lossy formats.
    encoder, options
        For ffmpeg; the encoder is None for formats that libsndfile writes.
    muxer
        ffmpeg's name of the container, if it is not the extension.
    pipe_options
        Further options for ffmpeg where the output cannot be rewound, so that it fits in.
    max_channels
        Most channels that it can hold.
    surround
        Whether it can hold the six channels of 5.1 as well.
    rates
        Supported rates in Hz, ascending; empty for any. Others are converted to the next higher.
    tag_names
        What names of tags consist of; None for anything.
    holds_id3
        Whether it holds binary ID3 frames.
    picture_types
        MIME types of the pictures that it holds; empty for any.
    bit_depth
        The chosen bit depth; 0 for lossy formats.
    bitrate
        The chosen bit rate of a lossy format, such as ``192k``; empty for its default.
    """

    extension: str
    write_tags: Callable[[Path, Tags], None] = field(compare=False)
    bit_depths: tuple[int, ...] = ()
    encoder: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    muxer: str = ""
    pipe_options: dict[str, Any] = field(default_factory=dict)
    max_channels: int = 2
    surround: bool = False
    rates: tuple[int, ...] = ()
    tag_names: re.Pattern[str] | None = None
    holds_id3: bool = False
    picture_types: tuple[str, ...] = ()
    bit_depth: int = 0
    bitrate: str = ""

    @property
    def clips(self) -> bool:
        """Whether samples beyond full scale are lost."""
        return self.bit_depth != 32

    def rate_for(self, sample_rate: int) -> int:
        """Return the rate in Hz at which a song of the given rate is written."""
        if not self.rates:
            return sample_rate
        return next((rate for rate in self.rates if rate >= sample_rate), self.rates[-1])

    def options_for(self, sample_rate: int) -> dict[str, Any]:
        """Return ffmpeg's options for a song of the given rate."""
        muxer = self.muxer or self.extension
        return {"f": muxer, **self.options, "ar": self.rate_for(sample_rate)}

    def size_bytes(self, seconds: float, sample_rate: int, channels: int) -> float:
        """Estimate the size of a file, at most."""
        if self.encoder is not None:
            return seconds * LOSSY_BYTES_PER_SECOND
        return seconds * sample_rate * channels * self.bit_depth / 8

    def check_channels(self, channels: int) -> None:
        """Refuse more channels than the format can hold, before any work is done.

        Raises
        ------
        UsageError
            There are too many channels.
        """
        if channels > self.max_channels and not (self.surround and channels == 6):
            most = f"{self.max_channels} channels{', or 5.1' if self.surround else ''}"
            raise UsageError(
                f"{self.extension} holds at most {most}, not {channels}",
                hint="Choose flac or wav.",
            )


def in_place(write: Callable[[IO[bytes], Tags], None], path: Path, tags: Tags) -> None:
    """Write tags into a file that has room for them, or takes them at its end."""
    with path.open("r+b") as file:
        write(file, tags)


def by_copying(write: Callable[[IO[bytes], IO[bytes], Tags], None], path: Path, tags: Tags) -> None:
    """Write tags into a copy of a file, which then replaces its content."""
    # The copy has no name, so nothing is left behind, and goes back into the locked file.
    with path.open("r+b") as file, tempfile.TemporaryFile(dir=path.parent) as tagged:
        write(file, tagged, tags)
        for each in (file, tagged):
            each.seek(0)
        shutil.copyfileobj(tagged, file, 1 << 20)
        file.truncate()


#: Sample rates of MPEG audio, in Hz.
RATES = (
    *(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    *(64000, 88200, 96000),
)
FORMATS = {
    entry.extension: entry
    for entry in (
        OutputFormat(
            "wav",
            partial(in_place, tag_wav),
            bit_depths=(24, 16, 32),
            pipe_options={"acodec": "pcm_f32le"},  # float, so that nothing clips
            max_channels=1024,
            holds_id3=True,
        ),
        OutputFormat(
            "flac",
            partial(by_copying, tag_flac),
            bit_depths=(24, 16),
            pipe_options={"sample_fmt": "s32"},
            max_channels=8,
            tag_names=NAME,
        ),
        OutputFormat(
            "mp3",
            partial(by_copying, tag_mp3),
            encoder="libmp3lame",
            options={"audio_bitrate": "320k"},
            rates=RATES[:9],
            holds_id3=True,
        ),
        OutputFormat(
            "m4a",
            partial(in_place, tag_mp4),
            encoder="aac",
            options={"audio_bitrate": "256k"},
            muxer="ipod",
            pipe_options={"movflags": "frag_keyframe+empty_moov"},
            surround=True,
            rates=RATES,
            picture_types=("image/jpeg", "image/png"),
        ),
        OutputFormat(
            "ogg",
            partial(by_copying, tag_ogg),
            encoder="libvorbis",
            options={"aq": 8},
            rates=(*RATES, 192000),
            tag_names=NAME,
        ),
        OutputFormat(
            "opus",
            partial(by_copying, tag_ogg),
            encoder="libopus",
            options={"audio_bitrate": "192k"},
            rates=(48000,),
            tag_names=NAME,
        ),
    )
}
#: What can be written to standard output; ``raw`` is a WAV without its header.
PIPE_FORMATS = {**FORMATS, "raw": replace(FORMATS["wav"], extension="raw", muxer="f32le")}


def output_format(
    name: str, bit_depth: int | None = None, bitrate: str | None = None
) -> OutputFormat:
    """Look up a format and set its bit depth or bit rate.

    Parameters
    ----------
    name
        An extension, with or without the dot, in any case.
    bit_depth
        16, 24, or 32 for float; None for the format's default.
    bitrate
        Bits per second of a lossy format, such as ``192k``, 8k to 510k; None for its default.

    Raises
    ------
    UsageError
        There is no such format, or it does not have this bit depth or bit rate.
    ToolMissingError
        ffmpeg was built without its encoder.
    """
    chosen = FORMATS.get(name.lower().lstrip("."))
    if chosen is None:
        raise UsageError(f"unknown format {name!r}", hint=f"Choose one of {', '.join(FORMATS)}.")
    if bit_depth is not None and bit_depth not in chosen.bit_depths:
        possible = ", ".join(map(str, sorted(chosen.bit_depths))) or "none: it is lossy"
        raise UsageError(
            f"{chosen.extension} has no bit depth of {bit_depth}", hint=f"Possible: {possible}."
        )
    if chosen.encoder is not None and chosen.encoder not in built_with(find_ffmpeg(), "encoders"):
        raise ToolMissingError(f"ffmpeg has no encoder {chosen.encoder}", hint=INSTALL)
    if bitrate is not None:
        chosen = with_bitrate(chosen, bitrate.lower())
    depth = bit_depth or (chosen.bit_depths[0] if chosen.bit_depths else 0)
    return replace(chosen, bit_depth=depth)


def with_bitrate(chosen: OutputFormat, bitrate: str) -> OutputFormat:
    """Set a lossy format's bit rate instead of its default.

    Raises
    ------
    UsageError
        It is not a valid bit rate, or the format is not lossy.
    """
    if chosen.encoder is None:
        raise UsageError(f"{chosen.extension} has no bit rate", hint="Choose --bit-depth instead.")
    number = bitrate.removesuffix("k")
    if not number.isdecimal() or not 8 <= int(number) <= 510:
        raise UsageError(f"bit rate {bitrate!r}", hint="Choose one from 8k to 510k, such as 192k.")
    options = {key: value for key, value in chosen.options.items() if key != "aq"}
    options["audio_bitrate"] = f"{number}k"
    return replace(chosen, options=options, bitrate=f"{number}k")
