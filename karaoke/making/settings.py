"""What the singer's version of a song depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from karaoke.jobs.aligning import Listening
from karaoke.jobs.manifest import SplitSettings

#: As far as the key moves, up or down.
MOST_SEMITONES = 12
#: Speeds that still sound like music.
SLOWEST, FASTEST = 0.5, 2.0


@dataclass(frozen=True)
class MakeSettings(SplitSettings):
    """What the singer's version depends on besides the song.

    Parameters
    ----------
    guide_db
        Level of the voice under the band, 0 for that in the song; None for no voice.
    band_db
        Level of the band, 0 for that in the song; None for no band.
    semitones, tempo
        By which band and voice are moved.
    loudness_lufs
        To which all of it is brought by one gain, by BS.1770; None for that of the song.
    excerpt
        Seconds of the song at which it begins and ends; None for its own.
    stems_from
        Folder of stems that exist; empty to separate the song.
    words_sha256
        Of what is drawn; empty where there is no film.
    bpm
        Tempo that it is brought to; None for ``tempo``.
    singer_range
        Lowest and highest note of the singer, as MIDI, which choose the key; None for
        ``semitones``.
    count_in
        Clicks before it, where singing begins sooner than they take.
    chords
        Whether the names of the chords are drawn above the words.
    align, language, recogniser
        What is found by listening to the voice, and the language and the version with which.
    pitches_heard
        Whether the notes of the words are those that were heard.
    picture
        What is behind the words.
    """

    command: str = "make"
    guide_db: float | None = None
    band_db: float | None = 0.0
    semitones: float = 0.0
    tempo: float = 1.0
    loudness_lufs: float | None = None
    excerpt: tuple[float, float | None] | None = None
    stems_from: str = ""
    bpm: float | None = None
    singer_range: tuple[int, int] | None = None
    count_in: int = 0
    chords: bool = False
    words_sha256: str = ""
    align: Listening = "none"
    language: str = ""
    recogniser: str = ""
    pitches_heard: bool = False
    picture: dict[str, Any] = field(default_factory=dict)

    @property
    def voice_over_band_db(self) -> float | None:
        """Level of the voice relative to the band; None where one of them is not heard."""
        if self.guide_db is None or self.band_db is None:
            return None
        return self.guide_db - self.band_db

    @property
    def is_open(self) -> bool:
        """Whether key or tempo are chosen by what the song is."""
        return self.bpm is not None or self.singer_range is not None
