"""The JSON beside a run's weights, which says how they were made."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.recipe import Recipe
from karaoke.training.validation import SongFigures, rank_and_world

if TYPE_CHECKING:
    from karaoke.training.states import State


def commit() -> str | None:
    """Return the commit that this package runs from; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def run_facts(
    recipe: Recipe,
    recordings: Sequence[Recording],
    state: State,
    device: str,
    figures: SongFigures,
) -> dict[str, Any]:
    """Collect the recipe, data, work and figures of a run so far.

    Returns
    -------
    dict
        Ready for JSON. ``audio_hours`` is the length of the mixtures heard; ``data`` has the number
        and minutes of the recordings that are trained on, by role.
    """
    data: dict[str, dict[str, float]] = {}
    for recording in recordings:
        if recording.split == "train":
            counts = data.setdefault(recording.role, {"recordings": 0, "minutes": 0.0})
            counts["recordings"] += 1
            counts["minutes"] += recording.length / SAMPLE_RATE / 60
    for counts in data.values():
        counts["minutes"] = round(counts["minutes"], 1)
    audio_seconds = state.step * recipe.batch_size * recipe.mixtures.segment_seconds
    name = torch.cuda.get_device_name() if device.startswith("cuda") else device
    return {
        "recipe": asdict(recipe),
        "commit": commit(),
        "torch": torch.__version__,
        "device": name,
        "processes": rank_and_world()[1],
        "steps": state.step,
        "seconds": round(state.seconds),
        "audio_hours": round(audio_seconds / 3600, 2),
        "data": data,
        "figures": figures,
    }
