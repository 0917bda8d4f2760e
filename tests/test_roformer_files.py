"""Published RoFormers: configurations and weights, taken over or refused, and the way to a song."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from karaoke.audio.blocks import Block
from karaoke.errors import ForeignModelError, NoInputError, UsageError
from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.headers import Header
from karaoke.store import published
from karaoke.store.conversion import convert
from karaoke.store.published import read_config
from tests.launching import run_karaoke
from tests.loopback import serving
from tests.roformers import MEL, RATE, SHAPE, TRAINING, small, their_weights

#: A published file, with its tags.
YAML = """
audio:
  chunk_size: 13230
model:
  dim: 24
  depth: 2
  stereo: true
  time_transformer_depth: 1
  freq_transformer_depth: 2
  num_bands: 20
  dim_head: 8
  heads: 3
  stft_n_fft: 512
  stft_hop_length: 110
  stft_win_length: 512
  flash_attn: True
  multi_stft_resolutions_window_sizes: !!python/tuple
  - 4096
  - 2048
training:
  lr: 1.0e-05
  instruments: [Vocals, other]
  target_instrument: Vocals
inference:
  num_overlap: 4
"""

#: What is known of a small network before its weights are.
OUTLINE = {"architecture": "mel_band_roformer", "config": {**SHAPE, "bands": 20},
           "sample_rate": RATE, "channels": 2, "segment_seconds": 0.5, "overlap": 0.5}  # fmt: skip


@pytest.fixture
def weights() -> dict[str, Tensor]:
    """Draw the weights of a small network, named as in published files."""
    torch.manual_seed(2)
    return their_weights(small("mel_band_roformer"))


def convert_these(
    folder: Path,
    weights: Mapping[str, Tensor],
    model: Mapping[str, Any] = MEL,
    training: Mapping[str, Any] = TRAINING,
) -> Header:
    """Convert weights with a configuration."""
    torch.save(dict(weights), folder / "w.ckpt")
    config = {"model": dict(model), "training": dict(training)}
    return convert({"x": folder / "w.ckpt"}, "mel_band_roformer", folder / "w.st", config)


def test_a_published_file_is_described_by_its_configuration(
    tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    (tmp_path / "c.yaml").write_text(YAML, encoding="utf-8")
    torch.save({"state_dict": weights}, tmp_path / "w.ckpt")
    target, config = tmp_path / "w.safetensors", read_config(tmp_path / "c.yaml")
    header = convert({"x": tmp_path / "w.ckpt"}, "mel_band_roformer", target, config)
    assert (header.stems, header.sample_rate, header.channels) == (("vocals",), RATE, 2)
    assert (header.segment_seconds, header.overlap) == (0.3, 0.75)
    assert header.config["mask_layers"] == 2 and header.config["expansion"] == 4
    network, read = load_checkpoint(target)
    assert read == header
    assert {p.dtype for p in network.parameters()} == {torch.float16}
    assert convert_these(tmp_path, weights).segment_seconds == 8


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"surprise": torch.zeros(1)}, "'surprise' is not a weight of RoFormer"),
        ({"layers.0.2.norm.gamma": torch.zeros(24)}, "attention along time and bands"),
        ({"layers.0.0.layers.0.0.to_mix.weight": torch.zeros(3, 24)}, "not a weight"),
        ({"layers.0.0.norm.gamma": None}, r"turns\.0\.time\.norm\.scale is missing"),
        ({"layers.0.0.norm.gamma": torch.full((24,), 1e6)}, "not finite"),
        ({"layers.1.0.layers.0.0.rotary_embed.freqs": torch.rand(4)}, "rotary frequencies"),
        ({"band_split.to_features.3.1.bias": torch.zeros(7)}, r"is \(7,\) and should be \(24,\)"),
    ],
)
def test_other_weights_are_refused(
    tmp_path: Path, weights: dict[str, Tensor], change: dict[str, Tensor | None], says: str
) -> None:
    changed = {name: t for name, t in {**weights, **change}.items() if t is not None}
    with pytest.raises(ForeignModelError, match=says):
        convert_these(tmp_path, changed)
    assert not (tmp_path / "w.st").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dim": None}, "lacks 'dim'"),
        ({"dim": "many"}, "damaged"),
        ({"heads": -1}, "heads must be"),
        ({"num_stems": 2}, "2 stems, but 1 names"),
        ({"use_pope": True}, "its use_pope is True, not False"),
        ({"linear_transformer_depth": 1}, "linear_transformer_depth is 1, not 0"),
        ({"stft_win_length": 400}, "window is shorter"),
        ({"wormhole": 3}, "setting 'wormhole' is unknown"),
        ({"depth": 3}, r"turns\.2\."),
    ],
)
def test_other_configurations_are_refused(
    tmp_path: Path, weights: dict[str, Tensor], change: dict[str, Any], says: str
) -> None:
    model = {name: value for name, value in {**MEL, **change}.items() if value is not None}
    with pytest.raises(ForeignModelError, match=says):
        convert_these(tmp_path, weights, model)


def test_stems_that_are_no_names_are_refused(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    for training in ({}, {"instruments": ["../../x"]}, {"instruments": 3}):
        with pytest.raises(ForeignModelError):
            convert_these(tmp_path, weights, training=training)


def test_configurations_are_read_without_running_code(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with pytest.raises(NoInputError, match="No such file"):
        read_config(path)
    for text in (
        f"model: !!python/object/apply:os.mkdir ['{tmp_path / 'sung'}']",
        *("- 1", "[", "x: !!python/name:os.system", "\x00", "[" * 2000, "x: 2020-01-01", "{}}"),
        "x: " + "y" * published.MOST_BYTES,
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ForeignModelError, match="not a configuration"):
            read_config(path)
    assert not (tmp_path / "sung").exists()
    path.write_text('{"model": {"dim": 3}}', encoding="utf-8")
    assert read_config(path) == {"model": {"dim": 3}}


def test_yaml_needs_its_library_and_json_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a: 1", encoding="utf-8")
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(UsageError, match=r"karaoke\[import\]"):
        read_config(path)
    path.write_text('{"a": 1}', encoding="utf-8")
    assert read_config(path) == {"a": 1}


def test_files_and_configuration_must_go_together(tmp_path: Path) -> None:
    file, target = tmp_path / "w.ckpt", tmp_path / "x"
    for files, name, config, says in (
        ({"a": file}, "bs_roformer", None, "needs a configuration"),
        ({"a": file, "b": file}, "bs_roformer", {}, "takes one file, not 2"),
        ({"a": file}, "open_unmix", {}, "has no configuration"),
    ):
        with pytest.raises(UsageError, match=says):
            convert(files, name, target, config)


@pytest.fixture
def offer(tmp_path: Path, weights: dict[str, Tensor]) -> Callable[..., dict[str, str]]:
    """Return what puts a small model of Kim's kind into a catalogue."""

    def put(url: str, content: bytes) -> dict[str, str]:
        entry = json.loads(
            (Path(__file__).parents[1] / "models" / "mel-roformer-kim.json").read_text("utf-8")
        )
        config = {"model": MEL, "training": TRAINING, "inference": {"chunk_size": 22050}}
        (tmp_path / "catalogue").mkdir()
        (tmp_path / "catalogue" / "mel-roformer-kim.json").write_text(
            json.dumps({
                **entry,
                "config": config,
                "outline": OUTLINE,
                "downloads": [{
                    **entry["downloads"][0],
                    "urls": [url],
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "size_bytes": len(content),
                }],
            }),
            encoding="utf-8",
        )  # fmt: skip
        return {
            **os.environ,
            "KARAOKE_MODELS": str(tmp_path / "models"),
            "KARAOKE_CATALOGUE": str(tmp_path / "catalogue"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "NO_PROXY": "127.0.0.1",
        }

    return put


def test_a_model_is_pulled_and_splits_a_song(
    tmp_path: Path,
    weights: dict[str, Tensor],
    offer: Callable[..., dict[str, str]],
    wav: Callable[..., Path],
    noise: Callable[..., Block],
) -> None:
    torch.save(weights, tmp_path / "kim.ckpt")
    content = (tmp_path / "kim.ckpt").read_bytes()
    with serving({"/MelBandRoformer.ckpt": content}) as server:
        env = offer(server.url("/MelBandRoformer.ckpt"), content)
        pulled = run_karaoke("models", "pull", "mel-roformer-kim", env=env)
    assert pulled.returncode == 0, pulled.stderr
    said = " ".join(pulled.stderr.split())
    assert "licence MIT" in said and "to download" in said
    assert re.search(r"4 minutes would take \d+(\.\d)? \w+ on this machine's CPU, and \d+ MB", said)
    (checkpoint,) = (tmp_path / "models").glob("*.safetensors")
    assert checkpoint.stat().st_size < 0.7 * len(content)
    song = wav(noise(2, 50_000), RATE)
    made = tmp_path / "made"
    done = run_karaoke("split", song, "-o", made, "--model", "mel-roformer-kim", env=env)
    assert done.returncode == 0, done.stderr
    stems = {path.stem: soundfile.read(path)[0] for path in made.rglob("*.wav")}
    assert stems.keys() == {"vocals", "instrumental"}
    mixture = soundfile.read(song)[0]
    np.testing.assert_allclose(stems["vocals"] + stems["instrumental"], mixture, atol=1e-4)
    assert stems["vocals"].std() > 1e-4


def test_weights_are_imported_with_their_configuration(
    tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    torch.save(weights, tmp_path / "found.ckpt")
    (tmp_path / "c.yaml").write_text(YAML, encoding="utf-8")
    env = {**os.environ, "KARAOKE_MODELS": str(tmp_path / "models")}
    command = ("models", "import", tmp_path / "found.ckpt", "--name", "found")
    done = run_karaoke(*command, "--architecture", "mel_band_roformer",
                       "--config", tmp_path / "c.yaml", env=env)  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, header = load_checkpoint(Path(done.stdout.strip()))
    assert header.architecture == "mel_band_roformer" and header.overlap == 0.75
