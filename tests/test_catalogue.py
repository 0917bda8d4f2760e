"""The models that ship: found by name, whole, documented."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import soundfile
import torch

from karaoke import load_audio
from karaoke.errors import ModelError
from karaoke.evaluation.metrics import si_sdr_gain
from karaoke.separation.checkpoints import load_checkpoint
from karaoke.separation.headers import read_header
from karaoke.store.catalogue import (
    DEFAULT_MODEL,
    available_models,
    catalogue,
    find_model,
    shipped_models,
)
from karaoke.store.conversion import CONVERTERS


def test_models_are_found_by_name_and_path(tiny_model: Path) -> None:
    assert find_model(tiny_model) == tiny_model
    assert DEFAULT_MODEL in available_models()
    assert find_model(DEFAULT_MODEL).name == f"{DEFAULT_MODEL}.safetensors"
    for name in ("nothing", "../models/open-v4", "", "*"):
        with pytest.raises(ModelError, match="no such model"):
            find_model(name)


def test_entries_say_what_to_fetch_and_what_is_allowed() -> None:
    known = catalogue()
    published = {
        "mel-roformer-kim",
        "spleeter",
        "umx",
        "umxhq",
        "umxhq-vocals",
        "umxl",
        "umxl-vocals",
    }
    assert known.keys() >= {DEFAULT_MODEL, *published}
    for entry in known.values():
        assert entry.notice.endswith(".")
        assert entry.sources or entry.name in shipped_models()
        assert entry.commercial_use is ("NC" not in entry.license)
        if entry.sources:
            assert entry.citation and entry.unverified and entry.architecture in CONVERTERS
        if entry.downloads:
            assert tuple(file.stem for file in entry.downloads) == entry.stems
            assert entry.metrics["source"]
        for file in entry.downloads:
            assert all(url.startswith("https://") for url in file.urls)
            assert all(f"/{file.name}" in url for url in file.urls)
            # The names of Open-Unmix's publisher carry the first digits.
            named = entry.architecture == "open_unmix"
            assert not named or file.name == f"{file.stem}-{file.sha256[:8]}.pth"
            assert len(file.sha256) == 64 or "8 digits" in entry.unverified


def test_the_published_umxhq_is_pinned_whole() -> None:
    vocals = catalogue()["umxhq-vocals"].downloads[0]
    assert vocals.urls[0] == "https://zenodo.org/records/3370489/files/vocals-b62c91ce.pth"
    assert vocals.size_bytes == 35_637_796
    assert vocals.sha256 == "b62c91cedbc7a066f1778ead5b5cecb377aa3a46a31af1cce7c5c8769339d083"
    four = catalogue()["umxhq"].downloads
    assert four[0] == vocals
    assert all(len(f.sha256) == 64 and f.size_bytes == 35_637_796 for f in four)


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


#: SI-SDR of vocals and instrumental above the mixture's, of each model on the song that ships.
GAINS_DB = {
    "cnn_binary_mask": (-2.25, 1.44),
    "duo-v1": (10.31, 9.58),
    "lstm_mask": (4.17, 3.72),
    "open-v4": (7.87, 6.63),
    "unet_ratio_mask": (4.13, 3.34),
    "unet_soft_mask": (5.2, 4.92),
}


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_every_model_that_ships_splits_a_song(
    run_karaoke: Callable[..., CompletedProcess[str]], name: str, song: Path, tmp_path: Path
) -> None:
    done = run_karaoke("split", song, "--model", name, "-o", tmp_path, "-q")
    assert done.returncode == 0, done.stderr
    mixture = load_audio(song)[0]
    stems = {Path(line).stem: load_audio(line)[0] for line in done.stdout.splitlines()}
    assert stems.keys() == {*read_header(find_model(name)).stems, "instrumental"}
    assert all(stem.shape == mixture.shape for stem in stems.values())
    vocals, instrumental = stems["vocals"], stems["instrumental"]
    assert np.abs(vocals + instrumental - mixture).max() < 1e-4
    # Neither is empty, nor the song itself.
    energies = [np.square(audio).sum() for audio in (vocals, instrumental, mixture)]
    assert min(energies) > 1e-3 * energies[-1]
    for stem, gain_db in zip(("vocals", "instrumental"), GAINS_DB[name], strict=True):
        target = soundfile.read(song.with_name(f"{stem}.flac"), dtype="float32")[0].T
        signals = (
            torch.from_numpy(np.ascontiguousarray(s)) for s in (stems[stem], target, mixture)
        )
        assert si_sdr_gain(*signals) == pytest.approx(gain_db, abs=0.3)
