"""Random effects that make clean recordings sound like parts of a record.

All return a new array of the same length. They need only numpy and torch, so that a bare training
machine can run them. Effects on a whole song are in :mod:`karaoke.training.mixtures.bus`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from karaoke.training.spectra import convolve, fast_length, irfft, rfft

Audio = NDArray[np.float32]
Rng = np.random.Generator
Sound = TypeVar("Sound")
#: Changes a sound at random; is also told its sample rate.
Effect = Callable[[Rng, Sound, int], Sound]

#: Gains in dB beyond this would turn a voice into a caricature.
MAX_EQ_DB = 15.0
#: Samples per block of the compressor's level detector, which responds in 10 to 100 ms.
DETECTOR_BLOCK = 64
#: Samples that are interpolated at a time.
READ_BLOCK = 1 << 14


def rms(audio: Audio) -> float:
    """Root mean square of all samples."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def db_to_gain(level_db: float) -> float:
    """Convert decibels to a factor."""
    return float(10.0 ** (level_db / 20.0))


def filter_by(
    audio: Audio, response: Callable[[NDArray[Any]], NDArray[Any]], sample_rate: int
) -> Audio:
    """Multiply the spectrum by a real gain, zero-phase.

    Parameters
    ----------
    response
        Gains for frequencies in Hz.
    """
    length = audio.shape[1]
    size = fast_length(length + 4096)  # keeps the end from ringing into the start
    gains = response(np.fft.rfftfreq(size, 1 / sample_rate)).astype(np.float32)
    filtered = irfft(rfft(audio, size) * gains, size)[:, :length]
    return filtered.astype(np.float32, copy=False)


def smooth(signal: NDArray[np.float32], pole: float) -> NDArray[np.float32]:
    """Run ``y[n] = pole * y[n-1] + (1 - pole) * x[n]``, a low-pass, along the last axis."""
    # The impulse response is cut off at -60 dB.
    taps = max(1, min(signal.shape[-1], int(np.ceil(-6.9 / np.log(pole)))))
    kernel = ((1 - pole) * pole ** np.arange(taps)).astype(np.float32)
    rows = signal.reshape(-1, signal.shape[-1])
    smoothed = np.stack([np.convolve(row, kernel)[: row.shape[0]] for row in rows])
    return smoothed.reshape(signal.shape)


def join_steps(line: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Make a line of steps glide from each to the next within ``width`` values."""
    bell = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(line, width, mode="edge"), bell / bell.sum(), "same")[width:-width]


#: Takes the start times in seconds of notes, and the notes, and returns others instead.
Fit = Callable[
    [NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]
]


def melody(
    rng: Rng, length: int, sample_rate: int, spread: float = 4.0, fit: Fit | None = None
) -> NDArray[np.float64]:
    """Draw a resampling ratio that follows a tune, with glides and vibrato.

    Parameters
    ----------
    spread
        Standard deviation of the notes in semitones around the recording's own pitch.
    fit
        Makes the notes fit other music.

    Returns
    -------
    ndarray
        Ratio per sample; 2 is an octave up.
    """
    seconds = length / sample_rate
    starts, notes, at = [0.0], [rng.normal(0, spread * 0.5)], 0.0
    while at < seconds:
        at += rng.choice([0.12, 0.2, 0.3, 0.45, 0.7, 1.1]) * rng.uniform(0.8, 1.25)
        starts.append(at)
        # Mean reversion keeps the tune within the singer's range.
        notes.append(0.7 * notes[-1] + rng.normal(0, 0.7 * spread))
    times, tune = np.array(starts), np.array(notes)
    if fit is not None:
        times, tune = fit(times, tune)
    # A coarse grid is enough for pitch, and far cheaper than computing every sample.
    grid = np.arange(0, seconds + 0.01, 0.005)
    line = tune[np.searchsorted(times, grid, side="right") - 1]
    glide = max(1, int(rng.uniform(0.02, 0.09) / 0.005))
    line = join_steps(line, glide)
    # Vibrato swells and fades instead of being constant.
    swell = 0.5 + 0.5 * np.sin(grid * rng.uniform(0.5, 2) + rng.uniform(0, 2 * np.pi))
    wave = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * grid + rng.uniform(0, 2 * np.pi))
    line = line + rng.uniform(0.0, 0.5) * swell * wave
    ratio: NDArray[np.float64] = 2.0 ** (
        np.interp(np.arange(length) / sample_rate, grid, line).clip(-14, 14) / 12
    )
    return ratio


def bend(audio: Audio, ratio: NDArray[np.float64]) -> Audio:
    """Read a recording at a varying speed, from its start, with cubic interpolation.

    Parameters
    ----------
    audio
        ``(channels, samples)``; read from its start, around again at its end.
    ratio
        Speed per output sample.
    """
    return read_at(audio, np.cumsum(ratio))


def read_at(audio: Audio, position: NDArray[np.float64]) -> Audio:
    """Read a recording between its samples, with cubic interpolation.

    soxr cannot do this, since it resamples by a constant ratio.

    Parameters
    ----------
    audio
        ``(channels, samples)``; around again at both ends.
    position
        Where to read, in samples.
    """
    read = np.empty((len(audio), len(position)), dtype=np.float32)
    # Several times as fast in blocks whose intermediate results fit into the cache of a core.
    for start in range(0, len(position), READ_BLOCK):
        here = slice(start, start + READ_BLOCK)
        read[:, here] = _interpolate(audio, position[here])
    return read


def _interpolate(audio: Audio, position: NDArray[np.float64]) -> Audio:
    """Interpolate between samples from the four nearest."""
    index = position.astype(np.int64)
    t = (position - index).astype(np.float32)
    before, here, after, later = (audio.take(index + k, axis=1, mode="wrap") for k in (-1, 0, 1, 2))
    # Catmull-Rom, since linear interpolation would dull consonants.
    a = 0.5 * (later - before) + 1.5 * (here - after)
    b = before - 2.5 * here + 2.0 * after - 0.5 * later
    c = 0.5 * (after - before)
    between: Audio = ((a * t + b) * t + c) * t + here
    return between


def equalise(
    rng: Rng, audio: Audio, sample_rate: int, *, tilt_db: float = 0.0, depth_db: float = 4.0
) -> Audio:
    """Filter with a random smooth curve, zero-phase.

    Parameters
    ----------
    tilt_db
        Gain at 8 kHz relative to 500 Hz, on top of the random curve.
    depth_db
        Standard deviation of the curve at its control points, an octave apart.
    """
    points = np.arange(-5, 7)
    levels = rng.normal(0, depth_db, len(points))

    def response(frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        octaves = np.log2(np.maximum(frequencies_hz, 20.0) / 500.0)
        curve = np.interp(octaves, points, levels) + tilt_db * octaves.clip(-2, 4) / 4
        gains: NDArray[np.float64] = 10.0 ** (curve.clip(-MAX_EQ_DB, MAX_EQ_DB) / 20)
        return gains

    return filter_by(audio, response, sample_rate)


def low_pass(audio: Audio, cutoff_hz: float, sample_rate: int) -> Audio:
    """Cut everything above a frequency steeply, as lossy coders do."""

    def response(frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip((cutoff_hz * 1.04 - frequencies_hz) / (cutoff_hz * 0.08), 0, 1)

    return filter_by(audio, response, sample_rate)


def compressor_gain(rng: Rng, audio: Audio, sample_rate: int) -> NDArray[np.float32]:
    """Compute the gain per sample of a 2:1 to 6:1 compressor with a threshold near the level."""
    blocks = -(-audio.shape[1] // DETECTOR_BLOCK)
    padded = np.pad(audio.mean(axis=0), (0, blocks * DETECTOR_BLOCK - audio.shape[1]))
    power = np.square(padded).reshape(blocks, DETECTOR_BLOCK).mean(axis=1)
    pole = float(np.exp(-DETECTOR_BLOCK / (sample_rate * rng.uniform(0.01, 0.08))))
    level_db = 10 * np.log10(smooth(power, pole) + 1e-10)
    threshold_db = 20 * np.log10(rms(audio)) + rng.uniform(-12, 3)
    slope = 1 - 1 / rng.uniform(2, 6)
    gain_db = -slope * np.maximum(level_db - threshold_db, 0)
    centres = (np.arange(blocks) + 0.5) * DETECTOR_BLOCK
    moving_db = np.interp(np.arange(audio.shape[1]), centres, gain_db)
    gain: NDArray[np.float32] = (10.0 ** (moving_db / 20)).astype(np.float32)
    return gain


def compress(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Compress the dynamics."""
    return audio * compressor_gain(rng, audio, sample_rate)


def de_ess(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Reduce the treble where it is loud."""
    body = low_pass(audio, rng.uniform(4500, 7000), sample_rate)
    treble = audio - body
    return body + treble * compressor_gain(rng, treble, sample_rate)


def saturate(rng: Rng, audio: Audio, _sample_rate: int) -> Audio:
    """Overdrive softly, with odd and some even harmonics, as tubes and tape do."""
    drive = rng.uniform(0.3, 2.5) / (3.0 * rms(audio))
    bias = np.float32(rng.uniform(0, 0.3))
    shaped: Audio = ((np.tanh(audio * drive + bias) - np.tanh(bias)) / drive).astype(np.float32)
    return shaped


def reverberate(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Add a diffuse stereo room: decaying noise, after a pre-delay, whose treble decays first.

    Mono becomes stereo; the dry sound stays in place.
    """
    decay_seconds = float(np.exp(rng.uniform(np.log(0.15), np.log(2.5))))
    length = int(min(decay_seconds, 2.0) * sample_rate)
    time = np.arange(length, dtype=np.float32) / sample_rate
    noise = rng.standard_normal((2, length), dtype=np.float32)
    pole = rng.uniform(0.1, 0.75)
    dark = smooth(noise, pole)
    room = noise * np.exp(-6.9 * time / (0.35 * decay_seconds)) + 2 * dark * np.exp(
        -6.9 * time / decay_seconds
    )
    room = np.pad(room, ((0, 0), (int(rng.uniform(0, 0.06) * sample_rate), 0)))
    room *= db_to_gain(rng.uniform(-24, -5)) / np.sqrt(np.sum(room[0] ** 2))
    stereo: Audio = (audio + convolve(audio.mean(axis=0), room)).astype(np.float32)
    return stereo


def echo(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Add one to three fading repeats, in the centre or on alternating sides."""
    delay = int(rng.choice([0.09, 0.125, 0.25, 0.375, 0.5]) * rng.uniform(0.85, 1.2) * sample_rate)
    gain, out = db_to_gain(rng.uniform(-18, -6)), np.broadcast_to(audio, (2, audio.shape[1])).copy()
    level, mono = gain, audio.mean(axis=0)
    for repeat in range(1, int(rng.integers(2, 5))):
        shift = repeat * delay
        if shift >= audio.shape[1]:
            break
        side = (repeat % 2) if rng.random() < 0.5 else slice(None)
        out[side, shift:] += level * mono[:-shift]
        level *= gain
    return out


def chorus(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Add a copy to each side with a slowly varying delay, out of phase with the other's."""
    time = np.arange(audio.shape[1]) / sample_rate
    out = np.broadcast_to(audio, (2, audio.shape[1])).copy()
    gain, mono = db_to_gain(rng.uniform(-12, -2)), audio.mean(axis=0, keepdims=True)
    rate_hz, depth = rng.uniform(0.2, 1.5), rng.uniform(0.0005, 0.004)
    for side in range(2):
        sway = np.sin(2 * np.pi * rate_hz * time + rng.uniform(0, 2 * np.pi))
        delay = (rng.uniform(0.004, 0.02) + depth * (1 + sway)) * sample_rate
        # A varying delay line is read at a speed of one minus the delay's slope.
        out[side] += gain * bend(np.roll(mono, int(delay[0])), 1 - np.gradient(delay))[0]
    return out


def pan(rng: Rng, audio: Audio, width: float) -> Audio:
    """Place a mono signal at a random angle, at equal power; 0 is the centre, 1 a side."""
    angle = np.pi / 4 * (1 + np.clip(rng.normal(0, width), -1, 1))
    gains = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
    stereo: Audio = audio.mean(axis=0, keepdims=True) * gains.astype(np.float32)
    return stereo


def phrase(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Silence parts, with short fades: edited recordings lack the rests of singers."""
    seconds = audio.shape[1] / sample_rate
    times, gains, at = [0.0], [float(rng.random() < 0.7)], 0.0
    while at < seconds:
        at += rng.uniform(0.25, 2.0)
        level = 0.0 if gains[-1] and rng.random() < 0.6 else rng.uniform(0.4, 1.0)
        times += [at, at + rng.uniform(0.01, 0.08)]
        gains += [gains[-1], level]
    envelope = np.interp(np.arange(audio.shape[1]) / sample_rate, times, gains)
    phrased: Audio = audio * envelope.astype(np.float32)
    return phrased


#: The vocal chain, in order, with how likely each effect is.
VOCAL_CHAIN: tuple[tuple[Effect[Audio], float], ...] = (
    (compress, 0.65),
    (de_ess, 0.3),
    (saturate, 0.3),
    (chorus, 0.2),
    (echo, 0.3),
    (reverberate, 0.75),
)


def apply_some(
    rng: Rng, effects: Sequence[tuple[Effect[Sound], float]], sound: Sound, sample_rate: int
) -> Sound:
    """Send a sound through those effects of a chain that are drawn, each by its own chance."""
    for effect, share in effects:
        if rng.random() < share:
            sound = effect(rng, sound, sample_rate)
    return sound
