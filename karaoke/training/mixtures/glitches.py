"""Rhythmic effects: slices on a beat grid, gates and pumping, as producers cut up voices.

All return a new array of the same length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karaoke.training.mixtures.augment import Audio, Rng

#: Slowest and fastest tempo, in beats per minute.
TEMPO = (85.0, 175.0)
#: Fade at both ends of a slice, to avoid clicks.
FADE_SECONDS = 0.004


def draw_step(rng: Rng, sample_rate: int, beats: tuple[float, ...]) -> int:
    """Draw the length of a slice in samples: one of several shares of a beat, at a random tempo."""
    return max(8, round(float(rng.choice(beats)) * 60 / rng.uniform(*TEMPO) * sample_rate))


def rearrange(
    audio: Audio,
    step: int,
    sources: NDArray[np.int64],
    backwards: NDArray[np.bool_],
    gains: NDArray[np.float64],
    sample_rate: int,
) -> Audio:
    """Join slices of a recording, with short fades where they were not adjacent.

    Parameters
    ----------
    step
        Length of a slice.
    sources
        First samples of the slices, ``ceil(samples / step)`` of them.
    backwards
        Which slices are reversed.
    gains
        Gains of the slices.
    """
    length = audio.shape[1]
    time = np.arange(length)
    slice_of, within = time // step, time % step
    turned = backwards[slice_of]
    index = sources[slice_of] + np.where(turned, step - 1 - within, within)
    # Nothing is faded where a slice continues the previous one.
    goes_on = (np.diff(sources) == step) & ~backwards[1:] & ~backwards[:-1]
    goes_on &= gains[1:] == gains[:-1]
    joined = np.concatenate([[True], goes_on, [True]])
    fade = min(round(FADE_SECONDS * sample_rate), step // 3) + 1
    rise = np.where(joined[slice_of], 1.0, np.minimum(1.0, within / fade))
    fall = np.where(joined[slice_of + 1], 1.0, np.minimum(1.0, (step - 1 - within) / fade))
    envelope = (gains[slice_of] * rise * fall).astype(np.float32)
    return audio.take(index, axis=1, mode="clip") * envelope


def chop(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Cut into slices, and repeat, move or drop some of them."""
    length = audio.shape[1]
    step = draw_step(rng, sample_rate, (0.25, 0.5, 0.5, 1.0))
    count = -(-length // step)
    sources = np.arange(count) * step
    repeats, moves, drops = rng.uniform(0, (0.4, 0.4, 0.25))
    chance = rng.random(count)
    for k in range(1, count):
        if chance[k] < repeats:
            sources[k] = sources[k - 1]
        elif chance[k] < repeats + moves:
            sources[k] = step * int(rng.integers(count))
    # The last slice may be a fragment, but moved slices must be whole.
    sources = sources.clip(0, max(0, length - step))
    sources[-1] = sources[-1] if sources[-1] != length - step else (count - 1) * step
    gains = (rng.random(count) >= drops).astype(np.float64)
    return rearrange(audio, step, sources, np.zeros(count, bool), gains, sample_rate)


def reverse(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Play some slices backwards, sometimes all."""
    step = draw_step(rng, sample_rate, (0.5, 1.0, 2.0))
    count = -(-audio.shape[1] // step)
    backwards = rng.random(count) < rng.choice([0.3, 0.5, 1.0])
    backwards[rng.integers(max(1, count - 1))] = True
    backwards[-1] = False  # a fragment, whose end is beyond that of the recording
    sources = np.arange(count) * step
    return rearrange(audio, step, sources, backwards, np.ones(count), sample_rate)


def stutter(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Repeat a short slice several times, once or twice."""
    length = audio.shape[1]
    step = draw_step(rng, sample_rate, (0.125, 0.167, 0.25))
    count = -(-length // step)
    sources, gains = np.arange(count) * step, np.ones(count)
    for _ in range(int(rng.integers(1, 3))):
        times = int(rng.choice([4, 6, 8, 12, 16]))
        first = int(rng.integers(max(1, count - times)))
        sources[first : first + times] = sources[first]
        if rng.random() < 0.3:
            faded = gains[first : first + times]
            faded *= np.linspace(1, rng.uniform(0.1, 1), len(faded))
    return rearrange(audio, step, sources, np.zeros(count, bool), gains, sample_rate)


def gate(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Switch the voice on and off rhythmically, as a trance gate does."""
    step = draw_step(rng, sample_rate, (0.25, 0.25, 0.125, 0.5))
    pattern = rng.random(8) < rng.uniform(0.4, 0.75)
    pattern[rng.integers(4)], pattern[4 + rng.integers(4)] = True, False
    time = np.arange(audio.shape[1])
    within = time % step
    duty, edge = rng.uniform(0.4, 1.0) * step, rng.uniform(0.002, 0.015) * sample_rate
    shape = np.minimum(within, duty - within).clip(0, edge) / edge
    envelope = shape * pattern[time // step % len(pattern)]
    floor = rng.choice([0.0, 0.0, 0.1])
    gated: Audio = audio * (floor + (1 - floor) * envelope).astype(np.float32)
    return gated


def pump(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Duck on every beat, as with a compressor that is triggered by the kick drum."""
    step = draw_step(rng, sample_rate, (1.0, 1.0, 0.5))
    since = (np.arange(audio.shape[1]) + int(rng.integers(step))) % step / step
    depth = rng.uniform(0.6, 1.0)
    swell = np.minimum(1, since / rng.uniform(0.4, 0.95)) ** rng.uniform(0.7, 2.0)
    attack = 0.005 * sample_rate / step  # a few milliseconds before the beat
    envelope = 1 - depth * np.maximum(1 - swell, 1 - np.minimum(1, (1 - since) / attack))
    pumped: Audio = audio * envelope.astype(np.float32)
    return pumped


def rest(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Fall silent once, for 0.7 to 2 s but at most two thirds of the length, with short fades."""
    length = audio.shape[1]
    silent = min(rng.uniform(0.7, 2.0) * sample_rate, length * 2 / 3)
    start = rng.uniform(0, length - silent)
    # A slow fade is like a reverb tail, a fast one like a mute button.
    out = np.exp(rng.uniform(np.log(0.005), np.log(0.25))) * sample_rate
    back = rng.uniform(0.003, 0.05) * sample_rate
    times = [start - out, start, start + silent, start + silent + back]
    envelope = np.interp(np.arange(length), times, [1, 0, 0, 1])
    return audio * envelope.astype(np.float32)
