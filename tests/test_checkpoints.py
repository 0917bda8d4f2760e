"""Checkpoints: what is saved comes back; anything else is a clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from karaoke.checkpoints import (
    Header,
    build_network,
    load_checkpoint,
    read_header,
    save_checkpoint,
)
from karaoke.errors import ModelError


def test_round_trip(tmp_path: Path, tiny_header: Header) -> None:
    network = build_network(tiny_header).eval()
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, network, tiny_header)
    loaded, header = load_checkpoint(path)
    assert header == tiny_header == read_header(path)
    assert not loaded.training
    mixture = torch.randn(1, 2, 3000)
    torch.testing.assert_close(loaded(mixture), network(mixture), atol=0, rtol=0)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_header_is_json_in_one_entry(tiny_model: Path) -> None:
    with safe_open(tiny_model, framework="pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["karaoke"]
    assert json.loads(metadata["karaoke"]).keys() == {
        *("format", "architecture", "config", "sample_rate", "channels", "stems"),
        *("segment_seconds", "overlap"),
    }


def rewrite(source: Path, target: Path, **changes: object) -> Path:
    """Copy a checkpoint with another header."""
    with safe_open(source, framework="pt") as file:
        header = {**json.loads(file.metadata()["karaoke"]), **changes}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(weights, target, metadata={"karaoke": json.dumps(header)})
    return target


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "checkpoint format 99"),
        ({"architecture": "crystal_ball"}, "unknown architecture 'crystal_ball'"),
        ({"config": {"colour": "red"}}, "unexpected keyword argument 'colour'"),
        ({"config": {}}, "Error.* in loading state_dict"),
        ({"surprise": 1}, "damaged header"),
        ({"stems": None}, "damaged header"),
    ],
)
def test_other_headers_are_refused(
    tiny_model: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load_checkpoint(rewrite(tiny_model, tmp_path / "b.safetensors", **changes))


def test_other_files_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(ModelError, match="not a checkpoint"):
        load_checkpoint(path)
    whole = tiny_model.read_bytes()
    for content in (b"", b"hello" * 100, whole[:-10], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not a checkpoint"):
            load_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="without a karaoke header"):
        load_checkpoint(path)


def test_weights_must_fit_to_the_letter(tmp_path: Path, tiny_header: Header) -> None:
    network = build_network(tiny_header)
    network.register_buffer("stowaway", torch.zeros(1))
    path = tmp_path / "d.safetensors"
    save_checkpoint(path, network, tiny_header)
    with pytest.raises(ModelError, match="stowaway"):
        load_checkpoint(path)
    with torch.no_grad():
        broken = build_network(tiny_header)
        next(broken.parameters()).fill_(float("nan"))
    save_checkpoint(path, broken, tiny_header)
    with pytest.raises(ModelError, match="not finite"):
        load_checkpoint(path)
