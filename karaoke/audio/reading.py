"""Decode any sound file to blocks of float32 at its own rate and channel count."""

from __future__ import annotations

import math
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from io import RawIOBase
from pathlib import Path
from threading import Event
from typing import IO

import numpy as np

from karaoke.audio.blocks import Block, silence_damage
from karaoke.audio.checking import check_readable, seeming
from karaoke.audio.facts import SourceFacts
from karaoke.audio.ffmpeg import FfmpegProcess, decode_arguments, end_seconds
from karaoke.audio.sizes import Sizes, read_sizes
from karaoke.errors import NotAudioError

#: What ffmpeg makes of random bytes before it gives up is shorter than this.
GARBAGE_SECONDS = 1.0
#: Files whose decoded length falls short of the declared one by more than this are reported.
TRUNCATION_SECONDS = 1.0
#: Sound that begins later than this after its picture is reported; less is not seen.
LATE_SECONDS = 0.1
#: A file must give its first samples within this time; a damaged one may hold ffmpeg for hours.
OPENING_SECONDS = 30.0
#: How often it is looked whether somebody still wants the samples.
WATCH_SECONDS = 0.25
#: Bytes after the samples that are never worth a word.
SMALL_REST = 1 << 16
#: Samples per channel in a block: a third of a megabyte in stereo, and not long to wait for.
READ_LENGTH = 1 << 15
AU_HEADER = struct.Struct(">4s5I")


def can_be_piped(start: bytes) -> bool:
    """Tell from a song's first bytes whether it can be decoded as it comes.

    Not MP4 and its kin, which may keep their index at the end.
    """
    return start[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def feed(start: bytes, source: RawIOBase, target: IO[bytes]) -> None:
    """Copy a stream to a process, after some first bytes, until one of them has enough.

    The source has no buffer, whose lock a thread that waits here for ever would hold: Python aborts
    when it cannot flush and close standard input at its end.
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
    """Stream an audio stream of a file, the default one by default; a context manager.

    Parameters
    ----------
    path
        Of any file with sound that ffmpeg reads; playlists are refused, since they would make it
        read other files.
    stream
        Which audio stream of the file, from 1: films may have several. None takes the one that
        the file marks as its default, or else the first.
    source
        What to read instead of the file, as it comes, without a buffer; the path is its name then.
        Formats that keep their index at the end cannot be read so; see :func:`can_be_piped`.
    source_start
        What was read of the source before.
    cancelled
        Ends ffmpeg, also before the first sample, once it is set.

    Attributes
    ----------
    sample_rate, channels
        Of the source, known before the first block.
    stream
        The audio stream that was taken, from 1.
    layout
        Of the channels, in ffmpeg's words, as ``stereo`` or ``5.1(side)``; empty if unknown.
    declared_seconds
        What the container says its duration is, or None; files are often wrong about it.
    samples_read
        Per channel, so far.
    non_finite
        How many NaN, infinite and absurdly large samples were replaced by zero so far.

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
        """Start to decode the file; one whose sizes lie gets a header that leaves them open."""
        if self._sizes is not None and self._sizes.open_header:
            self._source = self.path.open("rb", buffering=0)
            self._source.seek(self._sizes.start)
            self._open_pipe(self._sizes.open_header, self._source)
            return
        arguments = decode_arguments(os.fspath(self.path), self.stream)
        self._begin(FfmpegProcess(arguments, stdout=True), OPENING_SECONDS)

    def _open_pipe(self, start: bytes, source: RawIOBase) -> None:
        """Start to decode what comes, however long its sender takes."""
        process = FfmpegProcess(decode_arguments(None, self.stream), stdin=True, stdout=True)
        feeder = threading.Thread(target=feed, args=(start, source, process.stdin), daemon=True)
        feeder.start()
        self._begin(process, math.inf)

    def _begin(self, process: FfmpegProcess, patience_seconds: float) -> None:
        """Wait for the first samples, but not for ever, and read their rate and channels."""
        self._process, self._closed = process, threading.Event()
        opened = threading.Event()
        watch = partial(self._watch, process, self._closed, opened, patience_seconds)
        threading.Thread(target=watch, daemon=True).start()
        try:
            self.sample_rate, self.channels = self._read_header(patience_seconds)
            opened.set()
            # Its description came before the samples, but perhaps was not read yet.
            self._facts.described.wait(OPENING_SECONDS)
        except BaseException:
            self.close()
            raise

    def _watch(
        self, process: FfmpegProcess, closed: Event, opened: Event, patience_seconds: float
    ) -> None:
        """End ffmpeg when it takes too long to open the file, or nobody wants it any more."""
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
                    hint="Check that the disk is well and that it is a sound or video file.",
                )
            self._process.wait()
            raise self._not_audio()
        _, offset, _, _, sample_rate, channels = AU_HEADER.unpack(header)
        self._process.stdout.read(offset - AU_HEADER.size)
        return sample_rate, channels

    def _not_audio(self) -> NotAudioError:
        """Make the error for a file that ffmpeg does not decode."""
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
        """What ffmpeg says of the file."""
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
        left, pipe = self._true_samples(), self._process.stdout
        while data := pipe.read(READ_LENGTH * size):
            data = data[: len(data) // size * size]
            if not data:
                break
            samples = np.frombuffer(data[: int(min(left * size, len(data)))], dtype=">f4")
            block = np.ascontiguousarray(samples.reshape(-1, self.channels).T, dtype=np.float32)
            block, silent = silence_damage(block)
            self.non_finite += silent
            self.samples_read += block.shape[1]
            left -= block.shape[1]
            yield block
            if left == 0:  # what follows are no samples
                self._process.end()
                return
        # A truncated file ends with code 0; an error means that hardly anything valid came last.
        failed = self._process.wait() != 0
        if self.samples_read == 0 or (failed and self.seconds_read < GARBAGE_SECONDS):
            raise self._not_audio()
        if failed:
            self._failure = [*self._facts.problems, "ffmpeg gave up"][-1]
        self._failure = self._failure or self._facts.gave_up

    def _true_samples(self) -> float:
        """Count the samples of a file whose header has wrapped; else there is no limit."""
        sizes = self._sizes
        if sizes is None or sizes.true is None or not sizes.bytes_per_second:
            return math.inf
        return sizes.true * self.sample_rate // sizes.bytes_per_second

    @property
    def missing_bytes(self) -> int:
        """Bytes that the file lacks of the samples that its header declares."""
        return 0 if self._sizes is None else self._sizes.missing

    @property
    def damage(self) -> str:
        """What is wrong with the file, once all blocks were read: a sentence without a full stop.

        Empty if all that the file declares was read, and nothing else lies in it.
        """
        facts, sizes = self._facts, self._sizes
        if self._failure:
            return f"decoding stopped at {self.seconds_read:.1f} s: {self._failure}"
        if facts.changes:
            return (
                f"its format changes within the song, to {facts.changes[-1]};"
                f" all was converted to {self.sample_rate} Hz and {self.channels} channels"
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
        """Tell whether the sound falls short of the declared duration, and all else does, too."""
        declared, facts = self.declared_seconds, self._facts
        if declared is None or facts.duration_is_guess:
            return False
        if declared - self._late_seconds - self.seconds_read <= TRUNCATION_SECONDS:
            return False
        if not (facts.is_film or len(facts.sounds) > 1) or not self.path.is_file():
            return True
        # The duration may be that of the pictures: see how far they reach.
        return declared - end_seconds(os.fspath(self.path)) > TRUNCATION_SECONDS

    @property
    def _late_seconds(self) -> float:
        """How long after the start of the file the sound begins, as far as ffmpeg says."""
        sounds = self._facts.sounds
        if len(sounds) < self.stream:
            return 0.0
        start = sounds[self.stream - 1].start_seconds
        return 0.0 if start is None else max(0.0, start - self._facts.start_seconds)

    @property
    def remarks(self) -> list[str]:
        """What a listener should know of a file that is not damaged: sentences, no full stops."""
        found = []
        count = len(self._facts.sounds)
        if count > 1 and not self._stream_was_named:
            found.append(
                f"it has {count} audio streams; number {self.stream} was taken,"
                " and --stream chooses another"
            )
        if self._facts.is_film and self._late_seconds > LATE_SECONDS:
            found.append(
                f"its sound begins {self._late_seconds:.2f} s after its picture;"
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
        """Give the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
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
