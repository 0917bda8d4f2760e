"""The files of the page, as far as they can be checked without a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "karaoke" / "service" / "static"
SCRIPTS = sorted(PAGE.glob("*.js"))
TEXTS = [*SCRIPTS, *sorted(PAGE.glob("*.css")), PAGE / "index.html"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert not re.search(r"""\sstyle=["']|<script(?![^>]*\ssrc=)|\son\w+=["']""", text)
    assert not set(re.findall(r"https?://[\w./]+", text)) - {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    for names, module in re.findall(r"import \{([^}]+)\} from \"\./([\w.]+)\"", text):
        exported = (PAGE / module).read_text(encoding="utf-8")
        for name in (name.strip() for name in names.split(",")):
            made = rf"export (?:async function|function|const|class) {name}\b"
            passed_on = rf"export {{[^}}]*\b{name}\b"
            assert re.search(f"{made}|{passed_on}", exported), f"{name} of {module}"
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is not used"


def test_worker_keeps_all_of_the_page() -> None:
    worker = (PAGE / "sw.js").read_text(encoding="utf-8")
    listed = re.search(r"const FILES = \[([^\]]+)\]", worker)
    assert listed

    names = set(re.findall(r'"([\w-]+)"', listed[1]))

    assert names == {path.stem for path in SCRIPTS} - {"sw"}
    for name in re.findall(r'"/static/([\w.-]+)"', worker):
        assert (PAGE / name).is_file(), name


def test_manifest_names_icons_that_exist() -> None:
    manifest = json.loads((PAGE / "manifest.webmanifest").read_text(encoding="utf-8"))

    for icon in manifest["icons"]:
        assert (PAGE / Path(icon["src"]).name).is_file(), icon["src"]
