"""``karaoke make`` and what it may meet: other ffmpegs, hostile lyrics and pictures, and kills."""

from __future__ import annotations

import errno
import json
import random
import struct
import subprocess
import sys
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


@fault(
    "make",
    r"{\p1}m 0 0 l 9999 0 9999 9999{\p0}",
    r"{\fs9999}{\t(0,9,\fscx9999)}{\clip(m 0 0)}x\N\h\n",
    "{{{}}}\\\\ %{eif:1:d} %n ' : , ;",
    "m" * 3000,
    "a\u202eb\u2066c\u200bd\ufeff",
    "\\N" * 400,
)
def with_hostile_words_makes_all_of_them(bench: Bench, text: str) -> None:
    rows = f"[00:00.10]<00:00.10>{text} <00:00.20>two<00:00.30>\n[00:00.35]{text}\n"
    bench.put("song.lrc", rows.encode())
    kinds = "mp4,cdg,ultrastar,lrc,elrc,srt,ass,kar"
    done = make(bench, bench.song(), "--to", kinds, "--json")
    if done.returncode == 2:  # the bundled font lacks some of it
        assert "no letter for" in done.stdout or "lacks" in done.stdout, done.stdout
        assert not bench.files()
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)["outputs"]) == 11


def without_recogniser(folder: Path) -> None:
    """Let none be found."""
    sys.modules["pocketsphinx"] = None  # type: ignore[assignment]


def broken_recogniser(folder: Path) -> None:
    """Let one be found that cannot be loaded."""
    (folder / "pocketsphinx").mkdir()
    text = "raise ImportError('no such library')"
    (folder / "pocketsphinx" / "__init__.py").write_text(text)
    sys.path.insert(0, str(folder))


@fault("make", ("missing", without_recogniser, 0), ("broken", broken_recogniser, 69))
def that_aligns_without_a_recogniser(bench: Bench, variant: tuple[str, object, int]) -> None:
    _, spoil, code = variant
    bench.put("song.txt", b"walking home\nin the rain\n")
    source = bench.song(seconds=2.0)
    done = make(bench, source, "--to", "lrc", before=partial(spoil, bench.folder))  # type: ignore
    if code:
        bench.refused(done, code, "pip install 'karaoke[align]'")
    else:
        assert done.returncode == 0 and done.stdout.count("\n") == 2, done.stderr


@fault(
    "make",
    r"{\p1}m 0 0 l 9 9 \N %{} ' <00:01.00> [00:01.00]",
    "1 2 3 4 5 6 7 8 9 0\n- - -\n...\n",
    "\u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u03ba\u03cc\u03c3\u03bc\u03b5",
    "\u043f\u0440\u0438\u0432\u0435\u0442 " * 30,
    "xqzt" * 500,
    "word " * 3000,
    "la\n" * 1500,
)
def that_aligns_hostile_words_says_what_it_doubts(bench: Bench, text: str) -> None:
    bench.put("song.txt", text.encode())
    source = bench.song(seconds=2.0)
    done = make(bench, source, "--to", "lrc", "--json", "--language", "en")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    lyrics = report["lyrics"]
    assert lyrics["aligned"] == "words", lyrics["timing"]
    # A few words may be found in any noise; more than can be sung in two seconds are not.
    few = lyrics["syllables"] < 50
    assert few or (lyrics["doubtful_lines"] and report["warnings"]), lyrics["timing"]


@fault("make", "xx", "klingon", "")
def in_a_language_that_is_unknown_is_refused(bench: Bench, language: str) -> None:
    bench.put("song.txt", b"walking home\n")
    done = make(bench, bench.song(), "--to", "lrc", "--language", language)
    bench.refused(done, 2, f"--language {language}")


@fault("make")
def into_a_folder_that_is_read_only_leaves_nothing(bench: Bench) -> None:
    bench.put("song.lrc", WORDS)
    bench.out.mkdir()
    bench.put("out/file", b"")
    done = bench.karaoke("make", bench.song(), "-n", bench.model, "-o", bench.out / "file" / "x",
                         "--to", "mp4", "--size", "160x90")  # fmt: skip
    assert done.returncode == 73 and done.stderr.startswith("karaoke: "), done.stderr
    assert bench.files() == [bench.out / "file"]


@fault("make")
def of_a_film_without_sound_says_so(bench: Bench) -> None:
    film = bench.folder / "song.mkv"
    drawn = ["-f", "lavfi", "-i", "color=c=red:s=64x48:d=1:r=25", str(film)]
    subprocess.run([find_ffmpeg(), "-v", "error", *drawn], check=True)
    bench.put("song.lrc", WORDS)
    bench.refused(make(bench, bench.keep(film), "--to", "mp4"), 65, "no audio")


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
