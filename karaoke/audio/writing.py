"""Encode blocks to sound files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from karaoke.audio.blocks import Block, in_blocks
from karaoke.audio.ffmpeg import encode_arguments, fed
from karaoke.audio.formats import OutputFormat, output_format
from karaoke.audio.layouts import channel_mask
from karaoke.audio.tagging.model import MalformedError, Tags
from karaoke.audio.tagging.riff import set_channel_mask
from karaoke.errors import WriteError
from karaoke.files import SPACE, HashedFile, PartFile, publish_all, writing_to

#: Bytes of samples above which a WAV, whose sizes have 32 bits, becomes an RF64: the rest of them
#: has room for the largest tags.
RIFF_LIMIT = 2**32 - 2**26
NO_TAGS = Tags()
#: FLAC comment that says which speakers the channels are for.
MASK_COMMENT = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}


def to_integers(block: Block, bit_depth: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Round samples to 16 or 24 bits, the latter in the upper bytes of 32, clipping at full scale.

    A power-of-two scale, unlike libsndfile's 32767, returns a source's integers unchanged.
    """
    scale = np.float32(2 ** (bit_depth - 1))
    levels = block * scale  # exact, as are the limits: both fit into the 24 bits of a float32
    np.clip(np.rint(levels, out=levels), -scale, scale - 1, out=levels)
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
        if frames * channels * depth // 8 > RIFF_LIMIT:
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
    arguments = encode_arguments(
        os.fspath(part.path),
        sample_rate=sample_rate,
        channels=channels,
        options=chosen.options_for(sample_rate),
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
            chosen.write_tags(part.path, tags)
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
