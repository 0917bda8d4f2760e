"""Encode blocks to standard output as they arrive."""

from __future__ import annotations

from types import TracebackType
from typing import IO

from karaoke.audio.blocks import Block, interleaved
from karaoke.audio.ffmpeg import FfmpegProcess, encode_arguments
from karaoke.audio.formats import PIPE_FORMATS
from karaoke.audio.layouts import channel_mask, speakers_of
from karaoke.errors import UsageError, WriteError


def naming(mask: int) -> list[str]:
    """Return input options that name the channels and leave the samples as they are.

    Without a mask the channels stay unnamed, where ffmpeg would guess.
    """
    named = ["-channel_layout", speakers_of(mask)] if mask else []
    return ["-guess_layout_max", "0", *named]


class PipeWriter:
    """Writes blocks to an open file in any format, without seeking; a context manager.

    Parameters
    ----------
    target
        An open file with a file descriptor.
    name
        A key of ``PIPE_FORMATS``; ``raw`` is 32-bit float, little-endian, channels interleaved.
    sample_rate
        In Hz.
    channels
        Number of channels in each block.
    layout
        Which speakers they are for, in ffmpeg's words; empty if unknown.

    Raises
    ------
    UsageError
        The format is unknown or cannot hold that many channels.
    """

    def __init__(
        self,
        target: IO[bytes],
        name: str,
        *,
        sample_rate: int,
        channels: int,
        layout: str = "",
    ) -> None:
        chosen = PIPE_FORMATS.get(name)
        if chosen is None:
            raise UsageError(
                f"{name} cannot be written to standard output",
                hint=f"Choose one of {', '.join(PIPE_FORMATS)}.",
            )
        chosen.check_channels(channels)
        arguments = encode_arguments(
            None,
            sample_rate=sample_rate,
            channels=channels,
            options={**chosen.options_for(sample_rate), **chosen.pipe_options},
        )
        if channels > 2:
            before_input = arguments.index("-i")
            arguments[before_input:before_input] = naming(channel_mask(layout, channels))
        self._process = FfmpegProcess(arguments, stdin=True, stdout=target)

    def write(self, block: Block) -> None:
        """Write samples ``(channels, samples)``.

        Raises
        ------
        WriteError
            The reader closed the pipe.
        """
        try:
            self._process.stdin.write(interleaved(block))
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._broken() from error

    def _broken(self) -> WriteError:
        """Make the error for a pipe that its reader closed."""
        self._process.wait()
        problems = " ".join(self._process.problems) or "closed by its reader"
        return WriteError(f"standard output: {problems}", hint="Nothing more was written.")

    def __enter__(self) -> PipeWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the stream, or cut it off after an error."""
        try:
            if kind is None:
                try:
                    self._process.stdin.close()
                except BrokenPipeError as broken:
                    raise self._broken() from broken
                if self._process.wait() != 0:
                    raise self._broken()
        finally:
            self._process.kill()
