"""Measure how much voices and music overlap: ``karaoke workshop overlap CORPUS... --cache DIR``.

A voice that sings in tune with a band hides behind it, since their partials coincide. Mixtures of
unrelated voices and music are easier to separate than songs, and teach less. This compares songs
with mixtures as a recipe makes them, with ``mixtures.tuned_share`` at zero and at one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from karaoke.separation.spectral import Stft
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures.data import MixtureConfig, MixtureDataset

#: Transform: 93 ms, enough to resolve the partials of a voice.
STFT = (4096, 1024)
#: Range of the bins that count, where partials are.
RANGE_HZ = (80.0, 4000.0)
#: Bins of the voice that are lower than its loudest by more than this do not count.
FLOOR_DB = 40.0
#: Largest difference of levels that are considered equal.
ALIKE_DB = 10.0


def overlap(vocals: Tensor, music: Tensor) -> float:
    """Return the share of the bins of a voice in which the music is about as loud.

    Parameters
    ----------
    vocals, music
        ``(C, N)``; their levels do not matter.

    Returns
    -------
    float
        In [0, 1]; NaN if either is silent.
    """
    stft = Stft(*STFT)
    low, high = (round(hz * STFT[0] / SAMPLE_RATE) for hz in RANGE_HZ)
    levels = []
    for audio in (vocals, music):
        power = stft(audio.mean(dim=0, keepdim=True))[0, low:high].abs().square()
        levels.append(10 * torch.log10(power / power.mean().clamp_min(1e-12) + 1e-12))
    voice, other = levels
    if min(float(vocals.abs().max()), float(music.abs().max())) < 1e-4:
        return float("nan")
    heard = voice > voice.max() - FLOOR_DB
    return float(((voice - other).abs() <= ALIKE_DB)[heard].float().mean())


def figure(pairs: Iterator[tuple[Tensor, Tensor]], count: int) -> str:
    """Format the mean overlap of ``count`` pairs ``(C, N)``, and its standard error."""
    values = np.array([overlap(vocals, music) for vocals, music in islice(pairs, count)])
    values = values[np.isfinite(values)]
    error = values.std() / max(len(values), 1) ** 0.5
    return f"{values.mean():.3f} +- {error:.3f} ({len(values)})" if len(values) else "-"


def pairs_of(
    recordings: Sequence[Recording], config: MixtureConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the vocals and the music of mixtures."""
    data = MixtureDataset(recordings, config, seed=0, length=1_000_000)
    for index in range(len(data)):
        parts = data[index].parts
        yield parts[0], parts[1:].sum(dim=0)


def table(recordings: Sequence[Recording], count: int) -> str:
    """Compare songs with mixtures of made-up voices and of other songs' vocals."""
    plain = MixtureConfig(
        vocals_absent_share=0.0, accompaniment_absent_share=0.0, layered_share=0.0
    )
    kinds = {
        "songs": replace(plain, aligned_share=1.0),
        "songs' vocals": replace(plain, aligned_share=0.0, song_share=1.0),
        "made-up voices": replace(plain, aligned_share=0.0, song_share=0.0),
    }
    lines = [f"{'':16}{'as they come':>22}{'in tune':>22}"]
    for name, config in kinds.items():
        cells = [figure(pairs_of(recordings, config), count)]
        if name != "songs":
            tuned = replace(config, tuned_share=1.0)
            cells.append(figure(pairs_of(recordings, tuned), count))
        lines.append(f"{name:16}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)
