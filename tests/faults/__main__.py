"""Run every fault and print what became of them: ``python -m tests.faults [--quick] [WORDS]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults.bench import Tally, bench, small_model
from tests.faults.cases import CASES
from tests.faults.endless import peak_of_ten_hours
from tests.faults.malformed import try_malformed
from tests.faults.processes import kill_at_random


def main() -> int:
    """Run them and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only cases whose names hold all of these")
    parser.add_argument("--quick", action="store_true", help="what the test suite runs")
    parser.add_argument("--malformed", type=int, default=2000, help="mutated songs")
    parser.add_argument("--kills", type=int, default=50, help="runs that are killed")
    parser.add_argument("--hours", type=float, default=10.0, help="length of the long song")
    options = parser.parse_args()
    tally = Tally()
    chosen = {n: c for n, c in CASES.items() if all(word in n for word in options.words)}
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        model = small_model(Path(folder))
        for name, case in chosen.items():
            started = time.monotonic()
            try:
                with bench(model, tally) as there:
                    case(there)
            except Exception:
                failures.append(name)
                traceback.print_exc()
            result = "FAILED" if name in failures[-1:] else "ok"
            print(f"{result:6} {time.monotonic() - started:6.1f} s  {name}", flush=True)
        line = f"faults {len(chosen) - len(failures)}/{len(chosen)} handled, "
        line += f"inputs altered {tally.altered}, lost {tally.lost}, tracebacks {tally.tracebacks}"
        if not options.quick and not options.words:
            with bench(model, tally) as there:
                kill_at_random(there, options.kills, seed=1)
            with bench(model, tally) as there:
                malformed = try_malformed(there, options.malformed)
            short, long = peak_of_ten_hours(options.hours)
            line += f", malformed {malformed}, {options.hours:g} h peak {long:.0f} MB"
            line += f" (3 min {short:.0f} MB)"
    line += f", kill-9 {tally.killed} (published {tally.published}, partial {tally.partial})"
    print(f"{line}, hangs {tally.hangs}, canaries {tally.leaked}/{tally.probed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
