"""Instruments that sound like voices, synthesised on the fly, for networks to leave in the music.

Leads with glides and vibrato, talk boxes, synthesised vowels, whistles, bowed strings and bent
guitars tend to leak into the vocals where nobody sings. None of them is a voice or made from one.
They need only numpy and torch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from karaoke.training.mixtures import formants
from karaoke.training.mixtures.augment import (
    Audio,
    Rng,
    chorus,
    echo,
    equalise,
    filter_by,
    low_pass,
    pan,
    reverberate,
    rms,
)
from karaoke.training.mixtures.oscillators import (
    Tune,
    Wave,
    compose,
    compose_chord,
    pulse,
    saw,
    sine,
    turns,
)
from karaoke.training.spectra import at_frames, from_frames, in_frames

Instrument = Callable[[Rng, int, int], Wave]

#: Root mean square of what is played.
LEVEL = 0.1


def _resonate(
    wave: Wave, sample_rate: int, peaks: list[tuple[float, float, float]], *, slope_db: float
) -> Wave:
    """Filter with fixed resonances ``(centre in Hz, width in octaves, dB)`` and a slope."""

    def response(frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        octaves = np.log2(np.maximum(frequencies_hz, 20.0))
        level_db = slope_db * np.maximum(octaves - np.log2(1000), 0)
        for centre, width, peak_db in peaks:
            level_db += peak_db * np.exp(-np.square((octaves - np.log2(centre)) / width))
        gains: NDArray[np.float64] = 10.0 ** (level_db / 20)
        return gains

    resonant: Wave = filter_by(wave[None], response, sample_rate)[0]
    return resonant


def _follow(wave: Wave, tune: Tune, sample_rate: int, *, low: float, high: float) -> Wave:
    """Keep what is between two multiples of a varying pitch, like breath in a tube."""
    frame = 1024
    spectra = in_frames(wave[None], frame)
    pitch = at_frames(tune.pitch_hz, frame, spectra.shape[1])
    multiple = np.fft.rfftfreq(frame, 1 / sample_rate) / pitch[:, None]
    octaves = np.log2(np.maximum(multiple, 1e-3))
    outside = np.maximum(np.log2(low) - octaves, octaves - np.log2(high)).clip(0, 4)
    gains = (10.0 ** (-24 * outside / 20)).astype(np.float32)
    kept: Wave = from_frames(spectra * gains, len(wave))[0]
    return kept


def _noise(rng: Rng, length: int) -> Wave:
    """Make white noise."""
    return rng.standard_normal(length, dtype=np.float32)


def _wander(rng: Rng, length: int, sample_rate: int, *, rate_hz: float) -> Wave:
    """Make slow noise: the unsteadiness of a hand or of breath."""
    knots = rng.standard_normal(int(length / sample_rate * rate_hz) + 2)
    at = np.arange(length) * (rate_hz / sample_rate)
    wandering: Wave = np.interp(at, np.arange(len(knots)), knots).astype(np.float32)
    return wandering


def whistle(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Whistle: a trembling sine wave with vibrato, and breath."""
    tune = compose(rng, length, sample_rate, low=74, high=100, glide_seconds=(0.03, 0.15),
                   vibrato=(0.0, 0.6))  # fmt: skip
    return whistle_tune(rng, tune, sample_rate)


def whistle_tune(rng: Rng, tune: Tune, sample_rate: int) -> Wave:
    """Whistle a given tune."""
    noise = _noise(rng, len(tune.level))
    tremble = 1 + rng.uniform(0.05, 0.3) * _wander(rng, len(noise), sample_rate, rate_hz=40)
    phase = turns(tune.pitch_hz, sample_rate)
    tone = sine(phase) + rng.uniform(0, 0.08) * sine(2 * phase)
    breath = _follow(noise, tune, sample_rate, low=0.8, high=2.5) * rng.uniform(0.005, 0.04)
    return np.asarray((tone * tremble + breath) * tune.level, np.float32)


def theremin(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Play a theremin: long glides and wide vibrato, on a wave slightly richer than a sine."""
    tune = compose(rng, length, sample_rate, low=50, high=82, glide_seconds=(0.1, 0.4),
                   vibrato=(0.2, 1.0), bends=0.5, attack_seconds=(0.05, 0.2))  # fmt: skip
    drive = rng.uniform(0.3, 3)
    tone = np.tanh(drive * (sine(turns(tune.pitch_hz, sample_rate)) + rng.uniform(0, 0.5)))
    return np.asarray((tone - tone.mean()) * tune.level, np.float32)


def flute(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Play a flute, a pan flute or an ocarina: few harmonics, a lot of breath, a chiff."""
    tune = compose(rng, length, sample_rate, low=60, high=91, glide_seconds=(0.01, 0.05),
                   vibrato=(0.0, 0.3))  # fmt: skip
    phase, loud = turns(tune.pitch_hz, sample_rate), tune.level
    decay = rng.uniform(0.1, 0.5)  # of each harmonic relative to the previous one
    tone = sine(phase)
    for harmonic in range(2, 6):
        tone = tone + (decay * loud) ** (harmonic - 1) * sine(harmonic * phase + rng.random())
    breath = _follow(_noise(rng, length), tune, sample_rate, low=0.7, high=8)
    chiff = 1 + rng.uniform(0, 6) * np.exp(-tune.since / 0.03)
    waver = 1 + rng.uniform(0, 0.3) * sine(turns(np.full(length, rng.uniform(4, 6)), sample_rate))
    return np.asarray((tone * waver + rng.uniform(0.02, 0.3) * breath * chiff) * loud, np.float32)


def bowed(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Bow a string: a saw wave through the resonances of a body, with the noise of the bow."""
    cello = rng.random() < 0.5
    tune = compose(rng, length, sample_rate, low=38 if cello else 55, high=64 if cello else 88,
                   glide_seconds=(0.01, 0.12), vibrato=(0.1, 0.6),
                   attack_seconds=(0.03, 0.2))  # fmt: skip
    players = 1 if rng.random() < 0.6 else 3
    tone = np.zeros(length, dtype=np.float32)
    for _ in range(players):
        detuned = tune.pitch_hz * 2.0 ** (rng.normal(0, 0.08) * (players > 1) / 12)
        tone += saw(turns(detuned, sample_rate, rng.random()))
    noise = _noise(rng, length)
    jitter = 1 + 0.15 * _wander(rng, length, sample_rate, rate_hz=60)
    rasp = noise * (0.02 + 0.15 * np.exp(-tune.since / 0.05))
    size = 0.55 if cello else 1.0
    peaks = [(280 * size, 0.15, 8.0), (450 * size, 0.15, 6.0), (1100 * size, 0.3, 5.0)]
    peaks += [(float(rng.uniform(2000, 3200)), 0.35, float(rng.uniform(4, 12)))]
    body = _resonate(tone * jitter + rasp, sample_rate, peaks, slope_db=-rng.uniform(1, 5))
    return np.asarray(body * tune.level, np.float32)


def lead(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Play a synthesiser lead: detuned saws or pulses, perhaps through a filter."""
    tune = compose(rng, length, sample_rate, low=48, high=81, vibrato=(0.0, 0.7),
                   glide_seconds=(0.01, 0.2), bends=0.3)  # fmt: skip
    width, pulses = rng.uniform(0.1, 0.5), rng.random() < 0.5
    tone = np.zeros(length, dtype=np.float32)
    for _ in range(int(rng.integers(1, 4))):
        phase = turns(tune.pitch_hz * 2.0 ** (rng.normal(0, 0.07) / 12), sample_rate, rng.random())
        tone += pulse(phase, width) if pulses else saw(phase)
    way = rng.random()
    if way < 0.4:  # one vowel after another
        tone = formants.talk_box(rng, tone[None], sample_rate)[0]
    elif way < 0.8:  # the treble of each note decays
        dark = low_pass(tone[None], rng.uniform(400, 1500), sample_rate)[0]
        bright = rng.uniform(0.05, 0.4) + np.exp(-tune.since / rng.uniform(0.05, 0.5))
        tone = dark + (tone - dark) * bright
    return np.asarray(tone * tune.level, np.float32)


def modulated(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Play a lead by frequency modulation, brighter when louder and at the start of notes."""
    tune = compose(rng, length, sample_rate, low=50, high=81, vibrato=(0.0, 0.6),
                   glide_seconds=(0.01, 0.15))  # fmt: skip
    phase = turns(tune.pitch_hz, sample_rate)
    ratio = float(rng.choice([0.5, 1, 1, 2, 3]))
    depth = rng.uniform(0.05, 0.5) * tune.level
    depth = depth * (rng.uniform(0.2, 1) + np.exp(-tune.since / rng.uniform(0.1, 0.6)))
    return np.asarray(sine(phase + depth * sine(ratio * phase)) * tune.level, np.float32)


def vowel_pad(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Hold a chord of saws with slowly moving vowels, as from a synthesiser's filter."""
    tone = np.zeros(length, dtype=np.float32)
    for note in compose_chord(rng, 45, 60, size=int(rng.integers(2, 5))):
        for detune in rng.normal(0, 0.1, 2):
            pitch = np.full(length, 440.0 * 2.0 ** ((note + detune - 69) / 12))
            tone += saw(turns(pitch, sample_rate, rng.random()))
    spoken = formants.talk_box(rng, tone[None], sample_rate, vowel_seconds=(0.7, 3.0))[0]
    swell = 1 + rng.uniform(0, 0.7) * sine(
        turns(np.full(length, rng.uniform(0.1, 0.8)), sample_rate, rng.random())
    )
    return np.asarray(
        low_pass(spoken[None], rng.uniform(3000, 12_000), sample_rate)[0] * swell, np.float32
    )


def guitar(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Play a solo on a distorted guitar: bends, vibrato, an amplifier and its cabinet."""
    tune = compose(rng, length, sample_rate, low=52, high=88, glide_seconds=(0.005, 0.06),
                   vibrato=(0.1, 0.8), bends=0.6)  # fmt: skip
    phase = turns(tune.pitch_hz, sample_rate)
    # Harmonics with a node where the string is plucked are missing.
    string = saw(phase) - saw(phase + rng.uniform(0.08, 0.3))
    pick = _noise(rng, length) * np.exp(-tune.since / 0.008)
    ringing = np.exp(-tune.since / rng.uniform(0.8, 3))
    plucked = (string * ringing + 0.5 * pick) * tune.level
    softened = low_pass(plucked[None], rng.uniform(2500, 6000), sample_rate)[0]
    drive = np.exp(rng.uniform(np.log(2), np.log(40)))
    driven = np.tanh(drive * softened + 0.2) - np.tanh(0.2)
    peaks = [(60.0, 1.0, -20.0), (float(rng.uniform(1500, 3000)), 0.6, float(rng.uniform(2, 9)))]
    cabinet = _resonate(driven.astype(np.float32), sample_rate, peaks, slope_db=-1.5)
    heard: Wave = low_pass(cabinet[None], rng.uniform(4000, 6500), sample_rate)[0]
    return heard


def talking(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Play a guitar or a lead through a talk box."""
    played = (
        guitar(rng, length, sample_rate) if rng.random() < 0.4 else lead(rng, length, sample_rate)
    )
    spoken: Wave = formants.talk_box(rng, played[None], sample_rate)[0]
    return spoken


def reed(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Play a saxophone, a clarinet or a harmonica: a pulse with a growl, and resonances."""
    tune = compose(rng, length, sample_rate, low=46, high=79, glide_seconds=(0.01, 0.08),
                   vibrato=(0.0, 0.4), bends=0.4)  # fmt: skip
    phase = turns(tune.pitch_hz, sample_rate)
    tone = pulse(phase, float(rng.choice([0.1, 0.2, 0.5])))
    growl = 1 + rng.uniform(0, 0.4) * sine(turns(np.full(length, rng.uniform(20, 60)), sample_rate))
    breath = rng.uniform(0.01, 0.08) * _noise(rng, length)
    peaks = [(float(rng.uniform(low, high)), 0.3, float(rng.uniform(4, 12)))
             for low, high in ((400, 900), (1000, 1800), (2300, 3300))]  # fmt: skip
    blown = _resonate(tone * growl + breath, sample_rate, peaks, slope_db=-rng.uniform(4, 9))
    return np.asarray(blown * tune.level, np.float32)


def speaking_noise(rng: Rng, length: int, sample_rate: int) -> Wave:
    """Whisper without words: noise and a buzz with vowels, in the rhythm of syllables."""
    rate_hz = rng.uniform(2.5, 7)
    pitch = np.full(length, rng.uniform(70, 200))
    buzz = rng.choice([0.0, 0.5, 1.5]) * saw(turns(pitch, sample_rate))
    spoken = formants.talk_box(
        rng, (_noise(rng, length) + buzz)[None].astype(np.float32), sample_rate,
        vowel_seconds=(0.5 / rate_hz, 1.5 / rate_hz),
    )[0]  # fmt: skip
    spoken = low_pass(spoken[None], rng.uniform(2500, 9000), sample_rate)[0]
    at = turns(np.full(length, rate_hz), sample_rate, rng.random())
    loud = rng.random(int(at[-1]) + 1) * (rng.random(int(at[-1]) + 1) < 0.8)
    syllables = np.sin(np.pi * (at - np.floor(at))) ** rng.uniform(0.3, 1)
    return np.asarray(spoken * loud[at.astype(np.int64)] * syllables, np.float32)


#: With the relative frequency of each.
INSTRUMENTS: tuple[tuple[Instrument, float], ...] = (
    (lead, 3),
    (guitar, 2.5),
    (talking, 1.5),
    (vowel_pad, 2),
    (bowed, 2),
    (flute, 1.5),
    (whistle, 1),
    (theremin, 1),
    (modulated, 1.5),
    (reed, 1.5),
    (speaking_noise, 0.8),
)


def play(rng: Rng, length: int, sample_rate: int) -> Audio:
    """Play a random instrument, with effects as on a record.

    Returns
    -------
    ndarray
        ``(2, length)`` with a root mean square of :data:`LEVEL`; silent if the tune rests.
    """
    weights = np.array([weight for _, weight in INSTRUMENTS])
    instrument = INSTRUMENTS[int(rng.choice(len(weights), p=weights / weights.sum()))][0]
    audio = pan(rng, instrument(rng, length, sample_rate)[None], 0.3)
    audio = equalise(rng, audio, sample_rate, depth_db=3)
    if rng.random() < 0.3:
        audio = chorus(rng, audio, sample_rate)
    if rng.random() < 0.3:
        audio = echo(rng, audio, sample_rate)
    if rng.random() < 0.5:
        audio = reverberate(rng, audio, sample_rate)
    return audio * np.float32(LEVEL / max(rms(audio), 1e-3))
