"""How good a network is on the songs of the corpus that it is not trained on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from karaoke.metrics import is_singing, sdr, si_sdr_gain, windows
from karaoke.training.corpus import SAMPLE_RATE, Recording, read_together

#: For each song, and for ``all``: a name of a figure, and its value.
Figures = dict[str, dict[str, float]]


def rank_and_world() -> tuple[int, int]:
    """Tell which of how many training processes this is; ``(0, 1)`` outside ``torchrun``."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def singing_windows(
    recordings: Sequence[Recording], window_seconds: float = 10.0
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield the windows of the validation songs in which somebody sings.

    Yields
    ------
    tuple
        Song, vocals ``(2, N)``, accompaniment ``(2, N)``.
    """
    songs: dict[str, list[Recording]] = {}
    for recording in recordings:
        if recording.split == "validation" and recording.role.startswith("song-"):
            songs.setdefault(recording.group, []).append(recording)
    for song, parts in songs.items():
        voices = [part for part in parts if part.role == "song-vocals"]
        others = [part for part in parts if part.role != "song-vocals"]
        if not voices or not others:
            continue
        length = min(part.length for part in parts)
        vocals = torch.from_numpy(read_together(voices, 0, length)).expand(2, -1)
        for window in windows(length, round(window_seconds * SAMPLE_RATE)):
            if is_singing(vocals, window):
                other = read_together(others, window.start, window.stop - window.start)
                yield song, vocals[:, window], torch.from_numpy(other).expand(2, -1)


@torch.no_grad()
def validate(network: nn.Module, recordings: Sequence[Recording], device: str) -> Figures:
    """Measure the separation of vocals, window by window, sharing the work among all processes.

    Returns
    -------
    dict
        For each song, and for ``all``, medians in dB: ``vocals`` and ``instrumental``, the SI-SDR
        above the mixture's; ``vocals_sdr`` and ``instrumental_sdr``. Empty without songs.
    """
    network.eval()
    rank, world = rank_and_world()
    mine: list[tuple[str, list[float]]] = []
    for index, (song, vocals, accompaniment) in enumerate(singing_windows(recordings)):
        if index % world == rank:
            mixture = vocals + accompaniment
            estimate = network(mixture[None].to(device))[0, 0].float().cpu()
            mine.append((song, window_figures(estimate, vocals, accompaniment)))
    shares: list[Any] = [mine]
    if world > 1:
        shares = [None] * world
        distributed.all_gather_object(shares, mine)
    rows: dict[str, list[list[float]]] = {}
    for song, row in itertools.chain.from_iterable(shares):
        rows.setdefault(song, []).append(row)
        rows.setdefault("all", []).append(row)
    names = ("vocals", "instrumental", "vocals_sdr", "instrumental_sdr")
    medians = {song: torch.tensor(table).quantile(0.5, dim=0) for song, table in rows.items()}
    return {
        song: {name: round(float(value), 2) for name, value in zip(names, row, strict=True)}
        for song, row in medians.items()
    }


def window_figures(estimate: Tensor, vocals: Tensor, accompaniment: Tensor) -> list[float]:
    """SI-SDR gains of vocals and instrumental, then their SDR; all signals ``(2, N)``."""
    mixture = vocals + accompaniment
    rest = mixture - estimate
    return [
        si_sdr_gain(estimate, vocals, mixture),
        si_sdr_gain(rest, accompaniment, mixture),
        float(sdr(estimate.flatten(), vocals.flatten())),
        float(sdr(rest.flatten(), accompaniment.flatten())),
    ]
