"""How good a network is on the songs of the corpus that it is not trained on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from karaoke.metrics import is_singing, sdr, si_sdr_gain, windows
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.masks import MASK_FIGURES, require_masks
from karaoke.training.pools import read_together

#: Figures whose sum tells a better network from a worse one; what it does not give counts nothing.
SCORED = ("vocals", "instrumental", "drums", "bass", "other")
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


def part_windows(
    recordings: Sequence[Recording], apart: Sequence[str], window_seconds: float = 10.0
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield windows of the validation music that comes in parts, each with vocals.

    Songs with all stems are rare, pieces without a voice are not: such a piece gets singing of one
    of the validation songs, as loud as its music.

    Yields
    ------
    tuple
        Piece, and the vocals and the parts, whose sum is the mixture, ``(2, N)`` each.
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
        for window in windows(length, round(window_seconds * SAMPLE_RATE)):
            stems = {
                role.removeprefix("song-"): torch.from_numpy(
                    read_together(parts, window.start, window.stop - window.start)
                ).expand(2, -1)
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
    recordings: Sequence[Recording], stems: Sequence[str]
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield what there is to validate stems on: name, and parts that add up to the mixture."""
    for song, vocals, accompaniment in singing_windows(recordings):
        yield song, {"vocals": vocals, "instrumental": accompaniment}
    if len(stems) > 2:
        yield from part_windows(recordings, stems[1:])


@torch.no_grad()
def validate(
    network: nn.Module,
    recordings: Sequence[Recording],
    device: str,
    stems: Sequence[str] = ("vocals",),
    mask_figures: Sequence[str] = (),
) -> Figures:
    """Measure the separation window by window, sharing the work among all processes.

    Parameters
    ----------
    network
        To measure.
    recordings
        Of all splits.
    device
        A torch device.
    stems
        The network's.
    mask_figures
        Names in ``MASK_FIGURES`` of what to measure of the masks besides.

    Returns
    -------
    dict
        For each song, and for ``all``, medians in dB: ``vocals`` and ``instrumental``, the SI-SDR
        above the mixture's; ``vocals_sdr`` and ``instrumental_sdr``. For music in parts, under
        the same name, ``drums``, ``bass`` and ``other``, likewise. With ``mask_figures``, shares
        such as ``dice_vocals``. Empty without songs.
    """
    network.eval()
    rank, world = rank_and_world()
    mine: list[tuple[str, dict[str, float]]] = []
    for index, (song, targets) in enumerate(validation_windows(recordings, stems)):
        if index % world == rank:
            mine.append((song, window_figures(network, device, stems, targets, mask_figures)))
    shares: list[Any] = [mine]
    if world > 1:
        shares = [None] * world
        distributed.all_gather_object(shares, mine)
    rows: dict[str, dict[str, list[float]]] = {}
    for song, row in itertools.chain.from_iterable(shares):
        for table in (rows.setdefault(song, {}), rows.setdefault("all", {})):
            for name, value in row.items():
                table.setdefault(name, []).append(value)
    return {
        song: {
            name: round(float(torch.tensor(values).quantile(0.5)), 2)
            for name, values in table.items()
        }
        for song, table in rows.items()
    }


def describe(figures: dict[str, float]) -> str:
    """Write figures down, decibels first and then the shares of masks."""
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
    """Separate the sum of targets ``(2, N)`` and compare."""
    mixture = torch.stack(list(targets.values())).sum(dim=0)
    heard = mixture[None].to(device)
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
    """SI-SDR gains of vocals and instrumental, then their SDR; all signals ``(2, N)``."""
    mixture = vocals + instrumental
    rest = mixture - estimate
    return {
        "vocals": si_sdr_gain(estimate, vocals, mixture),
        "instrumental": si_sdr_gain(rest, instrumental, mixture),
        "vocals_sdr": float(sdr(estimate.flatten(), vocals.flatten())),
        "instrumental_sdr": float(sdr(rest.flatten(), instrumental.flatten())),
    }
