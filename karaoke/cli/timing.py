"""How long songs take on this machine, for people and for programs, as far as it was measured."""

from __future__ import annotations

from typing import Any

from karaoke import __version__
from karaoke.store import catalogue, speeds
from karaoke.store.speeds import Speed

#: The length of a song that times are given for.
SONG_SECONDS = 240


def as_facts(speed: Speed) -> dict[str, Any]:
    """Return a measurement as an object for programs."""
    return {
        "device_name": speed.device_name,
        "song_seconds": SONG_SECONDS,
        "expected_seconds": round(speed.seconds_for(SONG_SECONDS), 2),
        "start_seconds": round(speed.start_seconds, 2),
        "real_time_factor": round(speed.real_time_factor, 5),
        "memory_bytes": speed.memory_bytes or None,
        "device_memory_bytes": speed.device_memory_bytes or None,
    }


def speeds_of(name: str) -> dict[str, dict[str, Any]]:
    """Return what was measured of a model that is here, by kind of device."""
    if name not in catalogue.available_models():
        return {}
    found = speeds.recall_all(__version__, speeds.weights_of(name))
    return {device: as_facts(speed) for device, speed in found}


def times_of(measured: dict[str, dict[str, Any]]) -> list[str]:
    """Say for each kind of device how long a song takes."""
    return [
        spoken_time(facts["expected_seconds"]) + ("" if device == "cpu" else f" ({device})")
        for device, facts in measured.items()
    ]


def memory_of(facts: dict[str, Any]) -> str:
    """Say how much memory was measured, of the computer and of the GPU."""
    said = f"{facts['memory_bytes'] / 1e6:.0f} MB" if facts["memory_bytes"] else "?"
    if facts["device_memory_bytes"]:
        said += f", {facts['device_memory_bytes'] / 1e6:.0f} MB of the GPU"
    return said


def spoken_time(seconds: float) -> str:
    """Round a duration for people."""
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 99.5:
        return f"{minutes:.0f} min" if minutes >= 9.5 else f"{minutes:.1f} min"
    return f"{minutes / 60:.1f} h"


def stems_in_short(stems: list[str]) -> str:
    """List stems for a narrow column."""
    return "4" if len(stems) == 4 else ",".join(stems)
