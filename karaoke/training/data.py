"""Recordings, decoded once to a cache, and mixtures made of them on the fly."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from karaoke.errors import NoInputError
from karaoke.training import augment
from karaoke.training.augment import Audio, Rng

SAMPLE_RATE = 44100
#: Below this RMS a stretch of a vocal stem counts as a rest, not as singing.
SINGING_RMS = 0.01


@dataclass(frozen=True)
class Recording:
    """One file of a corpus: a row of its ``manifest.tsv``, and its decoded samples."""

    path: str
    role: str
    group: str
    split: str
    samples: NDArray[np.int16]

    @property
    def length(self) -> int:
        """Samples per channel at 44.1 kHz."""
        return int(self.samples.shape[1])

    def read(self, start: int, length: int) -> Audio:
        """Read float32 ``(channels, length)``, around again from the start past the end."""
        if start + length <= self.length:
            block = self.samples[:, start : start + length]
        else:
            block = self.samples.take(range(start, start + length), axis=1, mode="wrap")
        return block.astype(np.float32) / 32768.0


def decode_to_cache(source: Path, target: Path) -> None:
    """Decode one file to int16 ``(channels, samples)`` at 44.1 kHz, unless that was done."""
    if target.exists():
        return
    audio, sample_rate = soundfile.read(source, dtype="float32", always_2d=True)
    audio = soxr.resample(audio, sample_rate, SAMPLE_RATE)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part.npy")
    np.save(part, np.round(audio.T.clip(-1, 1) * 32767).astype(np.int16))
    part.rename(target)


def read_manifest(root: Path) -> list[dict[str, str]]:
    """Read the rows of a corpus' ``manifest.tsv``.

    Raises
    ------
    NoInputError
        There is none.
    """
    manifest = root / "manifest.tsv"
    if not manifest.is_file():
        raise NoInputError(f'"{manifest}": no such file', hint="Name a folder with a manifest.")
    with manifest.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def load_corpus(root: Path, cache: Path, *, workers: int = 2) -> list[Recording]:
    """Open every recording of a corpus, decoding what the cache lacks.

    Parameters
    ----------
    root
        Folder with a ``manifest.tsv`` (columns ``path, role, group, split``, others ignored).
    cache
        Folder for the decoded samples, about 10 MB a minute in stereo.
    workers
        Processes that decode.

    Raises
    ------
    NoInputError
        There is no manifest.
    """
    rows = read_manifest(root)
    targets = [cache / f"{row['path']}.npy" for row in rows]
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(decode_to_cache, [root / row["path"] for row in rows], targets))
    return [
        Recording(row["path"], row["role"], row["group"], row["split"], np.load(t, mmap_mode="r"))
        for row, t in zip(rows, targets, strict=True)
    ]


class Pool:
    """Recordings of one kind, drawn so that a few large groups do not drown the small ones."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.groups: dict[str, list[Recording]] = {}
        for recording in recordings:
            self.groups.setdefault(recording.group, []).append(recording)
        self.names = sorted(self.groups)
        weights = np.sqrt([sum(r.length for r in self.groups[name]) for name in self.names])
        self.probabilities = weights / weights.sum()

    def draw(self, rng: Rng) -> Recording:
        """Draw a group by the root of its length, then a recording of it by its length."""
        group = self.groups[self.names[rng.choice(len(self.names), p=self.probabilities)]]
        lengths = np.array([recording.length for recording in group], dtype=np.float64)
        return group[rng.choice(len(group), p=lengths / lengths.sum())]


class MixtureDataset(Dataset[Tensor]):
    """Random mixtures: item ``i`` is a tensor ``(2, C, N)`` of vocals and accompaniment.

    The mixture is their sum. An item depends on the seed and its index alone, so a training run
    that stops goes on with the very mixtures that it would have seen.

    Parameters
    ----------
    recordings
        Of the roles ``vocals``, ``speech``, ``accompaniment``, ``song-vocals`` and
        ``song-accompaniment``; only those of the split ``train`` are used.
    segment_seconds
        Length of a mixture.
    seed
        Of everything random.
    length
        Number of items.
    """

    def __init__(
        self, recordings: Sequence[Recording], *, segment_seconds: float, seed: int, length: int
    ) -> None:
        train = [recording for recording in recordings if recording.split == "train"]
        roles = {r.role for r in train}
        self.pools = {role: Pool([r for r in train if r.role == role]) for role in roles}
        self.segment_length = round(segment_seconds * SAMPLE_RATE)
        self.seed, self.length = seed, length

    def __len__(self) -> int:
        """Count the items."""
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        """Make item ``index``."""
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < 0.15:
            vocals, accompaniment = self._aligned(rng)
        else:
            vocals = self._vocals(rng)
            accompaniment = self._accompaniment(rng)
        return torch.from_numpy(np.stack(self._mix(rng, vocals, accompaniment)))

    def _segment(self, rng: Rng, recording: Recording, *, singing: bool = False) -> Audio:
        """Read a random stretch; with ``singing``, try to find one that is not a rest."""
        for _ in range(4 if singing else 1):
            start = int(rng.integers(0, max(1, recording.length - self.segment_length)))
            audio = recording.read(start, self.segment_length)
            if augment.rms(audio) > SINGING_RMS:
                break
        return audio

    def _aligned(self, rng: Rng) -> tuple[Audio, Audio]:
        """Take both stems of a real song at the same place."""
        vocals = self.pools["song-vocals"].draw(rng)
        other = self.pools["song-accompaniment"].groups[vocals.group][0]
        shortest = min(vocals.length, other.length) - self.segment_length
        start = int(rng.integers(0, max(1, shortest)))
        parts = [part.read(start, self.segment_length) for part in (vocals, other)]
        ratio = np.full(self.segment_length, 2.0 ** (rng.normal(0, 1.5) / 12))
        bent = [augment.bend(part, ratio) for part in parts]
        return bent[0], bent[1]

    def _voice(self, rng: Rng) -> Audio:
        """Sing one dry mono line: a recording bent to a random tune, with rests."""
        role = "vocals" if rng.random() < 0.68 else "speech"
        recording = self.pools[role].draw(rng)
        # Makam singers move in pitch by themselves; voicebanks and speech have to be led.
        moves = recording.group.startswith("makam")
        tune = augment.melody(rng, self.segment_length, SAMPLE_RATE, spread=1.5 if moves else 4.0)
        needed = int(tune.sum()) + 8
        start = int(rng.integers(0, max(1, recording.length - needed)))
        audio = augment.bend(recording.read(start, needed)[:1], tune)
        if "an4" in recording.group:
            # Recorded at 16 kHz: draw a treble from its own upper band's envelope rather than
            # teach that voices end there.
            hiss = rng.standard_normal(audio.shape, dtype=np.float32)
            hiss -= augment.low_pass(hiss, 7000, SAMPLE_RATE)
            audible = np.abs(audio - augment.low_pass(audio, 4000, SAMPLE_RATE))
            audio = audio + 0.5 * hiss * augment.low_pass(audible, 40, SAMPLE_RATE)
        return augment.phrase(rng, audio, SAMPLE_RATE) if rng.random() < 0.6 else audio

    def _vocals(self, rng: Rng) -> Audio:
        """Make a produced vocal: a real stem, or a voice through a random vocal chain."""
        if rng.random() < 0.35:
            audio = self._segment(rng, self.pools["song-vocals"].draw(rng), singing=True)
            audio = augment.bend(audio, np.full(audio.shape[1], 2.0 ** (rng.normal(0, 2.5) / 12)))
            return augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(0, 4), depth_db=3)
        mono = self._voice(rng)
        audio = augment.pan(rng, mono, 0.1)
        if rng.random() < 0.35:
            audio = audio + self._doubles(rng, mono)
        if rng.random() < 0.2:
            second = self._voice(rng)
            gain = augment.rms(audio) / augment.rms(second)
            audio = audio + augment.pan(rng, second, 0.6) * gain * augment.db_to_gain(
                rng.uniform(-10, 0)
            )
        # Records are brighter than clean recordings: more presence and air than not.
        audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(7, 5), depth_db=4)
        if rng.random() < 0.6:
            audio = augment.compress(rng, audio, SAMPLE_RATE)
        if rng.random() < 0.3:
            audio = augment.saturate(rng, audio)
        if rng.random() < 0.25:
            audio = augment.echo(rng, audio, SAMPLE_RATE)
        if rng.random() < 0.75:
            audio = augment.reverberate(rng, audio, SAMPLE_RATE)
        return audio

    def _doubles(self, rng: Rng, mono: Audio) -> Audio:
        """Repeat a line some cents and milliseconds apart, or a harmony of it, at the sides."""
        harmony = rng.random() < 0.4
        semitones = float(rng.choice([-12, -5, -4, -3, 3, 4, 5, 7, 12])) if harmony else 0.0
        level = augment.db_to_gain(rng.uniform(-14, -3))
        sides: Audio = np.zeros((2, mono.shape[1]), dtype=np.float32)
        for side in range(2):
            cents = rng.normal(0, 9)
            ratio = np.full(mono.shape[1], 2.0 ** ((semitones + cents / 100) / 12))
            delay = int(rng.uniform(0.003, 0.03) * SAMPLE_RATE)
            copy = np.roll(augment.bend(mono, ratio)[0], delay)
            sides[side] += level * copy
            sides[1 - side] += level * rng.uniform(0, 0.6) * copy
        return sides

    def _accompaniment(self, rng: Rng) -> Audio:
        """Take instrumental music, sometimes two pieces at once, through a random filter."""
        parts = []
        for _ in range(2 if rng.random() < 0.2 else 1):
            role = "song-accompaniment" if rng.random() < 0.3 else "accompaniment"
            audio = self._segment(rng, self.pools[role].draw(rng))
            audio = np.broadcast_to(audio, (2, audio.shape[1]))
            speed = np.full(audio.shape[1], 2.0 ** (rng.normal(0, 2) / 12))
            audio = augment.bend(audio, speed) if rng.random() < 0.5 else audio
            audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(1, 4), depth_db=3)
            parts.append(audio / augment.rms(audio) * augment.db_to_gain(rng.uniform(-6, 0)))
        total: Audio = np.sum(parts, axis=0, dtype=np.float32)
        return total

    def _mix(self, rng: Rng, vocals: Audio, accompaniment: Audio) -> tuple[Audio, Audio]:
        """Set the levels, then do to both what a mix bus, a coder or a listener does to a song."""
        vocals = vocals / max(augment.rms(vocals), SINGING_RMS)
        accompaniment = accompaniment / max(augment.rms(accompaniment), SINGING_RMS)
        vocals = vocals * augment.db_to_gain(rng.uniform(-9, 6))
        absent = rng.random()
        if absent < 0.07:
            vocals = np.zeros_like(vocals)
        elif absent < 0.1:
            accompaniment = accompaniment * augment.db_to_gain(rng.uniform(-60, -20))
        if rng.random() < 0.5:
            vocals = vocals[::-1]
        if rng.random() < 0.5:
            accompaniment = accompaniment[::-1]
        if rng.random() < 0.5:
            accompaniment = -accompaniment
        if rng.random() < 0.1:
            vocals, accompaniment = (
                np.repeat(part.mean(axis=0, keepdims=True), 2, axis=0)
                for part in (vocals, accompaniment)
            )
        if rng.random() < 0.5:
            vocals, accompaniment = augment.limit_together(rng, vocals, accompaniment)
        if rng.random() < 0.2:
            cutoff_hz = rng.uniform(9000, 18000)
            vocals = augment.low_pass(vocals, cutoff_hz, SAMPLE_RATE)
            accompaniment = augment.low_pass(accompaniment, cutoff_hz, SAMPLE_RATE)
        gain = np.float32(0.1 / augment.rms(vocals + accompaniment))
        return (
            np.ascontiguousarray(vocals * gain, dtype=np.float32),
            np.ascontiguousarray(accompaniment * gain, dtype=np.float32),
        )
