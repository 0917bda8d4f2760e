"""The programs of the workshop, as a process: they work, and they fail as the other commands do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from karaoke.separation.checkpoints import load_checkpoint

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_first_screen_of_the_help_does_not_show_it(run_karaoke: Run) -> None:
    assert "workshop" not in run_karaoke("--help").stdout
    below = run_karaoke("workshop", "--help").stdout
    assert "combine" in below and "estimate" in below


def test_networks_vote_and_are_taken_out_again(
    run_karaoke: Run, tiny_model: Path, tmp_path: Path
) -> None:
    vote, out, half, between = (tmp_path / f"{n}.safetensors" for n in "abcd")
    for arguments in (
        ["--weights", "0.7,0.3", tiny_model, tiny_model, vote],
        ["--member", "2", vote, out],
        ["--half", out, half],
        ["--between", "0.5", out, half, between],
    ):
        done = run_karaoke("workshop", "combine", *arguments)
        assert done.returncode == 0, done.stderr
    network, header = load_checkpoint(vote)
    assert [member["weight"] for member in header.config["members"]] == [0.7, 0.3]
    mixture = 0.1 * torch.randn(1, 2, 20_000)
    heard = load_checkpoint(between)[0].float().eval()(mixture)
    torch.testing.assert_close(heard, network.float().eval()(mixture), atol=2e-3, rtol=0)


def test_credits_are_a_table(run_karaoke: Run, tmp_path: Path) -> None:
    columns = ["path", "role", "group", "split", "seconds", "licence", "attribution", "source"]
    row = ["a.wav", "vocals", "a", "train", "60", "CC0", "a choir", "an archive"]
    (tmp_path / "manifest.tsv").write_text("\n".join("\t".join(c) for c in (columns, row)) + "\n")
    done = run_karaoke("workshop", "credits", tmp_path)
    assert done.stdout.splitlines()[-1] == "| vocals | an archive | 1.0 | a choir | CC0 |"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["combine", "--weights", "0.7,x", "a", "b", "out"], 2, "'x' is not a number"),
        (["combine", "--weights", "0.7", "a", "b", "out"], 2, "1 for 2 members"),
        (["combine", "--between", "0.5", "a", "out"], 2, "--between takes two"),
        (["combine", "nowhere.safetensors", "out"], 69, "nowhere.safetensors"),
        (["credits", "nowhere"], 66, "nowhere"),
        (["pack", "nowhere", "out"], 66, "nowhere"),
        (["overlap", "nowhere", "--cache", "cache"], 66, "nowhere"),
        (["gap", "a", "--corpus", "nowhere", "--cache", "cache"], 66, "nowhere"),
        (["estimate", "nowhere", "out", "--model", "open-v4=much"], 2, "'much' is not a number"),
        (["estimate", "nowhere", "out", "--model", "open-v4"], 66, "nowhere"),
        (["sing", "nowhere", "out", "--cache", "cache"], 66, "nowhere"),
        (["music", "--pieces", "0", "out"], 2, "--pieces"),
        (["music"], 2, "FOLDER"),
    ],
)
def test_mistakes_are_one_clear_line(
    run_karaoke: Run, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = run_karaoke("workshop", *arguments, cwd=tmp_path)
    assert done.stderr.startswith("karaoke: ") and done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr and done.stdout == ""
    assert done.returncode == code, done.stderr
