"""Reading and writing sound files; the only package that runs ffmpeg.

Audio is float32, ``(channels, samples)``, full scale at 1.0; a *block* is a run of its samples.
"""

from __future__ import annotations

from karaoke.audio.blocks import Block, Samples, Spool, in_blocks
from karaoke.audio.formats import FORMATS, PIPE_FORMATS, OutputFormat, output_format
from karaoke.audio.layouts import channel_groups, unspoken
from karaoke.audio.piping import PipeWriter
from karaoke.audio.reading import AudioReader, can_be_piped, load_audio
from karaoke.audio.tagging.model import Tags
from karaoke.audio.tags import fit_tags, read_tags
from karaoke.audio.writing import (
    encode,
    read_back,
    save_audio,
)

__all__ = [
    "FORMATS",
    "PIPE_FORMATS",
    "AudioReader",
    "Block",
    "OutputFormat",
    "PipeWriter",
    "Samples",
    "Spool",
    "Tags",
    "can_be_piped",
    "channel_groups",
    "encode",
    "fit_tags",
    "in_blocks",
    "load_audio",
    "output_format",
    "read_back",
    "read_tags",
    "save_audio",
    "unspoken",
]
