"""Decode any sound file to blocks of float32 at its own rate and channel count."""

from __future__ import annotations

import math
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, partial
from io import RawIOBase
from pathlib import Path
from threading import Event
from typing import IO

import numpy as np

from karaoke.audio.blocks import Block, from_interleaved, silence_damage
from karaoke.audio.checking import check_readable, seeming
from karaoke.audio.facts import SourceFacts
from karaoke.audio.ffmpeg import FfmpegProcess, decode_arguments, end_seconds
from karaoke.audio.sizes import Sizes, read_sizes
from karaoke.audio.tagging.model import Tags
from karaoke.audio.tags import read_tags
from karaoke.errors import NotAudioError

#: Longest sound that ffmpeg makes of random bytes before it gives up.
GARBAGE_SECONDS = 1.0
#: Files whose decoded length falls short of the declared one by more than this are reported.
TRUNCATION_SECONDS = 1.0
#: Sound that begins later than this after its picture is reported; nobody notices less.
LATE_SECONDS = 0.1
#: Time limit for a file's first samples; a damaged file may keep ffmpeg busy for hours.
OPENING_SECONDS = 30.0
#: How often to check whether the samples are still wanted.
WATCH_SECONDS = 0.25
#: So few bytes after the samples are never reported.
SMALL_REST = 1 << 16
#: Samples per channel in a block: a megabyte in stereo, and quick to arrive.
READ_LENGTH = 1 << 17
#: Of a song that arrives while it is read, and may be heard at once.
STREAMED_LENGTH = 1 << 15
AU_HEADER = struct.Struct(">4s5I")


def can_be_piped(start: bytes) -> bool:
    """Return whether a song can be decoded as it arrives, judging by its first bytes.

    MP4 and related formats cannot, since their index may be at the end.
    """
    return start[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def feed(start: bytes, source: RawIOBase, target: IO[bytes]) -> None:
    """Copy some first bytes and then a stream to a process, until either of them ends.

    The source is unbuffered: a thread waiting here for ever would hold a buffer's lock, and Python
    aborts if it cannot close standard input on exit.
    """
    with suppress(OSError, ValueError):
        data: bytes | None = start
        while data := data or source.read(1 << 16):
            target.write(data)
            target.flush()
            data = None
    with suppress(OSError, ValueError):
        target.close()


class AudioReader:
    """Decode an audio stream of a file block by block; a context manager.

    Parameters
    ----------
    path
        Any file with sound that ffmpeg reads; playlists are refused, since they would make it
        read other files.
    stream
        Audio stream of the file, counted from 1, as films may have several. None takes the one
        that the file marks as its default, or else the first.
    source
        An unbuffered stream to read instead of the file; ``path`` then only names it. Formats
        whose index is at the end cannot be read this way; see :func:`can_be_piped`.
    source_start
        Bytes already read from the source.
    cancelled
        Ends ffmpeg once it is set, even before the first sample.

    Attributes
    ----------
    sample_rate, channels
        Sample rate in Hz and number of channels of the source, known before the first block.
    stream
        The audio stream that was taken, counted from 1.
    layout
        Channel layout in ffmpeg's words, such as ``stereo`` or ``5.1(side)``; empty if unknown.
    declared_seconds
        Duration that the container declares, or None; files are often wrong about it.
    samples_read
        Samples per channel read so far.
    non_finite
        Number of NaN, infinite and absurdly large samples replaced by zero so far.

    Raises
    ------
    NoInputError
        There is no such file, or it is not a regular file.
    PermissionDeniedError
        The file may not be read.
    NotAudioError
        Nothing can be decoded; sometimes only :meth:`blocks` finds out.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        stream: int | None = None,
        source: RawIOBase | None = None,
        source_start: bytes = b"",
        cancelled: threading.Event | None = None,
    ) -> None:
        self.path = Path(path)
        self.samples_read = 0
        self.non_finite = 0
        self.stream = stream or 1
        self._stream_was_named = stream is not None
        self._sizes: Sizes | None = None
        self._source: RawIOBase | None = None
        self._failure = ""
        self._cancelled = cancelled or threading.Event()
        self._read_length = READ_LENGTH if source is None else STREAMED_LENGTH
        if source is not None:
            self._open_pipe(source_start, source)
            return
        check_readable(self.path)
        self._sizes = read_sizes(self.path)
        self._open_file()
        default = next((n for n, s in enumerate(self._facts.sounds, 1) if s.is_default), 1)
        if stream is None and default != 1:
            self.close()
            self.stream = default
            self._open_file()

    def _open_file(self) -> None:
        """Start decoding the file; if its sizes are wrong, with a header that leaves them open."""
        if self._sizes is not None and self._sizes.open_header:
            self._source = self.path.open("rb", buffering=0)
            self._source.seek(self._sizes.start)
            self._open_pipe(self._sizes.open_header, self._source)
            return
        arguments = decode_arguments(os.fspath(self.path), self.stream)
        self._begin(FfmpegProcess(arguments, stdout=True), OPENING_SECONDS)

    def _open_pipe(self, start: bytes, source: RawIOBase) -> None:
        """Start decoding a stream, however long its sender takes."""
        process = FfmpegProcess(decode_arguments(None, self.stream), stdin=True, stdout=True)
        feeder = threading.Thread(target=feed, args=(start, source, process.stdin), daemon=True)
        feeder.start()
        self._begin(process, math.inf)

    def _begin(self, process: FfmpegProcess, patience_seconds: float) -> None:
        """Wait, but not for ever, for the first samples, and read their rate and channels."""
        self._process, self._closed = process, threading.Event()
        opened = threading.Event()
        watch = partial(self._watch, process, self._closed, opened, patience_seconds)
        threading.Thread(target=watch, daemon=True).start()
        try:
            self.sample_rate, self.channels = self._read_header(patience_seconds)
            opened.set()
            # The description came before the samples but may not have been read yet.
            self._facts.described.wait(OPENING_SECONDS)
        except BaseException:
            self.close()
            raise

    def _watch(
        self, process: FfmpegProcess, closed: Event, opened: Event, patience_seconds: float
    ) -> None:
        """End ffmpeg if it takes too long to open the file, or is no longer wanted."""
        began = time.monotonic()
        while not closed.wait(WATCH_SECONDS):
            late = not opened.is_set() and time.monotonic() - began > patience_seconds
            if late or self._cancelled.is_set():
                process.end()
                return

    def _read_header(self, patience_seconds: float) -> tuple[int, int]:
        """Read rate and channels from the AU header and skip its annotation."""
        began = time.monotonic()
        header = self._process.stdout.read(AU_HEADER.size)
        if len(header) < AU_HEADER.size:
            if time.monotonic() - began > patience_seconds:
                raise NotAudioError(
                    f'"{self.path}": no sound was found in it within {patience_seconds:g} s',
                    hint="Check the disk, and that this is a sound or video file.",
                )
            self._process.wait()
            raise self._not_audio()
        _, offset, _, _, sample_rate, channels = AU_HEADER.unpack(header)
        self._process.stdout.read(offset - AU_HEADER.size)
        return sample_rate, channels

    def _not_audio(self) -> NotAudioError:
        """Make the error for a file that ffmpeg cannot decode."""
        if any("matches no streams" in problem for problem in self._facts.problems):
            count = len(self._facts.sounds)
            if count == 0:
                return NotAudioError(
                    f'"{self.path}": has no audio stream', hint="Give a file with sound."
                )
            has = "has only one audio stream" if count == 1 else f"has {count} audio streams"
            return NotAudioError(
                f'"{self.path}": {has}, no stream {self.stream}', hint="Choose another --stream."
            )
        seems = seeming(self.path) if self.path.is_file() else ""
        return NotAudioError(
            f'"{self.path}": not audio{seems}',
            hint="Give a sound or video file with an audio stream.",
        )

    @property
    def _facts(self) -> SourceFacts:
        """What ffmpeg says about the file."""
        return self._process.facts

    @property
    def layout(self) -> str:
        """Channel layout of the stream in ffmpeg's words."""
        sounds = self._facts.sounds
        return sounds[self.stream - 1].layout if len(sounds) >= self.stream else ""

    @property
    def declared_seconds(self) -> float | None:
        """Duration that the container declares, in seconds."""
        own = self._sizes.seconds if self._sizes is not None else None
        return self._facts.duration_seconds if own is None else own

    @cached_property
    def tags(self) -> Tags:
        """The song's tags, which are read when they are first asked for."""
        return read_tags(self.path, self.stream)

    @property
    def seconds_read(self) -> float:
        """Duration decoded so far."""
        return self.samples_read / self.sample_rate

    def blocks(self) -> Iterator[Block]:
        """Yield the remaining blocks ``(channels, samples)`` in order; all samples are finite.

        Raises
        ------
        NotAudioError
            There was no sample at all, or ffmpeg gave up at once: the file is garbage.
        """
        size = 4 * self.channels
        left, pipe = self._true_samples(), self._process.stdout
        while data := pipe.read(self._read_length * size):
            block = from_interleaved(data[: int(min(left * size, len(data)))], self.channels, ">f4")
            if block.shape[1] == 0:
                break
            block, silent = silence_damage(block)
            self.non_finite += silent
            self.samples_read += block.shape[1]
            left -= block.shape[1]
            yield block
            if left == 0:  # what follows is not samples
                self._process.end()
                return
        # ffmpeg exits with 0 for a truncated file; an error means that its last part was garbage.
        failed = self._process.wait() != 0
        if self.samples_read == 0 or (failed and self.seconds_read < GARBAGE_SECONDS):
            raise self._not_audio()
        if failed:
            self._failure = [*self._facts.problems, "ffmpeg gave up"][-1]
        self._failure = self._failure or self._facts.gave_up

    def _true_samples(self) -> float:
        """Count the samples of a file whose sizes have wrapped; infinite for other files."""
        sizes = self._sizes
        if sizes is None or sizes.true is None or not sizes.bytes_per_second:
            return math.inf
        return sizes.true * self.sample_rate // sizes.bytes_per_second

    @property
    def missing_bytes(self) -> int:
        """Bytes of samples that the header declares and the file lacks."""
        return 0 if self._sizes is None else self._sizes.missing

    @property
    def damage(self) -> str:
        """What is wrong with the file, once all blocks are read: a sentence without a full stop.

        Empty if everything that the file declares was read, and it contains nothing else.
        """
        facts, sizes = self._facts, self._sizes
        if self._failure:
            return f"decoding stopped at {self.seconds_read:.1f} s: {self._failure}"
        if facts.changes:
            return (
                f"its format changes within the song, to {facts.changes[-1]};"
                f" it was all converted to {self.sample_rate} Hz and {self.channels} channels"
            )
        if self._ends_early():
            return (
                f"its sound ends at {self.seconds_read:.1f} of {self.declared_seconds:.1f}"
                " declared seconds; the file may be truncated"
            )
        if self.missing_bytes:
            return f"it lacks {self.missing_bytes} bytes that it declares; the file is truncated"
        if sizes is not None and sizes.trailing > max(sizes.bytes_per_second, SMALL_REST):
            return (
                f"{sizes.trailing} bytes follow the samples that its header declares;"
                " they were not read"
            )
        return ""

    def _ends_early(self) -> bool:
        """Return whether the sound, and all else in the file, ends before the declared duration."""
        declared, facts = self.declared_seconds, self._facts
        if declared is None or facts.duration_is_guess:
            return False
        if declared - self.late_seconds - self.seconds_read <= TRUNCATION_SECONDS:
            return False
        if not (facts.is_film or len(facts.sounds) > 1) or not self.path.is_file():
            return True
        # The duration may be that of the pictures: see where they end.
        return declared - end_seconds(os.fspath(self.path)) > TRUNCATION_SECONDS

    @property
    def late_seconds(self) -> float:
        """How long after the start of the file its sound begins, as far as ffmpeg says so."""
        sounds = self._facts.sounds
        if len(sounds) < self.stream:
            return 0.0
        start = sounds[self.stream - 1].start_seconds
        return 0.0 if start is None else max(0.0, start - self._facts.start_seconds)

    @property
    def remarks(self) -> list[str]:
        """What a listener should know about an undamaged file: sentences without full stops."""
        found = []
        count = len(self._facts.sounds)
        if count > 1 and not self._stream_was_named:
            found.append(
                f"it has {count} audio streams; number {self.stream} was taken"
                " (choose another with --stream)"
            )
        if self._facts.is_film and self.late_seconds > LATE_SECONDS:
            found.append(
                f"its sound begins {self.late_seconds:.2f} s after its picture;"
                " the stems begin with the sound"
            )
        if self._sizes is not None and self._sizes.true is not None:
            found.append("its header cannot hold its length; all of it was read")
        return found

    def close(self) -> None:
        """End ffmpeg."""
        self._closed.set()
        self._process.kill()
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> AudioReader:
        """Return the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the reader, even after an error."""
        self.close()


def load_audio(path: str | os.PathLike[str]) -> tuple[Block, int]:
    """Decode a whole file at its own rate and channel count.

    Parameters
    ----------
    path
        Any file with sound.

    Returns
    -------
    tuple
        float32 ``(channels, samples)`` and the sample rate in Hz.

    Raises
    ------
    NoInputError, PermissionDeniedError, NotAudioError
        As in :class:`AudioReader`.
    """
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks()), axis=1), reader.sample_rate
