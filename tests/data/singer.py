"""A singing voice made from the speech synthesiser ``espeak-ng``, for ``render_song.py``.

Every syllable is spoken once and taken apart into voicing and spectral envelope. It is then put
together again with a glottal pulse train that follows the melody, its vowel stretched to the
length of the note; because the envelope stays in place, the voice keeps its formants at any pitch.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

Audio = NDArray[np.float64]
Note = tuple[float, float, float, str]

RATE = 44100
HOP = 220  # samples between two frames of the analysis, about 5 ms
FFT = 2048
BINS = np.fft.rfftfreq(FFT, 1 / RATE)


@dataclass(frozen=True)
class Syllable:
    """One spoken syllable, analysed so that it can be sung.

    Attributes
    ----------
    wave
        The recording, trimmed of its silence.
    voiced
        Per frame, how far (0 to 1) the sound is voiced.
    envelope
        Per frame and frequency bin, the natural logarithm of the power spectral density.
    core
        First and last second of the vowel, the only part that may be stretched.
    """

    wave: Audio
    voiced: Audio
    envelope: Audio
    core: tuple[float, float]


def hertz(note: Audio | float) -> Audio:
    """Return the frequency of a MIDI note."""
    return np.asarray(440 * 2 ** ((np.asarray(note) - 69) / 12))


def band(wave: Audio, kind: str, cut: float | tuple[float, float], order: int = 2) -> Audio:
    """Filter along the last axis with a Butterworth filter."""
    return signal.sosfilt(signal.butter(order, cut, kind, fs=RATE, output="sos"), wave)


def speak(phonemes: str) -> Audio:
    """Let espeak-ng say some phonemes, low and flat, and trim the silence around them."""
    # A low speaking pitch puts the harmonics close together, so the envelope is well sampled.
    argv = ["espeak-ng", "-v", "en-us+linda", "-s", "150", "-p", "0", "--stdout", f"[[{phonemes}]]"]
    wav = subprocess.run(argv, check=True, capture_output=True).stdout
    # A WAV on a pipe cannot state its length, so read from the data chunk to the end.
    data = wav[wav.index(b"data") + 8 :]
    source = int.from_bytes(wav[24:28], "little")
    wave = np.frombuffer(data[: len(data) // 2 * 2], "<i2") / 32768
    wave = signal.resample_poly(wave, RATE, source)
    loud = np.flatnonzero(np.abs(wave) > 0.004)
    return wave[loud[0] : loud[-1] + 1]


def track_pitch(wave: Audio) -> tuple[Audio, Audio]:
    """Estimate pitch and voicing by autocorrelation.

    Parameters
    ----------
    wave
        Mono speech.

    Returns
    -------
    pitch, voiced
        Per frame, the fundamental in hertz and the voicing from 0 to 1.
    """
    size = 1200
    # The low band alone decides: there, hiss cannot hide the pitch.
    low = np.pad(signal.sosfiltfilt(signal.butter(2, 1500, fs=RATE, output="sos"), wave), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(low, size)[::HOP] * np.hanning(size)
    auto = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * size)) ** 2)[:, :size]
    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(size), 2 * size)) ** 2)[:size]
    lags = np.arange(RATE // 320, RATE // 75)
    score = auto[:, lags] / (auto[:, :1] + 1e-9) * taper[0] / taper[lags]
    pitch = RATE / lags[score.argmax(axis=1)]
    energy = (frames**2).sum(axis=1)
    full = np.lib.stride_tricks.sliding_window_view(np.pad(wave, size // 2), size)[::HOP]
    # Hiss has a little periodic rumble; what lies mostly above the low band is not voice.
    voiced = energy > 0.2 * ((full * np.hanning(size)) ** 2).sum(axis=1)
    voiced &= (score.max(axis=1) > 0.6) & (energy > 3e-3 * energy.max())
    runs, _ = ndimage.label(ndimage.median_filter(voiced, 5))
    # A syllable has one voiced run; a burst after it only looks like another.
    voiced = (runs == runs[energy.argmax()]).astype(float)
    steady = np.where(voiced > 0, pitch, np.median(pitch[voiced > 0]))
    return ndimage.median_filter(steady, 9), ndimage.uniform_filter1d(voiced, 3)


def spectral_envelope(wave: Audio, pitch: Audio) -> Audio:
    """Return the log power envelope of every frame, free of the speaking pitch.

    The power spectrum of three periods is smoothed over frequency by two thirds of the pitch and
    then in the cepstrum, which removes what is left of the harmonics and keeps the formants.
    """
    padded = np.pad(wave, FFT // 2)
    quefrency = np.minimum(np.arange(FFT), FFT - np.arange(FFT)) / RATE
    rows = np.empty((len(pitch), len(BINS)))
    for row, (frame, hz) in enumerate(zip(range(0, len(pitch) * HOP, HOP), pitch, strict=True)):
        half = round(1.5 * RATE / hz)
        window = np.hanning(2 * half)
        middle = min(frame, len(wave)) + FFT // 2
        power = np.abs(np.fft.rfft(padded[middle - half : middle + half] * window, FFT)) ** 2
        smooth = ndimage.uniform_filter1d(power / (window**2).sum(), max(3, round(hz / 32)))
        lifter = np.sinc(quefrency * hz) * (1.18 - 0.18 * np.cos(2 * np.pi * quefrency * hz))
        rows[row] = np.fft.rfft(np.fft.irfft(np.log(smooth + 1e-10)) * lifter).real
    # The synthesiser stops near 10 kHz; a record does not, so let the spectrum fall off slowly.
    top = int(np.searchsorted(BINS, 8500))
    edge = rows[:, top - 80 : top].mean(axis=1, keepdims=True)
    rows[:, top:] = edge - 2.6 * np.log2(BINS[top:] / BINS[top])
    # It also leaves a hole between 5 and 8 kHz, where a singer close to a microphone has air.
    air = ndimage.uniform_filter1d(rows, round(3500 / BINS[1]), axis=1)
    blend = np.clip((BINS - 4500) / 800, 0, 1)
    return rows + blend * np.maximum(0, air - rows)


@cache
def analyse(phonemes: str) -> Syllable:
    """Speak a syllable and find its voicing, its spectral envelope and its vowel."""
    wave = speak(phonemes)
    pitch, voiced = track_pitch(wave)
    level = band(wave, "bandpass", (250, 3000)) ** 2
    level = ndimage.uniform_filter1d(level, 900)[::HOP][: len(voiced)]
    core = np.flatnonzero((level > 0.2 * level.max()) & (voiced[: len(level)] > 0.9))
    # Keep a margin at both ends: the steps from and to the consonants must stay quick.
    first, last = core[0] + 2, max(core[-1] - 2, core[0] + 4)
    span = (first * HOP / RATE, last * HOP / RATE)
    return Syllable(wave, voiced, spectral_envelope(wave, pitch), span)


def pulse_sounds(envelope: Audio, period: Audio, shift: Audio, rng: np.random.Generator) -> Audio:
    """Turn one envelope per glottal pulse into one short sound per pulse.

    Parameters
    ----------
    envelope
        Log power envelope, one row per pulse.
    period
        Samples until the next pulse.
    shift
        Fraction of a sample by which the pulse comes after the sample it is placed on.
    rng
        Source of the breath noise.
    """
    fold = np.zeros(FFT)
    fold[0] = fold[FFT // 2] = 1
    fold[1 : FFT // 2] = 2
    response = np.exp(np.fft.rfft(np.fft.irfft(envelope / 2) * fold))  # minimum phase
    # A voice turns to breath towards the high tones; without that it sounds like a buzzer.
    breath = np.interp(BINS, [0, 3000, 6000, 10000, 22050], [0.01, 0.05, 0.3, 0.6, 0.9])
    hiss = rng.standard_normal((len(period), FFT)) * (np.arange(FFT) < period[:, None])
    hiss = np.fft.rfft(hiss) / np.sqrt(period[:, None])
    tone = np.exp(-2j * np.pi * BINS / RATE * shift[:, None])
    mixed = response * (np.sqrt(1 - breath**2) * tone + breath * hiss)
    return np.fft.irfft(mixed * np.sqrt(period[:, None]))


def sing_syllable(
    syllable: Syllable, start: float, end: float, pulses: Audio, rng: np.random.Generator
) -> tuple[Audio, float]:
    """Sing one syllable with its vowel beginning at ``start`` and all of it over by ``end``.

    Parameters
    ----------
    syllable
        The analysed syllable.
    start, end
        Seconds into the song.
    pulses
        Times of all glottal pulses of the song, which carry the melody.
    rng
        Source of the breath noise.

    Returns
    -------
    wave, time
        The sung syllable and the second at which it begins.
    """
    onset, close = syllable.core
    coda = len(syllable.wave) / RATE - close
    leave = max(end - coda, start + 0.07)
    begin = start - onset
    out = np.zeros(round((leave + coda - begin) * RATE) + 2 * FFT)
    times = pulses[(pulses >= begin) & (pulses < leave + coda)]
    # Singers rest on the first half of a diphthong and close it late, hence the power.
    inside = np.clip((times - start) / (leave - start), 0, 1) ** 1.5
    source = onset + inside * (close - onset)
    source = np.where(times < start, times - begin, source)
    source = np.where(times > leave, times - leave + close, source) * RATE / HOP
    left = np.clip(source.astype(int), 0, len(syllable.voiced) - 2)
    part = np.clip(source - left, 0, 1)[:, None]
    rows = syllable.envelope[left] * (1 - part) + syllable.envelope[left + 1] * part
    gate = np.interp(source, np.arange(len(syllable.voiced)), syllable.voiced)
    spots = (times - begin) * RATE
    sounds = pulse_sounds(rows, np.gradient(times) * RATE, spots % 1, rng) * gate[:, None]
    for spot, sound in zip(spots.astype(int), sounds, strict=True):
        out[spot : spot + FFT] += sound
    vowel = out[round(onset * RATE) : round((onset + leave - start) * RATE)]
    level = np.sqrt(np.mean(vowel**2))
    # Unvoiced consonants are taken as they were spoken: re-synthesis would blur their attacks.
    frames = np.arange(len(syllable.wave)) / HOP
    hush = 1 - np.interp(frames, np.arange(len(syllable.voiced)), syllable.voiced)
    for cut, spot in ((slice(0, round(onset * RATE)), 0.0), (slice(round(close * RATE), None),
                                                          leave - begin)):  # fmt: skip
        consonant = (syllable.wave * hush)[cut] * 1.3
        out[round(spot * RATE) : round(spot * RATE) + len(consonant)] += consonant
    # Let the sound go instead of cutting it.
    release = np.clip((leave + coda - begin - np.arange(len(out)) / RATE) / 0.05, 0, 1)
    return out * release / level, begin


def pitch_line(notes: list[Note], length: int, rng: np.random.Generator) -> Audio:
    """Return the sung MIDI note of every sample: glides, scoops, vibrato and drift."""
    t = np.arange(0, length / RATE + 0.01, 0.001)
    line = np.full(len(t), float(notes[0][2]))
    ornament = np.zeros(len(t))
    finish = 0.0
    for start, lasts, note, _ in notes:
        line[t >= start - 0.02] = note
        since = np.maximum(t - start, 0)
        here = (t >= start) & (t < start + lasts)
        if start - finish > 0.2:  # a phrase begins a little flat and rises into its note
            ornament -= here * 0.9 * np.exp(-since / 0.04)
        if lasts > 0.5:
            depth = 0.28 * np.clip((since - 0.22) / 0.35, 0, 1)
            ornament += here * depth * np.sin(2 * np.pi * 5.5 * since)
        finish = start + lasts
    drift = ndimage.gaussian_filter1d(rng.standard_normal(len(t)), 110)
    glide = ndimage.gaussian_filter1d(line, 16)
    line = glide + ornament + 0.05 * drift / drift.std()
    return np.interp(np.arange(length) / RATE, t, line)


def sing(notes: list[Note], length: int, rng: np.random.Generator) -> Audio:
    """Sing a melody.

    Parameters
    ----------
    notes
        Second, seconds, MIDI note and espeak phonemes of every syllable, in order.
    length
        Samples to return.
    rng
        Source of the human inaccuracy and of the breath.

    Returns
    -------
    Audio
        The mono voice, every vowel at an RMS of about one.
    """
    turns = np.cumsum(hertz(pitch_line(notes, length, rng))) / RATE
    pulses = np.interp(np.arange(1, int(turns[-1])), turns, np.arange(length) / RATE)
    onsets = [start - analyse(text).core[0] for start, _, _, text in notes]
    voice = np.zeros(length)
    for (start, lasts, _, text), after in zip(notes, [*onsets[1:], np.inf], strict=True):
        end = min(start + lasts, after + 0.02)
        wave, begin = sing_syllable(analyse(text), start, end, pulses, rng)
        # Syllables that espeak marks as unstressed are sung softer.
        stress = 1.0 if "'" in text else 0.75
        spot = round(begin * RATE)
        wave = wave[: length - spot]
        voice[spot : spot + len(wave)] += wave * stress * rng.uniform(0.9, 1.1)
    return voice
