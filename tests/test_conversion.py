"""Foreign weights: taken over to the letter, or refused; no code in them runs."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from karaoke.errors import ForeignModelError, NoInputError, UsageError
from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.headers import read_header
from karaoke.store.conversion import convert, read_weights
from tests.published import open_unmix_weights, write_open_unmix

TINY = {"bins": 257, "heard": 180, "hidden": 16}


def test_open_unmix_is_taken_over(tmp_path: Path) -> None:
    path, target = write_open_unmix(tmp_path / "v.pth", **TINY), tmp_path / "v.safetensors"
    header = convert({"vocals": path}, "open_unmix", target)
    network, read = load_checkpoint(target)
    assert read == header
    assert (header.stems, header.sample_rate, header.channels) == (("vocals",), 44100, 2)
    assert header.config["n_fft"] == 512 and header.config["hop_length"] == 128
    assert header.config["heard_bins"] == 180 and header.config["layers"] == 3
    ours = network.state_dict()
    theirs = open_unmix_weights(**TINY)
    assert ours["targets.vocals.squeeze.weight"].equal(theirs["fc1.weight"])
    assert ours["targets.vocals.expand_norm.running_var"].equal(theirs["bn3.running_var"])
    assert ours["targets.vocals.lstm.weight_hh_l2_reverse"].equal(
        theirs["lstm.weight_hh_l2_reverse"]
    )
    assert len(ours) == len(theirs) - 3


@pytest.mark.parametrize("old", [True, False])
def test_both_formats_of_torch_and_lightnings_nesting_are_read(tmp_path: Path, old: bool) -> None:
    weights = {"a": torch.arange(3.0), "b": torch.tensor(2), "half": torch.ones(2).half()}
    path = tmp_path / "w.ckpt"
    for content in (weights, {"state_dict": weights, "epoch": 3}):
        torch.save(content, path, _use_new_zipfile_serialization=not old)
        read = read_weights(path)
        assert read.keys() == weights.keys()
        assert read["a"].equal(weights["a"]) and read["b"].equal(weights["b"])
        assert read["half"].dtype == torch.float32


def test_stems_have_the_usual_order_whatever_that_of_the_files(tmp_path: Path) -> None:
    files = {
        stem: write_open_unmix(tmp_path / f"{stem}.pth", **TINY)
        for stem in ("other", "bass", "vocals", "drums")
    }
    header = convert(files, "open_unmix", tmp_path / "four.safetensors")
    assert header.stems == ("vocals", "drums", "bass", "other")
    assert read_header(tmp_path / "four.safetensors").stems == header.stems


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def malicious(path: Path, sung: Path, kind: str) -> Path:
    """Write a file with a canary in it."""
    content: Any = {"fc1.weight": torch.zeros(1), "canary": Canary(sung)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Canary(sung)))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("kind", ["pickle", "old", "zip"])
def test_malicious_pickles_do_not_run(
    tmp_path: Path, kind: str, run_karaoke: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    sung = tmp_path / "sung"
    path = malicious(tmp_path / "vocals.pth", sung, kind)
    with pytest.raises(ForeignModelError, match="Only files with nothing but tensors") as caught:
        convert({"vocals": path}, "open_unmix", tmp_path / "x.safetensors")
    assert caught.value.exit_code == 65
    models = tmp_path / "models"
    done = run_karaoke(
        *("models", "import", path, "--architecture", "open_unmix", "--name", "evil"),
        env={**os.environ, "KARAOKE_MODELS": str(models)},
    )
    assert done.returncode == 65, done.stderr
    assert not sung.exists()
    assert not list(models.glob("*.safetensors"))
    assert not (tmp_path / "x.safetensors").exists()
    torch.load(path, weights_only=False) if kind != "pickle" else pickle.loads(path.read_bytes())
    assert sung.exists()  # it would have sung


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fc1.weight": None}, "squeeze.weight"),
        ({"output_mean": None}, "output_mean"),
        ({"lstm.weight_ih_l0_reverse": None}, "one direction"),
        ({"surprise": torch.zeros(1)}, "not a weight of Open-Unmix"),
        ({"fc2.weight": torch.zeros(3, 3)}, r"merge.weight is \(3, 3\)"),
        ({"fc2.weight": torch.full((16, 32), torch.nan)}, "not finite"),
        ({"output_mean": torch.zeros(2, 2)}, "not Open-Unmix"),
        ({"sample_rate": torch.zeros(2)}, "not Open-Unmix"),
    ],
)
def test_weights_of_another_kind_are_refused(
    tmp_path: Path, change: dict[str, torch.Tensor | None], says: str
) -> None:
    weights = {**open_unmix_weights(**TINY), **change}
    torch.save({k: v for k, v in weights.items() if v is not None}, tmp_path / "w.pth")
    with pytest.raises(ForeignModelError, match=says) as caught:
        convert({"vocals": tmp_path / "w.pth"}, "open_unmix", tmp_path / "w.safetensors")
    assert f'"{tmp_path / "w.pth"}"' in caught.value.message
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize(
    "content", [b"", b"hello" * 50, b"\x80\x02}q\x00.", b"PK\x03\x04" + b"x" * 99]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pth"
    with pytest.raises(NoInputError, match="No such file"):
        read_weights(path)
    path.write_bytes(content)
    with pytest.raises(ForeignModelError) as caught:
        read_weights(path)
    for word in ("pickle", "weights_only", "torch.load", "Weights only", "central directory"):
        assert word.lower() not in str(caught.value).lower()


def test_any_damage_is_an_error_of_ours(tmp_path: Path) -> None:
    whole = write_open_unmix(tmp_path / "w.pth", **TINY).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:length])
        with pytest.raises(ForeignModelError):
            convert({"vocals": path}, "open_unmix", tmp_path / "x.safetensors")


def test_objects_other_than_tensors_are_refused(tmp_path: Path) -> None:
    for content in ([torch.zeros(1)], {"a": 1}, {1: torch.zeros(1)}):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(ForeignModelError):
            read_weights(tmp_path / "w.pth")


def test_unknown_architectures_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="open_unmix"):
        convert({}, "crystal_ball", tmp_path / "x.safetensors")
