"""The harmony and beats of music, and how a voice has to move to fit in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures.augment import Fit, Rng
from karaoke.training.traits import CHROMA_RATE, CHROMA_STEP_DB, FULL_BAND_HZ, PITCH_RATE

#: Pitch classes per semitone, ten cents apart.
STEPS = 10
CLASSES = 12 * STEPS
#: Standard deviation, in classes, of what counts as the same pitch.
SMEAR = 2.5
#: Semitones by which voices that sing tunes of their own may be shifted.
SHIFTS = np.arange(-6 * STEPS, 6 * STEPS + 1) / STEPS
#: Energy, relative to the strongest, from which a pitch class counts as sounding.
SOUNDING = 0.2


class Excerpt(NamedTuple):
    """A stretch of a recording in a mixture: its first sample, speed and gain."""

    recording: Recording
    start: int
    ratio: float = 1.0
    gain: float = 1.0

    @property
    def known_hz(self) -> float:
        """Frequency in Hz up to which it is known, at this speed."""
        return known_at(self.recording.known_hz, self.ratio)


def known_at(band_hz: float, ratio: float) -> float:
    """Return the highest frequency in Hz at another speed: lower if slower, but never higher.

    A full band stays full.
    """
    return band_hz if band_hz >= FULL_BAND_HZ else band_hz * min(ratio, 1.0)


@dataclass(frozen=True, eq=False)
class Harmony:
    """Harmony and beats of a stretch of music.

    Parameters
    ----------
    classes
        Energy of pitch classes ten cents apart, from C up, ``CHROMA_RATE`` times per second:
        ``(CLASSES, frames)``.
    beats
        Times of beats and half beats in seconds: ``(beats,)``.
    """

    classes: NDArray[np.float64]
    beats: NDArray[np.float64]

    def energy_at(self, pitch: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look up the energy at pitches in semitones ``(..., T)``, ``PITCH_RATE`` times per second.

        It is zero where the pitch is NaN.
        """
        frames = np.arange(pitch.shape[-1]) * CHROMA_RATE // PITCH_RATE
        classes = np.round(np.nan_to_num(pitch) * STEPS).astype(np.int64) % CLASSES
        energy = self.classes[classes, frames.clip(max=self.classes.shape[1] - 1)]
        return np.where(np.isfinite(pitch), energy, 0.0)

    def best_shift(self, pitch: NDArray[np.floating], start: int) -> float:
        """Find the number of semitones in ``SHIFTS`` by which a voice fits the harmony best.

        Parameters
        ----------
        pitch
            Pitch of the recording, from :class:`karaoke.training.traits.Traits`.
        start
            First sample of the recording that is used.
        """
        number = self.classes.shape[1] * PITCH_RATE // CHROMA_RATE
        ratio = 2.0 ** (SHIFTS / 12)
        at = start * PITCH_RATE / SAMPLE_RATE + ratio[:, None] * np.arange(number)
        heard = pitch[at.astype(np.int64) % len(pitch)] + SHIFTS[:, None]
        # Among those that fit equally well, prefer the smallest change.
        agreement = self.energy_at(heard).sum(axis=1) * (1 - 0.02 * np.abs(SHIFTS))
        return float(SHIFTS[agreement.argmax()]) if agreement.max() > 0 else 0.0

    def fit(self, rng: Rng, middle: float) -> Fit:
        """Return a function that moves notes to beats or half beats, and to pitches in the music.

        Parameters
        ----------
        middle
            Pitch in semitones to which notes are relative.
        """

        def fitted(
            starts: NDArray[np.float64], notes: NDArray[np.float64]
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            if len(self.beats):
                nearest = np.abs(starts[1:, None] - self.beats).argmin(axis=1)
                on_beat, kept = np.unique(self.beats[nearest], return_index=True)
                starts = np.concatenate([[0.0], on_beat[on_beat > 0]])
                notes = np.concatenate([notes[:1], notes[1:][kept[on_beat > 0]]])
            ends = np.append(starts[1:], np.inf)
            chosen = [
                self.choose(rng, middle + note, start, end) - middle
                for note, start, end in zip(notes, starts, ends, strict=True)
            ]
            return starts, np.array(chosen)

        return fitted

    def choose(self, rng: Rng, wanted: float, start: float, end: float) -> float:
        """Draw a pitch in semitones near another that sounds from start to end, in seconds."""
        last = self.classes.shape[1] - 1
        first = min(int(start * CHROMA_RATE), last)
        frames = slice(first, max(first + 1, int(min(end * CHROMA_RATE, last + 1))))
        energy = self.classes[:, frames].mean(axis=1)
        peaks = (energy > np.roll(energy, 1)) & (energy >= np.roll(energy, -1))
        peaks &= energy > SOUNDING * energy.max()
        near = round(wanted * STEPS) + np.arange(-CLASSES // 2, CLASSES // 2)
        near = near[peaks[near % CLASSES]]
        if not len(near):
            return wanted
        weights = energy[near % CLASSES] * np.exp(-0.5 * np.square((near / STEPS - wanted) / 3))
        return float(rng.choice(near, p=weights / weights.sum()) / STEPS)


def harmony_of(sources: Sequence[Excerpt], seconds: float) -> Harmony | None:
    """Combine what is known of the harmony of recordings that sound together.

    Parameters
    ----------
    sources
        Stretches of recordings; those without a measured chroma do not count.
    seconds
        Length of the stretches.

    Returns
    -------
    Harmony or None
        None if nothing is known, or all is silent.
    """
    known = [source for source in sources if source.recording.traits.chroma.size]
    if not known:
        return None
    times = np.arange(max(1, round(seconds * CHROMA_RATE))) / CHROMA_RATE
    classes = np.zeros((CLASSES, len(times)))
    for source in known:
        traits = source.recording.traits
        at = (source.start / SAMPLE_RATE + times * source.ratio) * CHROMA_RATE
        chroma = traits.chroma[:, np.round(at).astype(np.int64) % traits.chroma.shape[1]]
        level_db = (chroma - 255.0) * CHROMA_STEP_DB
        semitones = np.arange(12) + traits.tuning + 12 * np.log2(source.ratio)
        here = np.round(semitones * STEPS).astype(np.int64) % CLASSES
        classes[here] += np.where(chroma, 10 ** (level_db / 10), 0) * source.gain**2
    if not classes.any():
        return None
    distance = np.minimum(np.arange(CLASSES), CLASSES - np.arange(CLASSES))
    kernel = np.exp(-0.5 * np.square(distance / SMEAR))
    smeared = np.fft.irfft(np.fft.rfft(kernel)[:, None] * np.fft.rfft(classes, axis=0), CLASSES, 0)
    loudest = max(known, key=lambda source: (len(source.recording.traits.beats) > 0, source.gain))
    beats = (loudest.recording.traits.beats - loudest.start / SAMPLE_RATE) / loudest.ratio
    halves = (beats[1:] + beats[:-1]) / 2
    grid = np.sort(np.concatenate([beats, halves])).astype(np.float64)
    # Roots, so that a loud chord does not outweigh all others.
    return Harmony(np.sqrt(smeared.clip(0)), grid[(grid >= 0) & (grid <= seconds)])
