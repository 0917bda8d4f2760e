"""Measure a network on the songs of the corpus that it is not trained on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor, distributed, nn

from karaoke.evaluation.comparing import HALVES, half_of, halves, mean_level
from karaoke.evaluation.metrics import (
    has_music,
    is_rest,
    is_singing,
    leak_db,
    sdr,
    si_sdr_gain,
    windows,
)
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.masks import MASK_FIGURES, require_masks
from karaoke.training.mixtures.pools import read_together

#: Figures whose sum decides which network is better; missing ones count as zero.
SCORED = ("vocals", "instrumental", "drums", "bass", "other")
#: Name of the figure for the level of the vocals where nobody sings.
LEAK = "leak"
#: Length of a window in samples.
WINDOW_LENGTH = 10 * SAMPLE_RATE
#: Number of windows with singing for each one without.
RESTS = 3
#: Figures by name, for each song, for ``all`` and for both halves.
SongFigures = dict[str, dict[str, float]]


def rank_and_world() -> tuple[int, int]:
    """Return this training process's rank and their number; ``(0, 1)`` outside ``torchrun``."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def sung_songs(
    recordings: Sequence[Recording],
) -> Iterator[tuple[str, list[Recording], Tensor, int]]:
    """Yield the validation songs with vocals and music: name, music, vocals ``(2, N)``, and N."""
    songs: dict[str, list[Recording]] = {}
    for recording in recordings:
        if recording.split == "validation" and recording.role.startswith("song-"):
            songs.setdefault(recording.group, []).append(recording)
    for song, parts in songs.items():
        voices = [part for part in parts if part.role == "song-vocals"]
        others = [part for part in parts if part.role != "song-vocals"]
        if voices and others:
            length = min(part.length for part in parts)
            vocals = torch.from_numpy(read_together(voices, 0, length)).expand(2, -1)
            yield song, others, vocals, length


def spread(found: Sequence[slice], most: int) -> Sequence[slice]:
    """Choose ``most`` evenly spaced windows, or all if there are fewer or ``most`` is 0."""
    if most <= 0 or len(found) <= most:
        return found
    return [found[(2 * index + 1) * len(found) // (2 * most)] for index in range(most)]


def read_window(parts: Sequence[Recording], window: slice) -> Tensor:
    """Read a window ``(2, N)`` of the sum of recordings."""
    audio = read_together(parts, window.start, window.stop - window.start)
    return torch.from_numpy(audio).expand(2, -1)


def singing_windows(
    recordings: Sequence[Recording], most: int = 0
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield the windows of the validation songs in which somebody sings to music.

    Parameters
    ----------
    recordings
        Recordings of all splits.
    most
        Number of windows per song, evenly spaced; 0 for all.

    Yields
    ------
    tuple
        Song, vocals ``(2, N)``, accompaniment ``(2, N)``.
    """
    for song, others, vocals, length in sung_songs(recordings):
        found = [
            window
            for window in windows(length, WINDOW_LENGTH)
            if is_singing(vocals, window)
            and has_music(vocals[:, window], read_window(others, window))
        ]
        for window in spread(found, most):
            yield song, vocals[:, window], read_window(others, window)


def rest_windows(recordings: Sequence[Recording], most: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield windows in which nobody sings, from songs and from recordings of music alone.

    Of the latter, which count as songs, it is the first window. Parameters are those of
    :func:`singing_windows`.

    Yields
    ------
    tuple
        Song or recording, mixture ``(2, N)``.
    """
    for song, others, vocals, length in sung_songs(recordings):
        found = [w for w in windows(length, WINDOW_LENGTH) if is_rest(vocals, w)]
        for window in spread(found, most):
            yield song, vocals[:, window] + read_window(others, window)
    for recording in recordings:
        if recording.split == "validation" and recording.role == "accompaniment":
            length = min(recording.length, WINDOW_LENGTH)
            yield PurePath(recording.path).stem, read_window([recording], slice(0, length))


def part_windows(
    recordings: Sequence[Recording], apart: Sequence[str], most: int = 0
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield windows of the validation music that comes in separate stems, with vocals.

    Songs with all stems are rare; instrumental pieces are not, and get the vocals of a validation
    song, as loud as their music.

    Yields
    ------
    tuple
        Piece, and its stems by name, ``(2, N)`` each, whose sum is the mixture.
    """
    chosen = [r for r in recordings if r.split == "validation" and r.role.startswith("song-")]
    groups = {group: {r.role: [r] for r in chosen if r.group == group}
              for group in dict.fromkeys(r.group for r in chosen)}  # fmt: skip
    sung = [group for group, roles in groups.items() if "song-vocals" in roles]
    for index, (piece, roles) in enumerate(groups.items()):
        if not {f"song-{stem}" for stem in apart} <= roles.keys():
            continue
        singer = sung[index % len(sung)] if sung else piece
        lines = itertools.cycle(singing_windows([r for r in chosen if r.group == singer]))
        length = min(part.length for parts in roles.values() for part in parts)
        for window in spread(list(windows(length, WINDOW_LENGTH)), most):
            stems = {
                role.removeprefix("song-"): read_window(parts, window)
                for role, parts in roles.items()
            }
            if "vocals" not in stems:
                _, vocals, _ = next(lines, (None, None, None))
                if vocals is None:
                    return
                music = torch.stack(list(stems.values())).sum(dim=0)
                stems["vocals"] = vocals * (music.norm() / vocals.norm())
            yield piece, stems


def validation_windows(
    recordings: Sequence[Recording], stems: Sequence[str], most: int = 0
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield all windows to validate on: song, and stems whose sum is the mixture.

    Where nobody sings, there is only ``instrumental``.
    """
    for song, vocals, accompaniment in singing_windows(recordings, most):
        yield song, {"vocals": vocals, "instrumental": accompaniment}
    for song, mixture in rest_windows(recordings, -(-most // RESTS)):
        yield song, {"instrumental": mixture}
    if len(stems) > 2:
        yield from part_windows(recordings, stems[1:], most)


@torch.no_grad()
def validate(
    network: nn.Module,
    recordings: Sequence[Recording],
    device: str,
    stems: Sequence[str] = ("vocals",),
    mask_figures: Sequence[str] = (),
    most: int = 0,
) -> SongFigures:
    """Measure a network window by window, sharing the work among all processes.

    Parameters
    ----------
    network
        The network.
    recordings
        Recordings of all splits.
    device
        A torch device.
    stems
        The network's stems.
    mask_figures
        Names in ``MASK_FIGURES`` of what else to measure.
    most
        Windows with singing per song, and a third as many without; 0 for all.

    Returns
    -------
    dict
        For each song, means over its windows in dB: ``vocals`` and ``instrumental``, the SI-SDR
        above the mixture's; ``vocals_sdr`` and ``instrumental_sdr``; and ``leak``, the level of
        the vocals where nobody sings. For music in separate stems also ``drums``, ``bass`` and
        ``other``. With ``mask_figures``, shares such as ``dice_vocals``. For ``all``, ``choose``
        and ``report``, means over songs with equal weights: over all, over those to choose a
        checkpoint by, and over the rest, if any. Empty without songs.
    """
    network.eval()
    rank, world = rank_and_world()
    mine: list[tuple[str, dict[str, float]]] = []
    for index, (song, targets) in enumerate(validation_windows(recordings, stems, most)):
        if index % world == rank:
            mine.append((song, window_figures(network, device, stems, targets, mask_figures)))
    shares: list[Any] = [mine]
    if world > 1:
        shares = [None] * world
        distributed.all_gather_object(shares, mine)
    rows: dict[str, dict[str, list[float]]] = {}
    for song, row in itertools.chain.from_iterable(shares):
        table = rows.setdefault(song, {})
        for name, value in row.items():
            table.setdefault(name, []).append(value)
    return with_means(
        {
            song: {
                name: mean_level(values) if name == LEAK else sum(values) / len(values)
                for name, values in table.items()
            }
            for song, table in rows.items()
        }
    )


def with_means(songs: SongFigures) -> SongFigures:
    """Add means over all songs and over both halves, and round everything."""
    sung = [name for name, figures in songs.items() if figures.keys() & {*SCORED}]
    groups = {"all": list(songs), **halves(sung)}
    for name in songs:
        if name not in sung and half_of(name) in groups:
            groups[half_of(name)].append(name)
    found = dict(songs)
    for group, members in groups.items():
        rows = [songs[name] for name in members]
        names = dict.fromkeys(itertools.chain.from_iterable(rows))
        means = {name: [row[name] for row in rows if name in row] for name in names}
        if sung:
            found[group] = {name: sum(values) / len(values) for name, values in means.items()}
    return {
        song: {name: round(value, 3) for name, value in figures.items()}
        for song, figures in found.items()
    }


def score(figures: SongFigures, leak_limit_db: float) -> tuple[bool, float]:
    """Score a network by the half of the songs that checkpoints are chosen by.

    Parameters
    ----------
    figures
        From :func:`validate`; not empty.
    leak_limit_db
        Highest level of the vocals where nobody sings.

    Returns
    -------
    tuple
        Greater is better: whether the leak is within the limit although the network does not just
        return silence, then the sum of the gains.
    """
    chosen = figures[HALVES[0]]
    gains = sum(chosen.get(name, 0.0) for name in SCORED)
    return gains > 0 and chosen.get(LEAK, -math.inf) <= leak_limit_db, gains


def to_line(figures: dict[str, float]) -> str:
    """Format figures on one line, decibels first and then shares."""
    shares = {n: v for n, v in figures.items() if n.startswith(tuple(MASK_FIGURES))}
    levels = [f"{n} {v:+.2f}" for n, v in figures.items() if n not in shares]
    return ", ".join([f"{', '.join(levels)} dB", *(f"{n} {v:.2f}" for n, v in shares.items())])


def window_figures(
    network: nn.Module,
    device: str,
    stems: Sequence[str],
    targets: dict[str, Tensor],
    mask_figures: Sequence[str],
) -> dict[str, float]:
    """Separate the sum of targets ``(2, N)``, and compare the estimates with them."""
    mixture = torch.stack(list(targets.values())).sum(dim=0)
    heard = mixture[None].to(device)
    if targets.keys() == {"instrumental"}:
        vocals = network(heard)[0, list(stems).index("vocals")].float().cpu()
        leak = leak_db(vocals, mixture)
        return {} if leak is None else {LEAK: leak}
    figures: dict[str, float] = {}
    if mask_figures:
        masking = require_masks(network)
        spectrogram = masking.stft(heard)
        masks = masking.masks(spectrogram)
        separated = masking.apply_masks(masks, spectrogram, mixture.shape[-1])
        known = [stem for stem in stems if stem in targets]
        true = masking.stft(torch.stack([targets[stem] for stem in known])[None].to(device))
        masks = masks[:, [stems.index(stem) for stem in known]]
        for name in mask_figures:
            values = MASK_FIGURES[name](masks, spectrogram, true)[0]
            figures |= {f"{name}_{stem}": float(v) for stem, v in zip(known, values, strict=True)}
    else:
        separated = network(heard)
    estimates = dict(zip(stems, separated[0].float().cpu(), strict=True))
    if "instrumental" in targets:
        return song_figures(estimates["vocals"], **targets) | figures
    audible = [stem for stem in stems[1:] if targets[stem].abs().max() > 1e-3]
    gains = {s: si_sdr_gain(estimates[s], targets[s], mixture) for s in audible}
    return gains | figures


def song_figures(estimate: Tensor, vocals: Tensor, instrumental: Tensor) -> dict[str, float]:
    """Measure SI-SDR gains and SDR of vocals and instrumental; all signals ``(2, N)``."""
    mixture = vocals + instrumental
    rest = mixture - estimate
    return {
        "vocals": si_sdr_gain(estimate, vocals, mixture),
        "instrumental": si_sdr_gain(rest, instrumental, mixture),
        "vocals_sdr": float(sdr(estimate.flatten(), vocals.flatten())),
        "instrumental_sdr": float(sdr(rest.flatten(), instrumental.flatten())),
    }
