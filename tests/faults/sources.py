"""Sources that say untrue things about themselves: sizes, durations, formats, streams."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path

import numpy as np
import soundfile

from karaoke.audio import AudioReader
from tests.faults.bench import RATE, Bench, fault
from tests.launching import Running

FMT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, RATE, 4 * RATE, 4, 16)
SECOND = 4 * RATE
LIST = b"LIST" + struct.pack("<I", 8) + b"INFOabcd"


def wav(bench: Bench, head: bytes, data: int, samples: int, rest: bytes = b"") -> Path:
    """Write a WAV with a header that may lie: ``samples`` bytes of noise follow it."""
    noise = np.random.default_rng(0).integers(-3000, 3000, samples // 2, dtype=np.int16)
    content = head + FMT + b"data" + struct.pack("<I", data % 2**32) + noise.tobytes() + rest
    return bench.put("song.wav", content)


def split(bench: Bench, source: Path, *options: str) -> dict[str, object]:
    """Split a song and give what is told of it."""
    done = bench.split(source, "--json", *options)
    told: dict[str, object] = json.loads(done.stdout)
    return told | {"exit": done.returncode, "told": done.stdout + done.stderr}


def riff(size: int) -> bytes:
    """Begin a WAV that declares so many bytes after its first eight."""
    return b"RIFF" + struct.pack("<I", size % 2**32) + b"WAVE"


@fault("size", False, True)
def that_wrapped_at_4_gib_is_seen_through(bench: Bench, chunk_follows: bool) -> None:
    real = 2**32 + 20 * SECOND
    rest = LIST if chunk_follows else b""
    path = wav(bench, riff(36 + real + len(rest)), real, SECOND)
    with path.open("r+b") as file:  # a file with a hole takes no room
        file.truncate(44 + real)
        file.seek(44 + real)
        file.write(rest)
    bench.inputs.clear()  # hashing gigabytes of nothing takes its time
    with AudioReader(path) as reader:
        assert abs((reader.declared_seconds or 0) - real / SECOND) < 1e-6
        blocks = reader.blocks()
        while reader.seconds_read < 60:
            next(blocks)
        assert reader.remarks == ["its header cannot hold its length; all of it was read"]


DS64 = b"ds64" + struct.pack("<IQQQI", 28, 0, 0, 0, 0)
OPEN = b"\xff\xff\xff\xffWAVE"
UNFINISHED = {
    "no ds64": b"RF64" + OPEN,
    "ds64 of zeros": b"RF64" + OPEN + DS64,
    "junk for ds64": b"RF64" + OPEN + b"JUNK" + DS64[4:],
    "BW64": b"BW64" + OPEN + DS64,
    "RIFF of zero": b"RIFF\0\0\0\0WAVE",
    "RIFF, open": b"RIFF" + OPEN,
}


@fault("size", *UNFINISHED)
def that_was_never_filled_in_is_open(bench: Bench, name: str) -> None:
    size = 0 if name == "RIFF of zero" else 0xFFFFFFFF
    path = wav(bench, UNFINISHED[name], size, 2 * SECOND)
    told = split(bench, path, "--strict")
    assert (told["exit"], told["seconds"], told["warnings"]) == (0, 2.0, []), told


@fault("size", 4096, SECOND)
def that_is_too_small_is_told(bench: Bench, declared: int) -> None:
    path = wav(bench, riff(36 + declared), declared, 3 * SECOND)
    told = split(bench, path)
    assert told["exit"] == 0 and "bytes follow the samples" in str(told["warnings"]), told
    strict = bench.split(path, "--strict", "--overwrite")
    assert strict.returncode == 65, strict.stderr


@fault("size")
def of_two_songs_in_one_file_is_told(bench: Bench) -> None:
    first = wav(bench, riff(36 + 2 * SECOND), 2 * SECOND, 2 * SECOND).read_bytes()
    told = split(bench, bench.put("song.wav", first + first))
    assert told["exit"] == 0 and "bytes follow the samples" in str(told["warnings"]), told


@fault("size")
def chunks_after_the_samples_are_no_lie(bench: Bench) -> None:
    odd = b"id3 " + struct.pack("<I", 3) + b"abc\0"
    path = wav(bench, riff(36 + SECOND), SECOND, SECOND, LIST + odd)
    told = split(bench, path, "--strict")
    assert (told["exit"], told["seconds"], told["warnings"]) == (0, 1.0, []), told


@fault("size", "wav", "aiff", "au", "caf", "w64", "rf64")
def of_a_file_that_was_cut_is_told(bench: Bench, name: str) -> None:
    whole = bench.folder / f"whole.{name}"
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (2 * RATE, 2))
    soundfile.write(whole, samples, RATE, format=name.upper(), subtype="PCM_16")
    content = whole.read_bytes()
    cut = bench.put(f"song.{'wav' if name == 'rf64' else name}", content[: len(content) // 3])
    told = split(bench, cut)
    assert told["exit"] == 0 and "truncated" in str(told["warnings"]), told
    assert bench.split(cut, "--strict", "--overwrite").returncode == 65


def tone(bench: Bench, name: str, frequency: int, *options: str) -> Path:
    """Make a tone of two seconds in any format."""
    source = bench.folder / "tone.wav"
    time_ = np.arange(2 * RATE) / RATE
    soundfile.write(source, 0.3 * np.sin(2 * np.pi * frequency * time_), RATE)
    return bench.convert(source, name, *options)


JOINED = {
    "ogg": ("-c:a", "libvorbis"), "oga": ("-c:a", "flac"), "opus": ("-c:a", "libopus"),
    "mp3": (), "aac": (), "ac3": (),
}  # fmt: skip


@fault("change", *JOINED)
def of_the_format_within_a_song_is_told(bench: Bench, extension: str) -> None:
    options = JOINED[extension]
    other = "48000" if extension == "opus" else "32000"
    first = tone(bench, f"a.{extension}", 440, *options, "-ac", "2")
    second = tone(bench, f"b.{extension}", 660, *options, "-ar", other, "-ac", "1")
    joined = bench.put(f"song.{extension}", first.read_bytes() + second.read_bytes())
    told = split(bench, joined)
    warned = str(told["warnings"])
    # An ffmpeg that joins them without a word has at least lost nothing.
    whole = abs(float(str(told["seconds"])) - 4) < 0.3
    assert told["exit"] == 0, told
    assert "format changes" in warned or "decoding stopped" in warned or whole, told
    assert "may be truncated" not in warned, told
    if warned != "[]":
        assert bench.split(joined, "--strict", "--overwrite").returncode == 65


def film(bench: Bench, name: str, *inputs: str, maps: tuple[str, ...] = ()) -> Path:
    """Make a film of six seconds with sounds."""
    picture = ("-f", "lavfi", "-i", "color=s=64x64:d=6")
    maps = maps or ("-map", "1:v", "-map", "0:a")
    video = "mpeg2video" if name.endswith(".ts") else "mpeg4"
    source = tone(bench, "sound.wav", 440)
    return bench.convert(source, name, *picture, *inputs, *maps, "-c:v", video)


@fault("film", "mp4", "mkv", "mov", "avi", "ts")
def whose_sound_ends_early_is_whole(bench: Bench, extension: str) -> None:
    told = split(bench, film(bench, f"song.{extension}"), "--strict")
    assert (told["exit"], told["warnings"]) == (0, []), told


@fault("film", "mp4", "mkv")
def that_was_cut_is_not(bench: Bench, extension: str) -> None:
    faststart = ("-movflags", "faststart") if extension == "mp4" else ()
    whole = film(bench, f"whole.{extension}", maps=("-map", "1:v", "-map", "0:a", *faststart))
    content = whole.read_bytes()
    told = split(bench, bench.put(f"song.{extension}", content[: len(content) // 2]))
    assert told["exit"] == 0 and "may be truncated" in str(told["warnings"]), told


@fault("film")
def without_sound_says_so(bench: Bench) -> None:
    silent = film(bench, "song.mp4", maps=("-map", "1:v"))
    bench.refused(bench.split(silent), 65, "has no audio stream")


@fault("film")
def of_several_sounds_the_default_one_is_taken(bench: Bench) -> None:
    second = ("-f", "lavfi", "-i", "sine=660:sample_rate=22050:duration=2")
    flags = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    maps = ("-map", "1:v", "-map", "0:a", "-map", "2:a", *flags)
    several = film(bench, "song.mkv", *second, maps=maps)
    told = split(bench, several)
    assert told["exit"] == 0 and told["sample_rate"] == 22050, told
    assert "2 audio streams; number 2 was taken" in str(told["warnings"]), told
    named = split(bench, several, "--stream", "1", "--overwrite")
    assert (named["sample_rate"], named["warnings"]) == (RATE, []), named


@fault("opening")
def is_given_up_when_it_is_stopped(bench: Bench) -> None:
    path = bench.folder / "zeros.wav"
    path.write_bytes(riff(0xFFFFFFF0))
    os.truncate(path, 2**32)  # chunks of no length, for hours
    running = Running("split", path, "-n", bench.model, "-o", bench.out, cwd=bench.folder)
    time.sleep(3)
    started = time.monotonic()
    running.kill(2)
    bench.stopped(running.wait(60), 130)
    assert time.monotonic() - started < 10


@fault("standard input")
def that_stays_open_after_a_refusal(bench: Bench) -> None:
    song = bench.convert(bench.song("x.wav", seconds=3.0), "song.mp3")
    pipe = bench.folder / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)  # open to the end
    os.write(writer, song.read_bytes()[:40_000])
    options = ("--stems", "vocals", "--stream", "3", "-n", bench.model)
    done = Running("split", "-", "-o", "-", *options, cwd=bench.folder, stdin=pipe).wait(60)
    os.close(writer)
    assert done.returncode == 65 and "only one audio stream" in done.stderr, done


@fault("format", "voc", "8svx", "dsf")
def that_is_rare_is_read(bench: Bench, name: str) -> None:
    content = {"voc": voc, "8svx": svx, "dsf": dsf}[name]()
    told = split(bench, bench.put(f"song.{name}", content))
    assert told["exit"] == 0 and abs(float(str(told["seconds"])) - 1) < 0.05, told


def voc() -> bytes:
    """Write a second of 8-bit noise as Creative did."""
    samples = np.random.default_rng(0).bytes(8000)
    block = struct.pack("<I", len(samples) + 2)[:3] + bytes([256 - 1_000_000 // 8000, 0])
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x010A, 0x1129)
    return head + b"\x01" + block + samples + b"\0"


def svx() -> bytes:
    """Write a second of 8-bit noise as the Amiga did."""
    samples = np.random.default_rng(0).bytes(8000)
    header = struct.pack(">IIIHBBI", len(samples), 0, 0, 8000, 1, 0, 0x10000)
    chunks = b"VHDR" + struct.pack(">I", 20) + header
    chunks += b"BODY" + struct.pack(">I", len(samples)) + samples
    return b"FORM" + struct.pack(">I", len(chunks) + 4) + b"8SVX" + chunks


def dsf() -> bytes:
    """Write a second of one-bit noise at 2.8 MHz, as Sony did."""
    rate, block = 2_822_400, 4096
    blocks = -(-rate // 8 // block)
    data = np.random.default_rng(0).bytes(blocks * block)
    form = struct.pack("<QIIIIIIQII", 52, 1, 0, 1, 1, rate, 1, rate, block, 0)
    body = b"fmt " + form + b"data" + struct.pack("<Q", len(data) + 12) + data
    return b"DSD " + struct.pack("<QQQ", 28, 28 + len(body), 0) + body


@fault("format")
def free_mp3_is_named(bench: Bench) -> None:
    # A frame header without a bit rate: each frame is as long as its encoder liked.
    frame = b"\xff\xfb\x00\xc4" + bytes(413)
    bench.refused(bench.split(bench.put("song.mp3", frame * 100)), 65, "free-format MP3")
