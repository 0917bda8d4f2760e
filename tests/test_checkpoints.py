"""Checkpoints: what is saved comes back; anything else is a clear error."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from karaoke.errors import DamagedModelError, ModelError
from karaoke.separation.checkpoints import build_network, load_checkpoint, outline, save_checkpoint
from karaoke.separation.fields import check_fields, hints_of
from karaoke.separation.headers import Header, read_header
from karaoke.separation.networks import NETWORKS


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
        ({"config": {"colour": "red"}}, "no field 'colour'"),
        ({"config": {}}, "describes other weights than it holds"),
        ({"surprise": 1}, "damaged header"),
        ({"stems": None}, "damaged header"),
        ({"stems": ["vocals", "vocals"]}, "different names"),
        ({"stems": ["../vocals"]}, "different names"),
        ({"stems": []}, "different names"),
        ({"stems": ["vocals", 3]}, r"stems\[1\] must be text"),
        ({"stems": "vocals"}, "stems must be a list"),
        ({"config": []}, "config must be a table"),
        ({"architecture": 7}, "architecture must be text"),
        ({"architecture": ["band_split_bilstm"]}, "architecture must be text"),
        ({"sample_rate": 44100.5}, "sample_rate must be a whole number"),
        ({"sample_rate": 0}, "sample_rate must be from 1,000"),
        ({"sample_rate": 48000}, "bands must reach"),
        ({"channels": 3}, "channels must be from 1 to 2"),
        ({"channels": True}, "channels must be a whole number"),
        ({"channels": "2"}, "channels must be a whole number"),
        ({"segment_seconds": 0}, "segment_seconds must be above 0"),
        ({"segment_seconds": 1e-9}, "less than a sample"),
        ({"segment_seconds": 1e9}, "segment_seconds must be above 0 to 60"),
        ({"segment_seconds": float("nan")}, "segment_seconds must be a number"),
        ({"overlap": 1}, "overlap must be from 0 to below 1"),
        ({"overlap": -0.1}, "overlap must be"),
        ({"overlap": None}, "overlap must be a number"),
        ({"format": "x" * 500}, "checkpoint format"),
    ],
)
def test_other_headers_are_refused(
    tiny_model: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DamagedModelError, match=message) as caught:
        load_checkpoint(rewrite(tiny_model, tmp_path / "b.safetensors", **changes))
    assert "b.safetensors" in str(caught.value) and len(str(caught.value)) < 500
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("n_fft", value) for value in (10**9, 0, -4, 512.0, "512", None, [512], True)),
        *(("hop_length", value) for value in (1, 0, 512, 10**9)),
        *(("layers", value) for value in (10**6, 0, 64, -1)),
        *(("features", value) for value in (10**9, 0, 16_000, 8.5)),
        *(("hidden", value) for value in (10**12, 16_000)),
        *(("mask_hidden", value) for value in (10**12, 16_000)),
        *(("dropout", value) for value in (1, -0.5, float("nan"))),
        *(("magnitude_exponent", value) for value in (0, -1, float("inf"))),
        *(("local_channels", value) for value in (10**9, -1, 4096)),
        *(("band_edges_hz", value) for value in ([], [0, 22050, "x"], 5, [0.0] * 10**5)),
        ("band_edges_hz", [0, 4000, 1000, 22050]),
        ("shared_bands", 1),
        *(("over_bands", value) for value in ("magic", "", 3, None)),
        *(("attention_heads", value) for value in (0, -1, 10**9, 2.0)),
        *(("half_rate_layers", value) for value in (1, -1, 10**9, True)),
    ],
)
def test_no_value_of_a_config_allocates(
    tiny_model: Path, tiny_header: Header, tmp_path: Path, field: str, value: object
) -> None:
    path = tmp_path / "b.safetensors"
    rewrite(tiny_model, path, config={**tiny_header.config, field: value})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedModelError, match=r"b\.safetensors"):
        load_checkpoint(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_outlines_have_the_weights_of_networks(name: str) -> None:
    stems = ("vocals", "drums", "bass", "other")
    stems = stems[:1] if name == "spleeter_unet" else stems  # which masks the vocals alone
    small = {"width": 2} if name.startswith("unet") else {}
    small = {"features": 8, "depth": 2} if name.endswith("roformer") else small
    header = Header(name, small, 44100, 2, stems, 1.0, 0.25)
    built, drawn = build_network(header).state_dict(), outline(header).state_dict()
    assert {n: t.shape for n, t in built.items()} == {n: t.shape for n, t in drawn.items()}
    assert all(tensor.is_meta for tensor in drawn.values())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_number_of_a_config_has_a_range(name: str) -> None:
    kind = NETWORKS[name][1]
    for field, hint in hints_of(kind).items():
        if field == "members":  # each is a config of its own
            continue
        default = getattr(kind(), field)
        number = default[0] if isinstance(default, tuple) else default
        if type(number) in (int, float):
            for value in (-(10**12), 10**12):
                with pytest.raises(ValueError, match=field):
                    check_fields(kind, {field: [value] if number is not default else value})
        with pytest.raises(ValueError, match=field):
            check_fields(kind, {field: {}})
        assert check_fields(kind, {field: default}) == {field: default}, hint


def test_members_are_checked(tmp_path: Path, tiny_header: Header) -> None:
    config = {"members": [tiny_header.config], "exponent": 1.0}
    header = replace(tiny_header, architecture="band_split_ensemble", config=config)
    whole = tmp_path / "whole.safetensors"
    save_checkpoint(whole, build_network(header), header)
    load_checkpoint(whole)
    for members, message in (
        ([{**tiny_header.config, "layers": 10**6}], r"members\[0\].layers must be"),
        ([{**tiny_header.config, "colour": 1}], "no field"),
        ([tiny_header.config] * 1000, "1000 members"),
        ([tiny_header.config] * 2, "other weights"),
        ([3], r"members\[0\] must be a table"),
        ([], "one transform"),
        ("x", "members must be a list"),
    ):
        path = rewrite(whole, tmp_path / "b.safetensors", config={**config, "members": members})
        with pytest.raises(DamagedModelError, match=message):
            load_checkpoint(path)


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
