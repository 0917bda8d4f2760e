"""The fundamental of a voice.

Each frame offers the dips of YIN's difference function [1]_ as periods, and a path through them is
chosen that changes little, and is silent where no dip is deep or the voice is soft.

References
----------
.. [1] A. de Cheveigné, H. Kawahara, "YIN, a fundamental frequency estimator for speech and music",
   Journal of the Acoustical Society of America 111 (2002).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.peaks import peak_offset
from karaoke.analysis.windows import mono, windowed
from karaoke.audio import Block
from karaoke.audio.blocks import resample

Curve = NDArray[np.float64]
#: Of the sound that is analysed, in Hz, frames a second, and samples that are compared.
RATE, PITCH_FPS, WINDOW = 16_000, 100, 1024
#: Half of it is the highest frequency that counts: without partials above, dips are so round that
#: their depth is known between lags, too. Else octaves would be taken for each other.
NARROW_RATE = 5000
LOWEST_HZ, HIGHEST_HZ = 60.0, 1100.0
LONGEST = int(RATE / LOWEST_HZ) + 2
SHORTEST = int(RATE / HIGHEST_HZ)
#: Periods that each frame may have.
CHOICES = 6
#: A dip of this depth is as good as silence.
UNVOICED_DEPTH = 0.45
#: How much depths count, and an octave in favour of the higher one.
DEPTH_WEIGHT, OCTAVE_PRICE = 6.0, 0.03
#: The price of a semitone from frame to frame, at most, and of a voice that begins or ends.
SEMITONE_PRICE, HIGHEST_PRICE, SWITCH_PRICE = 0.6, 3.5, 1.0
#: A voice so far under its loud parts is hardly one; the price of each decibel below.
FLOOR_DB, DECIBEL_PRICE = -30.0, 0.05


@dataclass(frozen=True)
class Pitch:
    """The pitch of a voice in frames, :data:`PITCH_FPS` a second.

    Parameters
    ----------
    midi
        ``(T,)``: MIDI numbers with fractions, 69 is 440 Hz; NaN where there is none.
    level
        ``(T,)``: root mean square of the samples.
    """

    midi: Curve
    level: Curve


def find_pitch(blocks: Iterable[Block], sample_rate: int) -> Pitch:
    """Follow the pitch of separated vocals.

    Parameters
    ----------
    blocks
        float32 ``(channels, samples)``.
    sample_rate
        In Hz.
    """
    rounded = resample(mono(blocks), sample_rate, NARROW_RATE)
    batches = windowed(resample(rounded, NARROW_RATE, RATE), 2 * WINDOW, RATE // PITCH_FPS)
    parts = [candidates(batch) for batch in batches]
    if not parts:
        return Pitch(np.zeros(0), np.zeros(0))
    hz, depth, level = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pitch(follow(hz, depth, level), level)


def candidates(windows: NDArray[np.float32]) -> tuple[Curve, Curve, Curve]:
    """Find the deepest dips of frames: in Hz and depth ``(T, choices)``, and levels ``(T,)``."""
    difference, level = differences(windows)
    inner = difference[:, SHORTEST : LONGEST - 1]
    before, after = difference[:, SHORTEST - 1 : LONGEST - 2], difference[:, SHORTEST + 1 : LONGEST]
    depths = np.where((inner < before) & (inner <= after) & (inner < 0.8), inner, np.inf)
    # Multiples of a period dip as deep as it does: the short ones come first.
    octaves = np.log2(np.arange(SHORTEST, LONGEST - 1))
    chosen = np.argsort(depths + OCTAVE_PRICE * octaves, axis=1)[:, :CHOICES]
    depth = np.take_along_axis(depths, chosen, axis=1)
    low, mid, high = (np.take_along_axis(d, chosen, axis=1) for d in (before, inner, after))
    shift = np.clip(peak_offset(-low, -mid, -high), -0.5, 0.5)
    depth = np.where(np.isfinite(depth), np.maximum(mid - 0.25 * (low - high) * shift, 0), np.inf)
    return RATE / (chosen + SHORTEST + shift), depth, level


def differences(windows: NDArray[np.float32]) -> tuple[Curve, Curve]:
    """Give YIN's normalised differences ``(T, lags)``, and the level of each frame."""
    sound = windows[:, : WINDOW + LONGEST].astype(np.float64)
    size = 1 << (WINDOW + LONGEST - 1).bit_length() + 1
    head = np.fft.rfft(sound[:, :WINDOW], size, axis=1)
    whole = np.fft.rfft(sound, size, axis=1)
    alike = np.fft.irfft(np.conj(head) * whole, size, axis=1)[:, :LONGEST]
    power = np.concatenate([np.zeros((len(sound), 1)), np.cumsum(sound**2, axis=1)], axis=1)
    lags = np.arange(LONGEST)
    own = power[:, WINDOW, None]
    difference = np.maximum(own + power[:, WINDOW + lags] - power[:, lags] - 2 * alike, 0)
    difference[:, 0] = 0
    sums = np.cumsum(difference, axis=1)
    normalised = np.ones_like(difference)
    normalised[:, 1:] = difference[:, 1:] * lags[1:] / np.maximum(sums[:, 1:], 1e-12)
    return normalised, np.sqrt(own[:, 0] / WINDOW)


def follow(hz: Curve, depth: Curve, level: Curve) -> Curve:
    """Choose a path through the candidates; NaN where there is no voice."""
    frames, choices = hz.shape
    midi = 69 + 12 * np.log2(hz / 440)
    known = np.isfinite(depth)
    loud_db = 20 * np.log10(np.maximum(level, 1e-9) / max(float(np.percentile(level, 95)), 1e-9))
    soft = np.clip((FLOOR_DB - loud_db) * DECIBEL_PRICE, 0, 2)
    price = np.where(known, depth + OCTAVE_PRICE * np.log2(1000 / hz) + soft[:, None], 10.0)
    prices = np.full((frames, choices + 1), UNVOICED_DEPTH)
    prices[:, :choices] = price
    prices *= DEPTH_WEIGHT
    total, back = prices[0].copy(), np.zeros((frames, choices + 1), np.int8)
    step = np.full((choices + 1, choices + 1), SWITCH_PRICE)
    step[-1, -1] = 0.0
    rows = np.arange(choices + 1)
    for frame in range(1, frames):
        jumps = np.abs(midi[frame][:, None] - midi[frame - 1][None, :])
        step[:-1, :-1] = np.minimum(SEMITONE_PRICE * jumps, HIGHEST_PRICE)
        ways = total[None, :] + step
        back[frame] = ways.argmin(axis=1)
        total = ways[rows, back[frame]] + prices[frame]
    path = np.full(frames, np.nan)
    state = int(total.argmin())
    for frame in range(frames - 1, -1, -1):
        if state < choices:
            path[frame] = midi[frame, state]
        state = int(back[frame, state])
    return path
