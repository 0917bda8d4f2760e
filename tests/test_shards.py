"""Shards: each song is in one of them, whichever machine asks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePath

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from karaoke.errors import OutputExistsError, UsageError
from karaoke.jobs.naming import Song
from karaoke.jobs.planning import find_songs, plan
from karaoke.jobs.shards import Shard, parse_shard, place_of

Run = Callable[..., object]
#: What a file may be called on Linux: bytes that are no characters, too.
NAMES = (
    st.binary(min_size=1, max_size=30)
    .map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape"))
    .filter(lambda name: name not in (".", ".."))
)


@given(st.lists(NAMES, unique=True, max_size=40), st.integers(1, 9))
def test_shards_are_a_partition(names: list[str], count: int) -> None:
    songs = [Song(Path("music", name), from_folder=True) for name in names]
    shards = [Shard(number, count) for number in range(count)]
    for song in songs:
        assert sum(shard.holds(song) for shard in shards) == 1
    for shard in shards:
        ours, others = shard.divide(songs)
        assert ours == [song for song in songs if shard.holds(song)], "in their order"
        assert sorted([*ours, *others], key=songs.index) == songs


@given(NAMES, NAMES)
def test_a_song_has_one_place_wherever_its_folder_lies(name: str, parent: str) -> None:
    inside = PurePath(parent)
    here = Song(Path("music") / inside / name, inside, from_folder=True)
    there = Song(Path("/mnt/other") / inside / name, inside, from_folder=True)
    assert place_of(here) == place_of(there)
    decomposed = unicodedata.normalize("NFD", name)
    assert place_of(here) == place_of(
        Song(Path("/mac") / inside / decomposed, PurePath(inside), from_folder=True)
    )


def test_places_never_change() -> None:
    """They are agreed on by machines, which may have other versions of everything."""
    # printf a/b.mp3 | sha256sum
    song = Song(Path("music/a/b.mp3"), PurePath("a"), from_folder=True)
    assert place_of(song) == 0xA10D5A30CEAF079A
    assert place_of(Song(Path("./music/a/b.mp3"))) == place_of(Song(Path("music/a/b.mp3")))


def test_shards_are_about_equal(rng: np.random.Generator) -> None:
    songs = [Song(Path(f"{rng.integers(1 << 40)}.mp3")) for _ in range(5000)]
    sizes = np.bincount([place_of(song) % 10 for song in songs], minlength=10)
    assert sizes.min() > 350 and sizes.max() < 650, sizes  # seven standard deviations


@pytest.mark.parametrize("first", [0, 1])
def test_arrays_that_count_from_0_or_from_1_cover_all(first: int) -> None:
    shards = {parse_shard(f"{number}/10") for number in range(first, first + 10)}
    assert shards == {Shard(number, 10) for number in range(10)}
    assert str(parse_shard("0/10")) == str(parse_shard("10/10")) == "10/10"


@pytest.mark.parametrize(
    "text", ["", "/", "3", "1/0", "0/0", "4/3", "-1/3", "1/3/5", "a/b", "1.5/3"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text)


def test_songs_of_other_shards_still_clash(tmp_path: Path) -> None:
    songs = [Song(Path("x/s.mp3")), Song(Path("y/s.mp3"))]
    (job,) = plan(songs[:1], tmp_path, ["vocals"], "wav", elsewhere=songs[1:])
    assert isinstance(job.error, OutputExistsError) and str(Path("y/s.mp3")) in str(job.error)
    (job,) = plan(songs[:1], tmp_path, ["vocals"], "wav")
    assert job.error is None


def test_three_shards_split_each_song_once(
    run_karaoke: Run, tiny_model: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    """From a folder, from a list on standard input, and side by side."""
    names = [f"{n}/{rng.integers(1 << 30)}.wav" for n in range(2) for _ in range(3)]
    sound = 0.1 * rng.standard_normal((3000, 2))
    for place in ("here", "there"):
        for name in names:
            path = tmp_path / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound, 44100)
    assert len(find_songs([tmp_path / "here"], recursive=True)) == 6
    command = ["--json", "-q", "-n", tiny_model, "-o", tmp_path / "out"]
    seen = []
    for number in (1, 2, 3):
        # The folder lies elsewhere on each machine.
        folder = tmp_path / ("there" if number == 2 else "here")
        done = run_karaoke("split", folder, "-r", "-j", number, "--shard", f"{number}/3", *command)
        assert done.returncode == 0, done.stderr
        seen += [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(
        str(Path(entry["song"]).relative_to(tmp_path))[5:].lstrip("/") for entry in seen
    ) == sorted(names)
    assert {entry["status"] for entry in seen} == {"done"}
    assert len(list((tmp_path / "out").rglob("vocals.wav"))) == 6
    shutil.rmtree(tmp_path / "out")
    listed = "\n".join(str(tmp_path / "here" / name) for name in names).encode()
    planned = []
    for number in (0, 1, 2):
        shard = ["--from-file", "-", "--shard", f"{number}/3", "--dry-run"]
        done = run_karaoke("split", *shard, *command, stdin=listed)
        assert done.returncode == 0, done.stderr
        planned += [json.loads(line)["song"] for line in done.stdout.splitlines()]
    assert sorted(planned) == sorted(listed.decode().splitlines())


def test_a_shard_without_songs_is_no_failure(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    others = place_of(Song(song)) + 1
    for command in ("split", "make", "analyse"):
        shard = ["--shard", f"{others % 1000}/1000", "-n", tiny_model]
        done = run_karaoke(command, song, *shard, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "this shard has no songs" in done.stderr
    assert not list(tmp_path.iterdir())
    refused = run_karaoke("split", song, "--shard", "5/3", cwd=tmp_path)
    assert refused.returncode == 2 and "there are 3 shards" in refused.stderr


#: Programs that start a command for each number, as those of the guide do on several machines.
SBATCH = """
import os, re, subprocess, sys
first, last = map(int, re.findall(r"\\d+", sys.argv[1]))
for number in range(first, last + 1):
    task = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}
    subprocess.run(["sh", "-c", sys.argv[sys.argv.index("--wrap") + 1]], env=task, check=True)
"""
PARALLEL = """
import subprocess, sys
middle = sys.argv.index(":::")
for number in sys.argv[middle + 1 :]:
    subprocess.run(["sh", "-c", sys.argv[middle - 1].replace("{}", number)], check=True)
"""


@pytest.mark.parametrize("number", [0, 1])
def test_the_guides_arrays_cover_all(
    number: int, program: Path, tiny_model: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Of three jobs, not ten, on one machine."""
    guide = Path(__file__).parents[1] / "docs" / "scale.md"
    use = re.findall(r"```sh\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)[number]
    for shown, done_here in {
        "=0-9": "=0-2", "/10": "/3", "/shared": str(tmp_path), " 4 5 6 7 8 9 10": "",
    }.items():  # fmt: skip
        use = use.replace(shown, done_here)
    for name, text in {"sbatch": SBATCH, "parallel": PARALLEL}.items():
        (tmp_path / name).write_text(f"#!{sys.executable}\n{text}")
    (tmp_path / "karaoke").write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
    for name in ("sbatch", "parallel", "karaoke"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "music").mkdir()
    for song in range(5):
        sound = 0.1 * rng.standard_normal((3000, 2))
        soundfile.write(tmp_path / "music" / f"{song}.wav", sound, 44100)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "KARAOKE_MODEL": str(tiny_model)}
    done = subprocess.run(
        ["sh", "-c", use], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 10, "two stems of each song, once"
    assert len(list((tmp_path / "stems").rglob("vocals.flac"))) == 5
