"""Encode blocks to sound files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from karaoke.audio.blocks import BLOCK_LENGTH, Block
from karaoke.audio.ffmpeg import INSTALL, built_with, encode_arguments, fed, find_ffmpeg
from karaoke.audio.layouts import channel_mask
from karaoke.audio.tagging.model import MalformedError
from karaoke.audio.tagging.riff import set_channel_mask
from karaoke.audio.tags import Tags, tag_chunks, write_tags
from karaoke.errors import ToolMissingError, UsageError, WriteError
from karaoke.files import SPACE, HashedFile, PartFile, publish_all, writing_to

#: Bytes of samples above which a WAV, whose sizes have 32 bits, becomes an RF64.
RIFF_LIMIT = 2**32 - 2**16
NO_TAGS = Tags()
#: FLAC comment that says which speakers the channels are for.
MASK_COMMENT = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}


@dataclass(frozen=True)
class OutputFormat:
    """A file format and how to write it.

    Parameters
    ----------
    extension
        File extension without the dot; also the format's name.
    bit_depths
        Supported bit depths, the default first; 32 means float. Empty for lossy formats.
    encoder, options
        For ffmpeg; the encoder is None for formats that libsndfile writes.
    max_channels
        Most channels that it can hold.
    surround
        Whether it can hold the six channels of 5.1 as well.
    rates
        Supported rates in Hz, ascending; empty for any. Others are converted to the next higher.
    bit_depth
        The chosen bit depth; 0 for lossy formats.
    bitrate
        The chosen bit rate of a lossy format, such as ``192k``; empty for its default.
    """

    extension: str
    bit_depths: tuple[int, ...] = ()
    encoder: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    max_channels: int = 2
    surround: bool = False
    rates: tuple[int, ...] = ()
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


#: Sample rates of MPEG audio, in Hz.
RATES = (
    *(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    *(64000, 88200, 96000),
)
FORMATS = {
    entry.extension: entry
    for entry in (
        OutputFormat("wav", (24, 16, 32), max_channels=1024),
        OutputFormat("flac", (24, 16), max_channels=8),
        OutputFormat(
            "mp3", (), "libmp3lame", {"f": "mp3", "audio_bitrate": "320k"}, rates=RATES[:9]
        ),
        OutputFormat(
            "m4a", (), "aac", {"f": "ipod", "audio_bitrate": "256k"}, surround=True, rates=RATES
        ),
        OutputFormat("ogg", (), "libvorbis", {"f": "ogg", "aq": 8}, rates=(*RATES, 192000)),
        OutputFormat("opus", (), "libopus", {"f": "opus", "audio_bitrate": "192k"}, rates=(48000,)),
    )
}


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


def to_integers(block: Block, bit_depth: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Round samples to 16 or 24 bits, the latter in the upper bytes of 32, clipping at full scale.

    A power-of-two scale, unlike libsndfile's 32767, returns a source's integers unchanged.
    """
    scale = 2.0 ** (bit_depth - 1)
    levels = np.clip(np.rint(block.astype(np.float64) * scale), -scale, scale - 1)
    return levels.astype(np.int16) if bit_depth == 16 else levels.astype(np.int32) << 8


def soundfile_name(path: Path) -> bytes | str:
    """Return a path as soundfile takes it, which refuses text that is not valid UTF-8."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def read_back(file: Path | HashedFile) -> soundfile.SoundFile:
    """Open a WAV or FLAC that was written here."""
    return soundfile.SoundFile(soundfile_name(file) if isinstance(file, Path) else file)


def _encode_soundfile(
    part: PartFile,
    blocks: Iterable[Block],
    sample_rate: int,
    channels: int,
    frames: int,
    chosen: OutputFormat,
    tags: Tags,
    mask: int,
) -> None:
    """Write WAV, RF64 or FLAC and check that it reads back at full length."""
    depth, container = chosen.bit_depth, chosen.extension.upper()
    if container == "WAV":
        # Mono and stereo need no mask, and some programs only know plain WAV.
        container = "WAV" if channels <= 2 else "WAVEX"
        if frames * channels * depth // 8 + len(tag_chunks(tags)) > RIFF_LIMIT:
            container = "RF64"
    with soundfile.SoundFile(
        soundfile_name(part.path), "w", sample_rate, channels, SUBTYPES[depth], format=container
    ) as file:
        for block in blocks:
            file.write((block if depth == 32 else to_integers(block, depth)).T)
    if channels > 2:
        if container == "FLAC":
            # Without a mask, readers assume a layout; a mask of zero says that there is none.
            tags = replace(tags, fields={**tags.fields, MASK_COMMENT: (f"0x{mask:04X}",)})
        else:
            with part.path.open("r+b") as written:
                set_channel_mask(written, mask)
    _tag(part, chosen, tags)
    with read_back(part.path) as file:
        if file.frames != frames:
            counts = f"{file.frames} of {frames} samples were written"
            raise WriteError(f'"{part.target}": {counts}', hint=SPACE)


def _encode_ffmpeg(
    part: PartFile,
    blocks: Iterable[Block],
    sample_rate: int,
    channels: int,
    chosen: OutputFormat,
    tags: Tags,
) -> None:
    """Pipe the blocks through an ffmpeg encoder."""
    options = {**chosen.options, "ar": chosen.rate_for(sample_rate)}
    arguments = encode_arguments(
        os.fspath(part.path), sample_rate=sample_rate, channels=channels, options=options
    )

    def failure(said: str) -> WriteError:
        return WriteError(f'"{part.target}": {said}', hint=SPACE)

    with fed(arguments, blocks, failure):
        pass
    _tag(part, chosen, tags)


def _tag(part: PartFile, chosen: OutputFormat, tags: Tags) -> None:
    """Write the tags, if any, into an encoded file."""
    try:
        if tags:
            write_tags(part.path, chosen.extension, tags)
    except MalformedError as error:
        raise WriteError(
            f'"{part.target}": its tags could not be written ({error})',
            hint="Choose another --format, or another ffmpeg.",
        ) from error


def encode(
    part: PartFile,
    blocks: Iterable[Block],
    *,
    sample_rate: int,
    channels: int,
    frames: int,
    chosen: OutputFormat,
    tags: Tags = NO_TAGS,
    layout: str = "",
) -> None:
    """Write a whole part file.

    Parameters
    ----------
    part
        Already entered; the caller publishes it.
    blocks
        float32 ``(channels, samples)``, ``frames`` samples in all.
    sample_rate
        In Hz.
    channels, frames
        Number of channels, and of samples per channel.
    chosen
        From :func:`output_format`.
    tags
        The song's tags, from :func:`karaoke.audio.fit_tags`.
    layout
        Which speakers the channels are for, in ffmpeg's words; empty if unknown.

    Raises
    ------
    UsageError
        The format cannot hold that many channels.
    PermissionDeniedError, WriteError
        The file cannot be written, or is incomplete.
    """
    chosen.check_channels(channels)
    with writing_to(part.target, (OSError, soundfile.SoundFileError)):
        if chosen.encoder is None:
            mask = channel_mask(layout, channels)
            _encode_soundfile(part, blocks, sample_rate, channels, frames, chosen, tags, mask)
        else:
            _encode_ffmpeg(part, blocks, sample_rate, channels, chosen, tags)


def in_blocks(read: Callable[[int, int], Block], frames: int) -> Iterator[Block]:
    """Yield blocks from something that is read by start and length."""
    for start in range(0, frames, BLOCK_LENGTH):
        yield read(start, min(BLOCK_LENGTH, frames - start))


def save_audio(
    path: str | os.PathLike[str], audio: Block, sample_rate: int, *, bit_depth: int | None = None
) -> None:
    """Write an array to a file in the format that its extension names.

    Parameters
    ----------
    path
        Ends in ``.wav``, ``.flac``, ``.mp3``, ``.m4a``, ``.ogg`` or ``.opus``. An existing file is
        replaced.
    audio
        ``(channels, samples)``; only 32-bit float WAV keeps samples beyond full scale.
    sample_rate
        In Hz.
    bit_depth
        16, 24 or 32 (float); by default 24 for WAV and FLAC.

    Raises
    ------
    UsageError
        The extension is not one of these, or the format cannot hold the audio.
    PermissionDeniedError, WriteError
        The file cannot be written.
    """
    target = Path(path)
    channels, frames = audio.shape
    with PartFile(target) as part:
        encode(
            part,
            in_blocks(lambda start, length: audio[:, start : start + length], frames),
            sample_rate=sample_rate,
            channels=channels,
            frames=frames,
            chosen=output_format(target.suffix, bit_depth),
        )
        publish_all([part])
