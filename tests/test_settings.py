"""Config file, environment, doctor."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from karaoke.cli import COMMANDS
from karaoke.cli.settings import read_config
from karaoke.errors import NoInputError, UsageError
from karaoke.store.catalogue import DEFAULT_MODEL

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_config_gives_defaults_that_options_and_environment_override(
    run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "home" / ".config" / "karaoke"
    folder.mkdir(parents=True)
    text = f'[split]\nformat = "flac"\nstems = "vocals"\nmodel = "{tiny_model}"\n'
    (folder / "config.toml").write_text(text, encoding="utf-8")
    home = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(folder.parent)}

    def planned(*arguments: object, **more: str) -> list[str]:
        done = run_karaoke("split", song, "--dry-run", *arguments, env={**home, **more})
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert planned() == ["separated/song/vocals.flac"]
    assert planned(KARAOKE_FORMAT="mp3") == ["separated/song/vocals.mp3"]
    assert planned("--format", "ogg", KARAOKE_FORMAT="mp3") == ["separated/song/vocals.ogg"]
    other = tmp_path / "other.toml"
    other.write_text(f'[split]\nmodel = "{tiny_model}"\nout = "~/songs"\n', encoding="utf-8")
    there = planned("--stems", "vocals", KARAOKE_CONFIG=str(other))
    assert there == [str(tmp_path / "home" / "songs" / "song" / "vocals.wav")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[split]\nformt = 'flac'", "no option 'formt'"),
        ("[sing]\nx = 1", "unknown 'sing'"),
        ("split = 3", "unknown 'split'"),
        ("nonsense", "config.toml"),
    ],
)
def test_wrong_configs_are_usage_errors(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_config(path, COMMANDS)
    assert says in str(caught.value)


def test_a_config_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NoInputError):
        read_config(tmp_path / "gone.toml", COMMANDS)


def test_progress_as_json(run_karaoke: Run, song: Path, tiny_model: Path, tmp_path: Path) -> None:
    options = ["-n", tiny_model, "-o", tmp_path, "-q", "--progress", "json"]
    done = run_karaoke("split", song, *options)
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    assert entries and all(entry["song"] == str(song) for entry in entries)
    assert entries[-1]["done_seconds"] <= entries[-1]["total_seconds"] + 1


def test_doctor(run_karaoke: Run, tmp_path: Path) -> None:
    done = run_karaoke("doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = {f["name"]: f["status"] for f in json.loads(done.stdout)["findings"]}
    assert {
        "python",
        "torch",
        "device",
        "ffmpeg",
        "encoders",
        f"model {DEFAULT_MODEL}",
    } <= found.keys()
    assert set(found.values()) <= {"ok", "warning"}
    done = run_karaoke("doctor", env={**os.environ, "KARAOKE_FFMPEG": str(tmp_path / "none")})
    assert done.returncode == 69
    assert "PROBLEM  ffmpeg" in done.stdout and "Traceback" not in done.stderr
