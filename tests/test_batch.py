"""Batches: everything is looked at first, nothing stops the rest, nothing is done twice."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.audio import load_audio
from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.errors import LockedError
from karaoke.files import MACHINE, PartFile, checksum, locked, sweep
from karaoke.jobs.manifest import SplitSettings, identify, is_complete, make_manifest
from karaoke.jobs.planning import Song, plan
from tests.launching import Running

Run = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = SplitSettings("m", "wav", 24, "")


@pytest.fixture
def songs(
    tmp_path: Path, noise: Callable[..., Block], transcode: Callable[..., Path]
) -> list[Path]:
    """Make a folder of good songs in several formats and bad ones between them."""
    folder = tmp_path / "songs"
    folder.mkdir()
    good = folder / "a.wav"
    soundfile.write(good, noise(2, 30_000).T, 44100)
    for name in ("c.flac", "d.mp3", "f.ogg"):
        transcode(good, f"songs/{name}")
    (folder / "b.mp3").write_text("no music at all", encoding="utf-8")
    (folder / "e.wav").write_bytes(b"")
    return sorted(folder.iterdir())


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """Parse the JSON lines of a run."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_bad_songs_do_not_stop_the_good_ones(
    run_karaoke: Run, songs: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ["split", songs[0].parent, "-n", tiny_model, "-o", tmp_path / "out", "--json"]
    done = run_karaoke(*command)
    assert done.returncode == 3
    entries = lines(done)
    assert [Path(str(e["song"])) for e in entries] == songs, "in their order"
    assert [e["status"] for e in entries] == ["done", "failed", "done", "done", "failed", "done"]
    assert entries[1]["error"]["code"] == "not-audio" and entries[1]["error"]["exit"] == 65
    assert "b.mp3" in entries[1]["error"]["message"]
    for entry in entries:
        assert bool(entry["outputs"]) == (entry["status"] == "done")
        for output in entry["outputs"].values():
            assert checksum(Path(output["path"])) == output["sha256"]
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.wav")}
    assert len(stamps) == 8
    songs[1].unlink()
    shutil.copy(songs[0], songs[4])
    again = run_karaoke(*command, "--skip-existing")
    assert again.returncode == 0, again.stderr
    assert [e["status"] for e in lines(again)] == ["skipped"] * 3 + ["done", "skipped"]
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps


def test_people_read_which_songs_failed(
    run_karaoke: Run, songs: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    done = run_karaoke("split", *songs, "-n", tiny_model, "-o", tmp_path / "out", "-q")
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 8
    told = done.stderr.splitlines()
    assert len(told) == 3 and "b.mp3" in told[0] and "e.wav" in told[1]
    assert told[2].startswith("karaoke: 2 of 6 songs failed")


def test_fail_fast_and_dry_run(
    run_karaoke: Run, songs: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ["split", *songs, "-n", tiny_model, "-o", tmp_path / "out", "--json"]
    done = run_karaoke(*command, "--dry-run")
    assert done.returncode == 3
    assert [e["status"] for e in lines(done)].count("planned") == 4
    assert not (tmp_path / "out").exists()
    done = run_karaoke(*command, "--fail-fast")
    assert [e["status"] for e in lines(done)] == ["done", "failed", *["not tried"] * 4]
    assert done.returncode == 3


def test_lists_stems_and_names(
    run_karaoke: Run, songs: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    names = b"\0".join(os.fsencode(songs[i]) for i in (3, 0)) + b"\0"
    (tmp_path / "list").write_bytes(names)
    options = ["-n", tiny_model, "--stems", "no_vocals", "--name", "{track} ({stem}).{ext}"]
    expected = ["d (instrumental).wav", "a (instrumental).wav"]
    for number, arguments in enumerate(([f"@{tmp_path}/list"], ["--from-file", tmp_path / "list"])):
        out = tmp_path / f"out{number}"
        done = run_karaoke("split", *arguments, *options, "-o", out)
        assert done.returncode == 0, done.stderr
        assert [Path(line).name for line in done.stdout.splitlines()] == expected
        assert len(list(out.glob("*.wav"))) == 2
    done = run_karaoke("split", "--from-file", tmp_path / "nothing", *options)
    assert done.returncode == 66
    assert run_karaoke("split").returncode == 2


def test_strict_refuses_what_is_cut(
    run_karaoke: Run, transcode: Callable[..., Path], noise: Callable[..., Block],
    wav: Callable[..., Path], tiny_model: Path, tmp_path: Path,
) -> None:  # fmt: skip
    whole = transcode(wav(noise(2, 44100 * 20)), "whole.mp3", "-b:a", "128k")
    data = whole.read_bytes()
    (tmp_path / "cut.mp3").write_bytes(data[: len(data) // 2])
    command = ["split", tmp_path / "cut.mp3", "-n", tiny_model, "-o", tmp_path / "o", "--json"]
    done = run_karaoke(*command, "--strict")
    (entry,) = lines(done)
    assert done.returncode == 65 and "declared seconds" in entry["error"]["message"]
    assert not (tmp_path / "o").exists()
    (entry,) = lines(run_karaoke(*command))
    assert entry["status"] == "done" and "declared seconds" in entry["warnings"][0]


def test_a_films_streams(
    run_karaoke: Run, noise: Callable[..., Block], tiny_model: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(2, 20_000).T, 44100)
    soundfile.write(tmp_path / "b.wav", noise(1, 8_000).T, 16000)
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-i", tmp_path / "a.wav"]
    options = ["-i", tmp_path / "b.wav", "-map", "0", "-map", "1", "-c", "copy"]
    subprocess.run([*command, *options, tmp_path / "film.mkv"], check=True)
    split = ["split", tmp_path / "film.mkv", "-n", tiny_model, "-o", tmp_path / "o", "-q"]
    assert run_karaoke(*split, "--stream", "2").returncode == 0
    assert soundfile.info(tmp_path / "o" / "film" / "vocals.wav").samplerate == 16000
    done = run_karaoke(*split, "--stream", "3", "--overwrite")
    assert done.returncode == 65 and "has 2 audio streams, no stream 3" in done.stderr


def test_an_error_is_an_object_too(run_karaoke: Run, tiny_model: Path, tmp_path: Path) -> None:
    for arguments, code in ((["gone.mp3"], 66), (["gone.mp3", "--format", "wma"], 2)):
        done = run_karaoke("split", *arguments, "-n", tiny_model, "--json", cwd=tmp_path)
        assert done.returncode == code
        (entry,) = lines(done)
        assert entry["status"] == "failed" and entry["error"]["exit"] == code
        assert entry["error"]["message"] and entry["error"]["code"] in ("no-input", "usage")


def test_residual_is_measured_on_the_files(
    run_karaoke: Run, songs: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    for depth, low, high in (("16", -105, -85), ("24", -150, -130), ("32f", -200, -140)):
        out = tmp_path / depth
        done = run_karaoke("split", songs[0], "-n", tiny_model, "-o", out, "--json",
                           "--bit-depth", depth)  # fmt: skip
        (entry,) = lines(done)
        assert low <= entry["residual_dbfs"] <= high
        stems = [load_audio(output["path"])[0] for output in entry["outputs"].values()]
        truth = 20 * np.log10(np.abs(sum(stems) - load_audio(songs[0])[0]).max() + 1e-10)
        assert entry["residual_dbfs"] == pytest.approx(truth, abs=3) or depth == "32f"
    done = run_karaoke("split", songs[0], "-n", tiny_model, "-o", tmp_path, "--json",
                       "--format", "mp3", "--bitrate", "96k")  # fmt: skip
    (entry,) = lines(done)
    assert entry["residual_dbfs"] is None


def test_only_a_complete_set_is_skipped(
    run_karaoke: Run, songs: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ["split", songs[0], "-n", tiny_model, "-o", tmp_path / "out", "-q"]
    assert run_karaoke(*command).returncode == 0
    vocals = tmp_path / "out" / "a" / "vocals.wav"
    assert run_karaoke(*command, "--skip-existing").returncode == 0
    other = run_karaoke(*command, "--skip-existing", "--bit-depth", "16")
    assert other.returncode == 73, "made with other settings"
    whole = vocals.read_bytes()
    vocals.write_bytes(whole[:-100])
    cut = run_karaoke(*command, "--skip-existing")
    assert cut.returncode == 73 and "not what this command would write" in cut.stderr
    assert run_karaoke(*command, "--overwrite").returncode == 0
    assert vocals.stat().st_size == len(whole)
    os.utime(songs[0], ns=(1, 1))
    assert run_karaoke(*command, "--skip-existing").returncode == 73, "the song has changed"


def test_completeness(tmp_path: Path) -> None:
    source = tmp_path / "s.wav"
    source.write_bytes(b"x")
    (job,) = plan([Song(source)], tmp_path / "out", ["vocals"], "wav")
    assert not is_complete(job, SETTINGS)
    job.manifest.parent.mkdir(parents=True)
    for nonsense in ("", "[]", '{"format": 1}', '{"format": 1, "outputs": 3, "settings": {}}'):
        job.manifest.write_text(nonsense, encoding="utf-8")
        assert not is_complete(job, SETTINGS)


def test_old_manifests_are_believed_of_models_with_names(tmp_path: Path) -> None:
    source = tmp_path / "s.wav"
    source.write_bytes(b"x")
    (job,) = plan([Song(source)], tmp_path / "out", ["vocals"], "wav")
    job.outputs["vocals"].parent.mkdir(parents=True)
    job.outputs["vocals"].write_bytes(b"stem")
    assert job.manifest == tmp_path / "out" / "s" / ".s.karaoke.json"
    for model, believed in (("open-v4", True), (str(source), False)):
        settings = SplitSettings(model, "wav", 24, "")
        facts = make_manifest(job, settings, {"vocals": 4}, {"vocals": "0" * 64}, identify(source))
        facts["format"] = 1
        del facts["settings"]["weights_sha256"], facts["settings"]["stream"]
        facts["settings"]["track"] = 1
        job.manifest.write_text(json.dumps(facts), encoding="utf-8")
        now = replace(settings, weights_sha256="0" * 64)
        assert is_complete(job, now) == believed
        assert not is_complete(job, replace(now, quality="fast"))


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "vocals.wav"
    with locked([path]), pytest.raises(LockedError, match="another karaoke"), locked([path]):
        pass
    with locked([path]), locked([tmp_path / "other.wav"]):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    stale = tmp_path / ".karaoke-0123456789ab.wav"
    stale.write_bytes(b"half a song")
    kept = tmp_path / "vocals.wav"
    kept.write_bytes(b"a song")
    with PartFile(tmp_path / "x.wav") as part:
        sweep(tmp_path)
        assert part.path.exists() and not stale.exists()
    assert list(tmp_path.iterdir()) == [kept]
    with stale.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        sweep(tmp_path)
        assert stale.exists()


def test_what_another_machine_may_be_writing_is_left_alone(tmp_path: Path) -> None:
    """Its locks may not be seen from here."""
    live, abandoned, ours = (
        tmp_path / f".karaoke-{machine}-0123456789ab.wav" for machine in ("0" * 8, "1" * 8, MACHINE)
    )
    for path in (live, abandoned, ours):
        path.write_bytes(b"half a song")
    long_ago = time.time() - 2 * 86_400
    os.utime(abandoned, (long_ago, long_ago))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [live]


def test_songs_side_by_side_come_out_the_same_and_in_order(
    run_karaoke: Run, songs: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ["split", *songs, "-n", tiny_model, "--json"]
    one, three = (
        lines(run_karaoke(*command, "-o", tmp_path / str(jobs), "-j", jobs)) for jobs in (1, 3)
    )
    assert [e["song"] for e in three] == [e["song"] for e in one] == [str(s) for s in songs]
    assert [e["status"] for e in three] == [e["status"] for e in one]
    for alone, beside in zip(one, three, strict=True):
        if alone["status"] == "done":
            hashes = [[o["sha256"] for o in e["outputs"].values()] for e in (alone, beside)]
            assert hashes[0] == hashes[1]


def test_stopping_songs_side_by_side_leaves_nothing(
    noise: Callable[..., Block], tiny_model: Path, tmp_path: Path
) -> None:
    for name in ("one.wav", "two.wav", "three.wav"):
        soundfile.write(tmp_path / name, np.tile(noise(2, 441_000), 60).T, 44100)
    before = sorted(tmp_path.iterdir())
    running = Running("split", *before, "-n", tiny_model, "-j", 2, "-o", "out", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    running.kill(signal.SIGINT)
    done = running.wait(30)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert not any(path.is_file() for path in (tmp_path / "out").rglob("*"))
