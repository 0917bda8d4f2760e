"""What is heard of a band: how suddenly it begins, and which notes sound, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.peaks import peak_offset
from karaoke.analysis.windows import Windows, mono
from karaoke.audio import Block
from karaoke.audio.blocks import resample

Array = NDArray[np.float32]
#: Of the sound that is analysed, in Hz: nothing above 11 kHz tells of beats or chords.
RATE = 22_050
#: Frames a second, and samples of each, for beats ...
BEAT_FPS, BEAT_WINDOW = 50, 1024
#: ... and for chords, where low notes need long ones.
CHORD_FPS, CHORD_WINDOW = 10, 8192
#: Bands of the onsets, in Hz.
EDGES_HZ = np.geomspace(30, 10_000, 25)
#: Notes that are told apart, as MIDI numbers, each by thirds of a semitone.
LOWEST_NOTE, HIGHEST_NOTE, THIRDS = 28, 96, 3


@dataclass(frozen=True)
class Features:
    """What is heard of a band.

    Parameters
    ----------
    bands
        ``(T, 24)`` at :data:`BEAT_FPS`: logarithmic levels of bands of frequency.
    notes
        ``(T, 207)`` at :data:`CHORD_FPS`: strength of partials by thirds of a semitone.
    seconds
        How long it is.
    """

    bands: Array
    notes: Array
    seconds: float


def listen(blocks: Iterable[Block], sample_rate: int) -> Features:
    """Hear a stream through, in constant memory but for what is kept of each frame.

    Parameters
    ----------
    blocks
        float32 ``(channels, samples)``.
    sample_rate
        In Hz.
    """
    beats = Windows(BEAT_WINDOW, RATE // BEAT_FPS)
    chords = Windows(CHORD_WINDOW, RATE // CHORD_FPS)
    bands: list[Array] = []
    notes: list[Array] = []
    heard = 0
    for block in resample(mono(blocks), sample_rate, RATE):
        heard += block.shape[1]
        bands += [band_levels(windows) for windows in beats.cut(block[0])]
        notes += [note_strengths(windows) for windows in chords.cut(block[0])]
    bands += [band_levels(windows) for windows in beats.finish()]
    notes += [note_strengths(windows) for windows in chords.finish()]
    empty = np.zeros((0, len(EDGES_HZ) - 1), np.float32)
    silent = np.zeros((0, THIRDS * (HIGHEST_NOTE - LOWEST_NOTE + 1)), np.float32)
    return Features(np.concatenate([empty, *bands]), np.concatenate([silent, *notes]), heard / RATE)


def band_levels(windows: Array) -> Array:
    """Give the levels of all bands ``(T, 24)``."""
    magnitude = np.abs(np.fft.rfft(windows * np.hanning(BEAT_WINDOW), axis=1)).astype(np.float32)
    edges = np.maximum(np.round(EDGES_HZ * BEAT_WINDOW / RATE).astype(int), 1)
    for n in range(1, len(edges)):
        edges[n] = max(edges[n], edges[n - 1] + 1)
    sums = np.add.reduceat(magnitude[:, : edges[-1]], edges[:-1], axis=1)
    return np.asarray(np.log1p(10 * sums), np.float32)


def note_strengths(windows: Array) -> Array:
    """Find the partials, which stand out of their neighbourhood, and give them to their notes."""
    window = np.hanning(CHORD_WINDOW)
    magnitude = np.abs(np.fft.rfft(windows * window, axis=1)).astype(np.float32) / window.sum()
    level = np.log(magnitude + 1e-9)
    inner = level[:, 1:-1]
    before, after = level[:, :-2], level[:, 2:]
    peak = (inner > before) & (inner >= after) & (magnitude[:, 1:-1] > 1e-5)
    frames, bins = np.nonzero(peak)
    low, mid, high = before[frames, bins], inner[frames, bins], after[frames, bins]
    shift = np.clip(peak_offset(low, mid, high), -0.5, 0.5)
    hz = (bins + 1 + shift) * RATE / CHORD_WINDOW
    place = np.round(THIRDS * (69 + 12 * np.log2(hz / 440) - LOWEST_NOTE)).astype(int)
    count = THIRDS * (HIGHEST_NOTE - LOWEST_NOTE + 1)
    inside = (place >= 0) & (place < count)
    strengths = np.zeros((len(windows), count), np.float32)
    value = np.sqrt(magnitude[:, 1:-1][frames, bins])
    np.add.at(strengths, (frames[inside], place[inside]), value[inside])
    return np.asarray(strengths)
