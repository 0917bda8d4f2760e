"""Songs for ``making.py``, and measures of finished files that owe nothing to the program."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.ndimage import gaussian_filter1d

from karaoke.audio.ffmpeg import find_ffmpeg
from tests.singing import RATE, Rng, draw_long_score, play, sing
from tests.test_films import SUNG_BLUE, pictures

Sound = NDArray[Any]
OCTAVES = (62.5, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)
#: Between which pitches spectra are compared, a cent apart.
LOWEST_HZ, HIGHEST_HZ = 200.0, 4000.0
CENTS = np.arange(round(1200 * math.log2(HIGHEST_HZ / LOWEST_HZ)))
#: What is softer than the loudest by more is not compared.
FLOOR_DB = 70


def decoded(path: Path, stream: int = 0) -> Sound:
    """Decode an audio stream ``(samples, 2)``."""
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-map", f"0:a:{stream}",
               "-ar", str(RATE), "-ac", "2", "-c:a", "pcm_f32le", "-f", "f32le", "-"]  # fmt: skip
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, 2)


def stereo(mono: Sound, right: float = 1.0) -> Sound:
    """Give a sound two channels."""
    return np.stack([mono, right * mono]).astype(np.float32)


def sung_song(rng: Rng, seconds: float) -> tuple[Sound, Sound]:
    """Draw a voice and a band on the grid of 24 bits, whose sum does not clip."""
    score = draw_long_score(rng, seconds=seconds, fewest=6)
    voice, band = stereo(sing(rng, score)), stereo(play(rng, score), 0.8)
    gain = 0.7 / np.abs(voice + band).max()
    return tuple((np.round(one * gain * 2**23) / 2**23).astype(np.float32) for one in (voice, band))


def decibels(ratio: float) -> float:
    """Give a ratio of amplitudes in dB."""
    return 20 * math.log10(max(abs(float(ratio)), 1e-15))


def octave_gains(sound: Sound, sources: tuple[Sound, Sound]) -> Iterator[float]:
    """Yield for each octave the first source's level in dB above the second's, by least squares."""
    hz = np.fft.rfftfreq(sound.shape[1], 1 / RATE)
    spectra = [np.fft.rfft(one.astype(np.float64)) for one in (sound, *sources)]
    for middle in OCTAVES:
        inside = (hz >= middle / math.sqrt(2)) & (hz < middle * math.sqrt(2))
        mixed, *parts = (one[:, inside].ravel().view(np.float64) for one in spectra)
        gains = np.linalg.lstsq(np.stack(parts, axis=1), mixed, rcond=None)[0]
        yield decibels(gains[0] / gains[1])


def over_pitch(sound: Sound, smooth_hz: float = 0.0) -> Sound:
    """Draw the long-term spectrum over pitch, in dB."""
    hz, power = signal.welch(sound.mean(axis=0), RATE, nperseg=1 << 15, nfft=1 << 17)
    if smooth_hz:
        power = gaussian_filter1d(power, smooth_hz / hz[1])
    level = 10 * np.log10(power + 10 ** (-FLOOR_DB / 10) * power.max())
    return np.asarray(np.interp(LOWEST_HZ * 2 ** (CENTS / 1200), hz, level))


def displacement(one: Sound, other: Sound, reach: int) -> tuple[float, float]:
    """Tell by how many cents a spectrum is above another where they are most alike; how much."""
    alike = [
        np.corrcoef(one[max(d, 0) : len(one) + min(d, 0)],
                    other[max(-d, 0) : len(one) - max(d, 0)])[0, 1]
        for d in range(-reach, reach + 1)
    ]  # fmt: skip
    return float(np.argmax(alike) - reach), float(max(alike))


def flux(sound: Sound) -> float:
    """Average the 200 largest rises of a spectrum."""
    levels = np.abs(signal.stft(sound.mean(axis=0), RATE, nperseg=1024, noverlap=768)[2])
    rises = np.maximum(np.diff(levels, axis=1), 0).sum(axis=0)
    return float(np.sort(rises)[-200:].mean())


def loudness_of(path: str) -> tuple[float, float]:
    """Measure loudness and true peak of a file by ffmpeg."""
    command = [find_ffmpeg(), "-hide_banner", "-nostats", "-i", str(path), "-map", "0:a:0", "-af",
               "ebur128=peak=true:framelog=quiet", "-f", "null", "-"]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    integrated, peak = (re.search(rf"{name}: +(-?[\d.]+)", summary) for name in ("I", "Peak"))
    assert integrated and peak, summary
    return float(integrated[1]), float(peak[1])


def lit_at(film: Path, fps: float, due: list[float]) -> Iterator[tuple[float, float, float]]:
    """Yield of each word in which picture it begins to be lit, is half lit, and is all lit.

    Its letters are what is lit when the last of ``due``, the end of the line, has come.
    """
    shown: Sound = pictures(film, fps)
    lit = np.asarray((shown[..., 0] > 180) & (shown[..., 2] < SUNG_BLUE))
    end = round(due[-1] * fps)
    letters: Sound = np.asarray(lit[end - 1 : end + 3].any(axis=0))
    columns = np.flatnonzero(letters.any(axis=0))
    widest = np.argsort(np.diff(columns))[-(len(due) - 2) :]
    for word in np.split(columns, np.sort(widest) + 1):
        yield tuple(  # type: ignore[misc]
            float(np.argmax(lit[:, :, part][:, letters[:, part]].mean(axis=1) >= share))
            for part, share in ((word[:3], 0.1), (word, 0.5), (word[-2:], 0.9))
        )
