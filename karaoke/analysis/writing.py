"""What was heard in a song, for people and for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from karaoke.analysis.harmony import FLATS, SHARPS, Chord
from karaoke.analysis.midi import write_midi
from karaoke.analysis.musicxml import write_lead_sheet
from karaoke.analysis.song import SongFacts
from karaoke.lyrics import Timeline, write_kar, write_ultrastar


def note_name(pitch: int, flats: bool = False) -> str:
    """Name a MIDI note as singers do: 60 is ``C4``."""
    return f"{(FLATS if flats else SHARPS)[pitch % 12]}{pitch // 12 - 1}"


def as_object(facts: SongFacts) -> dict[str, Any]:
    """Give all facts as JSON holds them: times in seconds, confidences from 0 to 1.

    What is not known is null or an empty list.
    """
    key, pulse, bars = facts.key, facts.pulse, facts.bars
    flats = key is not None and key.flats
    melody = [
        {"start": round(note.start_seconds, 3), "end": round(note.end_seconds, 3),
         "pitch": note.pitch, "confidence": round(note.confidence, 2),
         "text": note.text or None, "goes_on": note.goes_on}
        for note in facts.notes
    ]  # fmt: skip
    span = facts.range
    return {
        "key": key and {"name": key.name, "confidence": round(key.confidence, 2)},
        "tuning_hz": facts.tuning_hz and round(facts.tuning_hz, 1),
        "tempo": pulse
        and {
            "bpm": round(pulse.tempo_bpm, 1),
            "confidence": round(pulse.confidence, 2),
            "others": [
                {"bpm": round(bpm, 1), "confidence": round(share, 2)}
                for bpm, share in pulse.other_tempi_bpm
                if share >= 0.05
            ],
        },
        "metre": bars and {"name": bars.metre, "confidence": round(bars.confidence, 2)},
        "beats": [] if pulse is None else np.round(pulse.beats, 3).tolist(),
        "downbeats": np.round(facts.downbeats, 3).tolist(),
        "chords": [
            {"start": round(chord.start_seconds, 3), "end": round(chord.end_seconds, 3),
             "name": None if chord.root is None else chord.name(flats),
             "confidence": round(chord.confidence, 2)}
            for chord in facts.chords
        ],
        "range": span
        and {"lowest": note_name(span[0], flats), "highest": note_name(span[1], flats)},
        "phrases": len(facts.phrases),
        "notes": melody,
    }  # fmt: skip


def as_table(found: dict[str, Any]) -> str:
    """Write the facts that people look for first, from what :func:`as_object` gave."""
    rows = [("key", key_row(found)), ("tempo", tempo_row(found)), ("chords", chord_row(found)),
            ("melody", melody_row(found))]  # fmt: skip
    return "".join(f"{name:<10}{text}\n" for name, text in rows)


def key_row(found: dict[str, Any]) -> str:
    """Say key, tuning and range."""
    key, span = found["key"], found["range"]
    parts = [f"{key['name']} ({key['confidence']:.2f})" if key else "not known"]
    if found["tuning_hz"]:
        parts[0] += f", tuned to {found['tuning_hz']:.1f} Hz"
    if span:
        parts.append(f"sung from {span['lowest']} to {span['highest']}")
    return "; ".join(parts)


def tempo_row(found: dict[str, Any]) -> str:
    """Say tempo, metre, and where the beats begin."""
    tempo, metre, beats = found["tempo"], found["metre"], found["beats"]
    if not tempo:
        return "not known"
    parts = [f"{tempo['bpm']:.1f} bpm ({tempo['confidence']:.2f})"]
    if metre:
        parts.append(f"{metre['name']} ({metre['confidence']:.2f})")
    parts.append(f"{len(beats)} beats, the first at {beats[0]:.2f} s")
    if tempo["others"]:
        parts.append("or " + ", ".join(f"{other['bpm']:.1f}" for other in tempo["others"]))
    return ", ".join(parts)


def chord_row(found: dict[str, Any], most: int = 16) -> str:
    """List the first chords."""
    names = [chord["name"] or "N.C." for chord in found["chords"]]
    if not any(chord["name"] for chord in found["chords"]):
        return "none"
    return " ".join(names[:most]) + (" ..." if len(names) > most else "")


def melody_row(found: dict[str, Any]) -> str:
    """Count the notes."""
    notes = found["notes"]
    if not notes:
        return "none"
    first = f"the first at {notes[0]['start']:.2f} s"
    worded = sum(note["text"] is not None for note in notes)
    words = f", {worded} with words" if worded else ""
    return f"{len(notes)} notes in {found['phrases']} phrases, {first}{words}"


def write_json(facts: SongFacts) -> bytes:
    """Write everything."""
    return (json.dumps(as_object(facts), indent=1) + "\n").encode()


def write_beats(facts: SongFacts) -> bytes:
    """Write a beat a line: seconds, a tab, and its place in the bar from 1, or 0 if unknown."""
    if facts.pulse is None:
        return b""
    rows = []
    for number, beat in enumerate(facts.pulse.beats):
        place = 0 if facts.bars is None else (number - facts.bars.first) % facts.bars.beats + 1
        rows.append(f"{beat:.3f}\t{place}\n")
    return "".join(rows).encode()


def write_chords(facts: SongFacts) -> bytes:
    """Write a chord a line, as ``.lab`` files do: start, end, name in Harte's notation."""

    def row(chord: Chord) -> str:
        return f"{chord.start_seconds:.3f}\t{chord.end_seconds:.3f}\t{chord.label}\n"

    return "".join(map(row, facts.chords)).encode()


def write_notes(facts: SongFacts) -> bytes:
    """Write a note a line as CSV: start, end, MIDI number, name, confidence, syllable."""
    flats = facts.key is not None and facts.key.flats
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["start_seconds", "end_seconds", "pitch", "name", "confidence", "text"])
    for note in facts.notes:
        times = [f"{seconds:.3f}" for seconds in (note.start_seconds, note.end_seconds)]
        heard = [note.pitch, note_name(note.pitch, flats), f"{note.confidence:.2f}", note.text]
        table.writerow([*times, *heard])
    return text.getvalue().encode()


def write_karaoke(facts: SongFacts) -> bytes:
    """Write words and melody as ``.kar``."""
    return write_kar(facts.lyrics, Timeline())


def write_game(facts: SongFacts) -> bytes:
    """Write words and melody for singing games, to the sound of the song's own file."""
    lyrics = replace(facts.lyrics, title=facts.lyrics.title or PurePath(facts.name).stem)
    if facts.pulse is None:
        return write_ultrastar(lyrics, Timeline(), audio=facts.name)
    bpm = facts.pulse.tempo_bpm
    return write_ultrastar(lyrics, Timeline(), audio=facts.name, beats_per_minute=bpm)


@dataclass(frozen=True)
class Writer:
    """A format: the extension of its files, what makes one of facts, and whether it takes words."""

    extension: str
    write: Callable[[SongFacts], bytes]
    needs_words: bool = False


WRITERS = {
    "json": Writer("json", write_json),
    "midi": Writer("mid", write_midi),
    "beats": Writer("beats.txt", write_beats),
    "chords": Writer("lab", write_chords),
    "notes": Writer("csv", write_notes),
    "kar": Writer("kar", write_karaoke, needs_words=True),
    "lead-sheet": Writer("musicxml", write_lead_sheet),
    "ultrastar": Writer("txt", write_game, needs_words=True),
}
