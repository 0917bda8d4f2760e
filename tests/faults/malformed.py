"""Songs that were mutated at random: whatever they are, each ends well or is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.faults.bench import Bench

FORMATS = ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "wma", "aiff", "mka"]
#: Songs of one command.
BATCH = 50
#: For one command; a batch takes seconds.
SECONDS_ALLOWED = 300.0


@dataclass
class Malformed:
    """What became of mutated songs; only the first three may be more than zero."""

    tried: int = 0
    split: int = 0
    refused: int = 0
    crashed: int = 0
    hung: int = 0
    empty: int = 0

    def __str__(self) -> str:
        """Give the scoreboard's words."""
        return (
            f"{self.tried} (split {self.split}, refused {self.refused}, crash {self.crashed},"
            f" hang {self.hung}, success without sound {self.empty})"
        )


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file in one of the ways that files get damaged."""
    data = np.frombuffer(content, np.uint8).copy()
    kind = rng.integers(6)
    place = int(rng.integers(len(data)))
    if kind == 0:
        return data[:place].tobytes()
    if kind == 1:
        return data[place:].tobytes()
    if kind == 2:  # a few bytes anywhere
        places = rng.integers(0, len(data), rng.integers(1, 50))
        data[places] = rng.integers(0, 256, len(places))
    elif kind == 3:  # a few bytes of the header
        places = rng.integers(0, min(200, len(data)), rng.integers(1, 12))
        data[places] = rng.integers(0, 256, len(places))
    elif kind == 4:  # a block of zeros
        data[place : place + int(rng.integers(1, 4000))] = 0
    else:  # a block twice
        block = data[place : place + int(rng.integers(1, 4000))]
        return np.concatenate([data[:place], block, data[place:]]).tobytes()
    return data.tobytes()


def try_malformed(bench: Bench, count: int, seed: int = 0) -> Malformed:
    """Split mutated songs in batches and look at every one."""
    rng = np.random.default_rng(seed)
    source = bench.song("source.wav", seconds=1.0)
    originals = [bench.convert(source, f"whole.{e}").read_bytes() for e in FORMATS]
    totals = Malformed()
    for start in range(0, count, BATCH):
        folder = bench.folder / f"songs{start}"
        names = []
        for number in range(start, min(start + BATCH, count)):
            names.append(f"{folder.name}/{number}.{FORMATS[number % len(FORMATS)]}")
            bench.put(names[-1], mutate(originals[number % len(FORMATS)], rng))
        hangs = bench.tally.hangs
        done = bench.split(*names, "--json", "-o", folder / "out")
        totals.hung += bench.tally.hangs - hangs
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        totals.tried += len(names)
        if done.returncode not in (0, 3, 65, 74) or len(entries) != len(names):
            totals.crashed += len(names) - len(entries) or 1
        for entry in entries:
            judge(entry, totals)
    return totals


def judge(entry: dict[str, object], totals: Malformed) -> None:
    """Count what became of a song."""
    if entry["status"] == "done":
        totals.split += 1
        outputs = entry["outputs"]
        assert isinstance(outputs, dict)
        frames = {soundfile.info(Path(o["path"])).frames for o in outputs.values()}
        totals.empty += frames == {0} or len(frames) != 1
    else:
        error = entry["error"]
        assert isinstance(error, dict)
        totals.refused += error["exit"] in (65, 71, 74)
        totals.crashed += error["exit"] not in (65, 71, 74)
