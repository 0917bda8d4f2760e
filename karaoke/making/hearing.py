"""What the singer's wishes take of the song itself: its tempo, its range, its beats and chords."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from karaoke.analysis.harmony import FLATS, SHARPS, Chord
from karaoke.analysis.keys import Key
from karaoke.analysis.song import SongFacts
from karaoke.analysis.writing import as_object, note_name
from karaoke.audio import Block, Tags
from karaoke.audio.blocks import Warn
from karaoke.audio.tagging.model import ALIASES
from karaoke.errors import UsageError
from karaoke.lyrics import Lyrics, Syllable, Timeline
from karaoke.lyrics.placing import regrouped
from karaoke.making.settings import FASTEST, MOST_SEMITONES, SLOWEST

#: A click: tones in Hz, of the first of a bar's length and of the others, and its fall in seconds.
CLICK_HZ, CLICK_FALL_SECONDS, CLICK_LEVEL = (1760.0, 1320.0), 0.012, 0.35
CLICK_SECONDS = 0.08
#: What is heard before the first click.
QUIET_SECONDS = 0.25


def speed_for(bpm: float, facts: SongFacts, called: str) -> float:
    """Find the speed at which a song has a tempo.

    People may tap it at half or at twice the tempo: what is nearest counts.

    Raises
    ------
    UsageError
        Its tempo is not known, or too far from the one that is wanted.
    """
    if facts.pulse is None:
        raise UsageError(f'"{called}": its tempo is not known', hint="Give a factor to --tempo.")
    own = facts.pulse.tempo_bpm
    speed = min((bpm / (own * level) for level in (1.0, 0.5, 2.0)), key=lambda s: abs(np.log(s)))
    if not SLOWEST <= speed <= FASTEST:
        raise UsageError(
            f'"{called}": has {own:.1f} bpm, too far from {bpm:g}',
            hint="Choose a tempo from half to twice its own.",
        )
    return float(speed)


def key_for(span: tuple[int, int], facts: SongFacts, called: str, warn: Warn) -> int:
    """Find by how many semitones a song has to move for its melody to lie in a singer's range.

    Parameters
    ----------
    span
        Lowest and highest note of the singer, as MIDI.

    Raises
    ------
    UsageError
        Nobody sings in it.
    """
    sung = facts.range
    if sung is None:
        raise UsageError(f'"{called}": nobody sings in it', hint="Use --key instead of --range.")
    low, high = span[0] - sung[0], span[1] - sung[1]
    if low <= high:
        # The smallest change that is enough.
        shift = min(max(0, low), high)
    else:
        shift = round((low + high) / 2)
        names = f"{note_name(sung[0])} to {note_name(sung[1])}"
        warn(f"its melody, from {names}, is wider than the singer's range")
    if abs(shift) > MOST_SEMITONES:
        shift = shift % 12 - (12 if shift < 0 else 0)
        warn("it was moved by octaves less than it would take: sing it an octave higher or lower")
    return shift


def count_in(
    count: int, facts: SongFacts, timeline: Timeline, first_line: float | None, warn: Warn
) -> list[float]:
    """Find when clicks come before the song, in seconds before its output begins.

    Parameters
    ----------
    count
        How many.
    timeline
        Of the song without them.
    first_line
        When singing begins in the output; None if unknown.

    Returns
    -------
    list
        In order, the first one farthest from the beginning; negative where one lies behind it.
        Empty where singing begins late enough without them.
    """
    if facts.pulse is None:
        warn("its beats are not known, so nothing counts in")
        return []
    beats = np.array([timeline.to_output(beat) for beat in facts.pulse.beats])
    interval = float(np.median(np.diff(beats)))
    if first_line is not None and first_line >= count * interval:
        return []
    inside = beats[beats >= -0.01]
    anchor = float(inside[0]) if len(inside) else 0.0
    return [number * interval - anchor for number in range(count, 0, -1)]


def clicks(before: list[float], sample_rate: int, channels: int) -> Block:
    """Sound clicks at times before the end of a block ``(channels, samples)``; it begins softly."""
    length = round((before[0] + QUIET_SECONDS) * sample_rate)
    sound = np.zeros(length, np.float32)
    t = np.arange(round(CLICK_SECONDS * sample_rate)) / sample_rate
    for number, seconds in enumerate(before):
        hz = CLICK_HZ[0] if number == 0 else CLICK_HZ[1]
        click = CLICK_LEVEL * np.sin(2 * np.pi * hz * t) * np.exp(-t / CLICK_FALL_SECONDS)
        first = length - round(seconds * sample_rate)
        if first < length:
            part = click[: length - first]
            sound[first : first + len(part)] += part.astype(np.float32)
    return np.repeat(sound[None], channels, axis=0)


def chord_names(facts: SongFacts, semitones: float) -> tuple[tuple[float, str], ...]:
    """Name the chords in the singer's key, each with when it begins in the song."""
    shift = round(semitones)
    flats = facts.key is not None and facts.key.moved(shift).flats

    def name(chord: Chord) -> str:
        return "" if chord.root is None else chord.moved(shift).name(flats)

    return tuple((chord.start_seconds, name(chord)) for chord in facts.chords)


def in_key(lyrics: Lyrics, semitones: float) -> Lyrics:
    """Move the pitches of words by whole semitones."""
    shift = round(semitones)

    def moved(syllable: Syllable) -> Syllable:
        pitch = syllable.pitch
        return (
            syllable if pitch is None else replace(syllable, pitch=min(max(0, pitch + shift), 127))
        )

    lines = [
        replace(line, words=regrouped(line.words, list(map(moved, line.syllables))))
        for line in lyrics.lines
    ]
    return replace(lyrics, lines=tuple(lines)) if shift else lyrics


def summary(facts: SongFacts) -> dict[str, Any]:
    """Give what is said of a song that was heard to make it: none of its lists."""
    found = as_object(facts)
    return {name: found[name] for name in ("key", "tuning_hz", "tempo", "metre", "range")}


def retagged(
    tags: Tags, semitones: float, tempo: float, facts: SongFacts | None, *, keeps_time: bool
) -> Tags:
    """Write the key and the tempo that were made into a song's tags.

    Parameters
    ----------
    tags
        Of the song. What they say counts more than what was heard; what they say in words that
        cannot be moved with the sound is left out.
    semitones, tempo
        By which it was moved.
    facts
        What was heard in it.
    keeps_time
        Whether everything comes when it does in the song; else lyrics lose their times.
    """
    fields = dict(tags.fields)
    names = {ALIASES.get(name.lower(), name.lower()): name for name in fields}
    key, shift = None if facts is None else facts.key, round(semitones)
    if "initialkey" not in names or shift:
        said = fields.pop(names.get("initialkey", ""), ("",))[0]
        known = read_key(said) or key
        if known is not None:
            fields["initialkey"] = (known.moved(shift).short_name,)
    if "bpm" not in names or tempo != 1:
        said = fields.pop(names.get("bpm", ""), ("",))[0].strip()
        if re.fullmatch(r"\d+(\.\d+)?", said):
            fields["bpm"] = (f"{float(said) * tempo:.0f}",)
        elif facts is not None and facts.pulse is not None:
            fields["bpm"] = (f"{facts.pulse.tempo_bpm * tempo:.0f}",)
    if not keeps_time:
        for name in (names[n] for n in ("lyrics", "syncedlyrics") if n in names):
            if any(re.search(r"\[\d+:\d\d", value) for value in fields[name]):
                del fields[name]
    return tags if fields == tags.fields else replace(tags, fields=fields)


def read_key(text: str) -> Key | None:
    """Read a key as tags have it: ``F#m``, ``Bb``, ``A minor``; None for what is no key."""
    found = re.fullmatch(r"([A-G])([#b]?)\s*(m|min|minor|maj|major|)", text.strip())
    if found is None:
        return None
    step, accidental, mode = found.groups()
    names = FLATS if accidental == "b" else SHARPS
    if step + accidental not in names:  # such as Cb, which nobody writes
        return None
    return Key(names.index(step + accidental), mode.startswith("mi") or mode == "m", 1.0)
