"""What the README shows, done."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from karaoke.audio import load_audio
from karaoke.errors import ExitCode

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


def test_the_song_that_ships_is_separated(song: Path) -> None:
    import torch

    from karaoke import load_model
    from karaoke.evaluation import si_sdr_gain

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


def test_exit_codes_are_documented() -> None:
    text = README.read_text(encoding="utf-8")
    table = text[text.index("| exit code") :]
    documented = {
        int(n) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for n in row.split(",")
    }
    later = {ExitCode.CHECKSUM}
    assert documented == {int(code) for code in ExitCode} - later
