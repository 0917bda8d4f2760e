"""A lead sheet as MusicXML 4.0, which programs of notation read: melody, words and chords.

References
----------
MusicXML 4.0, W3C Community Group, https://www.w3.org/2021/06/musicxml40/
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import PurePath
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from karaoke.analysis.harmony import ENDINGS, Chord
from karaoke.analysis.melody import Note
from karaoke.analysis.metre import METRES
from karaoke.analysis.midi import SHARPS_OF
from karaoke.analysis.sheet import BEAT, Measure, Piece, Sheet, lay_out
from karaoke.analysis.song import SongFacts
from karaoke.analysis.wording import PAUSE_SECONDS
from karaoke.lyrics.reading import one_line

HEAD = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN"
  "http://www.musicxml.org/dtds/partwise.dtd">
"""
#: Letters of notes, by fifths from F on.
FIFTHS = "FCGDAEB"
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
#: Notes are spelled as one of twelve fifths, of which the first is so far below the tonic.
BELOW_MAJOR, BELOW_MINOR = 4, 6
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
KINDS = {"maj": "major", "min": "minor", "7": "dominant", "maj7": "major-seventh",
         "min7": "minor-seventh", "": "none"}  # fmt: skip
#: Types and dots by length, of simple metres, of triplets, and where a beat is three eighths.
SIMPLE = {3: ("16th", 0), 6: ("eighth", 0), 9: ("eighth", 1), 12: ("quarter", 0),
          18: ("quarter", 1), 24: ("half", 0), 36: ("half", 1), 48: ("whole", 0)}  # fmt: skip
TRIPLET = {4: ("eighth", 0), 8: ("quarter", 0)}
COMPOUND = {2: ("16th", 0), 4: ("eighth", 0), 6: ("eighth", 1), 8: ("quarter", 0),
            12: ("quarter", 1), 24: ("half", 1)}  # fmt: skip
#: Divisions of a quarter, by whether a beat is three eighths.
DIVISIONS = {False: BEAT, True: BEAT * 2 // 3}
#: Voices whose middle is below this are written an octave higher.
LOW = 60


class Spelling:
    """Names notes by a key: those that it has, and the others as its nearest relatives do.

    Parameters
    ----------
    facts
        Of the song, which may have no key.
    """

    def __init__(self, facts: SongFacts) -> None:
        key = facts.key
        tonic, is_minor = (0, False) if key is None else (key.tonic, key.is_minor)
        self.fifths = SHARPS_OF[(tonic + 3 * is_minor) % 12]
        home = self.fifths + 3 * is_minor
        self.lowest = home - (BELOW_MINOR if is_minor else BELOW_MAJOR)

    def name(self, pitch: int) -> tuple[str, int]:
        """Give the letter of a note and by how many semitones it is raised."""
        place = self.lowest + (7 * pitch - self.lowest) % 12
        letter, raised = FIFTHS[(place + 1) % 7], (place + 1) // 7
        if abs(raised) > 1:  # a double accidental
            place += 12 if raised < 0 else -12
            letter, raised = FIFTHS[(place + 1) % 7], (place + 1) // 7
        return letter, raised

    def signed(self, letter: str) -> int:
        """Tell by how many semitones the key raises a letter."""
        return (self.fifths - FIFTHS.index(letter) + 6) // 7


def write_lead_sheet(facts: SongFacts) -> bytes:
    """Write melody, words and chords for people to read."""
    sheet, spelling = lay_out(facts), Spelling(facts)
    score = Element("score-partwise", version="4.0")
    add_titles(score, facts)
    listed = SubElement(SubElement(score, "part-list"), "score-part", id="P1")
    SubElement(listed, "part-name").text = "Voice"
    instrument = SubElement(listed, "score-instrument", id="P1-I1")
    SubElement(instrument, "instrument-name").text = "Voice"
    part = SubElement(score, "part", id="P1")
    number = 0 if sheet.measures and sheet.measures[0].start else 1
    engraver = Engraver(sheet, spelling, facts.notes)
    for place, measure in enumerate(sheet.measures):
        bar = SubElement(part, "measure", number=str(number + place))
        if measure.start:
            bar.set("implicit", "yes")
        if place == 0:
            engraver.add_attributes(bar)
        engraver.add_measure(bar, measure)
        if place + 1 == len(sheet.measures):
            line = SubElement(bar, "barline", location="right")
            SubElement(line, "bar-style").text = "light-heavy"
    indent(score)
    return HEAD + tostring(score, encoding="unicode").encode() + b"\n"


def add_titles(score: Element, facts: SongFacts) -> None:
    """Write whose song it is."""
    lyrics = facts.lyrics
    named = (lyrics.title or PurePath(facts.name).stem, lyrics.artist)
    title, artist, composer = map(one_line, (*named, lyrics.metadata.get("composer", "")))
    if title:
        SubElement(SubElement(score, "work"), "work-title").text = title
    known = SubElement(score, "identification")
    for kind, name in (("composer", composer), ("artist", artist)):
        if name:
            SubElement(known, "creator", type=kind).text = name
    SubElement(SubElement(known, "encoding"), "software").text = "karaoke"
    for kind, text in (("title", title), ("subtitle", artist), ("composer", composer)):
        if text:
            credit = SubElement(score, "credit", page="1")
            SubElement(credit, "credit-type").text = kind
            side = "right" if kind == "composer" else "center"
            words = SubElement(credit, "credit-words", justify=side, halign=side, valign="top")
            words.text = text


class Engraver:
    """Writes the bars of a sheet.

    Parameters
    ----------
    sheet
        What is written.
    spelling
        Of the key.
    notes
        Of the melody as it was heard, which tell where syllables are held.
    """

    def __init__(self, sheet: Sheet, spelling: Spelling, notes: Sequence[Note]) -> None:
        self.sheet, self.spelling = sheet, spelling
        self.goes_on = False
        middle = sorted(note.pitch for note in notes)[len(notes) // 2] if notes else 127
        self.is_low = middle < LOW
        self.held = set()
        for note, following in pairwise(notes):
            is_last = bool(note.text) and not note.goes_on and not following.text
            if is_last and following.start_seconds - note.end_seconds <= PAUSE_SECONDS:
                self.held.add(note.start_seconds)

    def add_attributes(self, bar: Element) -> None:
        """Write signatures, clef and tempo."""
        sheet = self.sheet
        attributes = SubElement(bar, "attributes")
        SubElement(attributes, "divisions").text = str(DIVISIONS[sheet.is_compound])
        SubElement(SubElement(attributes, "key"), "fifths").text = str(self.spelling.fifths)
        time = SubElement(attributes, "time")
        for name, value in zip(("beats", "beat-type"), sheet.metre.split("/"), strict=True):
            SubElement(time, name).text = value
        clef = SubElement(attributes, "clef")
        SubElement(clef, "sign").text = "G"
        SubElement(clef, "line").text = "2"
        if self.is_low:
            SubElement(clef, "clef-octave-change").text = "-1"
        direction = SubElement(bar, "direction", placement="above")
        kind = SubElement(direction, "direction-type")
        if sheet.tempo_bpm is None:
            SubElement(kind, "words").text = "Freely (no steady beat was found)"
            return
        metronome = SubElement(kind, "metronome")
        SubElement(metronome, "beat-unit").text = "quarter"
        if sheet.is_compound:
            SubElement(metronome, "beat-unit-dot")
        SubElement(metronome, "per-minute").text = str(round(sheet.tempo_bpm))
        quarters = sheet.tempo_bpm * (1.5 if sheet.is_compound else 1.0)
        SubElement(direction, "sound", tempo=f"{quarters:.2f}")

    def add_measure(self, bar: Element, measure: Measure) -> None:
        """Write chords and notes in the order in which they begin."""
        beams = self.beams(measure.pieces)
        altered: dict[tuple[str, int], int] = {}
        for number, piece in enumerate(measure.pieces):
            for place, chord in measure.chords:
                if piece.start <= place < piece.start + piece.length:
                    self.add_chord(bar, chord, place - piece.start)
            note = SubElement(bar, "note")
            if piece.note is None:
                whole = piece.length == METRES[self.sheet.metre] * BEAT
                SubElement(note, "rest", {"measure": "yes"} if whole else {})
                self.add_length(note, piece, whole=whole)
                add_notations(note, measure.pieces, number)
                continue
            sign = self.add_pitch(note, piece, altered)
            self.add_length(note, piece, sign=sign)
            for level, kind in beams.get(number, {}).items():
                SubElement(note, "beam", number=str(level)).text = kind
            add_notations(note, measure.pieces, number)
            if piece.is_first and piece.note.text:
                self.add_syllable(note, piece.note)

    def add_chord(self, bar: Element, chord: Chord, offset: int) -> None:
        """Write the symbol of a chord, which may come so much later than where it is written."""
        harmony = SubElement(bar, "harmony")
        letter, raised = ("C", 0) if chord.root is None else self.spelling.name(chord.root)
        root = SubElement(harmony, "root")
        step = SubElement(root, "root-step")
        step.text = letter
        if raised:
            SubElement(root, "root-alter").text = str(raised)
        kind = SubElement(harmony, "kind")
        kind.text = KINDS[chord.quality]
        if chord.root is None:
            step.set("text", "")
            kind.set("text", "N.C.")
        elif ENDINGS[chord.quality]:
            kind.set("text", ENDINGS[chord.quality])
        if offset:
            SubElement(harmony, "offset").text = str(offset)

    def add_pitch(
        self, note: Element, piece: Piece, altered: dict[tuple[str, int], int]
    ) -> str | None:
        """Write a pitch, and give the accidental that it takes in its bar so far, if any."""
        assert piece.note is not None
        letter, raised = self.spelling.name(piece.note.pitch)
        octave = (piece.note.pitch - raised) // 12 - 1
        pitch = SubElement(note, "pitch")
        SubElement(pitch, "step").text = letter
        if raised:
            SubElement(pitch, "alter").text = str(raised)
        SubElement(pitch, "octave").text = str(octave)
        now = altered.get((letter, octave), self.spelling.signed(letter))
        if not piece.is_first and piece.start == 0:
            return None  # tied from the bar before
        altered[letter, octave] = raised
        return None if now == raised else ACCIDENTALS[raised]

    def add_length(
        self, note: Element, piece: Piece, *, whole: bool = False, sign: str | None = None
    ) -> None:
        """Write how long a piece lasts, and its ties, in the order that the format wants."""
        SubElement(note, "duration").text = str(piece.length)
        ties = [kind for kind, here in (("stop", not piece.is_first), ("start", not piece.is_last))
                if here]  # fmt: skip
        for kind in ties:
            SubElement(note, "tie", type=kind)
        SubElement(note, "voice").text = "1"
        if whole:
            return
        name, dots = self.written(piece)
        SubElement(note, "type").text = name
        for _ in range(dots):
            SubElement(note, "dot")
        if sign is not None:
            SubElement(note, "accidental").text = sign
        if piece.in_triplet:
            ratio = SubElement(note, "time-modification")
            SubElement(ratio, "actual-notes").text = "3"
            SubElement(ratio, "normal-notes").text = "2"

    def written(self, piece: Piece) -> tuple[str, int]:
        """Give the type and the dots of a piece."""
        if piece.in_triplet:
            return TRIPLET[piece.length]
        return (COMPOUND if self.sheet.is_compound else SIMPLE)[piece.length]

    def beams(self, pieces: Sequence[Piece]) -> dict[int, dict[int, str]]:
        """Join the notes of each beat that have flags; give the beams by the pieces' numbers."""
        found: dict[int, dict[int, str]] = {}

        def flags(number: int) -> int:
            name, _ = self.written(pieces[number])
            return {"eighth": 1, "16th": 2}.get(name, 0)

        sung = [n for n, piece in enumerate(pieces) if piece.note is not None and flags(n)]

        def neighbours(at: tuple[int, int]) -> tuple[int, int]:
            """Give the same for numbers that follow each other within a beat."""
            return at[1] - at[0], pieces[at[1]].start // BEAT

        for _, run in groupby(enumerate(sung), key=neighbours):
            group = [number for _, number in run]
            if len(group) > 1:
                found |= zip(group, beams_of(list(map(flags, group))), strict=True)
        return found

    def add_syllable(self, note: Element, sung: Note) -> None:
        """Write what is sung on a note."""
        before, self.goes_on = self.goes_on, sung.goes_on
        lyric = SubElement(note, "lyric", number="1")
        kinds = {(False, False): "single", (False, True): "begin", (True, True): "middle",
                 (True, False): "end"}  # fmt: skip
        SubElement(lyric, "syllabic").text = kinds[before, sung.goes_on]
        SubElement(lyric, "text").text = sung.text
        if sung.start_seconds in self.held:
            SubElement(lyric, "extend")


def add_notations(note: Element, pieces: Sequence[Piece], number: int) -> None:
    """Write ties that show, and the bracket of a triplet at its first and its last piece."""
    piece = pieces[number]
    notations = Element("notations")
    if piece.note is not None:
        for kind, here in (("stop", not piece.is_first), ("start", not piece.is_last)):
            if here:
                SubElement(notations, "tied", type=kind)
    if piece.in_triplet:
        if piece.start % BEAT == 0:
            SubElement(notations, "tuplet", type="start", bracket="yes")
        if (piece.start + piece.length) % BEAT == 0:
            SubElement(notations, "tuplet", type="stop")
    if len(notations):
        note.append(notations)


def beams_of(group: Sequence[int]) -> list[dict[int, str]]:
    """Give the beams of notes that are joined, by their level.

    Parameters
    ----------
    group
        How many flags each would have alone.
    """
    beams: list[dict[int, str]] = [{} for _ in group]
    for level in range(1, max(group, default=0) + 1):
        for has_beam, run in groupby(range(len(group)), key=lambda n: group[n] >= level):
            members = list(run)
            if not has_beam:
                continue
            if len(members) == 1:
                beams[members[0]][level] = "backward hook" if members[0] else "forward hook"
                continue
            for member in members[1:-1]:
                beams[member][level] = "continue"
            beams[members[0]][level], beams[members[-1]][level] = "begin", "end"
    return beams
