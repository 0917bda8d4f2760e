"""``karaoke make`` and what it may meet: other ffmpegs, hostile lyrics and pictures, and kills."""

from __future__ import annotations

import errno
import random
import struct
import time
import zipfile
import zlib
from functools import partial
from pathlib import Path

from karaoke.audio.ffmpeg import find_ffmpeg
from tests.faults.bench import Bench, Done, fault
from tests.faults.filesystems import refuse_fsync
from tests.faults.outputs import script
from tests.launching import Running

WORDS = b"[00:00.10]<00:00.10>one <00:00.30>two<00:00.50>\n"


def make(bench: Bench, *arguments: object, **options: object) -> Done:
    """Run ``karaoke make`` with the small model and small pictures; the results go to ``out``."""
    more = ["-n", bench.model, "-o", bench.out, "--size", "160x90"]
    return bench.karaoke("make", *arguments, *more, **options)


@fault(
    "make",
    ("rubberband", "--key", "2"),
    ("ass", "--to", "mp4"),
    ("ass", "--to", "cdg"),
    ("ebur128", "--loudness", "-20"),
)
def without_a_filter_says_so_before_any_work(bench: Bench, variant: tuple[str, str, str]) -> None:
    name, *arguments = variant
    bench.put("song.lrc", WORDS)
    lacks = f'case "$*" in *-filters*) {find_ffmpeg()} "$@" | grep -v " {name} ";;'
    text = f'{lacks} *) exec {find_ffmpeg()} "$@";; esac\n'
    done = make(bench, bench.song(), *arguments, env=script(bench.folder / "ffmpeg", text))
    bench.refused(done, 69, f"no filter {name}")


@fault("make", b"[00:01.00]" + b"x" * 25_000_000, b"\x00\x01\x02" * 4000, b"", b"[00:00:00]\n" * 9)
def with_lyrics_that_are_none_leaves_nothing(bench: Bench, content: bytes) -> None:
    bench.put("words.lrc", content)
    done = make(bench, bench.song(), "--lyrics", bench.folder / "words.lrc", "--to", "mp4")
    assert done.returncode in (2, 65), done.stderr
    bench.refused(done, done.returncode)


@fault("make")
def with_a_bomb_behind_the_words_leaves_nothing(bench: Bench) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20))
    picture = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    back = bench.put("back.png", picture)
    bench.put("song.lrc", WORDS)
    bench.refused(make(bench, bench.song(), "--background", back), 2, "not a picture")


@fault("make", errno.EIO, errno.ENOSPC)
def onto_a_disk_that_is_full_leaves_nothing(bench: Bench, code: int) -> None:
    bench.put("song.lrc", WORDS)
    done = make(bench, bench.song(), "--to", "cdg,ultrastar", "-q",
                before=partial(refuse_fsync, code, False))  # fmt: skip
    bench.refused(done, 74)


#: What is made, by what is asked for: how many files.
SETS = (("audio,mp4", 2), ("cdg,ultrastar", 5))


@fault("make", *SETS)
def that_is_killed_leaves_all_or_nothing(bench: Bench, kinds: tuple[str, int]) -> None:
    to, count = kinds
    bench.put("song.lrc", WORDS)
    source = bench.song(seconds=1.0)
    options = ("-n", bench.model, "-q", "--overwrite", "--size", "160x90", "--to", to)

    def begin(out: Path) -> Running:
        return Running("make", source, *options, "-o", out, cwd=bench.folder)

    for _ in range(2):
        started = time.monotonic()
        assert begin(bench.folder / "measured").wait().returncode == 0
        whole = time.monotonic() - started
    rng = random.Random()
    for number in range(2):
        out = bench.folder / f"killed-{number}"
        running = begin(out)
        time.sleep(rng.uniform(0.3, 1.1) * whole)
        running.kill()
        running.wait(60)
        bench.tally.killed += 1
        made = finished(out)
        assert len(made) <= count, made
        for path in made:
            assert path.stat().st_size, path
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    assert len(archive.namelist()) == 2 and archive.testzip() is None
        bench.tally.published += len(made) == count
        assert begin(out).wait().returncode == 0
        assert not [path for path in out.rglob(".karaoke-*") if path.is_file()]
        assert len(finished(out)) == count, finished(out)


def finished(out: Path) -> list[Path]:
    """List the files that have their final names."""
    return [path for path in out.rglob("*") if path.is_file() and not path.name.startswith(".")]
