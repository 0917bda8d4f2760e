"""``karaoke models use`` and ``--quality best``: which model a command takes that is not told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karaoke.cli import COMMANDS
from karaoke.cli.doctor import look_at_choice
from karaoke.cli.settings import read_config, read_tables, with_model, write_default_model
from karaoke.errors import ModelError, UsageError
from karaoke.store import ranking
from karaoke.store.catalogue import DEFAULT_MODEL, Entry
from tests.launching import run_karaoke

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG = """# Mine.
[split]
format = "flac"  # small

[make]
guide = "-12"
"""


class User:
    """Somebody with a config file and a folder of models."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config" / "karaoke" / "config.toml"
        self.models = root / "models"
        self.models.mkdir()
        self.env = {
            **os.environ,
            "HOME": str(root),
            "XDG_CONFIG_HOME": str(root / "config"),
            "XDG_CACHE_HOME": str(root / "cache"),
            "KARAOKE_MODELS": str(self.models),
        }
        self.env.pop("KARAOKE_MODEL", None)

    def run(self, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return run_karaoke(*arguments, env={**self.env, **more})

    def planned_for(self, *arguments: object, **more: str) -> tuple[str, str]:
        """Return the command and the model that a dry run with JSON says it would use."""
        done = self.run(*arguments, "--dry-run", "--json", "-q", **more)
        assert done.returncode == 0, done.stdout + done.stderr
        entry = json.loads(done.stdout)
        return entry.get("command", "split"), entry["model"]


@pytest.fixture
def user(tmp_path: Path, tiny_model: Path) -> User:
    """Let somebody have a model called tiny."""
    found = User(tmp_path)
    (found.models / "tiny.safetensors").write_bytes(tiny_model.read_bytes())
    return found


def test_one_choice_counts_in_all_commands(user: User, song: Path) -> None:
    done = user.run("models", "use", "tiny")
    assert (done.returncode, done.stdout, done.stderr) == (0, "tiny\n", "")
    assert user.config.read_text(encoding="utf-8") == 'model = "tiny"\n'
    defaults = read_config(user.config, COMMANDS)
    assert {name for name, values in defaults.items() if values == {"model": "tiny"}} == {
        *("split", "make", "analyse", "serve"),
    }
    assert user.planned_for("split", song) == ("split", "tiny")
    assert user.planned_for("split", song, KARAOKE_MODEL="lstm_mask") == ("split", "lstm_mask")
    assert "tiny (default)" in user.run("models").stdout
    with user.config.open("a", encoding="utf-8") as file:
        file.write(f'{CONFIG}model = "lstm_mask"\n')  # of make
    assert user.planned_for("make", song) == ("make", "lstm_mask")
    done = user.run("models", "use", "--reset", "--json")
    assert json.loads(done.stdout)["default"] == DEFAULT_MODEL
    assert "[make] names a model of its own" in done.stderr


def test_a_default_that_is_gone_is_an_error_with_a_remedy(user: User, song: Path) -> None:
    write_default_model(user.config, "tiny")
    done = user.run("models", "remove", "tiny")
    assert done.returncode == 0 and "tiny was the default" in done.stderr
    done = user.run("split", song, "--dry-run")
    assert done.returncode == 69 and len(done.stderr.splitlines()) == 1
    assert f'--model is set by "{user.config}". karaoke models use' in done.stderr
    (found,) = look_at_choice("tiny", f'"{user.config}"')
    assert found.status == "problem" and f'"{user.config}"' in found.detail
    assert "karaoke models use" in found.remedy
    (found,) = look_at_choice(DEFAULT_MODEL, "")
    assert (found.status, found.detail) == ("ok", DEFAULT_MODEL)


def test_models_that_cannot_be_the_default(user: User, tmp_path: Path) -> None:
    (user.models / "damaged.safetensors").write_bytes(b"nothing")
    for name, code in {"umxhq": 69, "damaged": 65}.items():
        assert user.run("models", "use", name).returncode == code
    assert not user.config.exists()
    (tmp_path / "other.toml").write_text("", encoding="utf-8")
    path = user.models / "tiny.safetensors"
    done = user.run("--config", tmp_path / "other.toml", "models", "use", path, KARAOKE_MODEL="x")
    assert done.returncode == 0 and "KARAOKE_MODEL is set" in done.stderr
    assert read_tables(tmp_path / "other.toml") == {"model": str(path)}
    assert not user.config.exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'model = "x"\n'),
        (CONFIG, f'model = "x"\n{CONFIG}'),
        (f"model = 'old' # that\n{CONFIG}", f'model = "x"\n{CONFIG}'),
        (f'# First\n"model"="old"\r\n{CONFIG}', f'# First\nmodel = "x"\n{CONFIG}'),
        ('[split]\nmodel = "y"', 'model = "x"\n[split]\nmodel = "y"'),
        ("split.quality = 'fast'\n", "model = \"x\"\nsplit.quality = 'fast'\n"),
    ],
)
def test_the_rest_of_the_file_stays(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "settings" / "config.toml"
    if before:
        path.parent.mkdir()
        path.write_bytes(before.encode())
        path.chmod(0o600)
    write_default_model(path, "x")
    assert path.read_bytes().decode() == after
    assert not before or path.stat().st_mode & 0o777 == 0o600
    assert read_config(path, COMMANDS)["analyse"]["model"] == "x"
    assert "model" not in read_config(path, COMMANDS).get("evaluate", {})
    write_default_model(path, None)
    assert "model" not in tomllib.loads(path.read_text(encoding="utf-8"))
    assert path.read_bytes().decode() == with_model(before, None)


def test_a_file_that_is_a_link_stays_one(tmp_path: Path, rng: np.random.Generator) -> None:
    target, link = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    target.write_text(CONFIG, encoding="utf-8")
    link.symlink_to(target)
    name = "".join(map(chr, rng.integers(32, 0xD7FF, 20))) + '"\\\n'
    write_default_model(link, name)
    assert link.is_symlink() and read_tables(target)["model"] == name


def test_files_that_cannot_be_changed_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    text = 'split.name = """\nmodel = 3"""\n'
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="at its top"):
        write_default_model(path, "x")
    assert path.read_text(encoding="utf-8") == text
    path.write_text("model = 3", encoding="utf-8")
    with pytest.raises(UsageError, match="model is not a name"):
        read_config(path, COMMANDS)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Callable[..., None]:
    """Let there be models with figures: ``(songs, decibels)``, or none."""

    def make(**figures: tuple[str, float] | None) -> None:
        entries: dict[str, Any] = {}
        for key, figure in figures.items():
            name = key.replace("duo", DEFAULT_MODEL)
            data, decibels = figure or ("", None)
            entries[name] = Entry(name, metrics={"data": data, "vocals_sdr_db": decibels})
        monkeypatch.setattr(ranking, "available_models", lambda: sorted(entries))
        monkeypatch.setattr(ranking, "find_entry", entries.__getitem__)
        monkeypatch.setattr(ranking, "find_model", lambda name: tiny_model)

    return make


def test_the_best_model_leads_the_others(models: Callable[..., None]) -> None:
    models(duo=("six", 6.2), a=("six", 6.3), b=None)
    assert ranking.best_model() == "a", "of the same songs, any lead counts"
    models(duo=("six", 6.2), a=("other", 9.1))
    assert ranking.best_model() == DEFAULT_MODEL, "between benchmarks, it must be clear"
    models(duo=("six", 6.2), a=("other", 9.3), b=("third", 10.0), c=("other", 9.2))
    assert ranking.best_model() == "b", "none of a and b leads the other"
    models(duo=("six", 6.2), a=("six", 6.3), b=("other", 7.0))
    assert ranking.best_model() == "b"
    assert ranking.best_model(("instrumental",)) == "b"
    models(duo=None, a=None)
    with pytest.raises(ModelError, match="a figure of how good it is"):
        ranking.best_model()
    models(duo=("six", 6.2))
    with pytest.raises(ModelError, match="no model that is here has drums"):
        ranking.best_model(("drums",))


def test_best_never_takes_what_another_leads(
    models: Callable[..., None], rng: np.random.Generator
) -> None:
    for _ in range(50):
        drawn = {
            f"m{n}": (str(rng.integers(3)), float(rng.uniform(0, 12)))
            for n in range(rng.integers(1, 8))
        }
        models(**drawn)
        best = drawn[ranking.best_model()]
        assert not any(ranking.leads(other, best) for other in drawn.values())


def test_best_quality_chooses_the_model(user: User, song: Path) -> None:
    # The tiny model has no figures yet.
    chosen = user.planned_for("split", song, "--quality", "best", KARAOKE_MODEL="tiny")
    assert chosen == ("split", DEFAULT_MODEL)
    done = user.run("split", song, "--stems", "drums", "--quality", "best", "--dry-run")
    assert done.returncode == 69 and "no model that is here has drums" in done.stderr
    entry = {"name": "tiny", "metrics": {"data": "other songs", "vocals_sdr_db": 20.5}}
    (user.models / "tiny.json").write_text(json.dumps(entry), encoding="utf-8")
    assert user.planned_for("analyse", song, "--quality", "best") == ("analyse", "tiny")
    # What is said on the line counts for more than what is said elsewhere.
    more = {"KARAOKE_QUALITY": "best"}
    assert user.planned_for("make", song, "-n", "lstm_mask", **more) == ("make", "lstm_mask")
    done = user.run("split", song, "-n", "tiny", "--quality", "best")
    assert done.returncode == 2 and "choose one of them" in done.stderr
