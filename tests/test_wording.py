"""Words on notes, of songs that are drawn anew each time and known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from karaoke.analysis.melody import Note
from karaoke.analysis.wording import put_words
from karaoke.errors import LyricsError
from karaoke.lyrics import Line, Lyrics, Syllable, Word
from karaoke.lyrics.plain import read_plain
from tests.singing import Score, Sung, draw_score


def notes_of(sung: Iterable[Sung]) -> list[Note]:
    """Give the notes of a score, as they would be heard at best."""
    return [Note(s.start, s.start + s.seconds - 0.02, int(s.note), 1.0) for s in sung]


def line_of(*words: Word) -> Line:
    """Make a line of words with times."""
    return Line(words, words[0].start_seconds, words[-1].end_seconds)


def lyrics_of(score: Score, *, parted: bool, late: Iterable[float] | None = None) -> Lyrics:
    """Give the words of a score with their times; parted into syllables, or whole."""
    lines: dict[int, dict[int, list[Syllable]]] = {}
    shifts = iter([0.0] * len(score.notes) if late is None else late)
    for sung in score.notes:
        word = lines.setdefault(sung.line, {}).setdefault(sung.word, [])
        shift = next(shifts)
        end = sung.start + sung.seconds + shift
        if not sung.text:
            word[-1] = replace(word[-1], end_seconds=end)
            continue
        if parted or not word:
            start = max(0.0, sung.start + shift)
            word.append(Syllable(sung.text, start, max(start, end)))
        else:
            word[0] = replace(word[0], text=word[0].text + sung.text, end_seconds=end)
    return Lyrics(
        tuple(line_of(*(Word(tuple(w)) for w in words.values())) for words in lines.values())
    )


def test_syllables_go_to_their_notes(rng: np.random.Generator) -> None:
    score = draw_score(rng)
    found = put_words(lyrics_of(score, parted=True), notes_of(score.notes))
    assert [note.text for note in found.notes] == [sung.text for sung in score.notes]
    pairs = zip(score.notes, score.notes[1:], strict=False)
    for note, (sung, following) in zip(found.notes, pairs, strict=False):
        within = (sung.line, sung.word) == (following.line, following.word)
        assert note.goes_on == bool(within and sung.text and following.text)
    assert found.on_notes == sum(bool(sung.text) for sung in score.notes)
    told = list(found.lyrics.syllables())
    assert [(s.text, s.start_seconds, s.pitch) for s in told] == [
        (sung.text, sung.start, int(sung.note)) for sung in score.notes
    ]


def test_times_that_are_a_little_wrong_do_no_harm(rng: np.random.Generator) -> None:
    score = draw_score(rng)
    late = rng.uniform(-0.08, 0.08, len(score.notes))
    for parted in (True, False):
        found = put_words(lyrics_of(score, parted=parted, late=late), notes_of(score.notes))
        kept = "".join(note.text for note in found.notes)
        assert kept == "".join(sung.text for sung in score.notes), "nothing is lost"
        by_start = {note.start_seconds: note.text for note in found.notes}
        # Rules divide some words elsewhere.
        right = [bool(by_start[sung.start]) == bool(sung.text) for sung in score.notes]
        if parted:
            right += [by_start[sung.start] == sung.text for sung in score.notes]
        assert np.mean(right) > (0.97 if parted else 0.9)


def test_a_syllable_without_a_note_is_kept(rng: np.random.Generator) -> None:
    score = draw_score(rng)
    lyrics = lyrics_of(score, parted=True)
    sung = [number for number, sung in enumerate(score.notes) if sung.text]
    lost = int(rng.choice(sung))
    heard = [sung for number, sung in enumerate(score.notes) if number != lost]
    # Its neighbours are farther away than a syllable reaches.
    gone = score.notes[lost]
    heard = [s for s in heard if not gone.start - 0.4 < s.start < gone.start + 0.4]
    heard = [s for s in heard if not s.start < gone.start < s.start + s.seconds + 0.13]
    found = put_words(lyrics, notes_of(heard))
    (kept,) = [s for s in found.lyrics.syllables() if s.start_seconds == gone.start]
    assert kept.text == gone.text and kept.pitch is None and found.on_notes < len(sung)
    assert sum(bool(s.text) for s in found.lyrics.syllables()) == len(sung)


def test_two_syllables_on_one_note_cut_it() -> None:
    words = (Word((Syllable("la", 1.0), Syllable("la", 1.5, 2.0))),)
    found = put_words(Lyrics((line_of(*words),)), [Note(1.02, 2.0, 64, 0.9)])
    assert [(n.start_seconds, n.end_seconds, n.pitch, n.text, n.goes_on) for n in found.notes] == [
        (1.02, 1.5, 64, "la", True),
        (1.5, 2.0, 64, "la", False),
    ]
    # Too near to its end, it goes with the one before.
    words = (Word((Syllable("la", 1.0), Syllable("la", 1.95, 2.0))),)
    found = put_words(Lyrics((line_of(*words),)), [Note(1.02, 2.0, 64, 0.9)])
    assert [(n.text, n.goes_on) for n in found.notes] == [("lala", False)] and found.on_notes == 1


def test_a_syllable_is_held_over_notes_but_not_over_pauses() -> None:
    notes = [Note(1.0, 1.4, 60, 1), Note(1.4, 1.8, 62, 1), Note(2.6, 3.0, 64, 1)]
    found = put_words(Lyrics((line_of(Word((Syllable("oh", 1.0, 4.0),))),)), notes)
    assert [note.text for note in found.notes] == ["oh", "", ""]
    told = [(s.text, s.pitch) for s in found.lyrics.syllables()]
    assert told == [("oh", 60), ("", 62)]


def test_words_are_divided_where_there_are_notes_for_it() -> None:
    words = (Word((Syllable("river", 1.0, 2.0),)), Word((Syllable("river", 5.0, 6.0),)))
    notes = [Note(1.05, 1.3, 60, 1), Note(1.35, 2, 62, 1)]
    found = put_words(Lyrics((line_of(*words),)), notes)
    assert [(note.text, note.goes_on) for note in found.notes] == [("ri", True), ("ver", False)]
    assert [s.text for s in found.lyrics.syllables()] == ["ri", "ver", "river"]


def test_words_come_later_by_the_offset() -> None:
    lyrics = Lyrics((line_of(Word((Syllable("oh", 1.0, 1.5),))),))
    found = put_words(lyrics, [Note(3.0, 3.5, 60, 1.0)], offset_seconds=2.0)
    assert found.notes[0].text == "oh" and found.lyrics.lines[0].start_seconds == 3.0


def test_words_need_times() -> None:
    with pytest.raises(LyricsError, match="no times"):
        put_words(read_plain("one two\n", "the words"), [])
