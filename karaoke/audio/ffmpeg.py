"""Find ffmpeg and run it safely."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import IO, Any

import ffmpeg
import imageio_ffmpeg

from karaoke.audio.blocks import Block, interleaved
from karaoke.audio.facts import SourceFacts
from karaoke.errors import KaraokeError, ToolMissingError

#: An older ffmpeg on the PATH is passed over for the one in the imageio-ffmpeg wheel.
OLDEST_VERSION = 5
INSTALL = "Install ffmpeg 5 or newer, or reinstall karaoke so that imageio-ffmpeg provides it."
#: Containers that contain sound themselves; playlists, which name other files, do not.
DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,ast,au,avi,bonk,caf,dsf,dts,dtshd,eac3,flac,flv,iff,ircam,"
    "matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nut,oma,ogg,osq,qoa,rm,sox,tak,truehd,tta,voc,"
    "w64,wav,wsd,wtv,wv,xwma"
)
#: Placeholder for a file's path, since ffmpeg-python only takes valid UTF-8.
PATH = "file:PATH"


def version_of(executable: str) -> int | None:
    """Return an ffmpeg's major version; 0 for a development build, None if it does not run."""
    try:
        answer = subprocess.run(
            [executable, "-nostdin", "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"ffmpeg version n?(\d+)\.", answer)
    return int(found[1]) if found else 0


@lru_cache(maxsize=8)
def _find(path: str, override: str) -> str:
    """Choose an ffmpeg for a PATH, which is an argument so that changes to it are noticed."""
    if override:
        if version_of(override) is None:
            raise ToolMissingError(f'KARAOKE_FFMPEG "{override}" does not run', hint=INSTALL)
        return override
    executable = shutil.which("ffmpeg", path=path)
    if executable is not None and (version_of(executable) or 0) >= OLDEST_VERSION:
        return executable
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise ToolMissingError("no usable ffmpeg was found", hint=INSTALL) from error


def find_ffmpeg() -> str:
    """Find ffmpeg: ``$KARAOKE_FFMPEG``, else one on the PATH if new enough, else the wheel's.

    Raises
    ------
    ToolMissingError
        There is none.
    """
    return _find(os.environ.get("PATH", ""), os.environ.get("KARAOKE_FFMPEG", ""))


@lru_cache(maxsize=16)
def built_with(executable: str, kind: str) -> frozenset[str]:
    """List what an ffmpeg was built with.

    Parameters
    ----------
    executable
        From :func:`find_ffmpeg`.
    kind
        ``encoders``, ``decoders``, ``filters``, ``muxers`` or ``demuxers``.

    Returns
    -------
    frozenset
        Their names.
    """
    answer = subprocess.run(
        [executable, "-nostdin", "-v", "error", f"-{kind}"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    ).stdout
    # Flags and a name; a line of the legend has an equals sign instead.
    words = [line.split() for line in answer.splitlines()]
    return frozenset(line[1] for line in words if len(line) > 1 and line[1] != "=")


def arguments_with(path: str, stream: Any) -> list[str]:
    """Return a stream's arguments with the path filled in, whatever bytes it contains.

    The protocol is spelt out so that no name is mistaken for a URL, an option or a pattern.
    """
    return [f"file:{path}" if part == PATH else part for part in ffmpeg.get_args(stream)]


def decode_arguments(path: str | None, number: int = 1) -> list[str]:
    """Compose the arguments that decode an audio stream, counted from 1, to AU on standard output.

    AU because its 24-byte header states the rate and channels of the very samples that follow, and
    may leave their length open. Without a path, the song comes from standard input.
    """
    stream = ffmpeg.input(
        "pipe:0" if path is None else PATH,
        **({} if path is None else {"nostdin": None}),
        hide_banner=None,
        v="level+info",
        nostats=None,
        protocol_whitelist="pipe" if path is None else "file",
        format_whitelist=DEMUXERS,
    )
    out = ffmpeg.output(
        stream[f"a:{number - 1}"],
        "pipe:1",
        acodec="pcm_f32be",
        format="au",
        map_metadata="-1",
        vn=None,
        sn=None,
        dn=None,
    )
    return arguments_with(path or "", out)


def raw_input(sample_rate: int, channels: int) -> Any:
    """Describe raw float32 on standard input, as :func:`fed` sends it."""
    return ffmpeg.input(
        "pipe:0",
        hide_banner=None,
        v="level+info",
        nostats=None,
        f="f32le",
        ar=sample_rate,
        ac=channels,
    )


def filter_arguments(filters: str, *, sample_rate: int, channels: int, muxer: str) -> list[str]:
    """Compose the arguments that send raw float32 on standard input through filters."""
    source = raw_input(sample_rate, channels)
    out = ffmpeg.output(source, "pipe:1", f=muxer, af=filters)
    return [str(argument) for argument in ffmpeg.get_args(out)]


def encode_arguments(
    path: str | None, *, sample_rate: int, channels: int, options: dict[str, Any]
) -> list[str]:
    """Compose the arguments that encode raw float32 on standard input to a file.

    Without a path, the output goes to standard output as soon as it is available.
    """
    stream = raw_input(sample_rate, channels)
    if path is None:
        options = {**options, "flush_packets": 1}
        return list(map(str, ffmpeg.get_args(ffmpeg.output(stream, "pipe:1", **options))))
    return arguments_with(path, ffmpeg.output(stream, PATH, **options).overwrite_output())


def end_arguments(path: str) -> list[str]:
    """Compose the arguments that find out where the sound and pictures of a file end.

    Nothing is decoded; the times come as ``key=value`` lines on standard output.
    """
    stream = ffmpeg.input(
        PATH, nostdin=None, v="level+info", protocol_whitelist="file", format_whitelist=DEMUXERS
    )
    # The film itself, without covers, and all sound, as far as there is any.
    out = ffmpeg.output(stream, "-", **{"c": "copy"}, format="null", progress="pipe:1")
    arguments = arguments_with(path, out)
    place = arguments.index("-f")
    return [*arguments[:place], "-map", "0:V?", "-map", "0:a?", *arguments[place:]]


class FfmpegProcess:
    """A running ffmpeg in a session of its own, whose messages are read as they arrive.

    This way Ctrl-C in a terminal reaches only us, and we shut ffmpeg down in order. A thread reads
    the messages, since unread ones would fill the pipe and block ffmpeg for good.

    Parameters
    ----------
    arguments
        Without the executable.
    stdin
        Whether to open a pipe to it.
    stdout
        Whether to open a pipe from it, or an open file for it to write to.
    """

    def __init__(
        self, arguments: list[str], *, stdin: bool = False, stdout: bool | IO[bytes] = False
    ) -> None:
        self.facts = SourceFacts()
        if isinstance(stdout, bool):
            to: int | IO[bytes] = subprocess.PIPE if stdout else subprocess.DEVNULL
        else:
            to = stdout
        try:
            self._process = subprocess.Popen(
                [find_ffmpeg(), *arguments],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=to,
                stderr=subprocess.PIPE,
                start_new_session=True,
                # Windows has no sessions; there, a process group of its own keeps Ctrl-C away.
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise ToolMissingError(f"ffmpeg does not start ({error})", hint=INSTALL) from error
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def stdin(self) -> IO[bytes]:
        """Pipe to the process."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Pipe from the process."""
        assert self._process.stdout is not None
        return self._process.stdout

    def _listen(self) -> None:
        """Keep the messages that matter; drop the rest."""
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            self.facts.hear(raw.decode(errors="replace").rstrip())
        self.facts.described.set()  # nothing more will come

    @property
    def problems(self) -> deque[str]:
        """The last errors that it reported."""
        return self.facts.problems

    def wait(self) -> int:
        """Wait for the process to end and return its exit code."""
        code = self._process.wait()
        self._listener.join()
        return code

    def end(self) -> None:
        """Kill the process if it is still running; its reader sees the end of the stream.

        With it goes what it started: an ffmpeg that is a script would leave a program behind that
        keeps the pipes open, which would never end.
        """
        if self._process.poll() is not None:
            return
        if os.name != "posix":
            self._process.kill()
            return
        # It may end, and be waited for in another thread, in between.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the process if it is still running, and close the pipes."""
        self.end()
        self.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # unsent bytes of a killed encoder: nobody wants them


@contextmanager
def fed(
    arguments: list[str],
    blocks: Iterable[Block],
    failure: Callable[[str], KaraokeError],
    *,
    stdout: bool = False,
) -> Iterator[FfmpegProcess]:
    """Run ffmpeg and send it blocks in a thread, so that its output can be read meanwhile.

    Parameters
    ----------
    arguments
        From :func:`encode_arguments` or :func:`filter_arguments`.
    blocks
        float32 ``(channels, samples)``; they are asked for in the thread.
    failure
        Makes an error from what ffmpeg says.
    stdout
        Whether to open a pipe from it; all of it must be read before leaving.

    Raises
    ------
    KaraokeError
        On leaving: ffmpeg failed; or whatever asking for the blocks raised.
    """
    process = FfmpegProcess(arguments, stdin=True, stdout=stdout)
    failures: list[BaseException] = []

    def feed() -> None:
        try:
            for block in blocks:
                process.stdin.write(interleaved(block))
            process.stdin.close()
        except BrokenPipeError:
            pass  # it gave up, and says why; or nobody wants the rest
        except BaseException as error:
            failures.append(error)
            process.end()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield process
        code = process.wait()
        feeder.join()
        if failures:
            raise failures[0]
        if code != 0:
            raise failure(" ".join(process.problems) or "ffmpeg failed")
    finally:
        process.kill()
        feeder.join()


def end_seconds(path: str) -> float:
    """Return where the sound and pictures of a file end, in seconds, without decoding them."""
    process = FfmpegProcess(end_arguments(path), stdout=True)
    try:
        answer = process.stdout.read()
    finally:
        process.kill()
    times = [line.partition(b"=")[2] for line in answer.splitlines() if b"out_time_us=" in line]
    return max((int(time) / 1e6 for time in times if time.strip(b"-").isdigit()), default=0.0)
