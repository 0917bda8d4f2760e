"""All that is heard in a song, of its stems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.features import listen
from karaoke.analysis.harmony import Chord, Key, find_chords, find_key, has_harmony, tuning
from karaoke.analysis.melody import Note, find_notes
from karaoke.analysis.metre import Bars, find_bars
from karaoke.analysis.pitch import find_pitch
from karaoke.analysis.pulse import Pulse, find_pulse
from karaoke.audio import Block

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
    """

    seconds: float
    tuning_hz: float | None
    key: Key | None
    pulse: Pulse | None
    bars: Bars | None
    chords: tuple[Chord, ...]
    notes: tuple[Note, ...]

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


def analyse(vocals: Iterable[Block] | None, band: Iterable[Block], sample_rate: int) -> SongFacts:
    """Hear a song through.

    Parameters
    ----------
    vocals
        float32 ``(channels, samples)``; None for no melody.
    band
        The instrumental, or the whole song where it was not separated.
    sample_rate
        Of both, in Hz.
    """
    features = listen(band, sample_rate)
    pulse = find_pulse(features)
    beats = pulse.beats if pulse is not None else np.zeros(0)
    chords = find_chords(features.notes, beats, features.seconds)
    sharp = tuning(features.notes) if has_harmony(chords) else None
    notes = find_notes(find_pitch(vocals, sample_rate), sharp or 0.0) if vocals is not None else []
    return SongFacts(
        seconds=features.seconds,
        tuning_hz=None if sharp is None else 440 * 2 ** (sharp / 12),
        key=find_key(chords),
        pulse=pulse,
        bars=find_bars(features, beats) if pulse is not None else None,
        chords=tuple(chords),
        notes=tuple(notes),
    )
