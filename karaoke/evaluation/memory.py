"""Peak memory of a model, in its own process: ``python -m karaoke.evaluation.memory MODEL``.

In the evaluating process, songs, scores and leftovers of other models would count too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

#: Length of the sound to separate; longer streams take no more memory.
SECONDS = 60
RATE = 44100
STATUS = Path("/proc/self/status")


def own_peak() -> int | None:
    """Return this process's peak resident set in bytes; None where the system does not tell.

    On Linux not that of ``getrusage``, which counts the parent's memory for a child.
    """
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def run_module(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of ours in a process of its own, and keep what it prints."""
    # The child must import the same package.
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def peak_memory(name: str, *, device: str = "cpu", overlap: float | None = None) -> int | None:
    """Measure the peak memory of separating a minute of stereo sound as ``karaoke split`` does.

    Parameters
    ----------
    name
        Name or path of a model, optionally with ``@`` and a quality.
    device
        Where the model runs; memory of a GPU does not count.
    overlap
        Of the segments; by default, the model's.

    Returns
    -------
    int
        Resident set in bytes, including Python and torch; None where it cannot be measured.
    """
    options = ["--device", device] + ([] if overlap is None else ["--overlap", str(overlap)])
    done = run_module(__name__, *options, "--", name)
    said = done.stdout.strip()
    return int(said) if done.returncode == 0 and said.isdigit() else None


def main() -> None:
    """Separate noise, block by block, and print the peak."""
    from karaoke.evaluation.methods import load_method

    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("model", help="name or path, optionally with @ and a quality")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--overlap", type=float)
    arguments = parser.parse_args()
    separator = load_method(arguments.model, arguments.device, arguments.overlap)
    rng = np.random.default_rng(0)
    blocks = (0.1 * rng.standard_normal((2, RATE), dtype=np.float32) for _ in range(SECONDS))
    for _ in separator.stream(blocks, sample_rate=RATE):
        pass
    print(own_peak() or "")


if __name__ == "__main__":
    main()
