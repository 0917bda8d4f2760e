"""Read the songs of data sets: mixture and true stems, as arrays of matching shapes."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from karaoke.audio import AudioReader, Block, load_audio, save_audio
from karaoke.errors import NotAudioError
from karaoke.evaluation.datasets import PARTS, Piece, Source

#: Peak of mixtures that are made here.
PEAK = 0.9


@dataclass(frozen=True)
class Reference:
    """A song to separate, and its true stems.

    Parameters
    ----------
    name
        The piece's name.
    mixture
        float32 ``(C, N)``.
    stems
        All ``(C, N)``: ``vocals``, ``instrumental``, which is the whole rest, and any of ``drums``,
        ``bass`` and ``other`` that are known.
    sample_rate
        In Hz.
    """

    name: str
    mixture: Block
    stems: dict[str, Block]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration of the song."""
        return float(self.mixture.shape[1] / self.sample_rate)

    def excerpt(self, start: int, length: int) -> Reference:
        """Cut out ``length`` samples from ``start`` on, as a song."""
        part = slice(start, start + length)
        stems = {name: stem[:, part] for name, stem in self.stems.items()}
        return Reference(self.name, self.mixture[:, part], stems, self.sample_rate)


def read(source: Source) -> tuple[Block, int]:
    """Read a signal ``(channels, samples)`` and its sample rate in Hz.

    Raises
    ------
    NoInputError, PermissionDeniedError, NotAudioError
        As for :class:`karaoke.audio.AudioReader`; or the file has no such stream or channel.
    """
    try:
        with AudioReader(source.path, stream=source.stream) as reader:
            audio = np.concatenate(list(reader.blocks()), axis=1)
            rate = reader.sample_rate
    except NotAudioError as error:
        if source.stream == 1:
            raise
        raise NotAudioError(error.message, hint="MUSDB18 files have five audio streams.") from error
    if source.channel is not None:
        if len(audio) <= source.channel:
            raise NotAudioError(
                f'"{source.path}": has one channel', hint="MIR-1K has music left and voice right."
            )
        audio = audio[source.channel : source.channel + 1]
    return audio, rate


def load_stems(piece: Piece) -> tuple[dict[str, Block], int]:
    """Read the stems of a piece, and sum up its instrumental where it has no file.

    Stems are cut to the shortest one's length; beside stereo stems, mono ones become stereo.

    Returns
    -------
    tuple
        Stem name to float32 ``(C, N)``, and the sample rate in Hz.

    Raises
    ------
    NoInputError, PermissionDeniedError, NotAudioError
        As for :func:`read`; or the stems have different sample rates.
    """
    piece.check()
    read_stems = {stem: read(source) for stem, source in piece.stems.items()}
    rates = {rate for _, rate in read_stems.values()}
    if len(rates) > 1:
        raise NotAudioError(
            f'"{piece.name}": its stems have sample rates of {sorted(rates)} Hz',
            hint="Convert them to one.",
        )
    length = min(audio.shape[1] for audio, _ in read_stems.values())
    channels = max(len(audio) for audio, _ in read_stems.values())
    stems = {stem: fit(audio, channels, length) for stem, (audio, _) in read_stems.items()}
    if "instrumental" not in stems:
        others = [stems[stem] for stem in PARTS if stem in stems]
        stems["instrumental"] = np.sum(others, axis=0, dtype=np.float32)
    return stems, rates.pop()


def fit(audio: Block, channels: int, length: int) -> Block:
    """Fit audio to a channel count and a length: duplicate mono, pad with silence."""
    audio = audio[:, :length]
    if len(audio) < channels:
        audio = np.repeat(audio[:1], channels, axis=0)
    return np.pad(audio, ((0, 0), (0, length - audio.shape[1])))


def load_reference(piece: Piece, *, as_mp3: bool | None = None) -> Reference:
    """Read a song; one of MUSDB18 is six signals in memory, 21 MB per minute each.

    Parameters
    ----------
    piece
        From :func:`karaoke.evaluation.datasets.find_pieces`.
    as_mp3
        Whether to encode and decode the mixture as an MP3; by default, if it is made here, as the
        sum of stems that come without one, all scaled so that it peaks at 0.9.

    Raises
    ------
    NoInputError, PermissionDeniedError, NotAudioError
        As for :func:`load_stems`; or the mixture's sample rate differs from that of the stems.
    """
    stems, rate = load_stems(piece)
    if piece.mixture is None:
        mixture = stems["vocals"] + stems["instrumental"]
        if piece.made:
            gain = np.float32(PEAK / max(np.abs(mixture).max(), 1e-9))
            mixture *= gain
            stems = {stem: gain * audio for stem, audio in stems.items()}
    else:
        mixture, mixture_rate = read(piece.mixture)
        if mixture_rate != rate:
            raise NotAudioError(
                f'"{piece.mixture.path}": its sample rate is not that of its stems, {rate} Hz',
                hint="Convert it.",
            )
    if piece.made if as_mp3 is None else as_mp3:
        mixture = through_mp3(mixture, rate)
    channels = max(len(mixture), len(stems["vocals"]))
    length = stems["vocals"].shape[1]
    fitted = {stem: fit(audio, channels, length) for stem, audio in stems.items()}
    return Reference(piece.name, fit(mixture, channels, length), fitted, rate)


def through_mp3(mixture: Block, sample_rate: int) -> Block:
    """Encode a song as MP3 and decode it again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(os.path.join(folder, "song.mp3"))
        save_audio(path, mixture, sample_rate)
        return load_audio(path)[0]
