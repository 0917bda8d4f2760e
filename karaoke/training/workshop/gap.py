"""Distinguish too little training from too little variety: ``karaoke workshop gap``.

Known and new voices are mixed with known and new music. A model that is no better on what it was
trained on than on what is new needs more training; one that is much better needs more data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from karaoke.evaluation.metrics import si_sdr, si_sdr_gain
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures.augment import Rng, db_to_gain, rms
from karaoke.training.mixtures.data import SINGING_RMS, MixtureConfig, to_stereo
from karaoke.training.mixtures.pools import Pool, make_pools
from karaoke.training.mixtures.voices import Singers

#: Number of mixtures for each cell of the table, which is their median.
COUNT = 24
#: Level of the vocals relative to the music.
LEVEL_DB = -3.0
#: Number of attempts to find a stretch that is not a rest.
TRIES = 20


def draw(recordings: Sequence[Recording], length: int, rng: Rng, count: int) -> list[Tensor]:
    """Draw audible stretches ``(2, length)``, equally many from each group."""
    if not recordings:
        return []
    pool = Pool(recordings)
    stretches = []
    for index in range(count):
        group = pool.groups[pool.names[index % len(pool.names)]]
        for _ in range(TRIES):
            recording = group[int(rng.integers(len(group)))]
            start = int(rng.integers(max(1, recording.length - length)))
            audio = to_stereo(recording.read(start, length))
            if rms(audio) > SINGING_RMS:
                break
        stretches.append(torch.from_numpy(audio.copy()))
    return stretches


def sources(
    recordings: Sequence[Recording], seconds: float, count: int = COUNT
) -> tuple[dict[str, list[Tensor]], dict[str, list[Tensor]]]:
    """Draw known and new voices and music; the same at every call.

    Parameters
    ----------
    recordings
        Recordings of all splits.
    seconds
        Length of a stretch.
    count
        Number of stretches of each kind.
    """
    length = round(seconds * SAMPLE_RATE)
    rng = np.random.default_rng(0)

    def of(split: str, song: bool, vocals: bool) -> list[Tensor]:
        chosen = [
            r
            for r in recordings
            if r.split == split
            and (r.role == "song-vocals" if vocals else "vocals" not in r.role)
            and (r.role.startswith("song-") if song else r.role == "accompaniment")
        ]
        return draw(chosen, length, rng, count)

    sing = Singers(
        make_pools(recordings), length, speech_share=MixtureConfig().speech_share, chain=True
    )
    voices = {
        "new songs' vocals": of("validation", True, True),
        "known songs' vocals": of("train", True, True),
        "known voices": [torch.from_numpy(sing(rng)) for _ in range(count)],
    }
    music = {
        "new songs": of("validation", True, False),
        "known songs": of("train", True, False),
        "new instrumentals": of("validation", False, False),
        "known instrumentals": of("train", False, False),
    }
    return voices, music


@torch.no_grad()
def gains(network: nn.Module, voices: Sequence[Tensor], music: Sequence[Tensor]) -> list[float]:
    """Return the median gains in dB of vocals and instrumental in mixtures of ``(2, N)``."""
    rows = []
    for vocals, other in zip(voices, music, strict=False):
        scale = other.norm() / vocals.norm().clamp_min(1e-6) * db_to_gain(LEVEL_DB)
        parts = torch.stack([vocals * scale, other])
        parts *= 0.1 / parts.sum(dim=0).square().mean().sqrt()
        mixture = parts.sum(dim=0)
        estimate = network(mixture[None])[0, 0]
        pairs = ((estimate, parts[0]), (mixture - estimate, parts[1]))
        rows.append([si_sdr_gain(guess, target, mixture) for guess, target in pairs])
    return [float(value) for value in np.median(rows, axis=0)]


@torch.no_grad()
def purity(network: nn.Module, music: Sequence[Tensor]) -> float:
    """Return the median SI-SDR in dB of the instrumental, for music ``(2, N)`` without a voice."""
    rows = []
    for piece in music:
        mixture = piece * (0.1 / piece.square().mean().sqrt().clamp_min(1e-6))
        rows.append(
            float(si_sdr((mixture - network(mixture[None])[0, 0]).flatten(), mixture.flatten()))
        )
    return float(np.median(rows))


def table(
    network: nn.Module,
    voices: Mapping[str, Sequence[Tensor]],
    music: Mapping[str, Sequence[Tensor]],
) -> str:
    """Format the gains of all pairs, vocals / instrumental, one line per kind of voice.

    The last line is the SI-SDR of the instrumental without a voice.
    """
    lines = ["".join([" " * 22, *(f"{name:>22}" for name in music)])]
    for name, voice in voices.items():
        cells = (
            "{:.2f} / {:.2f}".format(*gains(network, voice, other)) if voice and other else "-"
            for other in music.values()
        )
        lines.append("".join([f"{name:22}", *(f"{cell:>22}" for cell in cells)]))
    alone = (f"{purity(network, other):.2f}" if other else "-" for other in music.values())
    lines.append("".join([f"{'nobody':22}", *(f"{cell:>22}" for cell in alone)]))
    return "\n".join(lines)
