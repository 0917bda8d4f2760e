"""Every reference in docstrings and comments names something that is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

PACKAGE = Path(__file__).parents[1] / "karaoke"
ROLE = re.compile(r":(?:func|class|mod|meth|data|attr|exc|obj):`(?P<name>[^`]+)`", re.DOTALL)


def resolves(name: str, module: ModuleType) -> bool:
    """Tell whether a dotted name is known in a module, in one of its classes, or anywhere."""
    places: list[object] = [module, *(v for v in vars(module).values() if isinstance(v, type))]
    if any(reaches(place, name.split(".")) for place in places):
        return True
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            place = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        return reaches(place, parts[count:])
    return False


def reaches(place: object, names: list[str]) -> bool:
    """Tell whether attributes lead from an object to another; fields of classes count."""
    for name in names:
        if not hasattr(place, name):
            return name in getattr(place, "__annotations__", {})
        place = getattr(place, name)
    return True


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_references_resolve(path: Path) -> None:
    names = [match["name"] for match in ROLE.finditer(path.read_text(encoding="utf-8"))]
    if not names or path.name == "__main__.py":
        return
    dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    module = importlib.import_module(dotted.removesuffix(".__init__"))
    for name in names:
        clean = re.sub(r"\s+", "", name).lstrip("~!")
        assert resolves(clean, module), f"{path.name}: {clean}"


def test_a_dangling_reference_is_found() -> None:
    module = importlib.import_module("karaoke.evaluation.metrics")
    assert resolves("karaoke.evaluation.bsseval.Nsdr", module) and resolves("Shares.add", module)
    for name in ("karaoke.evaluation.bsseval.nsdr", "nothing", "Shares.nothing", "karaoke.nowhere"):
        assert not resolves(name, module)
