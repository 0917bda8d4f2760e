"""Random effects that make clean recordings sound like parts of a record.

All work on float32 arrays ``(channels, samples)``, take the random generator first and return a
new array of the same length. None but :func:`limit_together` looks at a second signal, so that
``mixture = vocals + accompaniment`` holds by construction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

Audio = NDArray[np.float32]
Rng = np.random.Generator

#: Gains in dB above which a spoken or sung voice would turn into a caricature.
MAX_EQ_DB = 15.0
#: The compressor's level detector runs on blocks of this many samples; plenty for its 10..100 ms.
DETECTOR_BLOCK = 64


def rms(audio: Audio) -> float:
    """Root mean square of all samples."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def db_to_gain(level_db: float) -> float:
    """Turn decibels into a factor."""
    return float(10.0 ** (level_db / 20.0))


def melody(rng: Rng, length: int, sample_rate: int, spread: float = 4.0) -> NDArray[np.float64]:
    """Draw a moving resampling ratio: notes of a tune, joined by glides, with vibrato.

    Parameters
    ----------
    rng
        Source of randomness.
    length
        Samples.
    sample_rate
        In Hz.
    spread
        Standard deviation of the notes in semitones around the recording's own pitch.

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
    # A coarse grid is enough for pitch, and ten thousand times cheaper than per sample.
    grid = np.arange(0, seconds + 0.01, 0.005)
    line = np.array(notes)[np.searchsorted(starts, grid, side="right") - 1]
    glide = max(1, int(rng.uniform(0.02, 0.09) / 0.005))
    hann = np.hanning(glide + 2)[1:-1]
    line = np.convolve(np.pad(line, glide, mode="edge"), hann / hann.sum(), "same")[glide:-glide]
    # Vibrato swells and fades instead of standing on every note.
    swell = 0.5 + 0.5 * np.sin(grid * rng.uniform(0.5, 2) + rng.uniform(0, 2 * np.pi))
    wave = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * grid + rng.uniform(0, 2 * np.pi))
    line = line + rng.uniform(0.0, 0.5) * swell * wave
    ratio: NDArray[np.float64] = 2.0 ** (
        np.interp(np.arange(length) / sample_rate, grid, line).clip(-14, 14) / 12
    )
    return ratio


def bend(audio: Audio, ratio: NDArray[np.float64]) -> Audio:
    """Read a recording at a moving speed, with cubic interpolation.

    Parameters
    ----------
    audio
        ``(channels, samples)``; read from its start, around again at its end.
    ratio
        Speed per output sample.
    """
    position = np.cumsum(ratio)
    index = position.astype(np.int64)
    t = (position - index).astype(np.float32)
    before, here, after, later = (audio.take(index + k, axis=1, mode="wrap") for k in (-1, 0, 1, 2))
    # Catmull-Rom: a straight line between samples would dull exactly the consonants.
    a = 0.5 * (later - before) + 1.5 * (here - after)
    b = before - 2.5 * here + 2.0 * after - 0.5 * later
    c = 0.5 * (after - before)
    bent: Audio = ((a * t + b) * t + c) * t + here
    return bent


def equalise(
    rng: Rng, audio: Audio, sample_rate: int, *, tilt_db: float = 0.0, depth_db: float = 4.0
) -> Audio:
    """Filter with a random smooth curve, zero-phase.

    Parameters
    ----------
    rng
        Source of randomness.
    audio
        ``(channels, samples)``.
    sample_rate
        In Hz.
    tilt_db
        Gain at 8 kHz relative to 500 Hz, on top of the random curve.
    depth_db
        Standard deviation of the curve at its control points, an octave apart.
    """
    length = audio.shape[1]
    size = fft.next_fast_len(length + sample_rate // 10, real=True)
    octaves = np.log2(np.maximum(fft.rfftfreq(size, 1 / sample_rate), 20.0) / 500.0)
    points = np.arange(-5, 7)
    curve = np.interp(octaves, points, rng.normal(0, depth_db, len(points)))
    curve = (curve + tilt_db * octaves.clip(-2, 4) / 4).clip(-MAX_EQ_DB, MAX_EQ_DB)
    gains = (10.0 ** (curve / 20)).astype(np.float32)
    filtered: Audio = fft.irfft(fft.rfft(audio, size) * gains, size)[:, :length]
    return filtered


def low_pass(audio: Audio, cutoff_hz: float, sample_rate: int) -> Audio:
    """Cut everything above a frequency, steeply, as lossy coders do."""
    length = audio.shape[1]
    size = fft.next_fast_len(length + 4096, real=True)
    frequencies = fft.rfftfreq(size, 1 / sample_rate)
    gains = np.clip((cutoff_hz * 1.04 - frequencies) / (cutoff_hz * 0.08), 0, 1)
    filtered: Audio = fft.irfft(fft.rfft(audio, size) * gains.astype(np.float32), size)[:, :length]
    return filtered


def compress(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Compress the dynamics by 2:1 to 6:1 above a threshold around the signal's own level."""
    blocks = -(-audio.shape[1] // DETECTOR_BLOCK)
    padded = np.pad(audio.mean(axis=0), (0, blocks * DETECTOR_BLOCK - audio.shape[1]))
    power = np.square(padded).reshape(blocks, DETECTOR_BLOCK).mean(axis=1)
    pole = np.exp(-DETECTOR_BLOCK / (sample_rate * rng.uniform(0.01, 0.08)))
    level_db = 10 * np.log10(signal.lfilter([1 - pole], [1, -pole], power) + 1e-10)
    threshold_db = 20 * np.log10(rms(audio)) + rng.uniform(-12, 3)
    slope = 1 - 1 / rng.uniform(2, 6)
    gain_db = -slope * np.maximum(level_db - threshold_db, 0)
    centres = (np.arange(blocks) + 0.5) * DETECTOR_BLOCK
    gain = 10.0 ** (np.interp(np.arange(audio.shape[1]), centres, gain_db) / 20)
    compressed: Audio = audio * gain.astype(np.float32)
    return compressed


def saturate(rng: Rng, audio: Audio) -> Audio:
    """Overdrive softly: odd and some even harmonics, as tubes and tape add."""
    drive = rng.uniform(0.3, 2.5) / (3.0 * rms(audio))
    bias = np.float32(rng.uniform(0, 0.3))
    shaped: Audio = ((np.tanh(audio * drive + bias) - np.tanh(bias)) / drive).astype(np.float32)
    return shaped


def reverberate(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Add a diffuse stereo room: decaying noise whose treble dies first, after a pre-delay.

    Mono comes back as stereo; the dry sound stays where it was.
    """
    decay_seconds = float(np.exp(rng.uniform(np.log(0.15), np.log(2.5))))
    length = int(min(decay_seconds, 2.0) * sample_rate)
    time = np.arange(length, dtype=np.float32) / sample_rate
    noise = rng.standard_normal((2, length), dtype=np.float32)
    pole = rng.uniform(0.1, 0.75)
    dark = signal.lfilter([1 - pole], [1, -pole], noise).astype(np.float32)
    room = noise * np.exp(-6.9 * time / (0.35 * decay_seconds)) + 2 * dark * np.exp(
        -6.9 * time / decay_seconds
    )
    room = np.pad(room, ((0, 0), (int(rng.uniform(0, 0.06) * sample_rate), 0)))
    room *= db_to_gain(rng.uniform(-24, -5)) / np.sqrt(np.sum(room[0] ** 2))
    wet = signal.fftconvolve(audio.mean(axis=0, keepdims=True), room, axes=1)[:, : audio.shape[1]]
    stereo: Audio = (audio + wet).astype(np.float32)
    return stereo


def echo(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Add two to four fading repeats, a slap to a beat apart, alternating sides."""
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


def pan(rng: Rng, audio: Audio, width: float) -> Audio:
    """Place a mono signal at a random angle, at equal power; 0 is the centre, 1 a side."""
    angle = np.pi / 4 * (1 + np.clip(rng.normal(0, width), -1, 1))
    gains = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
    stereo: Audio = audio.mean(axis=0, keepdims=True) * gains.astype(np.float32)
    return stereo


def phrase(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Silence parts, with short fades: singers breathe and rest, edited recordings do not."""
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


def limit_together(rng: Rng, vocals: Audio, accompaniment: Audio) -> tuple[Audio, Audio]:
    """Drive the sum into a soft limiter and give both parts the gain that it had.

    The gain is computed from the mixture sample by sample, so the limited parts add up to the
    limited mixture.
    """
    mixture = vocals + accompaniment
    drive = np.float32(rng.uniform(0.1, 0.5) / rms(mixture))
    driven = np.abs(mixture) * drive
    gain = np.where(driven > 1e-4, np.tanh(driven) / np.maximum(driven, 1e-4), 1.0)
    return (vocals * gain).astype(np.float32), (accompaniment * gain).astype(np.float32)
