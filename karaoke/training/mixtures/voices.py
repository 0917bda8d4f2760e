"""Produced vocals from clean recordings: a singer, an arrangement, and a vocal chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures import augment, electronic, formants
from karaoke.training.mixtures.augment import Audio, Rng
from karaoke.training.mixtures.harmony import Harmony, known_at
from karaoke.training.mixtures.pools import Pool
from karaoke.training.traits import FULL_BAND_HZ, PITCH_RATE

#: Intervals in semitones that backing voices sing: thirds, fourths, fifths, sixths and octaves.
HARMONIES = (-12, -9, -8, -5, -4, -3, 3, 4, 5, 7, 8, 9, 12)


class Line(NamedTuple):
    """A dry mono line.

    Parameters
    ----------
    audio
        ``(1, N)``.
    tune
        Ratio per sample that a recording was bent by.
    middle
        Pitch of that recording in semitones; NaN if unknown.
    known_hz
        Frequency in Hz up to which it is known.
    """

    audio: Audio
    tune: NDArray[np.float64]
    middle: float
    known_hz: float

    @property
    def pitch(self) -> NDArray[np.float64]:
        """Its pitch in semitones, ``PITCH_RATE`` times per second."""
        return self.middle + 12 * np.log2(self.tune[:: SAMPLE_RATE // PITCH_RATE])


class Singers:
    """Random singers, made from voicebanks, solo singing and speech.

    Parameters
    ----------
    pools
        Recordings of the roles ``vocals`` and ``speech``, or one of them.
    length
        Number of samples to sing.
    speech_share
        Probability that a line is made from speech.
    chain
        Whether to add doubles, backing voices and effects; otherwise, the line stays dry and in
        the centre.
    dry_share
        Probability that a line stays alone and dry nevertheless, except for an equaliser and a
        compressor, like a band without a producer.
    wide_share
        Probability that another line is replaced by its doubles at the sides.
    electronic_share
        Probability that other lines go through ``electronic.electrify`` before the vocal chain.
    """

    def __init__(
        self,
        pools: Mapping[str, Pool],
        length: int,
        *,
        speech_share: float,
        chain: bool,
        dry_share: float = 0.0,
        wide_share: float = 0.0,
        electronic_share: float = 0.0,
    ) -> None:
        self.pools, self.length, self.speech_share = pools, length, speech_share
        self.chain, self.dry_share, self.wide_share = chain, dry_share, wide_share
        self.electronic_share = electronic_share

    def __call__(self, rng: Rng) -> Audio:
        """Sing ``(2, length)``, independent of any music."""
        return self.sing(rng)[0]

    def sing(self, rng: Rng, harmony: Harmony | None = None) -> tuple[Audio, float]:
        """Sing ``(2, length)``, in tune and in time with music if its harmony is given.

        Returns
        -------
        tuple
            The voice, and up to what frequency in Hz it is known.
        """
        line = self.line(rng, harmony)
        mono, known_hz = line.audio, line.known_hz
        if not self.chain:
            return augment.pan(rng, mono, 0.0), known_hz
        if self.dry_share and rng.random() < self.dry_share:
            audio = augment.pan(rng, mono, 0.05 * (rng.random() < 0.3))
            audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(4, 4), depth_db=3)
            audio = augment.compress(rng, audio, SAMPLE_RATE) if rng.random() < 0.5 else audio
            return audio, known_hz
        if self.wide_share and rng.random() < self.wide_share:
            audio = self._doubles(rng, line, harmony)
            audio = audio * (augment.rms(mono) / augment.rms(audio))
        else:
            audio = augment.pan(rng, mono, 0.1)
            if rng.random() < 0.4:
                audio = audio + self._doubles(rng, line, harmony)
        if rng.random() < 0.3:
            backing, backing_hz = self._backing(rng, line, harmony)
            audio, known_hz = audio + backing, min(known_hz, backing_hz)
        audio = self.electrify(rng, audio)
        # Records are usually brighter than clean recordings.
        return self.produce(rng, audio, tilt_db=rng.normal(7, 5)), known_hz

    def electrify(self, rng: Rng, audio: Audio) -> Audio:
        """Apply the effects of electronic music to a share of stereo vocals."""
        if self.electronic_share and rng.random() < self.electronic_share:
            return electronic.electrify(rng, audio, SAMPLE_RATE)
        return audio

    def line(self, rng: Rng, harmony: Harmony | None = None) -> Line:
        """Sing one dry mono line: a recording bent to a tune, with rests."""
        speech = rng.random() < self.speech_share
        role = "speech" if (speech and "speech" in self.pools) else "vocals"
        recording = self.pools[role if role in self.pools else "speech"].draw(rng)
        # Slower speech has longer vowels, which it lacks most of all.
        slower = -4 if role == "speech" else 0
        if harmony is None or not np.isfinite(recording.traits.pitch).any():
            # Recordings of songs have tunes; voicebanks and speech need one.
            spread = 1.5 if moves_by_itself(recording) else 4.0
            tune = augment.melody(rng, self.length, SAMPLE_RATE, spread=spread)
            tune = tune * 2.0 ** (rng.normal(slower, 3) / 12)
            middle = np.nan
            audio = self._read_bent(rng, recording, tune)
        else:
            audio, tune, middle = self._in_tune(rng, recording, harmony, slower)
        known_hz = known_at(recording.known_hz, float(tune.min()))
        if recording.traits.band_hz < FULL_BAND_HZ and rng.random() < 0.5:
            audio = add_treble(rng, audio, recording.traits.band_hz * float(np.median(tune)))
            known_hz = known_hz if recording.estimated else FULL_BAND_HZ
        if rng.random() < 0.6:
            audio = formants.restore_formants(audio, tune * 2.0 ** (rng.normal(0, 1.5) / 12))
        if rng.random() < 0.6:
            audio = augment.phrase(rng, audio, SAMPLE_RATE)
        return Line(audio, tune, middle, known_hz)

    def _in_tune(
        self, rng: Rng, recording: Recording, harmony: Harmony, slower: float
    ) -> tuple[Audio, NDArray[np.float64], float]:
        """Read a recording in tune; return the audio, the ratios, and its original pitch."""
        start = int(rng.integers(0, max(1, recording.length - self.length)))
        middle = middle_of(recording, start, self.length)
        if moves_by_itself(recording):
            shift = harmony.best_shift(recording.traits.pitch, start)
            tune = np.full(self.length, 2.0 ** (shift / 12))
        else:
            register = rng.normal(slower, 3)
            fit = harmony.fit(rng, middle)
            tune = augment.melody(
                rng,
                self.length,
                SAMPLE_RATE,
                fit=lambda starts, notes: fit(starts, notes + register),
            )
        return augment.bend(recording.read(start, int(tune.sum()) + 8)[:1], tune), tune, middle

    def _read_bent(self, rng: Rng, recording: Recording, tune: NDArray[np.float64]) -> Audio:
        """Read a random stretch, bent by a tune."""
        needed = int(tune.sum()) + 8
        start = int(rng.integers(0, max(1, recording.length - needed)))
        return augment.bend(recording.read(start, needed)[:1], tune)

    def _doubles(self, rng: Rng, line: Line, harmony: Harmony | None) -> Audio:
        """Double a line, or a harmony of it, at the sides, some cents and milliseconds apart."""
        mono = line.audio
        harmonised = rng.random() < 0.4
        semitones = interval(rng, line, harmony, HARMONIES) if harmonised else 0.0
        level, width = augment.db_to_gain(rng.uniform(-14, 1)), rng.uniform(0, 0.6)
        sides: Audio = np.zeros((2, mono.shape[1]), dtype=np.float32)
        for side in range(2):
            ratio = np.full(mono.shape[1], 2.0 ** ((semitones + rng.normal(0, 0.09)) / 12))
            copy = augment.bend(mono, ratio)
            if harmonised and rng.random() < 0.7:
                copy = formants.restore_formants(copy, ratio)
            delay = int(rng.uniform(0.003, 0.03) * SAMPLE_RATE)
            sides[side] += level * np.roll(copy[0], delay)
            sides[1 - side] += width * sides[side]
        return sides

    def _backing(self, rng: Rng, line: Line, harmony: Harmony | None) -> tuple[Audio, float]:
        """Sing the tune, or a harmony of it, with one to four other voices, spread wide.

        Also return up to what frequency in Hz they are known.
        """
        total: Audio = np.zeros((2, self.length), dtype=np.float32)
        gain = augment.rms(line.audio) * augment.db_to_gain(rng.uniform(-14, 0))
        known_hz = FULL_BAND_HZ
        for _ in range(int(rng.integers(1, 5))):
            if rng.random() < 0.3:
                voice, _, _, own_hz = self.line(rng, harmony)
            else:
                recording = self.pools["vocals" if "vocals" in self.pools else "speech"].draw(rng)
                semitones = interval(rng, line, harmony, (0, *HARMONIES))
                if harmony is not None:
                    # Relative to the pitch of the line, not to that of this recording.
                    middle = middle_of(recording, 0, recording.length)
                    apart = np.nan_to_num(line.middle - middle)
                    semitones += apart - 12 * round(apart / 12)
                moved = line.tune * 2.0 ** (semitones / 12)
                voice = formants.restore_formants(self._read_bent(rng, recording, moved), moved)
                own_hz = known_at(recording.known_hz, float(moved.min()))
            voice = voice * (gain / max(augment.rms(voice), 1e-3))
            total += augment.pan(rng, voice, 0.7)
            known_hz = min(known_hz, own_hz)
        return total, known_hz

    def produce(self, rng: Rng, audio: Audio, *, tilt_db: float) -> Audio:
        """Send stereo vocals through an equaliser and a random vocal chain."""
        audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=tilt_db, depth_db=4)
        return augment.apply_some(rng, augment.VOCAL_CHAIN, audio, SAMPLE_RATE)


def moves_by_itself(recording: Recording) -> bool:
    """Return whether a recording has tunes of its own; speech moves in pitch, but has none."""
    return recording.role == "vocals" and recording.traits.moves


def middle_of(recording: Recording, start: int, length: int) -> float:
    """Return the median pitch in semitones of a stretch; NaN if unknown."""
    pitch = recording.traits.pitch
    first, last = (at * PITCH_RATE // SAMPLE_RATE for at in (start, start + length))
    for part in (pitch[first:last], pitch):
        voiced = part[np.isfinite(part)]
        if len(voiced):
            return float(np.median(voiced))
    return np.nan


def interval(rng: Rng, line: Line, harmony: Harmony | None, semitones: Sequence[int]) -> float:
    """Draw an interval to sing a line at, among those that fit a harmony best, if there is one."""
    if harmony is not None and np.isfinite(line.middle):
        energy = [harmony.energy_at(line.pitch + one).sum() for one in semitones]
        semitones = [semitones[index] for index in np.argsort(energy)[-4:]]
    return float(rng.choice(semitones))


def add_treble(rng: Rng, audio: Audio, band_hz: float) -> Audio:
    """Synthesise the treble that a recording lacks above a frequency, from its envelope below."""
    hiss = rng.standard_normal(audio.shape, dtype=np.float32)
    hiss -= augment.low_pass(hiss, 0.875 * band_hz, SAMPLE_RATE)
    audible = np.abs(audio - augment.low_pass(audio, 0.5 * band_hz, SAMPLE_RATE))
    return audio + 0.5 * hiss * augment.low_pass(audible, 40, SAMPLE_RATE)
