"""Mixtures, made from recordings on the fly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from karaoke.separation.fields import SHARE, Within
from karaoke.training.corpus import SAMPLE_RATE, Recording
from karaoke.training.mixtures import augment, bus, formants, glitches, voicelike
from karaoke.training.mixtures.augment import Audio, Rng
from karaoke.training.mixtures.harmony import Excerpt, Harmony, harmony_of, known_at
from karaoke.training.mixtures.pools import make_pools, read_together
from karaoke.training.mixtures.voices import Singers

#: Vocals with a lower RMS count as a rest, not as singing.
SINGING_RMS = 0.01
#: Stems that networks can be trained to output.
STEMS = (("vocals",), ("vocals", "instrumental"), ("vocals", "drums", "bass", "other"))

Share = Annotated[float, SHARE]
Levels = Annotated[tuple[float, float], Within(-120, 120)]
#: Returns a voice, in tune with a harmony if there is one, and up to what Hz it is known.
Sing = Callable[[Rng, Harmony | None], tuple[Audio, float]]


@dataclass(frozen=True)
class MixtureConfig:
    """How mixtures are made; shares are probabilities.

    Parameters
    ----------
    segment_seconds
        Length of a mixture.
    aligned_share
        All stems of one song, from the same place.
    song_share
        The vocals of one song over other music. The other mixtures have voices of ``Singers``.
    speech_share
        Lines that ``Singers`` make from speech.
    estimated_share
        Songs with estimated stems, if there are any, rather than with true ones.
    song_pitch_spread
        Standard deviation in semitones by which the vocals of songs are shifted.
    song_chain_share
        Vocals of a song over other music that go through a vocal chain once more.
    own_music_share
        The accompaniment of a song as music, rather than instrumental music.
    layered_share
        Two pieces of music at once.
    talk_box_share
        Pieces of music that are made to speak like a voice.
    voicelike_share
        Accompaniments with a synthesised instrument that sounds like a voice; three times as
        often where nobody sings.
    vocals_absent_share, accompaniment_absent_share
        Mixtures in which this part is missing, or nearly so.
    vocals_level_db
        Lowest and highest level of the vocals relative to the accompaniment.
    tuned_share
        Mixtures of a voice and other music in which the voice sings in tune and, unless it is from
        a song, in time with the music, as far as the traits of the recordings are known.
    shuffled_share, part_absent_share, part_level_db
        If music is in stems: stems that each come from another piece; each stem missing; and the
        lowest and highest change of its level.
    dry_share
        Lines of ``Singers`` that stay alone and dry in spite of the vocal chain.
    wide_share
        Other lines that are sung twice, once on each side, with nothing in the centre.
    electronic_share
        Produced vocals with the effects of electronic music: tuned hard, chopped, sung through a
        vocoder, and so on.
    rests_share
        Vocals that fall silent for part of the mixture.
    vocal_chain, song_effects
        Whether voices are produced, and whether mixtures are mastered, coded and played back.
    """

    segment_seconds: Annotated[float, Within(0.1, 60)] = 3.0
    aligned_share: Share = 0.18
    song_share: Share = 0.2
    speech_share: Share = 0.35
    estimated_share: Share = 0.3
    song_pitch_spread: Annotated[float, Within(0, 24)] = 3.0
    song_chain_share: Share = 0.3
    own_music_share: Share = 0.25
    layered_share: Share = 0.2
    talk_box_share: Share = 0.05
    voicelike_share: Share = 0.0
    vocals_absent_share: Share = 0.08
    accompaniment_absent_share: Share = 0.03
    vocals_level_db: Levels = (-9.0, 7.0)
    tuned_share: Share = 0.0
    shuffled_share: Share = 0.5
    part_absent_share: Share = 0.1
    part_level_db: Levels = (-6.0, 6.0)
    dry_share: Share = 0.0
    wide_share: Share = 0.0
    electronic_share: Share = 0.0
    rests_share: Share = 0.0
    vocal_chain: bool = True
    song_effects: bool = True

    def __post_init__(self) -> None:
        """Reject ranges whose lowest level is above the highest."""
        for name in ("vocals_level_db", "part_level_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be the lowest and the highest, not {low}, {high}")


class Mixture(NamedTuple):
    """An item of :class:`MixtureDataset`; in a batch, both have another axis in front.

    Parameters
    ----------
    parts
        ``(parts, C, N)``: vocals, and the accompaniment as one part, or as drums, bass and other.
        Their sum is the mixture.
    band_hz
        ``()``: frequency in Hz above which not to learn from the parts, because a voice was
        recorded without treble, for example. ``FULL_BAND_HZ`` if everything counts.
    """

    parts: Tensor
    band_hz: Tensor


class MixtureDataset(Dataset[Mixture]):
    """Random mixtures.

    An item depends only on the seed and its index, so a resumed run continues with the same
    mixtures that it would have seen anyway.

    Parameters
    ----------
    recordings
        Those of the split ``train`` are used; see
        :func:`karaoke.training.mixtures.pools.make_pools`.
    config
        How to mix.
    seed
        Random seed.
    length
        Number of items.
    stems
        One of :data:`STEMS`; with four of them, they are the parts of an item.

    Raises
    ------
    NoInputError
        There are no voices or no music among the recordings.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        config: MixtureConfig,
        *,
        seed: int,
        length: int,
        stems: tuple[str, ...] = STEMS[0],
    ) -> None:
        self.apart = stems[1:] if len(stems) > 2 else ()
        self.pools = make_pools(recordings, self.apart)
        self.config = config
        self.segment_length = round(config.segment_seconds * SAMPLE_RATE)
        self.seed, self.length = seed, length
        self.sing = Singers(
            self.pools,
            self.segment_length,
            speech_share=config.speech_share,
            chain=config.vocal_chain,
            dry_share=config.dry_share,
            wide_share=config.wide_share,
            electronic_share=config.electronic_share,
        )

    def __len__(self) -> int:
        """Count the items."""
        return self.length

    def __getitem__(self, index: int) -> Mixture:
        """Make item ``index``."""
        rng = np.random.default_rng((self.seed, index))
        kind = rng.random()
        voices = self.pools.keys() & {"vocals", "speech"}
        songs = "song-vocals" in self.pools
        if songs and "song-accompaniment" in self.pools and kind < self.config.aligned_share:
            vocals, music, vocals_hz = self._aligned(rng)
            music_hz = vocals_hz
        else:
            sings = songs and (
                kind < self.config.aligned_share + self.config.song_share or not voices
            )
            vocals, vocals_hz, music, music_hz = self._put_together(
                rng, self._song_vocals if sings else self.sing.sing
            )
        parts = self._mix(rng, vocals, music)
        # A missing voice does not limit what is known.
        band_hz = min(vocals_hz, music_hz) if parts[0].any() else music_hz
        return Mixture(
            torch.from_numpy(np.stack(parts)), torch.tensor(band_hz, dtype=torch.float32)
        )

    def _put_together(self, rng: Rng, sing: Sing) -> tuple[Audio, float, Audio, float]:
        """Draw a voice and music, and up to what frequency in Hz each is known."""
        if self.config.tuned_share and rng.random() < self.config.tuned_share:
            music, sources = self._music(rng)
            vocals, vocals_hz = sing(rng, harmony_of(sources, self.config.segment_seconds))
        else:
            vocals, vocals_hz = sing(rng, None)
            music, sources = self._music(rng)
        return vocals, vocals_hz, music, min(source.known_hz for source in sources)

    def _read(self, rng: Rng, parts: Sequence[Sequence[Recording]]) -> tuple[Audio, list[Excerpt]]:
        """Read a random stretch of aligned parts: ``(parts, 2, N)``, and where it is from."""
        longest = min(r.length for part in parts for r in part) - self.segment_length
        start = int(rng.integers(0, max(1, longest)))
        audio = np.stack(
            [to_stereo(read_together(part, start, self.segment_length)) for part in parts]
        )
        return audio, [Excerpt(recording, start) for part in parts for recording in part]

    def _sort(self, recordings: Sequence[Recording]) -> list[Sequence[Recording]]:
        """Sort the accompaniment of a song by the parts of an item."""
        if not self.apart:
            return [recordings]
        return [[r for r in recordings if r.role == f"song-{stem}"] for stem in self.apart]

    def _kind(self, rng: Rng) -> str:
        """Choose between songs with true stems and songs with estimated ones."""
        if "estimated-vocals" not in self.pools:
            return "song"
        return "estimated" if rng.random() < self.config.estimated_share else "song"

    def _aligned(self, rng: Rng) -> tuple[Audio, Audio, float]:
        """Take all stems of a song from one place; also return up to what Hz they are known."""
        kind = self._kind(rng)
        vocals = self.pools[f"{kind}-vocals"].draw(rng)
        others = self.pools[f"{kind}-accompaniment"].groups[vocals.group]
        parts, sources = self._read(rng, [[vocals], *self._sort(others)])
        speed = 2.0 ** (rng.normal(0, 1.5) / 12)
        ratio = np.full(self.segment_length, speed)
        bent = augment.bend(parts.reshape(-1, self.segment_length), ratio).reshape(parts.shape)
        known_hz = min(known_at(source.recording.known_hz, speed) for source in sources)
        return bent[0], bent[1:], known_hz

    def _song_vocals(self, rng: Rng, harmony: Harmony | None) -> tuple[Audio, float]:
        """Take the vocals of a song, as if from another singer and another engineer.

        There are so few songs that a network would learn unchanged ones by heart. Also returns up
        to what frequency in Hz they are known.
        """
        recording = self.pools[f"{self._kind(rng)}-vocals"].draw(rng)
        for _ in range(4):  # to avoid rests
            (audio,), ((_, start, *_),) = self._read(rng, [[recording]])
            if augment.rms(audio) > SINGING_RMS:
                break
        semitones = rng.normal(0, self.config.song_pitch_spread)
        if harmony is not None and recording.traits.pitch.size:
            semitones = harmony.best_shift(recording.traits.pitch, start)
        ratio = np.full(audio.shape[1], 2.0 ** (semitones / 12))
        known_hz = known_at(recording.known_hz, float(ratio[0]))
        audio = augment.bend(audio, ratio)
        if rng.random() < 0.5:
            audio = formants.restore_formants(audio, ratio * 2.0 ** (rng.normal(0, 1.5) / 12))
        if not self.config.vocal_chain:
            return audio, known_hz
        audio = self.sing.electrify(rng, audio)
        if rng.random() < self.config.song_chain_share:
            return self.sing.produce(rng, audio, tilt_db=rng.normal(0, 5)), known_hz
        audio = augment.equalise(rng, audio, SAMPLE_RATE, tilt_db=rng.normal(0, 4), depth_db=4)
        return audio, known_hz

    def _music(self, rng: Rng) -> tuple[Audio, list[Excerpt]]:
        """Take one or two pieces of music through a random filter: ``(parts, 2, N)``.

        Also returns what they consist of.
        """
        pieces, heard = [], []
        roles: list[str] = [r for r in ("song-accompaniment", "accompaniment") if r in self.pools]
        for _ in range(2 if rng.random() < self.config.layered_share else 1):
            role = roles[0] if rng.random() < self.config.own_music_share else roles[-1]
            if role == "song-accompaniment":
                role = f"{self._kind(rng)}-accompaniment"
            piece, sources = self._arrangement(rng, role) if self.apart else self._piece(rng, role)
            rows = piece.reshape(-1, self.segment_length)
            speed = 1.0
            if rng.random() < 0.5:
                speed = 2.0 ** (rng.normal(0, 2) / 12)
                rows = augment.bend(rows, np.full(self.segment_length, speed))
            rows = augment.equalise(rng, rows, SAMPLE_RATE, tilt_db=rng.normal(1, 4), depth_db=3)
            if rng.random() < 0.1:
                rows = augment.saturate(rng, rows, SAMPLE_RATE)
            if rng.random() < self.config.talk_box_share:
                rows = formants.talk_box(rng, rows, SAMPLE_RATE)
            piece = rows.reshape(piece.shape)
            level = augment.rms(piece.sum(axis=0))
            gain = augment.db_to_gain(rng.uniform(-6, 0))
            pieces.append(piece / level * gain)
            heard += [source._replace(ratio=speed, gain=gain / level) for source in sources]
        total: Audio = np.sum(pieces, axis=0, dtype=np.float32)
        return total, heard

    def _piece(self, rng: Rng, role: str) -> tuple[Audio, list[Excerpt]]:
        """Read a stretch of music from a pool: ``(parts, 2, N)``, and where it is from."""
        drawn = self.pools[role].draw(rng)
        alone = drawn.role == "accompaniment"
        return self._read(
            rng, self._sort([drawn] if alone else self.pools[role].groups[drawn.group])
        )

    def _arrangement(self, rng: Rng, role: str) -> tuple[Audio, list[Excerpt]]:
        """Mix the parts of one or several pieces at new levels: ``(parts, 2, N)``.

        Also returns what they consist of.
        """
        audio, sources = self._piece(rng, role)
        if rng.random() < self.config.shuffled_share:
            drawn = [self._piece(rng, role) for _ in range(len(audio))]
            audio = np.stack([piece[part] for part, (piece, _) in enumerate(drawn)])
            roles = [f"song-{stem}" for stem in self.apart]
            sources = [
                source
                for stem, (_, of_piece) in zip(roles, drawn, strict=True)
                for source in of_piece
                if source.recording.role == stem
            ]
        for part in audio:
            part *= augment.db_to_gain(rng.uniform(*self.config.part_level_db))
            part *= rng.random() >= self.config.part_absent_share
        return audio, sources

    def _mix(self, rng: Rng, vocals: Audio, music: Audio) -> list[Audio]:
        """Set the levels, and process all parts as mastering, a coder or playback would."""
        vocals = vocals / max(augment.rms(vocals), SINGING_RMS)
        music = music / max(augment.rms(music.sum(axis=0)), SINGING_RMS)
        vocals = vocals * augment.db_to_gain(rng.uniform(*self.config.vocals_level_db))
        if self.config.rests_share and rng.random() < self.config.rests_share:
            vocals = glitches.rest(rng, vocals, SAMPLE_RATE)
        absent = rng.random() - self.config.vocals_absent_share
        if self.config.voicelike_share:
            music = self._voicelike(rng, music, 3 if absent < 0 else 1)
        if absent < 0:
            vocals = np.zeros_like(vocals)
        elif absent < self.config.accompaniment_absent_share:
            music = music * augment.db_to_gain(rng.uniform(-60, -20))
        vocals = vocals[:: rng.choice([-1, 1])] * rng.choice([-1, 1])
        parts: bus.Parts = [vocals, *music[:, :: rng.choice([-1, 1])]]
        if self.config.song_effects:
            parts = augment.apply_some(rng, bus.SONG_EFFECTS, parts, SAMPLE_RATE)
        gain = np.float32(0.1 / augment.rms(np.sum(parts, axis=0)))
        return [np.ascontiguousarray(part * gain, dtype=np.float32) for part in parts]

    def _voicelike(self, rng: Rng, music: Audio, times: int) -> Audio:
        """Add an instrument that sounds like a voice, ``times`` as often as configured."""
        if rng.random() >= times * self.config.voicelike_share:
            return music
        before = augment.rms(music.sum(axis=0))
        # The last part is the whole accompaniment, or everything but drums and bass.
        played = voicelike.play(rng, music.shape[2], SAMPLE_RATE)
        gain = before / voicelike.LEVEL * augment.db_to_gain(rng.uniform(-6, 3))
        layered = np.concatenate([music[:-1], music[-1:] + np.float32(gain) * played])
        return layered * np.float32(before / max(augment.rms(layered.sum(axis=0)), 1e-6))


def to_stereo(audio: Audio) -> Audio:
    """Convert to ``(2, samples)``: duplicate mono, and drop channels after the second."""
    return np.broadcast_to(audio[:2], (2, audio.shape[1]))
