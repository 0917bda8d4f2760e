"""The table of output formats: a format is one entry of it, and an entry is complete."""

from __future__ import annotations

import pickle
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from karaoke.audio import (
    FORMATS,
    PIPE_FORMATS,
    PipeWriter,
    Tags,
    encode,
    fit_tags,
    load_audio,
    output_format,
    read_tags,
    save_audio,
)
from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.audio.tagging.model import Picture
from karaoke.cli import parameters
from karaoke.files import PartFile, publish_all

Noise = Callable[..., Block]
README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_writes_sound_tags_and_a_cover(noise: Noise, tmp_path: Path, name: str) -> None:
    seed = secrets.randbits(32)
    audio, rate, chosen = noise(2, 50_000, seed), 44100, output_format(name)
    command = [find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "color=red:s=16x16"]
    subprocess.run([*command, "-frames:v", "1", tmp_path / "cover.png"], check=True)
    cover = Picture((tmp_path / "cover.png").read_bytes())
    tags, lost = fit_tags(Tags({"title": (f"Song {seed}",)}, (cover,)), name)
    assert lost == []
    path = tmp_path / f"x.{name}"
    with PartFile(path) as part:
        encode(part, [audio], sample_rate=rate, channels=2, frames=50_000, chosen=chosen, tags=tags)
        publish_all([part])
    written, written_rate = load_audio(path)
    assert written_rate == chosen.rate_for(rate)
    assert written.shape[1] / written_rate == pytest.approx(50_000 / rate, abs=0.05)
    assert read_tags(path).fields == tags.fields and read_tags(path).pictures == (cover,), seed
    assert path.stat().st_size < chosen.size_bytes(50_000 / rate, rate, 2) + 10_000


@pytest.mark.parametrize("name", PIPE_FORMATS)
def test_a_format_can_be_piped(noise: Noise, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"x.{name}"
    with path.open("wb") as file, PipeWriter(file, name, sample_rate=48000, channels=2) as writer:
        writer.write(noise(2, 50_000))
    if name == "raw":
        assert path.stat().st_size == 2 * 4 * 50_000
    else:
        audio, rate = load_audio(path)
        assert (rate, audio.shape[1] / rate) == (48000, pytest.approx(50_000 / 48000, abs=0.05))


@pytest.mark.parametrize("name", FORMATS)
def test_an_entry_is_complete(name: str) -> None:
    entry = FORMATS[name]
    assert entry.extension == name
    assert bool(entry.encoder) != bool(entry.bit_depths), "lossy, or of a known depth"
    assert list(entry.rates) == sorted(entry.rates) and entry.max_channels >= 2
    assert not (entry.bit_depth or entry.bitrate), "these are chosen"
    assert pickle.loads(pickle.dumps(entry)) == entry, "songs are worked on in other processes, too"


@pytest.mark.parametrize("name", FORMATS)
def test_people_are_told_of_every_format(name: str) -> None:
    (option,) = get_args(parameters.Format)[1:]
    assert name in option.help.replace(",", "").replace(".", "").split()
    assert f"``.{name}``" in (save_audio.__doc__ or "")
    tables = [line for line in README.read_text(encoding="utf-8").splitlines() if "`opus`" in line]
    assert len(tables) == 2 and all(f"`{name}`" in line for line in tables)
