"""The architecture as a table: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "karaoke"

#: From the ground up: a room may import itself and those before it, when it is imported.
ROOMS = (
    *("errors", "files", "lyrics", "audio", "analysis", "separation", "store", "jobs"),
    *("making", "service", "evaluation", "training"),
)
#: The command line imports all of it, but inside a command, where it costs nothing until it runs.
ALLOWED = {
    **{room: set(ROOMS[:index]) for index, room in enumerate(ROOMS)},
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"errors", "store", "jobs", "__init__"},
}
# Beside the way of a song from file to files: they know nothing of many songs.
ALLOWED["evaluation"] -= {"jobs", "making", "service"}
ALLOWED["training"] -= {"jobs", "making", "service"}
# Machines that work together compare their versions.
ALLOWED["jobs"] |= {"__init__"}
LAZY = {"cli": set(ROOMS), "__init__": set(ROOMS)}


def rooms(module: ast.AST, top_level: bool) -> set[str]:
    """List the rooms that a module imports; at its top, or anywhere."""
    nodes = ast.iter_child_nodes(module) if top_level else ast.walk(module)
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "karaoke":
            parts = (node.module or "").split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            found |= {name if name in ALLOWED else "__init__" for name in names}
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("karaoke") for alias in node.names)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_imports_go_down_only(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert room in ALLOWED, f"give {room} a line in the table"
    module = ast.parse(path.read_text(encoding="utf-8"))
    allowed = ALLOWED[room] | {room}
    assert rooms(module, top_level=True) <= allowed
    assert rooms(module, top_level=False) <= allowed | LAZY.get(room, set())


def imports_of(path: Path, modules: Set[str]) -> set[str]:
    """List the modules that a file imports anywhere but for its annotations alone."""
    found = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & modules) or ({node.module} & modules)
        waiting += ast.iter_child_nodes(node)
    return found


def test_no_import_goes_in_circles() -> None:
    paths = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
    }
    left = {name: imports_of(path, set(paths)) - {name} for name, path in paths.items()}
    while ready := [name for name, imports in left.items() if not imports]:
        for name in ready:
            del left[name]
        for imports in left.values():
            imports.difference_update(ready)
    assert not left, "these import each other, or what does"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            described = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if described else 0
            assert (node.end_lineno or 0) - node.lineno - docstring < 60, node.name


@pytest.mark.parametrize("arguments", [["--help"], ["split", "--help"], ["--version"], ["models"]])
def test_help_does_not_wait_for_torch(arguments: list[str]) -> None:
    code = (
        "import sys, karaoke.cli as c\n"
        f"sys.argv = ['karaoke', *{arguments!r}]\n"
        "try: c.main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "slow = {'torch', 'librosa', 'scipy', 'numpy', 'soundfile'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_public_names() -> None:
    import karaoke

    assert karaoke.__all__ == [
        "KaraokeError",
        "Separator",
        "available_models",
        "load_audio",
        "load_model",
        "save_audio",
    ]
    for name in karaoke.__all__:
        assert getattr(karaoke, name).__module__.startswith("karaoke.")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = karaoke.nothing
