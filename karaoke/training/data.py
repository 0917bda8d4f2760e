"""Mixtures, made of recordings on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from karaoke.errors import NoInputError
from karaoke.training import augment, bus
from karaoke.training.augment import Audio, Rng
from karaoke.training.corpus import SAMPLE_RATE, Pool, Recording, read_together
from karaoke.training.voices import Singers

#: Below this RMS a stretch of a vocal stem counts as a rest, not as singing.
SINGING_RMS = 0.01


@dataclass(frozen=True)
class MixtureConfig:
    """How mixtures are made; shares are probabilities.

    Parameters
    ----------
    segment_seconds
        Length of a mixture.
    aligned_share
        Both stems of a song, at the same place.
    song_share
        The vocals of a song over other music. The rest are made of voices (``Singers``).
    speech_share
        Of these, lines made of speech.
    song_pitch_spread
        Standard deviation in semitones that the vocals of songs are moved by.
    song_chain_share
        Of the vocals of songs over other music, those sent through a vocal chain once more.
    own_music_share
        Where music is drawn: the accompaniment of a song, rather than instrumental music.
    layered_share
        Two pieces of music at once.
    vocals_absent_share, accompaniment_absent_share
        One part is missing, or next to.
    vocals_level_db
        Lowest and highest level of the vocals over the accompaniment.
    vocal_chain, song_effects
        Whether voices are produced, and whether mixtures go through bus, coder and noise.
    """

    segment_seconds: float = 3.0
    aligned_share: float = 0.18
    song_share: float = 0.2
    speech_share: float = 0.35
    song_pitch_spread: float = 3.0
    song_chain_share: float = 0.3
    own_music_share: float = 0.25
    layered_share: float = 0.2
    vocals_absent_share: float = 0.08
    accompaniment_absent_share: float = 0.03
    vocals_level_db: tuple[float, float] = (-9.0, 7.0)
    vocal_chain: bool = True
    song_effects: bool = True


class MixtureDataset(Dataset[Tensor]):
    """Random mixtures: item ``i`` is a tensor ``(2, C, N)`` of vocals and accompaniment.

    The mixture is their sum. An item depends on the seed and its index alone, so a training run
    that stops goes on with the very mixtures that it would have seen.

    Parameters
    ----------
    recordings
        Of the roles ``vocals``, ``speech``, ``accompaniment``, and for songs ``song-vocals`` and
        ``song-...`` of any other stems; only those of the split ``train`` are used.
    config
        How to mix.
    seed
        Of everything random.
    length
        Number of items.

    Raises
    ------
    NoInputError
        There are no voices or no music among the recordings.
    """

    def __init__(
        self, recordings: Sequence[Recording], config: MixtureConfig, *, seed: int, length: int
    ) -> None:
        train = [recording for recording in recordings if recording.split == "train"]
        songs = [r for r in train if r.role.startswith("song-") and r.role != "song-vocals"]
        roles = {
            role: [r for r in train if r.role == role]
            for role in ("vocals", "speech", "accompaniment", "song-vocals")
        }
        self.pools = {role: Pool(chosen) for role, chosen in roles.items() if chosen}
        if songs:
            self.pools["song-accompaniment"] = Pool(songs)
        if not self.pools.keys() & {"vocals", "speech", "song-vocals"}:
            raise NoInputError("no voice among the recordings to train on")
        if not self.pools.keys() & {"accompaniment", "song-accompaniment"}:
            raise NoInputError("no music among the recordings to train on")
        self.config = config
        self.segment_length = round(config.segment_seconds * SAMPLE_RATE)
        self.seed, self.length = seed, length
        self.sing = Singers(
            self.pools,
            self.segment_length,
            speech_share=config.speech_share,
            chain=config.vocal_chain,
        )

    def __len__(self) -> int:
        """Count the items."""
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        """Make item ``index``."""
        rng = np.random.default_rng((self.seed, index))
        kind = rng.random()
        voices = self.pools.keys() & {"vocals", "speech"}
        songs = "song-vocals" in self.pools
        if songs and "song-accompaniment" in self.pools and kind < self.config.aligned_share:
            vocals, accompaniment = self._aligned(rng)
        elif songs and (kind < self.config.aligned_share + self.config.song_share or not voices):
            vocals, accompaniment = self._song_vocals(rng), self._accompaniment(rng)
        else:
            vocals, accompaniment = self.sing(rng), self._accompaniment(rng)
        return torch.from_numpy(np.stack(self._mix(rng, vocals, accompaniment)))

    def _segment(self, rng: Rng, parts: Sequence[Recording], *, singing: bool = False) -> Audio:
        """Read a random stretch of aligned parts; with ``singing``, try to avoid rests."""
        length = min(part.length for part in parts) - self.segment_length
        for _ in range(4 if singing else 1):
            start = int(rng.integers(0, max(1, length)))
            audio = read_together(parts, start, self.segment_length)
            if augment.rms(audio) > SINGING_RMS:
                break
        return to_stereo(audio)

    def _aligned(self, rng: Rng) -> tuple[Audio, Audio]:
        """Take both stems of a real song at the same place."""
        vocals = self.pools["song-vocals"].draw(rng)
        others = self.pools["song-accompaniment"].groups[vocals.group]
        shortest = min(part.length for part in (vocals, *others)) - self.segment_length
        start = int(rng.integers(0, max(1, shortest)))
        ratio = np.full(self.segment_length, 2.0 ** (rng.normal(0, 1.5) / 12))
        bent = [
            augment.bend(to_stereo(read_together(part, start, self.segment_length)), ratio)
            for part in ([vocals], others)
        ]
        return bent[0], bent[1]

    def _song_vocals(self, rng: Rng) -> Audio:
        """Take the vocals of a real song, as another singer and another engineer might have them.

        There are few songs; without changes a network learns these by heart.
        """
        audio = self._segment(rng, [self.pools["song-vocals"].draw(rng)], singing=True)
        semitones = self.config.song_pitch_spread
        ratio = np.full(audio.shape[1], 2.0 ** (rng.normal(0, semitones) / 12))
        audio = augment.bend(audio, ratio)
        if rng.random() < 0.5:
            audio = augment.restore_formants(audio, ratio * 2.0 ** (rng.normal(0, 1.5) / 12))
        if not self.config.vocal_chain:
            return audio
        if rng.random() < self.config.song_chain_share:
            return self.sing.produce(rng, audio, tilt_db=rng.normal(0, 5))
        return augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(0, 4), depth_db=4)

    def _accompaniment(self, rng: Rng) -> Audio:
        """Take instrumental music, sometimes two pieces at once, through a random filter."""
        parts = []
        roles = [r for r in ("song-accompaniment", "accompaniment") if r in self.pools]
        for _ in range(2 if rng.random() < self.config.layered_share else 1):
            role = roles[0] if rng.random() < self.config.own_music_share else roles[-1]
            drawn = self.pools[role].draw(rng)
            aligned = self.pools[role].groups[drawn.group] if role != "accompaniment" else [drawn]
            audio = self._segment(rng, aligned)
            if rng.random() < 0.5:
                ratio = np.full(audio.shape[1], 2.0 ** (rng.normal(0, 2) / 12))
                audio = augment.bend(audio, ratio)
            audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(1, 4), depth_db=3)
            if rng.random() < 0.1:
                audio = augment.saturate(rng, audio)
            parts.append(audio / augment.rms(audio) * augment.db_to_gain(rng.uniform(-6, 0)))
        total: Audio = np.sum(parts, axis=0, dtype=np.float32)
        return total

    def _mix(self, rng: Rng, vocals: Audio, accompaniment: Audio) -> tuple[Audio, Audio]:
        """Set the levels, and do to both what a mix bus, a coder or a listener does to a song."""
        vocals = vocals / max(augment.rms(vocals), SINGING_RMS)
        accompaniment = accompaniment / max(augment.rms(accompaniment), SINGING_RMS)
        vocals = vocals * augment.db_to_gain(rng.uniform(*self.config.vocals_level_db))
        absent = rng.random() - self.config.vocals_absent_share
        if absent < 0:
            vocals = np.zeros_like(vocals)
        elif absent < self.config.accompaniment_absent_share:
            accompaniment = accompaniment * augment.db_to_gain(rng.uniform(-60, -20))
        vocals = vocals[:: rng.choice([-1, 1])] * rng.choice([-1, 1])
        accompaniment = accompaniment[:: rng.choice([-1, 1])]
        if self.config.song_effects:
            vocals, accompaniment = self._song_effects(rng, vocals, accompaniment)
        gain = np.float32(0.1 / augment.rms(vocals + accompaniment))
        return (
            np.ascontiguousarray(vocals * gain, dtype=np.float32),
            np.ascontiguousarray(accompaniment * gain, dtype=np.float32),
        )

    def _song_effects(self, rng: Rng, vocals: Audio, accompaniment: Audio) -> bus.Parts:
        """Master, code, play back."""
        parts = vocals, accompaniment
        if rng.random() < 0.1:
            parts = bus.to_mono(*parts)
        if rng.random() < 0.3:
            parts = bus.compress_together(rng, *parts, SAMPLE_RATE)
        if rng.random() < 0.4:
            parts = bus.limit_together(rng, *parts)
        if rng.random() < 0.2:
            parts = bus.code_together(rng, *parts, SAMPLE_RATE)
        if rng.random() < 0.1:
            # Noise is nobody's voice.
            noise = rng.standard_normal(accompaniment.shape, dtype=np.float32)
            level = augment.rms(parts[1]) * augment.db_to_gain(rng.uniform(-50, -20))
            parts = parts[0], parts[1] + noise * np.float32(level)
        return parts


def to_stereo(audio: Audio) -> Audio:
    """Give ``(2, samples)``: a mono recording on both sides, no more than two channels."""
    return np.broadcast_to(audio[:2], (2, audio.shape[1]))
