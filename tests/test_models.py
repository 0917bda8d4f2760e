"""``karaoke models``: what is listed, pulled, verified, removed, imported; and splits songs."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from karaoke.separation.checkpoints import load_checkpoint
from karaoke.store.catalogue import DEFAULT_MODEL, look_into, shipped_models
from tests.launching import Running, at_terminal, run_karaoke, wait_for
from tests.loopback import Loopback, serving
from tests.published import write_open_unmix

STEMS = ("vocals", "drums", "bass", "other")
TINY = {"bins": 257, "heard": 180, "hidden": 32}


@dataclass
class Shop:
    """A server with weights, a catalogue that names them, and a folder for models."""

    server: Loopback
    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def models(self) -> Path:
        """Where models go."""
        return self.root / "models"

    def offer(self, name: str, stems: tuple[str, ...] = ("vocals",), **facts: Any) -> None:
        """Add a model to server and catalogue; ``shape`` is that of its weights."""
        shape = facts.pop("shape", TINY)
        downloads = []
        for seed, stem in enumerate(stems):
            path = f"/{name}/{stem}.pth"
            file = write_open_unmix(self.root / f"{name}-{stem}.pth", seed=seed, **shape)
            content = self.server.files[path] = file.read_bytes()
            file.unlink()
            digest = hashlib.sha256(content).hexdigest()
            url = self.server.url(path)
            downloads.append(
                {"stem": stem, "urls": [url], "sha256": digest, "size_bytes": len(content)}
            )
        entry = {
            **{"name": name, "license": "MIT", "architecture": "open_unmix"},
            **{"stems": stems, "downloads": downloads, **facts},
        }
        folder = self.root / "catalogue"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(entry), encoding="utf-8")

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return run_karaoke(*arguments, env=self.env)

    def at_terminal(self, typed: str, *arguments: object) -> tuple[int, str]:
        """Run the command line at a terminal."""
        return at_terminal(typed, *arguments, env=self.env)

    def json(self, *arguments: object) -> Any:
        """Run ``karaoke models`` to a good end, for its object."""
        done = self.run("models", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Open a shop that is empty."""
    with serving({}) as server:
        opened = Shop(server, tmp_path)
        opened.env = {
            **os.environ,
            "KARAOKE_MODELS": str(opened.models),
            "KARAOKE_CATALOGUE": str(tmp_path / "catalogue"),
            "NO_PROXY": "127.0.0.1",
        }
        yield opened


def test_umxhq_is_pulled_and_splits_a_song(shop: Shop, song: Path) -> None:
    shop.offer("umxhq", STEMS, shape={})  # its published shape
    done = shop.run("models", "pull", "umxhq")
    assert done.returncode == 0, done.stderr
    assert "licence MIT" in done.stderr
    checkpoint = shop.models / "umxhq.safetensors"
    assert done.stdout.split() == [str(checkpoint)]
    assert sorted(p.name for p in shop.models.iterdir() if p.suffix != ".lock") == [
        *(".downloads", "umxhq.json", "umxhq.safetensors"),
    ]
    assert not list((shop.models / ".downloads").iterdir())
    assert sum(tensor.numel() for tensor in load_checkpoint(checkpoint)[0].parameters()) == (
        4 * 8_893_348
    )
    report, stems = split(shop, song, "umxhq")
    assert stems.keys() == {*STEMS, "instrumental"}
    assert report["residual_dbfs"] is None or report["residual_dbfs"] < -120
    assert np.abs(stems["vocals"] + stems["instrumental"] - soundfile.read(song)[0]).max() < 1e-3


def test_any_stems_of_four_are_given(
    shop: Shop, wav: Callable[..., Path], noise: Callable[..., Any]
) -> None:
    shop.offer("small", STEMS)
    song = wav(noise(2, 50_000))
    assert shop.run("models", "pull", "small").returncode == 0
    _, all_of_them = split(shop, song, "small")
    _, two = split(shop, song, "small", "--stems", "vocals,instrumental", "--overwrite")
    assert all_of_them.keys() == {*STEMS, "instrumental"}
    assert two.keys() == {"vocals", "instrumental"}
    for stem, samples in two.items():
        assert np.abs(samples - all_of_them[stem]).max() < 1e-6
        assert np.abs(samples).max() > 1e-3
    _, one = split(shop, song, "small", "--stems", "drums", "--overwrite")
    assert one.keys() == {"drums"}


def split(shop: Shop, song: Path, model: str, *options: str) -> tuple[dict[str, Any], Any]:
    """Split a song; give the report and the samples of the stems."""
    more = ("-o", shop.root / "out", "--bit-depth", "32f", "--json", *options)
    done = shop.run("split", song, "-n", model, *more)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    return report, {
        stem: soundfile.read(output["path"])[0] for stem, output in report["outputs"].items()
    }


def test_the_list_tells_where_models_are(shop: Shop) -> None:
    shop.offer("small", metrics={"vocals_sdr_db": 1.5}, parameters=7)
    listed = {entry["name"]: entry for entry in shop.json()["models"]}
    assert listed[DEFAULT_MODEL]["where"] == "embedded"
    assert listed[DEFAULT_MODEL]["stems"] == ["vocals"]
    assert {"umx", "umxhq", "umxhq-vocals", "umxl", "umxl-vocals"} < listed.keys()
    assert listed["umxhq"]["where"] == listed["small"]["where"] == "available"
    assert listed["umxhq"]["stems"] == list(STEMS)
    assert listed["umxhq"]["size_bytes"] == 4 * 35_637_796
    assert listed["small"]["size_bytes"] == len(shop.server.files["/small/vocals.pth"])
    shop.json("pull", "small")
    listed = {entry["name"]: entry for entry in shop.json("list")["models"]}
    assert listed["small"]["where"] == "downloaded"
    assert listed["small"]["parameters"] == 7
    shown = shop.run("models").stdout
    assert "small" in shown and "vocals sdr 1.5 dB" in shown and "CC-BY-NC-SA-4.0" in shown
    told = shop.run("models", "info", "umxl").stdout
    assert "earn nothing" in told and "vocals-bccbd9aa.pth" in told and "first 8 digits" in told


def test_a_pulled_model_is_verified_and_removed(shop: Shop) -> None:
    shop.offer("small")
    pulled = shop.json("pull", "small")["pulled"]
    assert [entry["status"] for entry in pulled] == ["downloaded"]
    assert shop.json("pull", "small", "--offline")["pulled"][0]["status"] == "here"
    assert len(shop.server.log) == 1
    path = Path(shop.json("path", "small")["path"])
    assert shop.run("models", "path", "small").stdout.strip() == str(path)
    verified = {e["name"]: e["status"] for e in shop.json("verify")["models"]}
    assert verified == dict.fromkeys([*shipped_models(), "small"], "whole")
    facts = shop.json("info", "small")
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = shop.run("models", "verify")
    assert done.returncode == 76
    assert "small: damaged" in done.stdout and f"{DEFAULT_MODEL}: whole" in done.stdout
    assert shop.json("info", "small")["where"] == "downloaded"
    path.write_bytes(content[:100])
    assert shop.json("info", "small")["where"] == "damaged"
    done = shop.run("doctor")
    assert done.returncode == 0 and "warning  model small" in done.stdout, done.stdout
    assert shop.json("remove", "small")["removed"][0]["name"] == "small"
    assert not path.exists() and not path.with_suffix(".json").exists()
    assert shop.run("models", "remove", "small").returncode == 69
    assert shop.run("models", "remove", DEFAULT_MODEL).returncode == 69
    shop.json("pull", "small")
    assert "ok       model small" in shop.run("doctor").stdout


@pytest.mark.parametrize(
    ("faults", "code"), [(["404"], 69), (["500"], 75), (["truncated"], 75), (["corrupt"] * 2, 76)]
)
def test_faults_end_with_their_codes_and_heal(shop: Shop, faults: list[str], code: int) -> None:
    shop.offer("small", ("vocals", "drums"))
    shop.server.faults.extend(["", *faults])  # the first file comes well
    done = shop.run("models", "pull", "small", "-q")
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
    assert not list(shop.models.glob("*.safetensors"))
    assert shop.run("split", "song.mp3", "-n", "small").returncode == 69
    done = shop.run("models", "pull", "small", "--json")
    assert json.loads(done.stdout)["pulled"][0]["status"] == "downloaded"
    assert [path for path, _ in shop.server.log].count("/small/vocals.pth") == 1


def test_weights_that_need_code_are_refused(shop: Shop) -> None:
    shop.offer("evil")
    entry = shop.root / "catalogue" / "evil.json"
    content = b"\x80\x04\x95" + b"c" * 40  # a pickle that is none
    shop.server.files["/evil/vocals.pth"] = content
    facts = json.loads(entry.read_text(encoding="utf-8"))
    facts["downloads"][0].update(
        sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content)
    )
    entry.write_text(json.dumps(facts), encoding="utf-8")
    done = shop.run("models", "pull", "evil", "--json")
    assert done.returncode == 65
    assert json.loads(done.stdout)["error"]["code"] == "foreign-model"
    assert not list(shop.models.glob("*.safetensors"))


def test_a_full_disk_is_told_of_and_heals(shop: Shop) -> None:
    shop.offer("small", ("vocals", "drums"))
    pull = ("models", "pull", "small", "-q")
    for most in (10_000, len(shop.server.files["/small/vocals.pth"]) + 100):
        limits = {resource.RLIMIT_FSIZE: most}  # the second has room for each, not for both in one
        done = run_karaoke(*pull, env=shop.env, limits=limits)
        assert done.returncode == 74, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not list(shop.models.glob("*.safetensors"))
    assert shop.run(*pull).returncode == 0


@pytest.mark.parametrize(
    ("chunk", "number", "code"),
    [
        (0, signal.SIGKILL, -9),
        (1, signal.SIGKILL, -9),
        (0, signal.SIGINT, 130),
        (1, signal.SIGTERM, 143),
    ],
)
def test_a_killed_pull_goes_on(shop: Shop, chunk: int, number: int, code: int) -> None:
    shop.offer("small", ("vocals", "drums"), shape={**TINY, "hidden": 128})
    shop.server.faults.extend([*[""] * chunk, "stall"])
    stem = ("vocals", "drums")[chunk]
    running = Running("models", "pull", "small", env=shop.env)
    part = shop.models / ".downloads" / "small" / f"{stem}.pth.part"
    wait_for(lambda: part.is_file() and part.stat().st_size > 0)
    running.kill(number)
    assert running.wait().returncode == code
    kept = part.stat().st_size
    assert not list(shop.models.glob("*.safetensors"))
    shop.json("pull", "small")
    assert (f"/small/{stem}.pth", f"bytes={kept}-") in shop.server.log
    assert [entry["status"] for entry in shop.json("verify", "small")["models"]] == ["whole"]


def test_eight_at_once_end_with_one_whole_file(shop: Shop) -> None:
    shop.offer("small", ("vocals", "drums"))
    pulls = [Running("models", "pull", "small", "--json", env=shop.env) for _ in range(8)]
    done = [pull.wait() for pull in pulls]
    assert [process.returncode for process in done] == [0] * 8, [p.stderr for p in done]
    states = [json.loads(process.stdout)["pulled"][0]["status"] for process in done]
    assert sorted(states) == ["downloaded", *["here"] * 7]
    assert len(shop.server.log) == 2
    load_checkpoint(shop.models / "small.safetensors")
    assert shop.json("verify", "small")["models"][0]["status"] == "whole"


def test_terms_of_use_must_be_agreed_to(shop: Shop) -> None:
    shop.offer("theirs", license="CC-BY-NC-4.0", notice="Earn nothing.", commercial_use=False)
    done = shop.run("models", "pull", "theirs")
    assert done.returncode == 2
    assert "Earn nothing" in done.stderr and "--accept-license" in done.stderr
    assert not shop.server.log
    assert shop.run("models", "pull", "theirs", "--accept-license").returncode == 0
    assert shop.run("models", "pull", "theirs").returncode == 0  # it is here
    shop.json("remove", "theirs")
    code, shown = shop.at_terminal("n\n", "models", "pull", "theirs")
    assert code == 2 and "Do you agree?" in shown and len(shop.server.log) == 1
    code, shown = shop.at_terminal("y\n", "models", "pull", "theirs")
    assert code == 0 and len(shop.server.log) == 2, shown


def test_split_downloads_nothing_without_being_told(shop: Shop, song: Path) -> None:
    shop.offer("small")
    split = ("split", song, "-n", "small", "-o", shop.root / "out", "-q")
    done = shop.run(*split)
    assert done.returncode == 69
    assert "Run karaoke models pull small." in done.stderr
    shop.env["KARAOKE_OFFLINE"] = "1"
    code, shown = shop.at_terminal("y\n", *split)
    assert code == 69 and "Download it" not in shown
    shop.env["KARAOKE_OFFLINE"] = "0"
    code, shown = shop.at_terminal("n\n", *split)
    assert code == 69 and "Download it" in shown
    assert not shop.server.log
    code, shown = shop.at_terminal("y\n", *split)
    assert code == 0, shown
    assert "vocals.pth" in shown and "/s" in shown  # a bar with its speed
    assert len(shop.server.log) == 1
    assert (shop.root / "out" / "song" / "instrumental.wav").is_file()


def test_weights_are_imported_under_a_name(shop: Shop) -> None:
    files = {stem: write_open_unmix(shop.root / f"{stem}-1.pth", **TINY) for stem in STEMS}
    options = ("--architecture", "open_unmix", "--name", "mine")
    made = shop.json("import", *files.values(), *options)
    assert look_into(Path(made["path"]))[0] == STEMS
    assert shop.json("info", "mine")["where"] == "downloaded"
    assert shop.run("models", "import", files["bass"], *options).returncode == 73
    shop.json("import", f"vocals={files['bass']}", *options, "--overwrite")
    assert shop.json("info", "mine")["stems"] == ["vocals"]
    assert shop.run("models", "pull", "mine").returncode == 0
    unclear = shop.root / "weights.pth"
    files["bass"].rename(unclear)
    done = shop.run("models", "import", unclear, *options)
    assert done.returncode == 2 and f"Write vocals={unclear}." in done.stderr
    for name in ("umxhq", "../evil", DEFAULT_MODEL, "Ü"):
        done = shop.run("models", "import", f"vocals={unclear}", *options[:3], name)
        assert done.returncode == 2, name


def test_names_that_there_are_not(shop: Shop) -> None:
    for arguments in (["info"], ["pull"], ["verify"], ["remove"], ["path"]):
        done = shop.run("models", *arguments, "nothing")
        assert done.returncode == 69 and "nothing" in done.stderr
    done = shop.run("models", "path", "umxhq")
    assert done.returncode == 69 and "karaoke models pull umxhq" in done.stderr
    (shop.root / "catalogue").mkdir(exist_ok=True)
    download = {"stem": "vocals", "urls": ["http://127.0.0.1/x"], "sha256": 8 * "0"}
    wrong = ({"stem": "../x"}, {"sha256": ""}, {"sha256": "0z" * 4}, {"urls": []}, {"stem": 3})
    entries = [{"name": "x", "downloads": [{**download, **change}]} for change in wrong]
    entries += [[], {"name": "../x"}, {"name": "x", "downloads": [{}]}]
    for text in ("nonsense", *map(json.dumps, entries)):
        (shop.root / "catalogue" / "bad.json").write_text(text, encoding="utf-8")
        done = shop.run("models")
        assert done.returncode == 69 and "bad.json" in done.stderr, text


def test_checksums_that_are_not_whole_are_told_of(shop: Shop) -> None:
    shop.offer("small")
    entry = shop.root / "catalogue" / "small.json"
    facts = json.loads(entry.read_text(encoding="utf-8"))
    facts["downloads"][0]["sha256"] = facts["downloads"][0]["sha256"][:8]
    entry.write_text(json.dumps({**facts, "unverified": "Only 8 digits."}), encoding="utf-8")
    listed = {each["name"]: each["checksums"] for each in shop.json()["models"]}
    assert listed["small"] == listed["umx"] == listed["umxl"] == "partial"
    assert listed["umxhq"] == "full" and listed[DEFAULT_MODEL] == ""
    assert "small, umx" in " ".join(shop.run("models").stderr.split())
    assert "the rest was not published" in shop.run("models", "info", "small").stdout
    pulled = shop.run("models", "pull", "small")
    assert pulled.returncode == 0 and "warning: small: Only 8 digits." in pulled.stderr
    assert "small: whole, from a partly verified download" in shop.run("models", "verify").stdout
    assert shop.json("verify", "small")["models"][0]["checksums"] == "partial"
    assert "from a partly verified download" in shop.run("doctor").stdout


def test_what_is_not_downloaded_is_not_said_to_be(shop: Shop) -> None:
    shop.offer("small")
    done = shop.run("models", "pull", "small", "--offline")
    assert done.returncode == 69 and "downloading" not in done.stderr
    assert "downloading" in shop.run("models", "pull", "small").stderr
