"""All that is heard in a song, of its stems."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.activity import find_singing
from karaoke.analysis.features import listen
from karaoke.analysis.harmony import Chord, find_chords, has_harmony, tuning
from karaoke.analysis.keys import Key, find_key
from karaoke.analysis.levels import FRAMES_PER_SECOND, measure_levels
from karaoke.analysis.melody import Note, find_notes
from karaoke.analysis.metre import Bars, find_bars
from karaoke.analysis.pitch import find_pitch
from karaoke.analysis.pulse import Accents, Pulse, counted_out, find_pulse
from karaoke.analysis.sounds import Sound
from karaoke.lyrics.model import NO_LYRICS, Lyrics

#: A phrase ends where nobody sings for so long.
PHRASE_SECONDS = 1.0


@dataclass(frozen=True)
class SongFacts:
    """What is in a song; what is not known is None or empty.

    Parameters
    ----------
    seconds
        Its length.
    tuning_hz
        Of the A above middle C.
    key, pulse, bars
        See their classes.
    chords, notes
        In order.
    lyrics
        What is known of its words, with title and artist: those on the notes, or no lines.
    name
        Of its file.
    """

    seconds: float
    tuning_hz: float | None
    key: Key | None
    pulse: Pulse | None
    bars: Bars | None
    chords: tuple[Chord, ...]
    notes: tuple[Note, ...]
    lyrics: Lyrics = NO_LYRICS
    name: str = ""

    def moved_to(self, zero_seconds: float) -> SongFacts:
        """Give the same of a stretch that begins at a second of the song."""
        if not zero_seconds:
            return self

        def moved(part: Any) -> Any:
            return replace(
                part,
                start_seconds=part.start_seconds + zero_seconds,
                end_seconds=part.end_seconds + zero_seconds,
            )

        pulse = self.pulse and replace(self.pulse, beats=self.pulse.beats + zero_seconds)
        chords, notes = tuple(map(moved, self.chords)), tuple(map(moved, self.notes))
        return replace(self, pulse=pulse, chords=chords, notes=notes)

    @property
    def downbeats(self) -> NDArray[np.float64]:
        """The first beats of all bars, in seconds."""
        if self.pulse is None or self.bars is None:
            return np.zeros(0)
        return self.pulse.beats[self.bars.first :: self.bars.beats]

    @property
    def range(self) -> tuple[int, int] | None:
        """The lowest and the highest note that are sung for long enough to count, as MIDI."""
        if not self.notes:
            return None
        pitches = np.array([note.pitch for note in self.notes])
        weights = np.array([note.end_seconds - note.start_seconds for note in self.notes])
        order = np.argsort(pitches, kind="stable")
        passed = np.cumsum(weights[order]) / weights.sum()
        low = pitches[order][int(np.searchsorted(passed, 0.02))]
        high = pitches[order][min(int(np.searchsorted(passed, 0.98)), len(order) - 1)]
        return int(low), int(high)

    @property
    def phrases(self) -> list[list[Note]]:
        """Notes that are sung in one breath."""
        found: list[list[Note]] = []
        for note in self.notes:
            if found and note.start_seconds - found[-1][-1].end_seconds < PHRASE_SECONDS:
                found[-1].append(note)
            else:
                found.append([note])
        return found


def analyse(vocals: Sound | None, band: Sound) -> SongFacts:
    """Hear a song through.

    Parameters
    ----------
    vocals
        None for no melody.
    band
        The instrumental, or the whole song where it was not separated. It begins where the vocals
        do, and times are those of the song.
    """
    features = listen(band.blocks(), band.sample_rate)
    accents = Accents(features)
    pulse, bars = find_pulse(accents), None
    chords = find_chords(features.notes, beats_of(pulse), features.seconds)
    if pulse is not None:
        bars = find_bars(accents, pulse.beats)
        first, per_bar = (bars.first, bars.beats) if bars is not None else (0, 1)
        beats = counted_out(pulse.beats, first, per_bar, features.bands)
        pulse = replace(pulse, beats=beats)
    sharp = tuning(features.notes) if has_harmony(chords) else None
    notes = () if vocals is None else sung_notes(vocals, band, sharp or 0.0)
    facts = SongFacts(
        seconds=features.seconds,
        tuning_hz=None if sharp is None else 440 * 2 ** (sharp / 12),
        key=find_key(chords, features.notes, notes),
        pulse=pulse,
        bars=bars,
        chords=tuple(chords),
        notes=notes,
    )
    return facts.moved_to(band.start_seconds)


def beats_of(pulse: Pulse | None) -> NDArray[np.float64]:
    """Give the beats of a pulse in seconds; none where there is no pulse."""
    return np.zeros(0) if pulse is None else pulse.beats


def sung_notes(vocals: Sound, band: Sound, tuning: float) -> tuple[Note, ...]:
    """Find the notes that somebody sings; what the band left in the vocals has notes, too."""
    singing = find_singing(
        measure_levels(vocals.blocks(), vocals.sample_rate),
        measure_levels(band.blocks(), band.sample_rate),
    )
    if not singing.any():
        return ()
    notes = find_notes(find_pitch(vocals.blocks(), vocals.sample_rate), tuning)

    def is_sung(note: Note) -> bool:
        first, after = note.start_seconds * FRAMES_PER_SECOND, note.end_seconds * FRAMES_PER_SECOND
        return bool(singing[round(first) : round(after)].mean() > 0.5)

    return tuple(filter(is_sung, notes))
