"""Decode any sound file to blocks of float32 at its own rate and channel count."""

from __future__ import annotations

import os
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from karaoke.audio.ffmpeg import FfmpegProcess, decode_arguments
from karaoke.errors import NoInputError, NotAudioError, PermissionDeniedError

Block = NDArray[np.float32]

#: Beyond this a sample is damage, not sound: squares of it would leave the range of float32.
LOUDEST = 1e6
#: What ffmpeg makes of random bytes before it gives up is shorter than this.
GARBAGE_SECONDS = 1.0
#: Samples per channel in a block: a third of a megabyte in stereo.
BLOCK_LENGTH = 1 << 15
AU_HEADER = struct.Struct(">4s5I")
#: First bytes of what people hand over by mistake.
SIGNATURES = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"#EXTM3U", "a playlist"),
    (b"<", "HTML or XML"),
)


def describe(path: Path) -> str:
    """Say what a file that is no audio seems to be, in parentheses, or nothing."""
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return " (the file is empty)"
    for signature, name in SIGNATURES:
        if start.lstrip().startswith(signature):
            return f" (looks like {name})"
    is_text = all(byte >= 32 or byte in b"\t\r\n\f" for byte in start)
    return " (looks like text)" if is_text else ""


def check_readable(path: Path) -> None:
    """Refuse what is no regular file or may not be read.

    Raises
    ------
    NoInputError, PermissionDeniedError
        So it is.
    """
    forbidden = PermissionDeniedError(f'"{path}": may not be read', hint="Check its permissions.")
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise forbidden from error
    except OSError as error:
        raise NoInputError(f'"{path}": no such file', hint="Check the name.") from error
    if stat.S_ISDIR(mode):
        raise NoInputError(f'"{path}": is a folder', hint="Name the songs in it.")
    if not stat.S_ISREG(mode):
        raise NoInputError(f'"{path}": is no regular file', hint="Save it to a file first.")
    if not os.access(path, os.R_OK):
        raise forbidden


def missing_bytes(path: Path) -> int:
    """Count the bytes that a WAV or AIFF file lacks of the size that its header declares.

    ffmpeg takes such a file for a shorter song. Sizes that a writer to a pipe could not know, zero
    or close to the largest, declare nothing.
    """
    with path.open("rb") as file:
        start = file.read(28).ljust(28, b"\0")
    layout = {b"RIFF": ("<I", 4), b"FORM": (">I", 4), b"RF64": ("<Q", 20)}.get(start[:4])
    if layout is None:
        return 0
    (declared,) = struct.unpack_from(layout[0], start, layout[1])
    if declared == 0 or 0x7FFF0000 <= declared <= 0xFFFFFFFF or declared >= 1 << 62:
        return 0
    return max(0, int(declared) + 8 - path.stat().st_size)


def can_be_piped(start: bytes) -> bool:
    """Tell from a song's first bytes whether it can be decoded as it comes.

    Not MP4 and its kin, which may keep their index at the end.
    """
    return start[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def feed(source: BufferedReader, target: IO[bytes]) -> None:
    """Copy a stream to a process until one of them has enough."""
    with suppress(OSError, ValueError):
        while data := source.read1(1 << 16):  # what is there, not a full buffer
            target.write(data)
            target.flush()
    with suppress(OSError, ValueError):
        target.close()


class AudioReader:
    """Stream an audio stream of a file, the first by default; a context manager.

    Parameters
    ----------
    path
        Of any file with sound that ffmpeg reads; playlists are refused, since they would make it
        read other files.
    track
        Which audio stream of the file, from 1: films may have several.
    stream
        What to read instead of the file, as it comes; the path is its name then. Formats that
        keep their index at the end cannot be read so; see :func:`can_be_piped`.

    Attributes
    ----------
    sample_rate, channels
        Of the source, known before the first block.
    declared_seconds
        What the container says its duration is, or None; files are often wrong about it.
    samples_read
        Per channel, so far.
    non_finite
        How many NaN, infinite and absurdly large samples were replaced by zero so far.
    missing_bytes
        That a WAV or AIFF file lacks of the size that it declares.
    damage
        What stopped the decoder before the end of the file, or nothing.

    Raises
    ------
    NoInputError
        There is no such file, or it is no regular file.
    PermissionDeniedError
        It may not be read.
    NotAudioError
        Nothing can be decoded; sometimes known only to :meth:`blocks`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        track: int = 1,
        stream: BufferedReader | None = None,
    ) -> None:
        self.path = Path(path)
        self.samples_read = 0
        self.non_finite = 0
        self.missing_bytes = 0
        self.damage = ""
        if stream is None:
            check_readable(self.path)
            self.missing_bytes = missing_bytes(self.path)
            arguments = decode_arguments(os.fspath(path), track)
            self._process = FfmpegProcess(arguments, stdout=True)
        else:
            arguments = decode_arguments(None, track)
            self._process = FfmpegProcess(arguments, stdin=True, stdout=True)
            feeder = threading.Thread(target=feed, args=(stream, self._process.stdin), daemon=True)
            feeder.start()
        try:
            self.sample_rate, self.channels = self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> tuple[int, int]:
        """Read rate and channels from the AU header and skip its annotation."""
        header = self._process.stdout.read(AU_HEADER.size)
        if len(header) < AU_HEADER.size:
            self._process.wait()
            raise self._not_audio()
        _, offset, _, _, sample_rate, channels = AU_HEADER.unpack(header)
        self._process.stdout.read(offset - AU_HEADER.size)
        return sample_rate, channels

    def _not_audio(self) -> NotAudioError:
        """Make the error for a file that ffmpeg does not decode."""
        if any("matches no streams" in problem for problem in self._process.problems):
            return NotAudioError(
                f'"{self.path}": has no such audio stream', hint="Choose another --stream."
            )
        seems = describe(self.path) if self.path.is_file() else ""
        return NotAudioError(
            f'"{self.path}": not audio{seems}',
            hint="Give a sound or video file with an audio stream.",
        )

    @property
    def declared_seconds(self) -> float | None:
        """Duration that the container declares, in seconds."""
        return self._process.duration_seconds

    @property
    def seconds_read(self) -> float:
        """Duration of what was decoded so far."""
        return self.samples_read / self.sample_rate

    def blocks(self) -> Iterator[Block]:
        """Yield what is left, in blocks ``(channels, samples)``, finite, in order.

        Raises
        ------
        NotAudioError
            Not one sample came, or ffmpeg gave up at once: the file is garbage.
        """
        size = 4 * self.channels
        while data := self._process.stdout.read(BLOCK_LENGTH * size):
            data = data[: len(data) // size * size]
            if not data:
                break
            samples = np.frombuffer(data, dtype=">f4")
            block = np.ascontiguousarray(samples.reshape(-1, self.channels).T, dtype=np.float32)
            finite = np.abs(block) <= LOUDEST
            if not finite.all():
                self.non_finite += int(block.size - np.count_nonzero(finite))
                block = np.where(finite, block, np.float32(0))
            self.samples_read += block.shape[1]
            yield block
        # A truncated file ends with code 0; an error means that hardly anything valid came last.
        failed = self._process.wait() != 0
        if self.samples_read == 0 or (failed and self.seconds_read < GARBAGE_SECONDS):
            raise self._not_audio()
        if failed:
            problems = self._process.problems
            self.damage = problems[-1] if problems else "ffmpeg gave up"

    def close(self) -> None:
        """End ffmpeg."""
        self._process.kill()

    def __enter__(self) -> AudioReader:
        """Give the reader itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()


def load_audio(path: str | os.PathLike[str]) -> tuple[Block, int]:
    """Decode a whole file at its own rate and channel count.

    Parameters
    ----------
    path
        Of any file with sound.

    Returns
    -------
    tuple
        float32 ``(channels, samples)`` and the sample rate in Hz.

    Raises
    ------
    NoInputError, PermissionDeniedError, NotAudioError
        As :class:`AudioReader`.
    """
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks()), axis=1), reader.sample_rate
