"""How fast models are on this machine, as far as it was measured: remembered between runs.

Each measurement is a small JSON file of its own in the user's cache folder, so that commands that
run at the same time never write over each other's. One that no longer holds, since the weights, the
version or the machine changed, is not found any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_cache_path

from karaoke.files import checksum, write_text, writing_to
from karaoke.separation.cores import usable_cores
from karaoke.separation.fields import Within, check_fields
from karaoke.store.catalogue import available_models, find_entry, find_model

HINT = "Free some space there, or set XDG_CACHE_HOME to another folder."
LONGEST = 1e9


@dataclass(frozen=True)
class Setup:
    """What a measurement holds for, on one machine.

    Parameters
    ----------
    version
        Of karaoke.
    weights_sha256
        Of the checkpoint.
    device
        Kind of device: ``cpu``, ``cuda`` or ``mps``.
    quality
        A key of :data:`karaoke.separation.qualities.QUALITIES`.
    """

    version: str
    weights_sha256: str
    device: str
    quality: str = "default"


@dataclass(frozen=True)
class Speed:
    """What it takes to separate music.

    Parameters
    ----------
    real_time_factor
        Seconds of work per second of music.
    start_seconds
        What comes before that, once: Python, torch, the model, and the first segments, which are
        slower.
    memory_bytes
        Peak resident memory of a process that does nothing else; 0 if the system did not tell.
    device_name
        Name of the GPU, or of the processor.
    device_memory_bytes
        Peak memory of the GPU; 0 without one that tells.
    """

    real_time_factor: Annotated[float, Within(0, LONGEST, open_low=True)]
    start_seconds: Annotated[float, Within(0, LONGEST)]
    memory_bytes: Annotated[int, Within(0, 1e18)]
    device_name: str
    device_memory_bytes: Annotated[int, Within(0, 1e18)] = 0

    def seconds_for(self, music_seconds: float) -> float:
        """Estimate how long music of a length takes, from the start of the command."""
        return self.start_seconds + self.real_time_factor * music_seconds


@cache
def machine() -> dict[str, Any]:
    """Describe this machine, as far as speed depends on it."""
    return {
        "name": platform.node(),
        "system": platform.system(),
        "processor": processor_name(),
        "cores": usable_cores(),
    }


def processor_name() -> str:
    """Return the name of the processor; on Linux Python does not know it."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def speeds_folder() -> Path:
    """Return the folder of the measurements."""
    return user_cache_path("karaoke") / "speeds"


def weights_of(name: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a model's weights, from its entry where that says it.

    Raises
    ------
    ModelError
        There is no such model.
    """
    path = find_model(name)
    recorded = find_entry(str(name)).sha256 if name in available_models() else ""
    return recorded or checksum(path)


def _path_of(setup: Setup) -> Path:
    """Return the file of a measurement."""
    facts = json.dumps([machine(), asdict(setup)], sort_keys=True)
    return speeds_folder() / f"{hashlib.sha256(facts.encode()).hexdigest()[:24]}.json"


def remember(setup: Setup, speed: Speed) -> None:
    """Keep a measurement, in place of an earlier one.

    Raises
    ------
    WriteError, PermissionDeniedError
        It cannot be written.
    """
    path = _path_of(setup)
    with writing_to(path.parent, hint=HINT):
        path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"machine": machine(), **asdict(setup), "speed": asdict(speed)}
    write_text(path, f"{json.dumps(facts, indent=1)}\n", HINT)


def recall(setup: Setup) -> Speed | None:
    """Return what was measured; None if nothing was, or its file is damaged."""
    try:
        facts = json.loads(_path_of(setup).read_text(encoding="utf-8"))
        return Speed(**check_fields(Speed, facts["speed"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def recall_all(version: str, weights_sha256: str) -> Iterator[tuple[str, Speed]]:
    """Yield what was measured of a model at its default quality, by kind of device."""
    for device in ("cpu", "cuda", "mps"):
        speed = recall(Setup(version, weights_sha256, device))
        if speed is not None:
            yield device, speed
