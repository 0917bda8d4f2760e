"""Lyrics on the voice that sings them: when each word begins, and which lines are in doubt."""

from __future__ import annotations

from dataclasses import dataclass

from karaoke.analysis import acoustics
from karaoke.analysis.activity import find_singing
from karaoke.analysis.confidence import SURE, doubts, gather
from karaoke.analysis.hearing import opinions_on
from karaoke.analysis.laying import Listening, Opinion
from karaoke.analysis.levels import measure_levels
from karaoke.analysis.sounds import Sound
from karaoke.analysis.units import divided, moved, spread, timed
from karaoke.lyrics.model import Lyrics

#: How differently the song may be taken, without another result where there is no doubt.
HASTES = (0.75, 1.33)


@dataclass(frozen=True)
class Aligned:
    """Lyrics with the times that were found.

    Parameters
    ----------
    lyrics
        Lines that had a time keep it, and where they are in doubt, their words get none.
    doubts
        For each line from 0, none, to 1.
    heard
        Whether the recogniser had its say.
    """

    lyrics: Lyrics
    doubts: tuple[float, ...]
    heard: bool

    @property
    def doubtful(self) -> list[int]:
        """Numbers of the lines that are in doubt, from 1 on."""
        return [number for number, value in enumerate(self.doubts, 1) if value > SURE]


def align_lyrics(
    lyrics: Lyrics,
    vocals: Sound,
    instrumental: Sound,
    *,
    language: str = "",
    words: bool = True,
) -> Aligned:
    """Find when the lines and words of lyrics are sung.

    Parameters
    ----------
    lyrics
        Without times, or with times of lines, which are kept. Other times are found anew.
    vocals, instrumental
        The separated stems.
    language
        Two letters of ISO 639-1; by default that of the lyrics, or else English is assumed.
    words
        Whether to give times to words, too.

    Returns
    -------
    Aligned
        Every line has a time.
    """
    levels = measure_levels(vocals.blocks(), vocals.sample_rate)
    accompaniment = measure_levels(instrumental.blocks(), instrumental.sample_rate)
    singing = find_singing(levels, accompaniment)
    language = language or lyrics.language
    zero = vocals.start_seconds
    lines = [moved(divided(line, language or "en"), -zero) for line in lyrics.lines]
    listening = Listening(lines, levels, singing)
    found = listening.lay()
    if found is None:  # nobody sings, or far too little
        seconds = zero + vocals.frames / vocals.sample_rate
        return Aligned(spread(lyrics, zero, seconds), (1.0,) * len(lines), heard=False)
    others = [other for haste in HASTES if (other := listening.lay(haste=haste)) is not None]
    opinions: list[Opinion] = []
    if acoustics.available(language):
        opinions = opinions_on(found, vocals)
        others.append(found)
        found = listening.lay(opinions) or found
    doubt = doubts(gather(found, others, opinions, singing))
    sure = [value <= SURE for value in doubt]
    return Aligned(timed(lyrics, found, sure, zero, words), doubt, heard=bool(opinions))
