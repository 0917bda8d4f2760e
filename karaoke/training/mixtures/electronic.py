"""Random effects that turn a clean voice into one of electronic music.

Networks that never hear such voices mistake them for synthesisers. All effects return a new array
of the same length; those that widen return stereo. They need only numpy and torch. Effects on
pitch are in ``intonation``, rhythmic ones in ``glitches``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karaoke.training.mixtures import glitches, intonation
from karaoke.training.mixtures.augment import (
    Audio,
    Effect,
    Rng,
    bend,
    db_to_gain,
    echo,
    filter_by,
    rms,
    smooth,
)
from karaoke.training.mixtures.oscillators import compose_chord, pulse, saw, turns
from karaoke.training.spectra import convolve, from_frames, in_frames

#: Length of a frame of vocoders and moving filters.
FRAME = 1024
#: Largest factor that restores a voice to the level before the effects.
MAX_MAKE_UP = 4.0


def vocode(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Replace the voice by a speaking chord of saws, pulses and noise; a bit of it may remain."""
    carrier = draw_carrier(rng, audio, sample_rate)
    bands = int(rng.choice([10, 16, 24, 40]))
    spoken = vocode_with(audio, carrier, sample_rate, bands=bands)
    kept = rng.choice([0.0, 0.0, 0.2, 0.6])
    mixed: Audio = spoken + np.float32(kept) * audio
    return mixed


def draw_carrier(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Play chords that change now and then, or noise, without gaps: ``(channels, samples)``."""
    channels, length = audio.shape
    noise = rng.standard_normal((channels, length), dtype=np.float32)
    if rng.random() < 0.12:
        return noise
    size = int(rng.integers(1, 5))
    changes = max(1, round(length / sample_rate / rng.uniform(0.8, 3)))
    chords = [compose_chord(rng, 38, 62, size=size) for _ in range(changes)]
    lengths = np.diff(np.linspace(0, length, changes + 1).astype(int))
    width, pulses = rng.uniform(0.1, 0.5), rng.random() < 0.4
    total = np.zeros((channels, length), dtype=np.float32)
    for voice in range(size):
        notes = np.array([chord[voice] for chord in chords]) + rng.normal(0, 0.06)
        pitch = np.repeat(440.0 * 2.0 ** ((notes - 69) / 12), lengths)
        phase = turns(pitch, sample_rate, rng.random())
        wave = pulse(phase, width) if pulses else saw(phase)
        total += rng.uniform(0.3, 1, (channels, 1)).astype(np.float32) * wave
    # Consonants need noise.
    return total + np.float32(rng.uniform(0.01, 0.1)) * noise


def vocode_with(audio: Audio, carrier: Audio, sample_rate: int, *, bands: int) -> Audio:
    """Apply the levels of a voice in each band to a carrier: a channel vocoder.

    Parameters
    ----------
    audio, carrier
        Both ``(channels, samples)``.
    bands
        Number of bands from 80 Hz to 14 kHz, on a logarithmic scale.
    """
    voice, tone = in_frames(audio, FRAME), in_frames(carrier, FRAME)
    bins = np.arange(voice.shape[2]) * sample_rate / FRAME
    centres = np.geomspace(80, 14_000, bands)
    position = np.interp(np.log(np.maximum(bins, 1)), np.log(centres), np.arange(bands))
    weights = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(bands))).astype(np.float32)
    width = weights.sum(axis=0) + 1e-6
    levels = np.sqrt(np.square(np.abs(voice)) @ weights / width)
    own = np.sqrt(np.square(np.abs(tone)) @ weights / width)
    # A band in which the carrier has almost nothing stays silent.
    gains = levels / (own + 0.03 * own.max(axis=2, keepdims=True) + 1e-6)
    spoken = tone * (gains @ weights.T)
    return from_frames(spoken, audio.shape[1])


def ring(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Multiply by a sine wave: a slow one makes a tremolo, a fast one a robot's voice."""
    rate_hz = np.exp(rng.uniform(np.log(15), np.log(1200)))
    wave = np.sin(2 * np.pi * rate_hz / sample_rate * np.arange(audio.shape[1]))
    dry = rng.choice([0.0, 0.3, 0.8])
    rung: Audio = audio * (dry + (1 - 0.5 * dry) * np.sqrt(2) * wave).astype(np.float32)
    return rung


def sweep(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Sweep a low-, high- or band-pass filter, which may resonate."""
    spectra = in_frames(audio, FRAME)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(FRAME, 1 / sample_rate), 20.0))
    time = np.linspace(0, 1, spectra.shape[1])
    low, high = np.log2(rng.uniform(200, 700)), np.log2(rng.uniform(2500, 12_000))
    kind = rng.choice(["low", "high", "band"], p=(0.5, 0.25, 0.25))
    if rng.random() < 0.5:  # once up or down
        way = time if rng.random() < 0.6 else time[::-1]
    else:
        way = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.5, 8) * time + rng.random()))
    top = high if kind != "high" else np.log2(3500)  # otherwise the words would be lost
    distance = octaves - (low + (top - low) * way)[:, None]  # from the cutoff, in octaves
    slope_db = rng.choice([12, 24, 36])
    loss = {
        "low": np.maximum(distance, 0) * slope_db,
        "high": np.maximum(-distance, 0) * slope_db,
        "band": np.maximum(np.abs(distance) - 0.5, 0) * slope_db,
    }[str(kind)]
    peak_db = rng.uniform(0, 15) * np.exp(-np.square(distance / 0.25))
    gain = 10.0 ** ((peak_db - np.minimum(loss, 80)) / 20)
    return from_frames(spectra * gain.astype(np.float32), audio.shape[1])


def reduce_bits(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Round to three to six bits, coarser than any sampler."""
    del sample_rate
    levels = 2.0 ** int(rng.integers(3, 7)) / 2 - 1
    peak = max(float(np.abs(audio).max()), 1e-6)
    rounded: Audio = (np.round(audio * (levels / peak)) * (peak / levels)).astype(np.float32)
    return rounded


def reduce_rate(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Reduce the sample rate without a filter, so that the treble is mirrored."""
    held = sample_rate / np.exp(rng.uniform(np.log(3500), np.log(14_000)))
    index = (np.floor(np.arange(audio.shape[1]) / held) * held).astype(np.int64)
    stepped: Audio = audio.take(index, axis=1)
    return stepped


def telephone(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Overdrive, and only keep the band of a telephone or a megaphone."""
    drive = np.float32(rng.uniform(0.1, 3) / (3 * rms(audio)))
    driven = np.tanh(audio * drive) / drive
    low, high = rng.uniform(250, 600), rng.uniform(2000, 3500)

    def response(frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        rises = np.clip((frequencies_hz - 0.7 * low) / (0.3 * low), 0, 1)
        gains: NDArray[np.float64] = rises * np.clip(
            (1.1 * high - frequencies_hz) / (0.1 * high), 0, 1
        )
        return gains

    return filter_by(driven, response, sample_rate)


def drown(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Drown the voice in a reverb of two to eight seconds, sometimes a reversed one."""
    decay_seconds = np.exp(rng.uniform(np.log(2), np.log(8)))
    length = min(audio.shape[1], round(2.5 * sample_rate))
    time = np.arange(length, dtype=np.float32) / sample_rate
    room = smooth(rng.standard_normal((2, length), dtype=np.float32), rng.uniform(0.1, 0.6))
    room *= np.exp(-6.9 * time / decay_seconds) * np.minimum(1, time / rng.uniform(0.005, 0.1))
    if rng.random() < 0.2:
        room = room[:, ::-1] * np.minimum(1, 200 * time)
    wet_db = rng.uniform(-8, 4)
    room *= db_to_gain(wet_db) / np.sqrt(np.sum(room[0] ** 2) + 1e-9)
    wet = convolve(audio.mean(axis=0), room)
    drowned: Audio = (np.float32(rng.uniform(0.2, 1)) * audio + wet).astype(np.float32)
    return drowned


def feed_back(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Repeat on the beat for a long time, from side to side, without bass and treble."""
    step = glitches.draw_step(rng, sample_rate, (0.25, 0.5, 0.75, 1.0))
    gain, bounce = rng.uniform(0.4, 0.85), rng.uniform(0, 1)
    low, high = rng.uniform(100, 500), rng.uniform(2000, 9000)

    def response(frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        squared = np.square(np.maximum(frequencies_hz, 1.0))
        gains: NDArray[np.float64] = 1 / np.sqrt((1 + low**2 / squared) * (1 + squared / high**2))
        return gains

    wet = filter_by(audio.mean(axis=0, keepdims=True), response, sample_rate)[0]
    out = np.broadcast_to(audio, (2, audio.shape[1])).copy()
    level = gain * rng.uniform(0.6, 1.2)
    for repeat in range(1, 16):
        if repeat * step >= out.shape[1] or level < 0.02:
            break
        sides = np.array([[1.0], [1.0 - bounce]]) if repeat % 2 else np.array([[1 - bounce], [1.0]])
        out[:, repeat * step :] += (level * sides).astype(np.float32) * wet[: -repeat * step]
        level *= gain
    return out


def double_wide(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Put a copy on each side, different in time and pitch, and nothing in the centre."""
    mono = audio.mean(axis=0, keepdims=True)
    out = np.zeros((2, audio.shape[1]), dtype=np.float32)
    time = np.arange(audio.shape[1]) / sample_rate
    rate_hz, depth_seconds = rng.uniform(0.3, 1.2), rng.uniform(0.001, 0.004)
    spread_seconds, phase = rng.uniform(0.011, 0.03), rng.random()
    for side in range(2):
        sway = np.sin(2 * np.pi * (rate_hz * time + phase + 0.5 * side))
        delay = (0.003 + side * spread_seconds + depth_seconds * (1 + sway)) * sample_rate
        padded = np.pad(mono, ((0, 0), (round(delay[0]), 0)))[:, : audio.shape[1]]
        out[side] = bend(padded, 1 - np.gradient(delay))[0]
    # For more width, one side may be inverted.
    return out * np.array([[1], [rng.choice([1, -1])]], dtype=np.float32)


#: In the order in which they are applied, with the relative frequency of each.
EFFECTS: tuple[tuple[Effect[Audio], float], ...] = (
    (intonation.tune_hard, 5),
    (intonation.shift_formants, 2),
    (intonation.harmonise, 2),
    (intonation.layer_octaves, 2),
    (vocode, 3),
    (ring, 0.7),
    (reduce_bits, 0.8),
    (reduce_rate, 0.8),
    (telephone, 1.5),
    (sweep, 1.5),
    (glitches.chop, 2),
    (glitches.stutter, 1.5),
    (glitches.reverse, 1),
    (glitches.gate, 1.2),
    (double_wide, 2),
    (echo, 0.5),
    (feed_back, 2),
    (drown, 2),
    (glitches.pump, 1.5),
)


def electrify(rng: Rng, audio: Audio, sample_rate: int) -> Audio:
    """Send a voice through one to four random effects, and restore its level."""
    weights = np.array([weight for _, weight in EFFECTS])
    count = int(rng.choice([1, 2, 3, 4], p=(0.35, 0.35, 0.2, 0.1)))
    chosen = rng.choice(len(EFFECTS), size=count, replace=False, p=weights / weights.sum())
    treated = audio
    for index in sorted(chosen):
        treated = EFFECTS[index][0](rng, treated, sample_rate)
    make_up = rms(audio) / max(rms(treated), 1e-6)
    return treated * np.float32(np.clip(make_up, 1 / MAX_MAKE_UP, MAX_MAKE_UP))
