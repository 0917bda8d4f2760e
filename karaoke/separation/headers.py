"""What a checkpoint says about itself, read without loading torch or any weights."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from karaoke.errors import DamagedModelError, ModelError
from karaoke.separation.fields import Within, check_fields, shown

#: Version of the header; a reader refuses any other.
FORMAT = 1
#: The one metadata entry of the safetensors file; its value is the header as JSON.
HEADER_KEY = "karaoke"
#: The largest table of tensors that safetensors writes, in bytes.
MOST_TABLE_BYTES = 100_000_000
MOST_STEMS = 16
RETRAIN = "Use a checkpoint that this version of karaoke wrote."


@dataclass(frozen=True)
class Header:
    """What a checkpoint says about itself.

    Parameters
    ----------
    architecture
        A key of ``NETWORKS``.
    config
        Fields of the architecture's config dataclass.
    sample_rate, channels
        Of the audio that the network takes; the rate in Hz.
    stems
        Names of the outputs.
    segment_seconds, overlap
        Segment length and overlap (a fraction in [0, 1)) that suit the network best.
    """

    architecture: str
    config: dict[str, Any]
    sample_rate: Annotated[int, Within(1000, 768_000)]
    channels: Annotated[int, Within(1, 2)]
    stems: tuple[str, ...]
    segment_seconds: Annotated[float, Within(0, 60, open_low=True)]
    overlap: Annotated[float, Within(0, 1, open_high=True)]


def check_header(header: Header) -> None:
    """Check that stems and sizes make sense.

    Raises
    ------
    ValueError
        The stems are not 1 to 16 distinct names, or a segment is shorter than a sample.
    """
    stems = header.stems
    named = all(stem.isidentifier() and len(stem) <= 64 for stem in stems)  # they become file names
    if not named or not 1 <= len(set(stems)) == len(stems) <= MOST_STEMS:
        raise ValueError(f"stems must be up to {MOST_STEMS} different names, not {shown(stems)}")
    if round(header.segment_seconds * header.sample_rate) < 1:
        raise ValueError(f"segment_seconds {header.segment_seconds} is less than a sample")


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Read the metadata of a safetensors file, and the dtype and shape of each of its tensors.

    Raises
    ------
    ModelError
        The file is missing, truncated or not a safetensors file.

    References
    ----------
    https://huggingface.co/docs/safetensors: eight bytes of length, a JSON table, the tensors.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MOST_TABLE_BYTES:
                raise ValueError("not a safetensors file")
            table = json.loads(file.read(length))
            metadata = dict(table.pop("__metadata__", {}))
            size = max((tensor["data_offsets"][1] for tensor in table.values()), default=0)
            for tensor in table.values():
                tensor["dtype"], tensor["shape"] = str(tensor["dtype"]), list(tensor["shape"])
            if os.fstat(file.fileno()).st_size != 8 + length + size:
                raise ValueError("truncated, or followed by other data")
    except FileNotFoundError as error:
        raise ModelError(f'"{path}": not a checkpoint (no such file)') from error
    # A malformed table can raise errors of many kinds.
    except Exception as error:
        raise DamagedModelError(f'"{path}": not a checkpoint ({error})', hint=RETRAIN) from error
    return metadata, table


def read_header(path: Path) -> Header:
    """Read what a checkpoint says about itself; see :func:`read_outline`."""
    return read_outline(path)[0]


def read_outline(path: Path) -> tuple[Header, dict[str, dict[str, Any]]]:
    """Read what a checkpoint says about itself, and about each of its tensors, without those.

    Raises
    ------
    ModelError
        The file is missing, is not a safetensors file, or has no valid header of this format.
    """
    metadata, tensors = read_safetensors(path)
    text = metadata.get(HEADER_KEY)
    if text is None:
        raise DamagedModelError(
            f'"{path}": a safetensors file without a karaoke header', hint=RETRAIN
        )
    try:
        entries = json.loads(text)
        version = entries.pop("format")
        if version == FORMAT:
            header = Header(**check_fields(Header, entries))
            check_header(header)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedModelError(f'"{path}": damaged header ({error})', hint=RETRAIN) from error
    if version != FORMAT:
        raise DamagedModelError(
            f'"{path}": checkpoint format {shown(version)}; this version reads format {FORMAT}',
            hint="Update karaoke.",
        )
    return header, tensors


def stem_names(network_stems: tuple[str, ...]) -> tuple[str, ...]:
    """List a network's outputs: its stems, and ``instrumental``, everything but the vocals."""
    if "vocals" not in network_stems:
        return network_stems
    return tuple(dict.fromkeys((*network_stems, "instrumental")))
