"""Sound, measured against the mix that it was made from: level, place, key and tempo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import correlate

from karaoke.analysis.peaks import peak_offset
from karaoke.analysis.windows import mono, windowed
from karaoke.audio import AudioReader, Block, Samples
from karaoke.audio.blocks import resample
from karaoke.making.mixes import Mix

Curve = NDArray[np.float64]
#: Stretch by which two recordings of one mix are laid on each other, and as far as they are moved.
STRETCH, REACH = 1 << 17, 1 << 13
#: Windows of the long-term spectrum, and the pitches at which it is compared, a cent apart.
SPECTRUM_LENGTH = 1 << 15
LOWEST_HZ, HIGHEST_HZ = 200.0, 4000.0
#: Spectra are compared without what is broader than this, and only so far from what is expected.
ENVELOPE_CENTS, SEARCH_CENTS = 200, 60
#: Steps of the curve of attacks, and the stretches of it that are laid on each other.
ATTACK_FPS, ATTACK_SECONDS, ATTACK_REACH_SECONDS = 200, 8.0, 0.1
#: Of the power of a sound, what is lost in rounding.
LEAST_SHARE = 1e-14
#: Below such a correlation two curves have nothing to tell.
ALIKE = 0.3


def decoded(path: Path, sample_rate: int, stream: int = 1) -> Iterator[Block]:
    """Decode an audio stream of a file, counted from 1, at a sample rate."""
    with AudioReader(path, stream=stream) as reader:
        yield from resample(reader.blocks(), reader.sample_rate, sample_rate)


@dataclass(frozen=True)
class Gains:
    """Of what a sound is made.

    Parameters
    ----------
    parts_db
        Of each part of the mix, whose own gains are left out, as it was found.
    residual_db
        What is no part of the mix, less the level of all.
    """

    parts_db: tuple[float, ...]
    residual_db: float


def measure_gains(sound: Iterable[Block], mix: Mix, late: int = 0) -> Gains:
    """Find with which gains the parts of a mix give a sound that is so late, by least squares."""
    count, lead = len(mix.parts), mix.before.shape[1] + late
    products, with_sound, power = np.zeros((count, count)), np.zeros(count), 0.0
    at = 0
    for block in sound:
        first = max(lead - at, 0)
        start, length = at + first - lead, block.shape[1] - first
        length = min(length, mix.frames - mix.before.shape[1] - start)
        at += block.shape[1]
        if length <= 0:
            continue
        heard = block[:, first : first + length].astype(np.float64).ravel()
        parts = [p.stem.read(p.first + start, length).astype(np.float64) for p in mix.parts]
        sources = np.stack([part.ravel() for part in parts])
        products += sources @ sources.T
        with_sound += sources @ heard
        power += float(heard @ heard)
    gains = np.linalg.lstsq(products, with_sound, rcond=1e-12)[0]
    left = power - 2 * gains @ with_sound + gains @ products @ gains
    share = float(left) / power if power else 0.0
    return Gains(
        tuple(float(20 * np.log10(max(abs(gain), 1e-6))) for gain in gains),
        10 * float(np.log10(max(share, LEAST_SHARE))),
    )


def lateness(sound: Iterable[Block], mix: Samples) -> int | None:
    """Find by how many samples a sound is later than the mix it was made from.

    Where it is loudest the two are laid on each other. None where there is no sound, or another.
    """
    loudest, place, at = np.zeros(0), 0, 0
    for block in mono(sound):
        for first in range(0, block.shape[1], STRETCH):
            part = block[0, first : first + STRETCH].astype(np.float64)
            if np.dot(part, part) > np.dot(loudest, loudest):
                loudest, place = part, at + first
        at += block.shape[1]
    if not loudest.any():
        return None
    # Silence is before and after the mix.
    begin, length = place - REACH, len(loudest) + 2 * REACH
    first, last = max(begin, 0), min(begin + length, mix.frames)
    if first >= last:
        return None
    around = np.zeros(length)
    around[first - begin : last - begin] = mix.read(first, last - first).mean(axis=0)
    likeness = correlate(around, loudest, mode="valid", method="fft")
    energy = np.concatenate([[0.0], np.cumsum(around**2)])
    power = np.sqrt((energy[len(loudest) :] - energy[: -len(loudest)]) * np.dot(loudest, loudest))
    likeness = np.where(power > 1e-3 * power.max(), likeness / np.maximum(power, 1e-30), 0.0)
    best = int(np.argmax(likeness))
    return None if likeness[best] < ALIKE else REACH - best


def measure_key(sound: Iterable[Block], source: Iterable[Block], sample_rate: int, semitones: float
                ) -> float | None:  # fmt: skip
    """Find by how many semitones a sound is above what it was made from, by the lines of both.

    Parameters
    ----------
    sound, source
        Streams of blocks.
    semitones
        That are expected; half a semitone about it is looked at.

    Returns
    -------
    float
        None where there are no lines, as of drums alone.
    """
    here, there = (lines(blocks, sample_rate) for blocks in (sound, source))
    expected = round(100 * semitones)
    likeness = np.full(2 * SEARCH_CENTS + 1, -1.0)
    for number, cents in enumerate(range(expected - SEARCH_CENTS, expected + SEARCH_CENTS + 1)):
        low, high = max(cents, 0), len(here) + min(cents, 0)
        moved, kept = here[low:high], there[low - cents : high - cents]
        power = np.sqrt((moved @ moved) * (kept @ kept))
        likeness[number] = moved @ kept / power if power > 0 else -1.0
    best = int(np.argmax(likeness))
    if likeness[best] < ALIKE or not 0 < best < len(likeness) - 1:
        return None
    return (
        expected - SEARCH_CENTS + best + float(peak_offset(*likeness[best - 1 : best + 2]))
    ) / 100


def lines(blocks: Iterable[Block], sample_rate: int) -> Curve:
    """Draw the lines of a long-term spectrum over pitch, in cents: what is sharp in it, in dB."""
    window = np.hanning(SPECTRUM_LENGTH).astype(np.float32)
    power = np.zeros(SPECTRUM_LENGTH // 2 + 1)
    for windows in windowed(mono(blocks), SPECTRUM_LENGTH, SPECTRUM_LENGTH // 2):
        for one in windows:
            power += np.abs(np.fft.rfft(one * window)) ** 2
    cents = 1200 * np.log2(HIGHEST_HZ / LOWEST_HZ)
    hz = LOWEST_HZ * 2 ** (np.arange(round(cents)) / 1200)
    bins = hz / sample_rate * SPECTRUM_LENGTH
    level = np.interp(
        bins, np.arange(len(power)), 10 * np.log10(power + 1e-9 * power.max() + 1e-20)
    )
    sharp: Curve = level - uniform_filter1d(level, ENVELOPE_CENTS)
    return np.maximum(sharp, 0.0)


def measure_tempo(sound: Iterable[Block], source: Iterable[Block], sample_rate: int, tempo: float,
                  lead_in_seconds: float = 0.0) -> tuple[float, float] | None:  # fmt: skip
    """Find how much faster a sound is than what it was made from, and how late, by their attacks.

    Parameters
    ----------
    sound, source
        Streams of blocks.
    tempo
        That is expected.
    lead_in_seconds
        What comes before, in the sound.

    Returns
    -------
    tuple
        The tempo, and the lateness in seconds in the middle; None where there are no attacks.
    """
    here, there = (attacks(blocks, sample_rate) for blocks in (sound, source))
    clock = np.arange(len(here)) / ATTACK_FPS
    due = np.interp((clock - lead_in_seconds) * tempo, np.arange(len(there)) / ATTACK_FPS, there,
                    left=0.0)  # fmt: skip
    length = min(round(ATTACK_SECONDS * ATTACK_FPS), len(here))
    reach = round(ATTACK_REACH_SECONDS * ATTACK_FPS)
    places, late = [], []
    for first in range(0, max(len(here) - length, 0) + 1, max(length, 1)):
        stretch = here[first : first + length]
        around = due[max(first - reach, 0) : first + length + reach]
        likeness = correlate(stretch, around, mode="full", method="fft")
        power = np.sqrt((stretch @ stretch) * (around @ around))
        middle = len(around) - 1 - (first - max(first - reach, 0))
        near = likeness[max(middle - reach, 0) : middle + reach + 1]
        best = int(np.argmax(near))
        if power > 0 and near[best] > ALIKE * power and 0 < best < len(near) - 1:
            offset = best + float(peak_offset(*near[best - 1 : best + 2])) - min(middle, reach)
            places.append((first + length / 2) / ATTACK_FPS)
            late.append(offset / ATTACK_FPS)
    if not places:
        return None
    if len(places) < 2:
        return tempo, float(late[0])
    # The median of the slopes of all pairs: one stretch that repeats itself does no harm.
    pairs = [(a, b) for a in range(len(places)) for b in range(a)]
    drift = float(np.median([(late[a] - late[b]) / (places[a] - places[b]) for a, b in pairs]))
    return tempo / (1 + drift), float(np.median(late))


def attacks(blocks: Iterable[Block], sample_rate: int) -> Curve:
    """Draw how a sound becomes louder, step by step: by its change from sample to sample."""
    hop = sample_rate // ATTACK_FPS
    # At a rate of which a step is a whole number of samples.
    stream = resample(mono(blocks), sample_rate, hop * ATTACK_FPS)
    levels = [np.mean(np.diff(one, axis=1) ** 2, axis=1) for one in windowed(stream, 2 * hop, hop)]
    power = np.concatenate(levels) if levels else np.zeros(1)
    level = 10 * np.log10(power + 1e-5 * power.max() + 1e-12)
    rising: Curve = np.maximum(np.diff(level, prepend=level[0]), 0.0)
    return rising
