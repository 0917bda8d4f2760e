"""Produced vocals out of clean recordings: a singer, an arrangement, and a vocal chain."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from karaoke.training import augment, electronic, formants
from karaoke.training.augment import Audio, Rng
from karaoke.training.corpus import SAMPLE_RATE, Pool, Recording

#: Intervals in semitones that backing voices sing: thirds, fourths, fifths, sixths and octaves.
HARMONIES = (-12, -9, -8, -5, -4, -3, 3, 4, 5, 7, 8, 9, 12)


class Singers:
    """Random singers over voicebanks, solo singing and speech.

    Parameters
    ----------
    pools
        Recordings of the roles ``vocals`` and ``speech``, one of them at least.
    length
        Of what is sung, in samples.
    speech_share
        Probability that a line is made of speech.
    chain
        Whether to produce what is sung: doubles, backing voices and effects. Without, the line
        comes back dry and in the centre.
    dry_share
        Probability that a line stays alone and dry all the same, but for an equaliser and a
        compressor: so a band without a producer sounds.
    wide_share
        Probability that another line leaves the centre to its doubles at the sides.
    electronic_share
        Probability that what is not dry goes through :func:`karaoke.training.electronic.electrify`
        before the vocal chain.
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
        """Sing ``(2, length)``."""
        mono, tune = self.line(rng)
        if not self.chain:
            return augment.pan(rng, mono, 0.0)
        if self.dry_share and rng.random() < self.dry_share:
            audio = augment.pan(rng, mono, 0.05 * (rng.random() < 0.3))
            audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(4, 4), depth_db=3)
            return augment.compress(rng, audio, SAMPLE_RATE) if rng.random() < 0.5 else audio
        if self.wide_share and rng.random() < self.wide_share:
            audio = self._doubles(rng, mono)
            audio = audio * (augment.rms(mono) / augment.rms(audio))
        else:
            audio = augment.pan(rng, mono, 0.1)
            if rng.random() < 0.4:
                audio = audio + self._doubles(rng, mono)
        if rng.random() < 0.3:
            audio = audio + self._backing(rng, augment.rms(mono), tune)
        audio = self.electrify(rng, audio)
        # Records are brighter than clean recordings: more presence and air than not.
        return self.produce(rng, audio, tilt_db=rng.normal(7, 5))

    def electrify(self, rng: Rng, audio: Audio) -> Audio:
        """Give a share of stereo vocals the effects of electronic music."""
        if self.electronic_share and rng.random() < self.electronic_share:
            return electronic.electrify(rng, audio, SAMPLE_RATE)
        return audio

    def line(self, rng: Rng) -> tuple[Audio, NDArray[np.float64]]:
        """Sing one dry mono line, and give the tune: a recording bent to it, with rests."""
        speech = rng.random() < self.speech_share
        role = "speech" if (speech and "speech" in self.pools) else "vocals"
        recording = self.pools[role if role in self.pools else "speech"].draw(rng)
        # Makam singers, and who sings made-up tunes (karaoke.training.singing), move in pitch by
        # themselves; voicebanks and speech have to be led.
        moves = recording.group.startswith(("makam", "sung"))
        tune = augment.melody(rng, self.length, SAMPLE_RATE, spread=1.5 if moves else 4.0)
        # Slower makes longer vowels; most of all speech lacks them.
        tune = tune * 2.0 ** (rng.normal(-4 if role == "speech" else 0, 3) / 12)
        audio = self._read_bent(rng, recording, tune)
        if "an4" in recording.group:
            audio = add_treble(rng, audio)
        if rng.random() < 0.6:
            audio = formants.restore_formants(audio, tune * 2.0 ** (rng.normal(0, 1.5) / 12))
        if rng.random() < 0.6:
            audio = augment.phrase(rng, audio, SAMPLE_RATE)
        return audio, tune

    def _read_bent(self, rng: Rng, recording: Recording, tune: NDArray[np.float64]) -> Audio:
        """Read a random stretch at the speed of a tune."""
        needed = int(tune.sum()) + 8
        start = int(rng.integers(0, max(1, recording.length - needed)))
        return augment.bend(recording.read(start, needed)[:1], tune)

    def _doubles(self, rng: Rng, mono: Audio) -> Audio:
        """Repeat a line some cents and milliseconds apart, or a harmony of it, at the sides."""
        harmony = rng.random() < 0.4
        semitones = float(rng.choice(HARMONIES)) if harmony else 0.0
        level, width = augment.db_to_gain(rng.uniform(-14, 1)), rng.uniform(0, 0.6)
        sides: Audio = np.zeros((2, mono.shape[1]), dtype=np.float32)
        for side in range(2):
            ratio = np.full(mono.shape[1], 2.0 ** ((semitones + rng.normal(0, 0.09)) / 12))
            copy = augment.bend(mono, ratio)
            if harmony and rng.random() < 0.7:
                copy = formants.restore_formants(copy, ratio)
            delay = int(rng.uniform(0.003, 0.03) * SAMPLE_RATE)
            sides[side] += level * np.roll(copy[0], delay)
            sides[1 - side] += width * sides[side]
        return sides

    def _backing(self, rng: Rng, level: float, tune: NDArray[np.float64]) -> Audio:
        """Sing the tune, or a harmony of it, with one to four other voices, spread wide."""
        total: Audio = np.zeros((2, self.length), dtype=np.float32)
        gain = level * augment.db_to_gain(rng.uniform(-14, 0))
        for _ in range(int(rng.integers(1, 5))):
            if rng.random() < 0.3:
                voice, _ = self.line(rng)
            else:
                recording = self.pools["vocals" if "vocals" in self.pools else "speech"].draw(rng)
                moved = tune * 2.0 ** (rng.choice((0, *HARMONIES)) / 12)
                voice = formants.restore_formants(self._read_bent(rng, recording, moved), moved)
            voice = voice * (gain / max(augment.rms(voice), 1e-3))
            total += augment.pan(rng, voice, 0.7)
        return total

    def produce(self, rng: Rng, audio: Audio, *, tilt_db: float) -> Audio:
        """Send stereo vocals through a random vocal chain that begins with an equaliser."""
        audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=tilt_db, depth_db=4)
        if rng.random() < 0.65:
            audio = augment.compress(rng, audio, SAMPLE_RATE)
        if rng.random() < 0.3:
            audio = augment.de_ess(rng, audio, SAMPLE_RATE)
        if rng.random() < 0.3:
            audio = augment.saturate(rng, audio)
        if rng.random() < 0.2:
            audio = augment.chorus(rng, audio, SAMPLE_RATE)
        if rng.random() < 0.3:
            audio = augment.echo(rng, audio, SAMPLE_RATE)
        if rng.random() < 0.75:
            audio = augment.reverberate(rng, audio, SAMPLE_RATE)
        return audio


def add_treble(rng: Rng, audio: Audio) -> Audio:
    """Draw a treble over a recording that ends at 8 kHz, from the envelope of its upper band.

    Rather than teach that voices end there.
    """
    hiss = rng.standard_normal(audio.shape, dtype=np.float32)
    hiss -= augment.low_pass(hiss, 7000, SAMPLE_RATE)
    audible = np.abs(audio - augment.low_pass(audio, 4000, SAMPLE_RATE))
    return audio + 0.5 * hiss * augment.low_pass(audible, 40, SAMPLE_RATE)
