"""Lead sheets of melodies that are drawn anew each time, read back by hand as musicians do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from karaoke.analysis.harmony import SHARPS, Chord
from karaoke.analysis.keys import Key
from karaoke.analysis.melody import Note
from karaoke.analysis.metre import METRES, Bars
from karaoke.analysis.musicxml import Spelling
from karaoke.analysis.pulse import Pulse
from karaoke.analysis.song import SongFacts
from karaoke.analysis.writing import WRITERS
from karaoke.lyrics import Lyrics
from tests.songs import facts_of

#: Where notes begin in a beat, in twelfths.
RHYTHMS = {
    False: ((0,), (0,), (0, 6), (0, 6, 9), (0, 3, 6), (0, 4, 8), (6,), (), (0, 3, 6, 9), (0, 9)),
    True: ((0,), (0,), (0, 8), (0, 4, 8), (0, 6, 8), (), (8,), (4, 8)),
}
#: Lengths of notes in quarters, and how many lines the beams of a note are.
TYPES = {"whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25}
FLAGS = {"eighth": 1, "16th": 2}
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SIGNS = {"flat": -1, "natural": 0, "sharp": 1}


@dataclass
class Written:
    """A note that was read: its place and length in quarters, pitch, syllable, kind of syllable."""

    start: float
    length: float
    pitch: int
    text: str
    syllabic: str


@dataclass
class Music:
    """What was read: notes, chords by their places, the quarters at which bars begin, signs."""

    notes: list[Written]
    chords: list[tuple[float, str]]
    bars: list[float]
    accidentals: int
    root: ET.Element


def text_of(element: ET.Element, path: str) -> str:
    """Give the text of a child that has to be there."""
    found = element.findtext(path)
    assert found is not None, path
    return found


def read_music(data: bytes) -> Music:
    """Read a lead sheet, and check in each bar what a program of notation would stumble over."""
    root = ET.fromstring(data)
    assert root.tag == "score-partwise" and root.get("version") == "4.0"
    (part,) = root.findall("part")
    divisions = int(text_of(part, "measure/attributes/divisions"))
    fifths = int(text_of(part, "measure/attributes/key/fifths"))
    sharp, flat = "FCGDAEB"[: max(fifths, 0)], "BEADGCF"[: max(-fifths, 0)]
    signature = {step: (step in sharp) - (step in flat) for step in STEPS}
    time = part.find("measure/attributes/time")
    assert time is not None
    whole = 4 * int(text_of(time, "beats")) / int(text_of(time, "beat-type"))
    music = Music([], [], [], 0, root)
    now, tied = 0.0, False
    measures = part.findall("measure")
    for bar in measures:
        music.bars.append(now)
        start, raised, triplet, beams = now, {}, 0.0, {1: False, 2: False}
        for element in bar:
            if element.tag == "harmony":
                offset = int(element.findtext("offset", "0")) / divisions
                music.chords.append((now + offset, chord_of(element)))
            if element.tag != "note":
                continue
            length = int(text_of(element, "duration")) / divisions
            check_length(element, length, whole)
            triplet = check_triplet(element, triplet, length)
            check_beams(element, beams)
            if element.find("rest") is None:
                tied = read_note(element, now, length, tied, signature, raised, music)
            else:
                assert not tied
            now += length
        is_short = bar.get("implicit") == "yes"
        assert now - start == pytest.approx(whole) or (is_short and bar is measures[0])
        assert triplet == 0 and not any(beams.values())
    assert not tied
    return music


def read_note(
    element: ET.Element,
    now: float,
    length: float,
    tied: bool,
    signature: dict[str, int],
    raised: dict[tuple[str, int], int],
    music: Music,
) -> bool:
    """Read a note, by the key and the accidentals of its bar; tell whether it is tied on."""
    step, octave = text_of(element, "pitch/step"), int(text_of(element, "pitch/octave"))
    alter = int(element.findtext("pitch/alter", "0"))
    ties = [tie.get("type") for tie in element.findall("tie")]
    assert ties == [tie.get("type") for tie in element.findall("notations/tied")]
    assert ("stop" in ties) == tied
    sign = element.findtext("accidental")
    if sign is not None:
        raised[step, octave] = SIGNS[sign]
        music.accidentals += 1
    pitch = 12 * (octave + 1) + STEPS[step] + alter
    if tied:
        assert element.find("lyric") is None and music.notes[-1].pitch == pitch
        music.notes[-1].length += length
    else:
        assert raised.get((step, octave), signature[step]) == alter, "as a singer would read it"
        text, kind = element.findtext("lyric/text", ""), element.findtext("lyric/syllabic", "")
        music.notes.append(Written(now, length, pitch, text, kind))
    return "start" in ties


def check_length(element: ET.Element, length: float, whole: float) -> None:
    """Check that a length is what the type and the dots say."""
    if element.find("rest[@measure='yes']") is not None:
        assert length == whole
        return
    written = TYPES[text_of(element, "type")] * (2 - 0.5 ** len(element.findall("dot")))
    if element.find("time-modification") is not None:
        written *= 2 / 3
    assert length == pytest.approx(written)


def check_triplet(element: ET.Element, before: float, length: float) -> float:
    """Check brackets of triplets; give how much of a beat the one that is open holds."""
    marks = [mark.get("type") for mark in element.findall("notations/tuplet")]
    assert ("start" in marks) == (element.find("time-modification") is not None and before == 0)
    if element.find("time-modification") is None:
        assert before == 0
        return 0.0
    assert ("stop" in marks) == (before + length == pytest.approx(1))
    return 0.0 if "stop" in marks else before + length


def check_beams(element: ET.Element, beams: dict[int, bool]) -> None:
    """Check that beams begin before they end, and that no note has more than its flags."""
    found = {int(beam.get("number", "0")): beam.text for beam in element.findall("beam")}
    assert len(found) <= FLAGS.get(element.findtext("type", ""), 0)
    for level in beams:
        kind = found.get(level)
        assert beams[level] == (kind in ("continue", "end"))
        beams[level] = kind in ("begin", "continue")


def chord_of(element: ET.Element) -> str:
    """Name a chord by sharps."""
    kind = text_of(element, "kind")
    if kind == "none":
        return "N.C."
    root = STEPS[text_of(element, "root/root-step")] + int(element.findtext("root/root-alter", "0"))
    ending = {"major": "", "minor": "m", "dominant": "7", "major-seventh": "maj7",
              "minor-seventh": "m7"}[kind]  # fmt: skip
    return SHARPS[root % 12] + ending


def draw_starts(rng: np.random.Generator, begin: int, end: int, compound: bool) -> Iterator[int]:
    """Draw where notes begin, in twelfths of a beat, between two beats."""
    for beat in range(begin, end):
        rhythms = RHYTHMS[compound]
        for part in rhythms[rng.integers(len(rhythms))]:
            yield 12 * beat + part


def draw_melody(rng: np.random.Generator) -> tuple[SongFacts, list[tuple[int, int, int]]]:
    """Draw the facts of a song, and its notes as they should be written: start, end, pitch."""
    metre = str(rng.choice(list(METRES)))
    count, compound = METRES[metre], metre == "6/8"
    begin = -int(rng.integers(0, 2 * count))
    first = max(0, -begin) % count if rng.random() < 0.5 else int(rng.integers(count))
    starts = [0, *draw_starts(rng, 1, 8 * count, compound)]
    if begin < 0:
        starts = [12 * begin, *draw_starts(rng, begin + 1, 0, compound), *starts]
    written = []
    for start, following in pairwise([*starts, starts[-1] // 12 * 12 + 48]):
        ends = [end for end in range(start // 12 * 12 + 12, following - 5, 12) if end > start]
        end = int(rng.choice(ends)) if ends and rng.random() < 0.4 else following
        pitch = int(rng.integers(52, 80))
        written.append((start, end, pitch))
    beat = 60 / rng.uniform(60, 150)
    beats = 6.0 + beat * (np.arange(-first, 12 * count) + rng.uniform(-0.01, 0.01))
    jitter = rng.uniform(-0.02, 0.02, (len(written), 2))
    notes = tuple(
        Note(6.0 + beat * (start / 12 + a), 6.0 + beat * (end / 12 - 0.04 + b), pitch, 1.0)
        for (start, end, pitch), (a, b) in zip(written, jitter, strict=True)
    )
    key = Key(int(rng.integers(12)), bool(rng.integers(2)), 0.9)
    pulse, bars = Pulse(beats, 60 / beat, 0.9), Bars(metre, first, 0.9)
    facts = SongFacts(60.0, 440.0, key, pulse, bars, (), notes, Lyrics((), "Title", "Artist"))
    return facts, written


def quarters(twelfths: float, facts: SongFacts) -> float:
    """Turn twelfths of a beat into quarters."""
    assert facts.bars is not None
    return twelfths / 12 * (1.5 if facts.bars.metre == "6/8" else 1.0)


def test_notes_are_written_as_they_are_sung(rng: np.random.Generator) -> None:
    facts, written = draw_melody(rng)
    music = read_music(WRITERS["lead-sheet"].write(facts))
    assert [note.pitch for note in music.notes] == [pitch for _, _, pitch in written]
    zero = music.notes[0].start - quarters(written[0][0], facts)
    for note, (start, end, _) in zip(music.notes, written, strict=True):
        assert note.start - zero == pytest.approx(quarters(start, facts))
        assert note.length == pytest.approx(quarters(end - start, facts))
    # The first note of the first whole bar begins it.
    assert min(abs(bar - zero) for bar in music.bars) < 1e-9


def test_no_beat_is_made_up() -> None:
    facts = replace(facts_of(), pulse=None, bars=None)
    music = read_music(WRITERS["lead-sheet"].write(facts))
    assert [note.pitch for note in music.notes] == [60, 60, 64]
    words = [element.text or "" for element in music.root.iter("words")]
    assert "no steady beat" in words[0] and music.root.find(".//sound[@tempo]") is None
    silent = replace(facts, notes=(), chords=(), key=None, seconds=0.0)
    assert read_music(WRITERS["lead-sheet"].write(silent)).notes == []


def test_titles_and_signs(rng: np.random.Generator) -> None:
    facts, _ = draw_melody(rng)
    lyrics = Lyrics((), "A & B", "<Artist>", metadata={"composer": "Some One"})
    # The notes of the key itself, and their neighbours, at which no sign is wasted.
    steps = (0, 2, 3, 5, 7, 8, 10) if facts.key and facts.key.is_minor else (0, 2, 4, 5, 7, 9, 11)
    assert facts.key is not None
    notes = tuple(
        replace(note, pitch=60 + facts.key.tonic + steps[number % 7])
        for number, note in enumerate(facts.notes)
    )
    music = read_music(WRITERS["lead-sheet"].write(replace(facts, lyrics=lyrics, notes=notes)))
    assert music.accidentals == 0
    assert music.root.findtext("work/work-title") == "A & B"
    makers = {e.get("type"): e.text for e in music.root.findall("identification/creator")}
    assert makers == {"composer": "Some One", "artist": "<Artist>"}
    odd = replace(facts, lyrics=Lyrics(()), name="a\udcff\x01b.mp3")
    assert read_music(WRITERS["lead-sheet"].write(odd)).root.findtext("work/work-title") == "ab"


@pytest.mark.parametrize(
    ("tonic", "minor", "spelled"),
    [
        (0, False, {1: "C#", 3: "Eb", 6: "F#", 8: "Ab", 10: "Bb"}),
        (9, True, {8: "G#", 6: "F#", 10: "Bb", 3: "Eb"}),
        (4, False, {1: "C#", 3: "D#", 2: "D", 5: "E#", 7: "G"}),
        (3, False, {10: "Bb", 1: "Db", 6: "Gb", 4: "E", 11: "Cb"}),
        (6, False, {5: "E#", 0: "B#", 4: "E"}),
    ],
)
def test_notes_are_spelled_by_the_key(tonic: int, minor: bool, spelled: dict[int, str]) -> None:
    spelling = Spelling(replace(facts_of(), key=Key(tonic, minor, 1.0)))
    for pitch, name in spelled.items():
        letter, raised = spelling.name(60 + pitch)
        assert letter + {-1: "b", 0: "", 1: "#"}[raised] == name


def test_a_syllable_that_is_held_has_a_line() -> None:
    notes = (Note(0.7, 1.2, 60, 1.0, "oh"), Note(1.2, 1.7, 62, 1.0), Note(3.2, 3.7, 64, 1.0, "so"))
    music = read_music(WRITERS["lead-sheet"].write(replace(facts_of(), notes=notes)))
    lyrics = list(music.root.iter("lyric"))
    assert [lyric.findtext("text") for lyric in lyrics] == ["oh", "so"]
    assert [lyric.find("extend") is not None for lyric in lyrics] == [True, False]


def test_notes_that_fall_together_keep_their_words() -> None:
    notes = (Note(0.7, 0.75, 60, 1.0, "a", True), Note(0.755, 0.8, 62, 1.0, "way"),
             Note(0.805, 1.2, 64, 1.0, "we"))  # fmt: skip
    music = read_music(WRITERS["lead-sheet"].write(replace(facts_of(), notes=notes)))
    assert " ".join(note.text for note in music.notes).replace("a way", "away") == "away we"
    assert sum(note.length for note in music.notes) == pytest.approx(1.0)


def test_chords_and_words_are_where_they_belong(rng: np.random.Generator) -> None:
    facts, written = draw_melody(rng)
    assert facts.pulse is not None and facts.bars is not None
    edges = facts.pulse.beats[facts.bars.first :: int(rng.integers(1, 4))]
    roots = [int(rng.integers(12)) for _ in edges]
    chords = tuple(
        Chord(float(a), float(b), root, str(rng.choice(["maj", "min", "7", "maj7", "min7"])), 0.9)
        for (a, b), root in zip(pairwise(edges), roots, strict=False)
    )
    texts = ["la", "lu", "lo"]
    notes = tuple(
        replace(note, text=texts[number % 3], goes_on=number % 3 < 2)
        for number, note in enumerate(facts.notes)
    )
    facts = replace(facts, chords=chords, notes=notes)
    music = read_music(WRITERS["lead-sheet"].write(facts))
    zero = music.notes[0].start - quarters(written[0][0], facts)
    wanted = []
    for chord in chords:
        place = round(float(np.interp(chord.start_seconds, facts.pulse.beats,
                                      np.arange(len(facts.pulse.beats)))))  # fmt: skip
        name = chord.name()
        if not wanted or wanted[-1][1] != name:
            wanted.append((quarters(12 * (place - facts.bars.first), facts), name))
    assert [name for _, name in music.chords] == [name for _, name in wanted]
    assert [at - zero for at, _ in music.chords] == pytest.approx([at for at, _ in wanted])
    assert [note.text for note in music.notes] == [note.text for note in notes]
    kinds = ["begin", "middle", "end"] * len(notes)
    assert [note.syllabic for note in music.notes] == kinds[: len(notes)]
