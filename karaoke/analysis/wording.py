"""Words on notes: which note each syllable begins with, and over which others it is held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.melody import SHORTEST_SECONDS, Note
from karaoke.lyrics.model import Line, Lyrics, Syllable, Word
from karaoke.lyrics.placing import place, without_holds
from karaoke.lyrics.syllables import split_syllables
from karaoke.lyrics.timeline import Timeline

#: A syllable is not put on a note that begins so far from it.
REACH_SECONDS = 0.35
#: What it costs, in seconds, to leave a part that rules alone call a syllable with its word.
REJOINED_PRICE = 0.15
#: What distance costs where the time of a syllable is guessed, and up to which distance.
GUESS_PRICE, GUESS_SECONDS = 0.2, 1.0
#: A syllable is not held over a longer pause.
PAUSE_SECONDS = 0.3
#: Syllables of a word are not expected to be farther apart.
SLOWEST_SECONDS = 0.5
#: What the best path does: leaves a note without a syllable of its own, or a syllable without a
#: note, or brings both together.
FREE, LOST, MET = range(3)


@dataclass(frozen=True)
class Worded:
    """A melody with words.

    Parameters
    ----------
    notes
        With their syllables. Where two are sung on what was heard as one note, it is cut.
    lyrics
        The same: syllables with the times and pitches of their notes, and those without a note as
        they were; all have times, in the song's sound.
    on_notes
        How many syllables begin with a note.
    """

    notes: tuple[Note, ...]
    lyrics: Lyrics
    on_notes: int


@dataclass
class Part:
    """A syllable for which a note is looked for.

    Parameters
    ----------
    syllable
        With the times that it is expected to have.
    earliest, latest
        When it may begin; the same where it is known.
    within
        Numbers of its line and its word.
    is_known
        Whether the times of its word are known.
    is_ours
        Whether its word was divided here, by rule.
    is_later
        Whether it is one of those after the first of such a word.
    note
        Number of its note, once one was found.
    """

    syllable: Syllable
    earliest: float
    latest: float
    within: tuple[int, int]
    is_known: bool
    is_ours: bool
    is_later: bool
    note: int | None = None

    @property
    def start(self) -> float:
        """When it is expected to begin."""
        return self.syllable.start_seconds or 0.0


def put_words(
    lyrics: Lyrics, notes: Sequence[Note], *, offset_seconds: float = 0.0, language: str = ""
) -> Worded:
    """Put the syllables of lyrics on the notes of a melody.

    Parameters
    ----------
    lyrics
        With times, at least of lines.
    notes
        In order.
    offset_seconds
        How much later the words come in the sound than the lyrics say.
    language
        In which words are divided; by default that of the lyrics.

    Raises
    ------
    LyricsError
        No line has a time.
    """
    language = language or lyrics.language or "en"
    placed = place(lyrics, Timeline(offset_seconds=offset_seconds), syllables=True)
    parts = [
        part
        for number, lines in enumerate(zip(lyrics.lines, placed, strict=True))
        for part in parts_of(number, *lines, None if lyrics.timing == "syllables" else language)
    ]
    in_order = sorted(parts, key=lambda part: part.start)
    meet(in_order, notes)
    cut = cut_notes(in_order, notes)
    holds = held_over(in_order, cut)
    words: dict[tuple[int, int], list[Part]] = {}
    for part in parts:
        words.setdefault(part.within, []).append(part)
    words = {within: rejoined(word) for within, word in words.items()}
    sung = list(cut)
    for word in words.values():
        write_on(sung, word)
    lines = []
    for number, line in enumerate(placed):
        told = [
            Word(tuple(syllables_of(words[number, index], cut, holds)))
            if any(part.note is not None for part in words[number, index])
            else word
            for index, word in enumerate(line.words)
        ]
        lines.append(in_sequence(replace(line, words=tuple(told))))
    on_notes = sum(1 for note in sung if note.text)
    return Worded(tuple(sung), replace(lyrics, lines=tuple(lines)), on_notes)


def parts_of(number: int, line: Line, placed: Line, language: str | None) -> Iterator[Part]:
    """List the syllables of a line.

    Parameters
    ----------
    number
        Of the line.
    line, placed
        As it was, and the same with all times filled in.
    language
        By whose rules words are divided; None where they are already.
    """
    assert placed.start_seconds is not None and placed.end_seconds is not None
    for index, (word, filled) in enumerate(zip(line.words, placed.words, strict=True)):
        is_known = word.start_seconds is not None
        whole = without_holds(filled)
        known = [syllable.start_seconds is not None for syllable in without_holds(word)]
        is_ours = language is not None and len(whole) == 1
        if language is not None and is_ours:
            whole = divided(whole[0], language)
            known = [is_known] + [False] * (len(whole) - 1)
        first, last = filled.start_seconds, filled.end_seconds
        if not is_known:
            first, last = placed.start_seconds, placed.end_seconds
        assert first is not None and last is not None
        for count, (syllable, sure) in enumerate(zip(whole, known, strict=True)):
            start = syllable.start_seconds or 0.0
            span = (start, start) if sure else (first, last)
            is_later = is_ours and count > 0
            yield Part(syllable, *span, (number, index), is_known, is_ours, is_later)


def divided(word: Syllable, language: str) -> tuple[Syllable, ...]:
    """Divide a word, and its time by the letters of its syllables."""
    texts = split_syllables(word.text, language)
    start, end = word.start_seconds or 0.0, word.end_seconds or 0.0
    lasts = min(end - start, SLOWEST_SECONDS * len(texts))
    places = [0, *accumulate(map(len, texts))]
    edges = [start + lasts * place / max(1, places[-1]) for place in places[:-1]] + [end]
    return tuple(
        replace(word, text=text, start_seconds=begin, end_seconds=stop)
        for text, (begin, stop) in zip(texts, pairwise(edges), strict=True)
    )


def meet(parts: Sequence[Part], notes: Sequence[Note]) -> None:
    """Find the notes that syllables begin with: those that cost least together, in order."""
    starts = np.array([note.start_seconds for note in notes])
    costs = np.zeros(len(notes) + 1)
    choices: list[NDArray[np.uint8]] = []
    for part in parts:
        beyond = np.maximum(part.earliest - starts, starts - part.latest)
        off = np.minimum(np.abs(starts - part.start), GUESS_SECONDS)
        lost = costs + (REJOINED_PRICE if part.is_later else REACH_SECONDS)
        met = costs[:-1] + np.maximum(beyond, 0.0) + GUESS_PRICE * off
        choice = np.full(len(costs), LOST, np.uint8)
        choice[1:][met < lost[1:]] = MET
        new = lost.copy()
        new[1:] = np.minimum(met, lost[1:])
        costs = np.minimum.accumulate(new)
        choice[costs < new] = FREE
        choices.append(choice)
    at = len(notes)
    for part, choice in zip(reversed(parts), reversed(choices), strict=True):
        while choice[at] == FREE:
            at -= 1
        if choice[at] == MET:
            at -= 1
            part.note = at


def cut_notes(parts: Sequence[Part], notes: Sequence[Note]) -> list[Note]:
    """Cut notes where another syllable begins within them; renumber those of the syllables."""
    after = len(notes)
    follows = []
    for part in reversed(parts):
        follows.append(after)
        after = after if part.note is None else part.note
    wanted: dict[int, list[Part]] = {}
    begun = -1
    starts = np.array([note.start_seconds for note in notes])
    for part, following in zip(parts, reversed(follows), strict=True):
        begun = begun if part.note is None else part.note
        at = int(np.searchsorted(starts, part.start, "right")) - 1
        if part.note is None and part.is_known and begun <= at < following:
            wanted.setdefault(at, []).append(part)
    cut: list[Note] = []
    owners = {part.note: part for part in parts if part.note is not None}
    for number, note in enumerate(notes):
        if number in owners:
            owners[number].note = len(cut)
        rest = note
        for part in wanted.get(number, ()):
            until = part.start
            if min(until - rest.start_seconds, rest.end_seconds - until) >= SHORTEST_SECONDS:
                cut.append(replace(rest, end_seconds=until))
                rest = replace(rest, start_seconds=until)
                part.note = len(cut)
        cut.append(rest)
    return cut


def held_over(parts: Sequence[Part], notes: Sequence[Note]) -> dict[int, list[int]]:
    """List, by the first note of a syllable, the other notes over which it is held."""
    owned = {part.note for part in parts if part.note is not None}
    starts = [part.start for part in parts]
    held: dict[int, list[int]] = {}
    for number, note in enumerate(notes):
        if number in owned:
            continue
        owner = int(np.searchsorted(starts, note.start_seconds, "right")) - 1
        begun = None if owner < 0 else parts[owner].note
        if begun is None or begun > number:
            continue
        before = [begun, *held.get(begun, [])]
        pause = note.start_seconds - notes[number - 1].end_seconds
        end = parts[owner].syllable.end_seconds or 0.0
        if before[-1] == number - 1 and pause <= PAUSE_SECONDS and note.start_seconds < end:
            held.setdefault(begun, []).append(number)
    return held


def rejoined(word: Sequence[Part]) -> list[Part]:
    """Undo what was divided here and found no note of its own."""
    joined: list[Part] = []
    for part in word:
        last = joined[-1] if joined else None
        if part.is_ours and last is not None and None in (part.note, last.note):
            together = last if last.note is not None else part
            text = last.syllable.text + part.syllable.text
            joined[-1] = replace(together, syllable=replace(together.syllable, text=text))
        else:
            joined.append(part)
    return joined


def write_on(notes: list[Note], word: Sequence[Part]) -> None:
    """Write a word on its notes; syllables without one go with those before them, or after."""
    texts: list[tuple[int, str]] = []
    waiting = ""
    for part in word:
        if part.note is not None:
            texts.append((part.note, waiting + part.syllable.text))
            waiting = ""
        elif texts:
            texts[-1] = texts[-1][0], texts[-1][1] + part.syllable.text
        else:
            waiting += part.syllable.text
    for count, (number, text) in enumerate(texts, 1):
        notes[number] = replace(notes[number], text=text, goes_on=count < len(texts))


def syllables_of(
    word: Sequence[Part], notes: Sequence[Note], holds: dict[int, list[int]]
) -> Iterator[Syllable]:
    """Give the syllables of a word the times and pitches of their notes."""
    for part in word:
        if part.note is None:
            yield part.syllable
            continue
        text = part.syllable.text
        for number in [part.note, *holds.get(part.note, [])]:
            note = notes[number]
            yield Syllable(
                text, note.start_seconds, note.end_seconds, note.pitch, part.syllable.kind
            )
            text = ""


def in_sequence(line: Line) -> Line:
    """Let no syllable of a line begin before the one before it, and the line hold them all."""
    latest, words = 0.0, []
    for word in line.words:
        told = []
        for syllable in word.syllables:
            latest = max(latest, syllable.start_seconds or 0.0)
            end = max(latest, syllable.end_seconds or 0.0)
            told.append(replace(syllable, start_seconds=latest, end_seconds=end))
        words.append(Word(tuple(told)))
    moved = replace(line, words=tuple(words))
    start = words[0].start_seconds or 0.0
    end = max(syllable.end_seconds or 0.0 for syllable in moved.syllables)
    return replace(
        moved,
        start_seconds=min(line.start_seconds or start, start),
        end_seconds=max(line.end_seconds or end, end),
    )
