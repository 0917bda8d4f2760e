"""Shared fixtures: the shipped song, generated audio, a tiny model."""

from __future__ import annotations

import os

# One thread per process, in the commands that tests start, too: they run beside each other. It
# counts only where it is set before numpy and torch are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.separation.checkpoints import build_network, save_checkpoint
from karaoke.separation.headers import Header
from karaoke.training.corpus import Recording, load_corpus
from tests import launching
from tests.program import karaoke_program

# Tiny networks gain nothing from threads, and lose much while other programs are busy; the
# variable says nothing to a torch that was loaded before.
torch.set_num_threads(1)

DATA = Path(__file__).parent / "data"
CORPUS = Path(os.environ.get("KARAOKE_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
TINY_CONFIG = {"n_fft": 512, "hop_length": 256, "features": 8, "hidden": 8, "layers": 1}
TINY_BANDS = [0.0, 1000.0, 4000.0, 22050.0]


def cut(audio: Block, sizes: list[int]) -> Iterator[Block]:
    """Cut audio into blocks of the sizes, over and over."""
    start = 0
    while start < audio.shape[1]:
        for size in sizes:
            if start < audio.shape[1]:
                yield audio[:, start : start + size]
                start += size


@pytest.fixture
def song() -> Path:
    """Path of the song that ships with the repository."""
    return DATA / "song.mp3"


@pytest.fixture(scope="session")
def tiny_header() -> Header:
    """Describe a network that is small enough to build in a test."""
    config = {**TINY_CONFIG, "mask_hidden": 8, "band_edges_hz": TINY_BANDS}
    return Header("band_split_bilstm", config, 44100, 2, ("vocals",), 1.0, 0.25)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_header: Header) -> Path:
    """Path of a checkpoint with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_checkpoint(path, build_network(tiny_header), tiny_header)
    return path


@pytest.fixture
def noise() -> Callable[..., Block]:
    """Make reproducible noise of a shape, far from clipping."""

    def make(channels: int, length: int, seed: int = 0) -> Block:
        samples = np.random.default_rng(seed).standard_normal((channels, length))
        return (0.1 * samples).astype(np.float32).clip(-0.9, 0.9)

    return make


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Path]:
    """Write samples to a float WAV by soundfile alone, so that reading is tested against it."""

    def write(audio: Block, sample_rate: int = 44100, name: str = "in.wav") -> Path:
        path = tmp_path / name
        soundfile.write(path, audio.T, sample_rate, subtype="FLOAT")
        return path

    return write


@pytest.fixture
def transcode(tmp_path: Path) -> Callable[..., Path]:
    """Convert a file by ffmpeg with any options."""

    def convert(source: Path, name: str, *options: str) -> Path:
        target = tmp_path / name
        command = [find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-i", str(source)]
        subprocess.run([*command, *options, str(target)], check=True)
        return target

    return convert


@pytest.fixture
def run_karaoke() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own, as a user does."""
    return launching.run_karaoke


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """Path of a program that is ``karaoke``, for shells, pipes and terminals."""
    with karaoke_program() as path:
        yield path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a corpus of synthetic recordings with all roles and both splits."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    rows = ["path\trole\tgroup\tseconds\tchannels\tsplit\tmoves_in_pitch"]
    files = [
        ("vocals", "singer-a", "train", 1, 9),
        ("vocals", "makam-b", "train", 1, 3),
        ("speech", "speech-an4", "train", 1, 3),
        ("accompaniment", "band", "train", 2, 5),
        *((f"song-{part}", song, split, 2, 12)
          for part in ("vocals", "accompaniment")
          for song, split in (("one", "train"), ("two", "validation"))),
    ]  # fmt: skip
    for role, group, split, channels, seconds in files:
        time = np.arange(seconds * 48000) / 48000
        tone = 0.2 * np.sin(2 * np.pi * rng.uniform(200, 900) * time)[:, None]
        audio = tone + 0.05 * rng.standard_normal((len(time), channels))
        name, moves = f"{role}-{group}.flac", "yes" if group == "makam-b" else ""
        soundfile.write(root / name, audio, 48000)
        rows.append(f"{name}\t{role}\t{group}\t{seconds}\t{channels}\t{split}\t{moves}")
    (root / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def recordings(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Decode it."""
    return load_corpus([corpus], tmp_path_factory.mktemp("cache"), workers=1)


@pytest.fixture
def rng() -> np.random.Generator:
    """Draw other songs each time; the seed is printed where a test fails."""
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}")
    return np.random.default_rng(seed)
