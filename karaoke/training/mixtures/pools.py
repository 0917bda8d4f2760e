"""Pools of recordings, sorted by what they are used for, to draw from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from karaoke.errors import NoInputError
from karaoke.training.corpus import Recording


class Pool:
    """Recordings of one kind, drawn so that a few large groups do not crowd out small ones."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.groups: dict[str, list[Recording]] = {}
        for recording in recordings:
            self.groups.setdefault(recording.group, []).append(recording)
        self.names = sorted(self.groups)
        weights = np.sqrt([sum(r.length for r in self.groups[name]) for name in self.names])
        self.probabilities = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Recording:
        """Draw a group weighted by the root of its length, then a recording by its length."""
        group = self.groups[self.names[rng.choice(len(self.names), p=self.probabilities)]]
        lengths = np.array([recording.length for recording in group], dtype=np.float64)
        return group[rng.choice(len(group), p=lengths / lengths.sum())]


def make_pools(recordings: Sequence[Recording], apart: Sequence[str] = ()) -> dict[str, Pool]:
    """Sort the recordings that are trained on by what they are used for.

    Parameters
    ----------
    recordings
        Recordings of the roles ``vocals``, ``speech``, ``accompaniment`` and, for songs,
        ``song-vocals`` and ``song-...``; those of the split ``train`` are used.
    apart
        Stems in which music is needed, besides vocals; none for any music.

    Returns
    -------
    dict
        The pools that are not empty: ``vocals``, ``speech``, ``song-vocals``,
        ``song-accompaniment`` (other stems of songs with vocals), ``estimated-vocals`` and
        ``estimated-accompaniment`` (the same for songs with estimated stems, unless all are), and
        ``accompaniment`` (other music, and stems of songs without vocals).

    Raises
    ------
    NoInputError
        There are no voices or no music among the recordings.
    """
    train = [recording for recording in recordings if recording.split == "train"]
    estimated = [r for r in train if r.estimated and r.role.startswith("song-")]
    if not any(r.role == "song-vocals" and not r.estimated for r in train):
        estimated = []  # there are no others to distinguish them from
    train = [r for r in train if not any(r is other for other in estimated)]
    roles = {role: [r for r in train if r.role == role]
             for role in ("vocals", "speech", "song-vocals", "accompaniment")}  # fmt: skip
    others = [r for r in train if r.role.startswith("song-") and r.role != "song-vocals"]
    if apart:
        stems: dict[str, set[str]] = {}
        for recording in others:
            stems.setdefault(recording.group, set()).add(recording.role)
        wanted = {f"song-{stem}" for stem in apart}
        others = [r for r in others if r.role in wanted and stems[r.group] >= wanted]
        roles["accompaniment"] = []
    sung = {recording.group for recording in roles["song-vocals"]}
    roles["song-accompaniment"] = [r for r in others if r.group in sung]
    roles["accompaniment"] += [r for r in others if r.group not in sung]
    if not apart:  # estimates only have vocals and accompaniment
        for stem in ("vocals", "accompaniment"):
            roles[f"estimated-{stem}"] = [r for r in estimated if r.role == f"song-{stem}"]
    pools = {role: Pool(chosen) for role, chosen in roles.items() if chosen}
    if not pools.keys() & {"vocals", "speech", "song-vocals"}:
        raise NoInputError("no voice among the recordings to train on")
    if not pools.keys() & {"accompaniment", "song-accompaniment"}:
        if apart:
            raise NoInputError(
                f"no music with the stems {', '.join(apart)} among the recordings to train on",
                hint="karaoke workshop music FOLDER --parts renders some.",
            )
        raise NoInputError("no music among the recordings to train on")
    return pools


def read_together(parts: Sequence[Recording], start: int, length: int) -> NDArray[np.float32]:
    """Read the sum of aligned recordings, such as stems of a song: ``(channels, length)``."""
    total: NDArray[np.float32] = np.sum([part.read(start, length) for part in parts], axis=0)
    return total
