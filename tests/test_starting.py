"""What a process of ``karaoke split`` imports, and what it leaves out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
#: Prints which of some modules a command imported, as it ends.
PROGRAM = """
import atexit, sys
names = "librosa numba sklearn matplotlib scipy torch torch._prims torch._dynamo"
atexit.register(lambda: print(*(n for n in names.split() if n in sys.modules)))
from karaoke.cli import main
main()
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Which of the modules a split imported."""
    out = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-c", PROGRAM, "split", str(DATA / "song.mp3"), "-o", str(out), "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *paths, modules = done.stdout.splitlines()
    assert all(Path(path).is_file() for path in paths) and len(paths) == 2
    return set(modules.split())


def test_split_imports_nothing_that_only_analysis_needs(imported: set[str]) -> None:
    assert "torch" in imported
    assert not imported & {"librosa", "numba", "sklearn", "matplotlib", "scipy"}


def test_split_imports_no_compiler_of_torch(imported: set[str]) -> None:
    from importlib.metadata import version

    from karaoke.cli.starting import TRIED

    assert "torch._dynamo" not in imported
    assert version("torch").startswith(TRIED) <= ("torch._prims" not in imported)


#: Where Linux says whether programs may ask for large pages.
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
FILL = """
from karaoke.cli.starting import import_torch, set_up_memory
set_up_memory()
import_torch()
import torch
array = torch.ones(8_000_000)
lines = open("/proc/self/smaps").read().splitlines()
print(sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages")))
"""


@pytest.mark.skipif(
    not LARGE_PAGES.is_file() or "[never]" in LARGE_PAGES.read_text(),
    reason="this system has no large pages",
)
def test_large_arrays_lie_in_large_pages() -> None:
    done = subprocess.run([sys.executable, "-c", FILL], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 16_000, "kilobytes, of 32,000"
