"""Pipes: a song from standard input, a stem to standard output as it comes."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.audio import FORMATS, load_audio
from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg

Pipe = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def pipe(program: Path) -> Pipe:
    """Run ``karaoke split`` with bytes on standard input."""

    def run(data: bytes, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        command = [program, "split", *map(str, arguments)]
        return subprocess.run(command, input=data, capture_output=True, check=False, timeout=200)

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of 25 s, more than a few segments of the tiny model."""
    path = tmp_path_factory.mktemp("piping") / "s.flac"
    samples = 0.1 * np.random.default_rng(0).standard_normal((25 * 48000, 2))
    soundfile.write(path, samples, 48000)
    return path


@pytest.fixture(scope="module")
def expected(source: Path, tiny_model: Path, pipe: Pipe) -> Block:
    """Separate it to files."""
    folder = source.parent / "files"
    done = pipe(b"", source, "-n", tiny_model, "-o", folder, "--bit-depth", "32f")
    assert done.returncode == 0, done.stderr
    return load_audio(folder / "s" / "instrumental.wav")[0]


@pytest.mark.parametrize("name", ["wav", "raw", "flac"])
@pytest.mark.parametrize("from_pipe", [True, False])
def test_the_stream_is_what_the_file_has(
    pipe: Pipe, source: Path, expected: Block, tiny_model: Path, tmp_path: Path, name: str,
    from_pipe: bool,
) -> None:  # fmt: skip
    song, data = ("-", source.read_bytes()) if from_pipe else (source, b"")
    options = ["--stems", "instrumental", "--format", name, "-n", tiny_model, "-o", "-", "-q"]
    done = pipe(data, song, *options)
    assert (done.returncode, done.stderr) == (0, b"")
    if name == "raw":
        audio = np.frombuffer(done.stdout, "<f4").reshape(-1, 2).T
    else:
        (tmp_path / f"out.{name}").write_bytes(done.stdout)
        audio, rate = load_audio(tmp_path / f"out.{name}")
        assert rate == 48000
    assert audio.shape == expected.shape
    assert np.abs(audio - expected).max() <= (2**-23 if name == "flac" else 0)


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].encoder])
def test_lossy_streams(
    pipe: Pipe, source: Path, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    options = ["--stems", "vocals", "--format", name, "-n", tiny_model, "-o", "-"]
    done = pipe(source.read_bytes(), "-", *options)
    assert done.returncode == 0, done.stderr
    (tmp_path / f"out.{name}").write_bytes(done.stdout)
    audio, rate = load_audio(tmp_path / f"out.{name}")
    assert audio.shape[1] / rate == pytest.approx(25, abs=0.1)


def test_standard_input_becomes_files(
    pipe: Pipe, source: Path, transcode: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    # Its index stands at the end: it cannot be read as it comes.
    late = transcode(source, "late.m4a", "-c:a", "aac", "-ac", "2")
    done = pipe(late.read_bytes(), "-", "-n", tiny_model, "-o", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    vocals, _ = load_audio(tmp_path / "o" / "stdin" / "vocals.wav")
    whole, _ = load_audio(late)
    assert vocals.shape == whole.shape
    options = ["-n", tiny_model, "-o", "-", "--stems", "vocals", "--format", "raw"]
    done = pipe(late.read_bytes(), "-", *options)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 8 * whole.shape[1]


def test_it_sounds_before_the_song_has_ended(
    program: Path, source: Path, tiny_model: Path, tmp_path: Path
) -> None:
    wave = tmp_path / "s.wav"
    subprocess.run([find_ffmpeg(), "-v", "error", "-i", source, wave], check=True)
    command = [program, "split", "-", "-o", "-", "-n", str(tiny_model)]
    process = subprocess.Popen(
        [*command, "--stems", "vocals", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, data, more = process.stdin, wave.read_bytes(), threading.Event()

    def sing() -> None:
        stdin.write(data[: len(data) * 2 // 3])
        stdin.flush()
        more.wait(60)
        stdin.write(data[len(data) * 2 // 3 :])
        stdin.close()

    singer = threading.Thread(target=sing, daemon=True)
    singer.start()
    # The rest is held back: what comes now comes while the song goes on.
    first = process.stdout.read(500_000)
    assert len(first) == 500_000 and not more.is_set() and process.poll() is None
    more.set()
    rest = process.stdout.read()
    singer.join(60)
    assert process.wait(timeout=60) == 0
    assert len(first) + len(rest) > 25 * 48000 * 8
    process.stdout.close()


@pytest.mark.parametrize(
    ("data", "arguments", "code", "says"),
    [
        (b"x", ["-", "-o", "-"], 2, b"one stem only"),
        (b"", ["-", "-o", "-", "--stems", "vocals"], 65, b"not audio"),
        (b"no music" * 5000, ["-", "-o", "-", "--stems", "vocals"], 65, b"not audio"),
        (b"no music" * 5000, ["-"], 65, b"looks like text"),
        (b"#EXTM3U\n/etc/passwd\n", ["-", "-o", "-", "--stems", "vocals"], 65, b"not audio"),
        (b"", ["gone.mp3", "-o", "-", "--stems", "vocals"], 66, b"no such file"),
        (b"", ["gone.mp3", "-o", "-", "--stems", "vocals", "--format", "wma"], 2, b"Choose"),
    ],
)
def test_what_cannot_be_piped_is_one_line(
    pipe: Pipe, data: bytes, arguments: list[str], code: int, says: bytes, tiny_model: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    done = pipe(data, *arguments, "-n", tiny_model, "-q", *([] if "-o" in arguments else
                ["-o", tmp_path / "o"]))  # fmt: skip
    assert done.returncode == code, done.stderr
    assert says in done.stderr and done.stderr.count(b"\n") == 1 and done.stdout == b""


def test_a_reader_that_goes_away_ends_it(program: Path, source: Path, tiny_model: Path) -> None:
    command = [program, "split", str(source), "-o", "-", "-q"]
    process = subprocess.Popen(
        [*command, "--stems", "vocals", "-n", str(tiny_model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    started = time.monotonic()
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(timeout=60) == 74 and time.monotonic() - started < 60
    assert said.count("\n") == 1 and "standard output" in said
    process.stderr.close()


def test_a_terminal_gets_no_samples(program: Path, source: Path, tiny_model: Path) -> None:
    leader, follower = pty.openpty()
    command = [program, "split", source, "-o", "-", "--stems", "vocals"]
    done = subprocess.run(
        [*command, "-n", str(tiny_model)], stdout=follower, stderr=subprocess.PIPE, check=False
    )
    os.close(leader)
    os.close(follower)
    assert done.returncode == 2 and b"is a terminal" in done.stderr
