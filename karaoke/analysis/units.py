"""From lyrics to the syllables that are aligned, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from karaoke.analysis.fitting import INSIDE, LINE, STANZA, WORD, Unit
from karaoke.lyrics.model import Line, Lyrics, Syllable, Word
from karaoke.lyrics.syllables import split_syllables

if TYPE_CHECKING:
    from karaoke.analysis.laying import Found


def divided(line: Line, language: str) -> Line:
    """Divide the words of a line into syllables, unless they are; without times within."""
    words = []
    for word in line.words:
        texts = [s.text for s in word.syllables if s.text] or [word.text]
        if len(texts) == 1:
            texts = split_syllables(texts[0], language)
        words.append(Word(tuple(Syllable(text) for text in texts)))
    return replace(line, words=tuple(words))


def units_of(lines: Sequence[Line]) -> list[Unit]:
    """List the syllables of lines, with what lies before each."""
    units: list[Unit] = []
    for line in lines:
        after = STANZA if line.starts_stanza else LINE
        for word in line.words:
            for _ in word.syllables:
                units.append(Unit(after, last=False))
                after = INSIDE
            after = WORD
        units[-1] = replace(units[-1], last=True)
    return units


def moved(line: Line, seconds: float) -> Line:
    """Move the time of a line, whose words have none."""
    start = line.start_seconds
    return replace(line, start_seconds=None if start is None else max(0.0, start + seconds))


def timed(
    lyrics: Lyrics, found: Found, sure: Sequence[bool], seconds: float, words: bool
) -> Lyrics:
    """Give lyrics the times that were found.

    Parameters
    ----------
    lyrics
        As they were.
    found
        On the clock of a sound.
    sure
        Of which lines the times of words are to be believed.
    seconds
        Where in the song the sound begins.
    words
        Whether words get times.
    """
    lines = []
    for number, line in enumerate(lyrics.lines):
        starts = [second + seconds for second in found.words(number)]
        stop = float(found.ends[number]) + seconds
        begin = line.start_seconds
        if begin is None:
            begin = starts[0]
        elif not sure[number]:
            stop = max(stop, begin) if line.end_seconds is None else line.end_seconds
        starts = [max(start, begin) for start in starts]
        stop = max(stop, starts[-1])
        ends = [*starts[1:], stop]
        if words and (sure[number] or line.start_seconds is None):
            sung = tuple(
                Word((Syllable(word.text, start, end),))
                for word, start, end in zip(line.words, starts, ends, strict=True)
            )
        else:
            sung = tuple(Word((Syllable(word.text),)) for word in line.words)
        lines.append(replace(line, words=sung, start_seconds=begin, end_seconds=stop))
    return replace(lyrics, lines=tuple(lines))


def spread(lyrics: Lyrics, start_seconds: float, end_seconds: float) -> Lyrics:
    """Spread lines without times evenly, where nothing is known of them."""
    step = (end_seconds - start_seconds) / max(1, len(lyrics.lines))
    lines = [
        replace(
            line,
            words=tuple(Word((Syllable(word.text),)) for word in line.words),
            start_seconds=start_seconds + step * number
            if line.start_seconds is None
            else line.start_seconds,
        )
        for number, line in enumerate(lyrics.lines)
    ]
    return replace(lyrics, lines=tuple(lines))
