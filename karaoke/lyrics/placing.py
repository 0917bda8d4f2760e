"""Lyrics on the clock of an output: times that are unknown filled in, all moved at once.

Every writer takes its lines from here, so that none adds or divides by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from karaoke.errors import LyricsError
from karaoke.lyrics.model import Line, Lyrics, Syllable, Word
from karaoke.lyrics.timeline import Timeline

#: How long a line lasts at most whose end nobody states.
LONGEST_SECONDS = 8.0
#: Between lines without times at the end of a song.
APART_SECONDS = 4.0


def place(
    lyrics: Lyrics, timeline: Timeline, *, ends: bool = False, syllables: bool = False
) -> list[Line]:
    """Give the lines that lie in an output, with its times.

    Parameters
    ----------
    lyrics
        With times, of lines at least.
    timeline
        Of the output.
    ends
        Whether every line gets an end; else those that have one keep it.
    syllables
        Whether every syllable gets a start and an end, and every line an end.

    Returns
    -------
    list
        Lines in the order of their starts; what begins before the output, begins with it.

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
    """Move all times of a line."""

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
    """Give every line a start and an end: lines without times are spread between the others."""
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
    """Give every syllable of a line with start and end its own, in proportion to its letters."""
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
    """Group new syllables as the old ones were."""
    left = iter(syllables)
    return tuple(Word(tuple(next(left) for _ in word.syllables)) for word in words)


def without_holds(word: Word) -> tuple[Syllable, ...]:
    """Give a word's syllables, each as long as it is held on whatever notes."""
    joined: list[Syllable] = []
    for syllable in word.syllables:
        if syllable.text or not joined:
            joined.append(syllable)
        else:
            joined[-1] = replace(joined[-1], end_seconds=syllable.end_seconds)
    return tuple(joined)
