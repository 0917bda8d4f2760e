"""What the README shows, done; and what the guides name, found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from karaoke.audio import load_audio
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.errors import ExitCode

STEMS = ("instrumental", "vocals")
README = Path(__file__).parents[1] / "README.md"


def code_blocks(language: str) -> list[str]:
    """Give the fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_python_example(song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = code_blocks("python")
    shutil.copy(song, tmp_path / "song.mp3")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(example, names)
    vocals, _ = load_audio("vocals.flac")
    instrumental, rate = load_audio("instrumental.flac")
    mixture, mixture_rate = load_audio("song.mp3")
    assert rate == mixture_rate == names["sample_rate"]
    assert np.abs(vocals + instrumental - mixture).max() < 10 ** (-90 / 20)


#: Files that each of the uses writes, in the order of the README.
WRITTEN = [
    ["separated/song/instrumental.wav", "separated/song/vocals.wav"],
    [f"stems/{track}/{stem}.flac" for track in ("a", "live/b") for stem in STEMS],
    [f"separated/{track}/{stem}.wav" for track in ("other", "song") for stem in STEMS],
    [f"separated/film/{stem}.mp3" for stem in STEMS],
    ["separated/song (karaoke).wav"],
    [f"separated/take/{stem}.wav" for stem in STEMS],
    [f"separated/{track}/{stem}.m4a" for track in ("one", "two") for stem in STEMS],
    [f"separated/song/{stem}.wav" for stem in STEMS],
    ["heard.flac"],
    [
        "report.jsonl",
        *(f"separated/{track}/{stem}.wav" for track in ("other", "song") for stem in STEMS),
    ],
]


#: The same for making songs to sing to.
MADE = [
    ["made/song/song (karaoke).m4a"],
    ["made/song/song (karaoke).m4a", "made/song/song (karaoke).mp4"],
    ["made/song/song (karaoke).m4a", "made/song/song (karaoke).mp4"],
    ["made/song/song (karaoke).m4a"],
    ["made/clip/clip (karaoke).mkv"],
    [
        "made/song/song (karaoke).zip",
        *(f"made/song/song/song{end}" for end in (".txt", ".opus", " [VOC].opus", " [INSTR].opus")),
    ],
    ["made/song/song (karaoke).mp3"],
    ["party/a/a (karaoke).m4a", "party/live/b/b (karaoke).m4a"],
    ["made/song/song (karaoke).m4a", *WRITTEN[0]],
]


def uses() -> list[str]:
    """List the commands of the sections about using it, a line each."""
    splitting, making = code_blocks("sh")[2:4]
    return [*splitting.strip().splitlines(), *making.strip().splitlines()]


@pytest.fixture
def desk(
    tmp_path: Path, transcode: Callable[..., Path], tiny_model: Path, program: Path
) -> dict[str, str]:
    """Make a folder with songs and a film, and an environment with the programs of the README."""
    song = tmp_path / "song.mp3"
    tone = ["-f", "lavfi", "-i", "sine=440:duration=1"]
    subprocess.run([find_ffmpeg(), "-nostdin", "-v", "error", *tone, song], check=True)
    for name in ("other.mp3", "take.wav", "film.mkv", "music/a.mp3", "music/live/b.ogg",
                 "album/one.mp3", "album/two.flac"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        transcode(song, name)
    clip = ["-f", "lavfi", "-i", "testsrc=s=64x48:d=1", "-i", song, tmp_path / "clip.mkv"]
    subprocess.run([find_ffmpeg(), "-nostdin", "-v", "error", *clip], check=True)
    (tmp_path / "songs.txt").write_text("song.mp3\nother.mp3\n")
    (tmp_path / "words.lrc").write_text("[00:00.30]A line\n")
    (tmp_path / "words.txt").write_text("A line\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "karaoke": f'exec "{program}" "$@"',
        "ffmpeg": f'exec "{find_ffmpeg()}" "$@"',
        "ffplay": "cat > heard.flac",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "KARAOKE_MODEL": str(tiny_model)}


@pytest.mark.parametrize("number", range(len(WRITTEN) + len(MADE)))
def test_uses(number: int, desk: dict[str, str], tmp_path: Path) -> None:
    written = [*WRITTEN, *MADE]
    assert len(uses()) == len(written) == 19
    before = set(tmp_path.rglob("*"))
    use = uses()[number]
    # The song of this test takes a second, and has words in one use alone.
    for shown, done_here in {"0:40-1:10": "0:00-0:01", "song.lrc": "words.lrc"}.items():
        use = use.replace(shown, done_here)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", use],
        cwd=tmp_path, env=desk, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    new = {p for p in tmp_path.rglob("*") if p.is_file() and not p.name.startswith(".")} - before
    assert sorted(str(p.relative_to(tmp_path)) for p in new) == sorted(written[number])
    assert all(path.stat().st_size > 100 for path in new)


def test_the_song_that_ships_is_separated(song: Path) -> None:
    import torch

    from karaoke import load_model
    from karaoke.evaluation.metrics import si_sdr_gain

    mixture, rate = load_audio(song)
    stems = load_model(device="cpu").separate(mixture, rate)
    for name in ("vocals", "instrumental"):
        target, _ = load_audio(song.with_name(f"{name}.flac"))
        signals = (
            torch.from_numpy(np.ascontiguousarray(a)) for a in (stems[name], target, mixture)
        )
        assert si_sdr_gain(*signals) > 3, name


def test_ci_runs_what_the_readme_says() -> None:
    commands = (README.parent / ".ci" / "run").read_text(encoding="utf-8")
    test_command = next(c for c in code_blocks("sh") if "pytest" in c)
    steps = test_command.strip().partition("activate && ")[2]
    assert steps and steps in commands


def test_hooks_run_what_ci_runs() -> None:
    hooks = (README.parent / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    ci = (README.parent / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    *checks, tests = ci.split(" && ")
    assert checks and tests.startswith("pytest")
    for check in checks:
        assert f"entry: {check.removesuffix(' .')}" in hooks
    for path in re.findall(r"tests/test_\w+\.py", hooks):
        assert (README.parent / path).is_file()


@pytest.mark.parametrize("guide", ["README.md", "CONTRIBUTING.md", "docs/scale.md"])
def test_links_lead_to_files(guide: str) -> None:
    page = README.parent / guide
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert all((page.parent / link).exists() for link in links), links


def test_the_guide_for_contributors_names_what_is_there() -> None:
    text = (README.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"(?:karaoke|tests|models)/[a-z_/]+\.\w+", text))
    assert len(paths) > 20
    assert all((README.parent / path).is_file() for path in paths), paths
    named = "\n".join((README.parent / path).read_text(encoding="utf-8") for path in paths)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for name in re.findall(r"`([A-Z]\w+(?:\.\w+)?|[a-z]+(?:_[a-z]+)+)`", prose):
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", named), name


def test_exit_codes_are_documented() -> None:
    text = README.read_text(encoding="utf-8")
    table = text[text.index("| exit code") :]
    documented = {
        int(n) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for n in row.split(",")
    }
    assert documented == {int(code) for code in ExitCode}
