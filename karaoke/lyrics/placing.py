"""Lyrics on the clock of an output: unknown times are filled in, then all are converted.

All writers get their lines from here, so that none of them has to calculate with times.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from karaoke.errors import LyricsError
from karaoke.lyrics.model import Line, Lyrics, Syllable, Word
from karaoke.lyrics.timeline import Timeline

#: Maximum duration of a line without a stated end.
LONGEST_SECONDS = 8.0
#: Time between lines without times at the end of a song.
APART_SECONDS = 4.0


def place(
    lyrics: Lyrics, timeline: Timeline, *, ends: bool = False, syllables: bool = False
) -> list[Line]:
    """Return the lines that are in an output, with times of the output.

    Parameters
    ----------
    lyrics
        Lyrics that have times, at least for lines.
    timeline
        The clock of the output.
    ends
        Whether all lines get an end, not only those that have one.
    syllables
        Whether all syllables get a start and an end, and all lines an end.

    Returns
    -------
    list
        Lines in the order of their starts; times before the output become 0.

    Raises
    ------
    LyricsError
        No line has a time.
    """
    if lyrics.timing == "none":
        raise LyricsError(
            "the lyrics have no times", hint="Give lyrics with times, such as an LRC file."
        )
    placed = []
    for line, filled in zip(lyrics.lines, fill_lines(lyrics.lines), strict=True):
        assert filled.start_seconds is not None and filled.end_seconds is not None
        if timeline.holds(filled.start_seconds, filled.end_seconds):
            if syllables:
                chosen = fill_syllables(filled)
            elif ends:
                chosen = filled
            else:
                chosen = replace(filled, end_seconds=line.end_seconds)
            placed.append(moved(chosen, timeline))
    return placed


def moved(line: Line, timeline: Timeline) -> Line:
    """Convert all times of a line."""

    def at(seconds: float | None) -> float | None:
        return None if seconds is None else max(0.0, timeline.to_output(seconds))

    words = tuple(
        Word(
            tuple(
                replace(s, start_seconds=at(s.start_seconds), end_seconds=at(s.end_seconds))
                for s in word.syllables
            )
        )
        for word in line.words
    )
    return replace(
        line,
        words=words,
        start_seconds=at(line.start_seconds),
        end_seconds=at(line.end_seconds),
    )


def fill_lines(lines: Sequence[Line]) -> list[Line]:
    """Fill in starts and ends; lines without times are spread between the others."""
    starts = [line.start_seconds for line in lines]
    known = [(i, start) for i, start in enumerate(starts) if start is not None]
    if not known:
        raise ValueError("no line has a time")
    before = (-1, 0.0)
    for after in [*known, None]:
        following = after[0] if after else len(lines)
        count = following - before[0]
        step = (after[1] - before[1]) / count if after else APART_SECONDS
        for index in range(before[0] + 1, following):
            starts[index] = before[1] + step * (index - before[0])
        before = after or before
    ordered = sorted(start for start in starts if start is not None)
    filled = []
    for line, start in zip(lines, starts, strict=True):
        assert start is not None
        end = line.end_seconds
        if end is None:
            sung = max(filter(None, (s.start_seconds for s in line.syllables)), default=start)
            index = bisect_right(ordered, max(start, sung))
            limit = max(start, sung) + LONGEST_SECONDS
            end = min(ordered[index], limit) if index < len(ordered) else limit
        filled.append(replace(line, start_seconds=start, end_seconds=max(start, end)))
    return filled


def fill_syllables(line: Line) -> Line:
    """Fill in the times of syllables within those of their line, in proportion to their letters."""
    assert line.start_seconds is not None and line.end_seconds is not None
    syllables = line.syllables
    places = [0, *accumulate(max(1, len(syllable.text)) for syllable in syllables)]
    anchors: list[tuple[int, float]] = []
    for index, syllable in enumerate(syllables):
        start = syllable.start_seconds
        if start is None and index and (end := syllables[index - 1].end_seconds) is not None:
            start = end
        if start is None and index == 0:
            start = line.start_seconds
        if start is not None:
            anchors.append((places[index], start))
    anchors.append((places[-1], line.end_seconds))
    starts, before = [], 0
    for place in places:
        while before + 1 < len(anchors) and anchors[before + 1][0] <= place:
            before += 1
        here, there = anchors[before], anchors[min(before + 1, len(anchors) - 1)]
        share = (place - here[0]) / max(1, there[0] - here[0])
        starts.append(here[1] + (there[1] - here[1]) * share)
    timed = []
    for index, syllable in enumerate(syllables):
        end = syllable.end_seconds
        end = starts[index + 1] if end is None else end
        timed.append(
            replace(syllable, start_seconds=starts[index], end_seconds=max(starts[index], end))
        )
    return replace(line, words=regrouped(line.words, timed))


def regrouped(words: Sequence[Word], syllables: Sequence[Syllable]) -> tuple[Word, ...]:
    """Group new syllables into words like the old ones."""
    left = iter(syllables)
    return tuple(Word(tuple(next(left) for _ in word.syllables)) for word in words)


def without_holds(word: Word) -> tuple[Syllable, ...]:
    """Return a word's syllables, joined with the notes on which they are held."""
    joined: list[Syllable] = []
    for syllable in word.syllables:
        if syllable.text or not joined:
            joined.append(syllable)
        else:
            joined[-1] = replace(joined[-1], end_seconds=syllable.end_seconds)
    return tuple(joined)
