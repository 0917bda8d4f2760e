"""The models that ship: found by name, whole, documented."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from karaoke.catalogue import DEFAULT_MODEL, available_models, find_model, shipped_models
from karaoke.checkpoints import load_checkpoint
from karaoke.errors import ModelError


def test_models_are_found_by_name_and_path(tiny_model: Path) -> None:
    assert find_model(tiny_model) == tiny_model
    assert DEFAULT_MODEL in available_models()
    assert find_model(DEFAULT_MODEL).name == "open-v1.safetensors"
    for name in ("nothing", "../models/open-v1", "", "*"):
        with pytest.raises(ModelError, match="no such model"):
            find_model(name)


def test_every_model_that_ships_is_whole_and_documented() -> None:
    for name in shipped_models():
        path = find_model(name)
        _, header = load_checkpoint(path)
        assert "vocals" in header.stems
        assert 0 <= header.overlap < 1
        assert path.with_suffix(".md").is_file()
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        content = path.read_bytes()
        assert facts["name"] == name
        assert facts["size_bytes"] == len(content) < 30e6
        assert facts["sha256"] == hashlib.sha256(content).hexdigest()
        assert header.segment_seconds > 0
