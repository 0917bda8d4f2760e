"""Outputs that cannot be written, models that cannot be used, tools that are not there."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from safetensors.numpy import load_file, save_file

from karaoke.audio import FORMATS
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.separation.headers import read_header
from tests.faults.bench import Bench, fault


@fault("output")
def that_exists_is_kept(bench: Bench) -> None:
    source = bench.song()
    assert bench.split(source, "-q").returncode == 0
    before = [path.read_bytes() for path in bench.stems()]
    done = bench.split(source, "-q")
    assert done.returncode == 73 and "--overwrite" in done.stderr
    assert [path.read_bytes() for path in bench.stems()] == before


@fault("output")
def an_incomplete_set_is_done_again(bench: Bench) -> None:
    source = bench.song()
    assert bench.split(source, "-q").returncode == 0
    stem = bench.stems()[0]
    whole = stem.read_bytes()
    stem.write_bytes(whole[: len(whole) // 2])
    done = bench.split(source, "-q", "--skip-existing")
    assert done.returncode == 73 and "--overwrite" in done.stderr
    bench.finished.clear()
    assert bench.split(source, "-q", "--skip-existing", "--overwrite").returncode == 0
    assert stem.read_bytes() == whole


@fault(
    "output",
    ("a/x.wav", "b/x.wav"),
    ("x.wav", "x.flac"),
    ("X.wav", "x.wav"),
    ("\u00e9.wav", "e\u0301.wav"),
)
def names_that_meet_are_kept_apart_or_refused(bench: Bench, names: tuple[str, str]) -> None:
    for name in names:
        bench.song(name)
    done = bench.split(*names, "-q")
    if done.returncode == 0:
        assert len({path.lower() for path in done.stdout.splitlines()}) == 4
    else:
        bench.refused(done, 73)


@fault("output")
def two_folders_give_two_trees(bench: Bench) -> None:
    for folder in ("one", "two"):
        bench.song(f"{folder}/x.wav")
    assert bench.split("one", "two", "-q").returncode in (0, 73)
    bench.finished.clear()
    shutil.rmtree(bench.out, ignore_errors=True)
    done = bench.split(".", "-r", "-q", "--name", "{parent}/{track}-{stem}.{ext}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4


@contextmanager
def unwritable(folder: Path) -> Iterator[bool]:
    """Make a folder that not even root can write to; tell whether that is possible here."""
    folder.mkdir()
    root = os.geteuid() == 0
    folder.chmod(0o555)
    if root:
        tried = subprocess.run(["chattr", "+i", folder], capture_output=True, check=False)
        if tried.returncode:
            yield False
            return
    yield True
    if root:
        subprocess.run(["chattr", "-i", folder], check=True)
    folder.chmod(0o755)


@fault("output")
def a_folder_that_may_not_be_written_is_found_first(bench: Bench) -> None:
    source = bench.song()
    with unwritable(bench.out) as possible:
        if possible:
            bench.refused(bench.split(source), 77, "may not be written")


@fault("output")
def a_file_in_the_place_of_the_folder(bench: Bench) -> None:
    bench.put("out", b"a file")
    done = bench.split(bench.song(), "-q")
    assert done.returncode == 73, done.stderr


@fault("output")
def a_song_is_never_its_own_output(bench: Bench) -> None:
    source = bench.song("vocals/vocals.wav")
    done = bench.split(source, "-o", ".", "--overwrite", "-q")
    assert done.returncode == 73, done.stderr


@fault("output")
def a_link_to_nowhere_is_replaced_or_refused(bench: Bench) -> None:
    bench.stems()[0].parent.mkdir(parents=True)
    bench.stems()[0].symlink_to(bench.folder / "nowhere")
    done = bench.split(bench.song(), "-q", "--overwrite")
    assert done.returncode in (0, 73), done.stderr
    assert not (bench.folder / "nowhere").exists()


@fault("disk full", 10_000, 100_000, 300_000)
def by_a_limit_on_files(bench: Bench, limit: int) -> None:
    source = bench.song(seconds=2.0)
    done = bench.split(source, limits={resource.RLIMIT_FSIZE: limit})
    bench.refused(done, 74)


@fault("disk full", *(name for name in FORMATS if FORMATS[name].encoder))
def while_a_stem_is_coded(bench: Bench, extension: str) -> None:
    source = bench.song(seconds=2.0, rate=8000, channels=1)
    # The raw samples fit, at four bytes each; the coder cannot write even its first block.
    environment = script(
        bench.folder / "ffmpeg",
        f"""
        case "$*" in *f32le*-f*|*f32le*file:*) ulimit -f 1;; esac
        exec {find_ffmpeg()} "$@"
    """,
    )
    done = bench.split(source, "--format", extension, env=environment)
    bench.refused(done, 74)


@fault("disk full")
def later_songs_leave_the_finished_ones(bench: Bench) -> None:
    bench.song("a.wav", seconds=0.3)
    bench.song("b.wav", seconds=4.0)
    done = bench.split("a.wav", "b.wav", "-q", limits={resource.RLIMIT_FSIZE: 200_000})
    assert done.returncode == 3 and "[write]" in done.stderr, done.stderr
    assert len(bench.files()) == 3 and bench.stems("a")[0].exists()


@fault("disk full")
def a_small_disk_is_found_first(bench: Bench) -> None:
    bench.out.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", bench.out],
        capture_output=True,
        check=False,
    )
    try:
        done = bench.split(
            bench.song(seconds=20.0),
            limits={} if not mounted.returncode else {resource.RLIMIT_FSIZE: 2_000_000},
        )
        bench.refused(done, 74, "" if mounted.returncode else "MB are needed")
    finally:
        subprocess.run(["umount", bench.out], capture_output=True, check=False)


class Code:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def damaged_models(folder: Path, model: Path) -> dict[str, Path]:
    """Write files that are no models, each in its own way."""
    content = model.read_bytes()
    header = read_header(model)
    weights = load_file(model)
    files = {
        "cut.safetensors": content[: len(content) // 2],
        "short.safetensors": content[:20],
        "text.safetensors": b"<html>404</html>",
        "pickle.safetensors": pickle.dumps({"state": Code()}),
        "pickle.pt": pickle.dumps({"state": Code()}),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    described = {"format": 1, **header.__dict__}
    for name, said in {
        "none": None,
        "future": {**described, "format": 99},
        "unknown": {**described, "architecture": "toaster"},
        "wider": {**described, "config": {**header.config, "features": 16}},
    }.items():
        metadata = None if said is None else {"karaoke": json.dumps(said)}
        save_file(weights, folder / f"{name}.safetensors", metadata=metadata)
    weights = {name: np.full_like(w, np.nan) for name, w in weights.items()}
    save_file(weights, folder / "nan.safetensors", metadata={"karaoke": json.dumps(described)})
    return {path.name: path for path in folder.iterdir()}


MODELS = [
    *(
        "cut.safetensors",
        "short.safetensors",
        "text.safetensors",
        "pickle.safetensors",
        "pickle.pt",
    ),
    *("none.safetensors", "future.safetensors", "unknown.safetensors", "wider.safetensors"),
    *("nan.safetensors", "missing.safetensors"),
]


@fault("model", *MODELS)
def that_is_none_is_refused(bench: Bench, name: str) -> None:
    (bench.folder / "models").mkdir()
    files = damaged_models(bench.folder / "models", bench.model)
    path = files.get(name, bench.folder / name)
    done = bench.karaoke("split", bench.song(), "-n", path, "-o", bench.out)
    bench.refused(done, 69 if name.startswith("missing") else 65)
    bench.tally.leaked += (bench.folder / "pwned").exists()
    assert not (bench.folder / "pwned").exists()


@fault("model")
def whose_output_is_no_number_publishes_nothing(bench: Bench) -> None:
    header = read_header(bench.model)
    weights = {name: np.full_like(w, 3e38) for name, w in load_file(bench.model).items()}
    model = bench.folder / "wild.safetensors"
    save_file(weights, model, metadata={"karaoke": json.dumps({"format": 1, **header.__dict__})})
    done = bench.karaoke("split", bench.song(), "-n", model, "-o", bench.out)
    bench.refused(done, 70, "not a number")


def script(path: Path, text: str) -> dict[str, str]:
    """Write a program that stands for ffmpeg, and give the environment that chooses it."""
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)
    return {**os.environ, "KARAOKE_FFMPEG": str(path)}


@fault("ffmpeg", "exit 1", "echo 'ffmpeg version 6.0'; exit 0", "kill -9 $$")
def that_does_not_work_is_named(bench: Bench, text: str) -> None:
    environment = script(bench.folder / "ffmpeg", text + "\n")
    done = bench.split(bench.song(), env=environment)
    assert done.returncode in (65, 69), done.stderr
    bench.refused(done, done.returncode)


@fault("ffmpeg")
def without_the_encoder_is_found_first(bench: Bench) -> None:
    text = f'case "$*" in *-encoders*) echo " A....D aac x";; *) exec {find_ffmpeg()} "$@";; esac\n'
    done = bench.split(bench.song(), "--format", "mp3", env=script(bench.folder / "ffmpeg", text))
    bench.refused(done, 69, "mp3")


@fault("ffmpeg")
def that_dies_while_it_encodes_leaves_nothing(bench: Bench) -> None:
    dies = 'case "$*" in *f32le*) head -c 1000 >/dev/null; kill -9 $$;; esac'
    environment = script(bench.folder / "ffmpeg", f'{dies}\nexec {find_ffmpeg()} "$@"\n')
    done = bench.split(bench.song(), "--format", "mp3", env=environment)
    assert done.returncode in (69, 70, 74), done.stderr
    bench.refused(done, done.returncode)


@fault("standard input", b"", b"just words\n" * 30, np.random.default_rng(2).bytes(9000))
def that_is_no_song_is_refused(bench: Bench, content: bytes) -> None:
    bench.refused(bench.split("-", stdin=content), 65)


@fault("standard input", "m4a", "wav", "mp3", "flac")
def is_a_song(bench: Bench, extension: str) -> None:
    source = bench.convert(bench.song("x.wav", seconds=1.0), f"song.{extension}")
    done = bench.split("-", "-q", stdin=source.read_bytes())
    assert done.returncode == 0, done.stderr
    assert abs(soundfile.info(done.stdout.splitlines()[0]).duration - 1) < 0.1


@fault("standard output")
def that_is_full_is_an_error_and_the_files_are_there(bench: Bench) -> None:
    source = bench.song()
    done = bench.split(source, before=fill_standard_output)
    assert done.returncode == 74, done.stderr
    assert len(bench.files()) == 3


def fill_standard_output() -> None:
    """Write to a device that is always full."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


@fault("batch")
def twenty_songs_of_which_three_are_poisoned(bench: Bench) -> None:
    source = bench.song("source.wav", seconds=1.0)
    formats = list(FORMATS)
    (bench.folder / "songs").mkdir()
    poisoned = {3: b"no song", 9: b"", 15: b"\x89PNG\r\n\x1a\n" + bytes(90)}
    for number in range(20):
        name = f"songs/{number:02d}.{formats[number % len(formats)]}"
        if number in poisoned:
            bench.put(name, poisoned[number])
        else:
            bench.convert(source, name)
    done = bench.split("songs", "--json")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [number for number, entry in enumerate(entries) if entry["status"] == "failed"]
    assert done.returncode == 3 and failed == list(poisoned), done.stderr
    assert [Path(e["song"]).name[:2] for e in entries] == [f"{n:02d}" for n in range(20)]
    assert len(list(bench.out.rglob("vocals.wav"))) == 17
    for number in poisoned:
        next(bench.folder.glob(f"songs/{number:02d}.*")).unlink()
        bench.song(f"songs/{number:02d}.wav")
    bench.inputs.clear()
    again = bench.split("songs", "--json", "--skip-existing")
    done_now = [json.loads(line)["status"] for line in again.stdout.splitlines()]
    assert again.returncode == 0, again.stderr
    assert [n for n, status in enumerate(done_now) if status == "done"] == list(poisoned)
    assert done_now.count("skipped") == 17


@fault("disk full")
def a_song_that_declares_too_much_fails_alone(bench: Bench) -> None:
    good = bench.song("good.wav")
    content = bytearray(bench.song("whole.flac", channels=8).read_bytes())
    content[21] |= 0x0F  # the 36 bits of the number of samples
    content[22:26] = b"\xff" * 4
    done = bench.split(bench.put("liar.flac", bytes(content)), good, "--json")
    codes = [json.loads(line).get("error", {}).get("exit", 0) for line in done.stdout.splitlines()]
    assert (done.returncode, codes) == (3, [74, 0]), done.stdout
