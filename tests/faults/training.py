"""Training on what cannot be trained on: refused at once, with the file and the field named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from safetensors.numpy import load_file, save_file

from karaoke.separation.headers import read_header
from tests.faults.bench import RATE, TINY, Bench, fault

SMALL = "\n".join(
    [
        *("batch_size = 1", "steps = 4", "validate_every = 2", "time_budget = 0.0"),
        *("[mixtures]", "segment_seconds = 0.2", "[config]"),
        *(f"{name} = {value}" for name, value in TINY.items()),
    ]
)
HEADER = "path\trole\tgroup\tsplit"
ROWS = ["voice.wav\tvocals\ta\ttrain", "band.wav\taccompaniment\tb\ttrain"]


def corpus(bench: Bench, header: str = HEADER, rows: list[str] = ROWS) -> Path:
    """Write a corpus of two recordings."""
    folder = bench.folder / "corpus"
    folder.mkdir()
    for seed, name in enumerate(("voice.wav", "band.wav")):
        noise = np.random.default_rng(seed).standard_normal((RATE, 2))
        soundfile.write(folder / name, 0.1 * noise, RATE)
    (folder / "manifest.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def train(bench: Bench, folder: Path, *options: object) -> tuple[int, str]:
    """Train for a moment; give the exit code and what was said."""
    recipe = bench.folder / "recipe.toml"
    recipe.write_text(SMALL, encoding="utf-8")
    common = ["--recipe", recipe, "-o", bench.out, "--workers", 0, "--device", "cpu"]
    done = bench.karaoke("train", folder, *common, *options)
    return done.returncode, done.stderr


@fault(
    "training",
    *("learning_rate=nan", "learning_rate=-1", "batch_size=0", "log_every=0", "seed=-1"),
    *("mixtures.aligned_share=2", "config.n_fft=1000000000", "loss.error_norm=inf", "clock=moon"),
)
def with_a_field_that_cannot_be_is_refused(bench: Bench, setting: str) -> None:
    code, said = train(bench, corpus(bench), "--set", setting)
    assert code == 2 and setting.partition("=")[0].split(".")[-1] in said, said
    assert not bench.out.exists()


@fault("training", ("--workers", "-1"), ("--stop-after", "nan"), ("--time-budget", "-5"))
def with_an_option_that_cannot_be_is_refused(bench: Bench, option: tuple[str, str]) -> None:
    code, said = train(bench, corpus(bench), *option)
    assert code == 2 and option[0].strip("-").replace("-", "_") in said.replace("-", "_"), said
    assert not bench.out.exists()


@fault(
    "training",
    ("path\trole", ["voice.wav\tvocals"], 65, "split"),
    (HEADER, ["voice.wav\tchoir\ta\ttrain"], 65, "role"),
    (HEADER, ["../x.wav\tvocals\ta\ttrain"], 65, "path"),
    (HEADER, ["gone.wav\tvocals\ta\ttrain"], 66, "gone.wav"),
)
def on_a_manifest_that_cannot_be_is_refused(
    bench: Bench, case: tuple[str, list[str], int, str]
) -> None:
    header, rows, expected, word = case
    code, said = train(bench, corpus(bench, header, rows))
    assert code == expected and "manifest.tsv" in said and word in said, said


@fault("training")
def goes_on_without_a_recording_that_is_none(bench: Bench) -> None:
    folder = corpus(bench, rows=[*ROWS, "bad.opus\tvocals\tc\ttrain"])
    (folder / "bad.opus").write_bytes(b"OggS" + bytes(999))
    code, said = train(bench, folder)
    assert code == 0 and "bad.opus" in said and "left out" in said, said


@fault("training", b"", b"<html>404</html>", b"PK\x03\x04" + bytes(999))
def from_a_state_that_is_none_is_refused(bench: Bench, content: bytes) -> None:
    folder = corpus(bench)
    code, said = train(bench, folder, "--stop-after", 0)
    assert code == 0, said
    state = bench.out / "last.pt"
    state.write_bytes(content or state.read_bytes()[:2000])
    code, said = train(bench, folder)
    assert code == 65 and "last.pt" in said and "Delete it" in said, said


@fault(
    "model",
    *({"sample_rate": 0}, {"channels": 3}, {"stems": ["../x"]}, {"overlap": 1}),
    *({"segment_seconds": 1e12}, {"segment_seconds": float("nan")}, {"architecture": 3}),
    *({"config": {**TINY, name: size}} for name, size in (
        *(("n_fft", 10**9), ("layers", 10**6), ("hidden", 10**9), ("features", 4000)),
        *(("hop_length", 1), ("n_fft", "512"), ("dropout", 2)),
    )),
)  # fmt: skip
def with_a_header_that_lies_is_refused_at_once(bench: Bench, changes: dict[str, object]) -> None:
    said = {"format": 1, **vars(read_header(bench.model)), **changes}
    path = bench.folder / "model.safetensors"
    save_file(load_file(bench.model), path, metadata={"karaoke": json.dumps(said)})
    done = bench.karaoke("split", bench.song(), "-n", path, "-o", bench.out)
    bench.refused(done, 65, "model.safetensors")
