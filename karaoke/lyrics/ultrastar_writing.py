"""Write UltraStar's ``.txt`` of version 1, in a way that older games can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from karaoke.lyrics.languages import language_name
from karaoke.lyrics.model import Line, Lyrics, Syllable
from karaoke.lyrics.placing import place
from karaoke.lyrics.reading import GUARD, one_line
from karaoke.lyrics.timeline import Timeline
from karaoke.lyrics.ultrastar import KINDS, MIDDLE_C, QUARTERS, SPOKEN

VERSION = "1.1.0"
#: Notes are off by at most half of this.
LONGEST_GRID_SECONDS = 0.020
SLOWEST_BPM = 60 / (QUARTERS * LONGEST_GRID_SECONDS)
LETTERS = {kind: letter for letter, kind in KINDS.items()}
#: Facts about the song that the format has a header for.
FACTS = ("year", "genre", "edition", "tags", "creator", "providedby", "comment", "rendition")
FILES = ("vocals", "instrumental", "cover", "background", "video")
MOST_VOICES = 9


@dataclass
class _Note:
    """A syllable on the grid."""

    start: int
    end: int
    syllable: Syllable
    ends_word: bool
    ends_line: bool


def write_ultrastar(
    lyrics: Lyrics,
    timeline: Timeline,
    *,
    audio: str = "song.mp3",
    files: Mapping[str, str] | None = None,
    beats_per_minute: float = SLOWEST_BPM,
) -> bytes:
    """Write a song for UltraStar and similar games.

    Parameters
    ----------
    lyrics
        Lyrics with times; unknown times of words and syllables are spread over their line.
        Syllables without a pitch become freestyle, which gives no points.
    timeline
        The clock of the sound.
    audio
        Name of the sound file, in the same folder.
    files
        Names of other files there, by ``vocals``, ``instrumental``, ``cover``, ``background``
        and ``video``.
    beats_per_minute
        Tempo of the song, if known: the grid then divides its beats, into at most 20 ms.

    Raises
    ------
    LyricsError
        The lyrics have no times.
    """
    if beats_per_minute <= 0:
        raise ValueError(f"{beats_per_minute} is not a tempo")
    while beats_per_minute < SLOWEST_BPM:
        beats_per_minute *= 2
    beats_per_minute = round(beats_per_minute, 3)
    grid = 60 / (QUARTERS * beats_per_minute)
    lines = place(lyrics, timeline, syllables=True)
    voices: dict[str, list[Line]] = {}
    for line in lines:
        name = line.singer
        if name not in voices and len(voices) == MOST_VOICES:
            name = list(voices)[-1]
        voices.setdefault(name, []).append(line)
    first = min((line.syllables[0].start_seconds or 0.0 for line in lines), default=0.0)
    gap = round(first * 1000)
    rows = headers(lyrics, audio, files or {})
    named = set(voices) != {""}
    if named:
        rows += [f"#P{number}:{name or f'P{number}'}" for number, name in enumerate(voices, 1)]
    rows += [f"#BPM:{beats_per_minute:.3f}".rstrip("0").rstrip("."), f"#GAP:{gap}"]
    for number, its_lines in enumerate(voices.values(), 1):
        rows += [f"P{number}"] if named else []
        rows += note_rows(notes_of(its_lines, gap / 1000, grid))
    return "".join(f"{row}\n" for row in [*rows, "E"]).encode()


def headers(lyrics: Lyrics, audio: str, files: Mapping[str, str]) -> list[str]:
    """Write what is known about the song; title, artist and sound are required."""
    values = {
        "version": VERSION,
        "title": lyrics.title or "Unknown title",
        "artist": lyrics.artist or "Unknown artist",
        "language": language_name(lyrics.language),
        **{name: lyrics.metadata.get(name, "") for name in FACTS},
        # Older games only know the first; newer ones use the second.
        "mp3": audio,
        "audio": audio,
        **{name: files.get(name, "") for name in FILES},
    }
    rows = ((name, one_line(value)) for name, value in values.items())
    return [f"#{name.upper()}:{value}" for name, value in rows if value]


def notes_of(lines: list[Line], gap: float, grid: float) -> list[_Note]:
    """Put the syllables of a voice on the grid, at least a beat long and without overlaps."""
    notes: list[_Note] = []
    for line in lines:
        for word in line.words:
            for syllable in word.syllables:
                start = round(((syllable.start_seconds or 0.0) - gap) / grid)
                end = round(((syllable.end_seconds or 0.0) - gap) / grid)
                start = max(start, notes[-1].start + 1 if notes else 0)
                notes.append(_Note(start, end, syllable, False, False))
            notes[-1].ends_word = True
        notes[-1].ends_line = True
    for note, following in pairwise(notes):
        note.end = min(note.end, following.start)
    for note in notes:
        note.end = max(note.end, note.start + 1)
    return notes


def note_rows(notes: list[_Note]) -> list[str]:
    """Write notes and the breaks between lines."""
    rows = []
    for number, note in enumerate(notes):
        syllable = note.syllable
        spoken = syllable.kind in SPOKEN or syllable.pitch is None
        kind = "freestyle" if spoken and syllable.kind not in SPOKEN else syllable.kind
        pitch = 0 if spoken or syllable.pitch is None else syllable.pitch - MIDDLE_C
        text = syllable.text or "~"
        if syllable.text and set(text) == {"~"}:
            text += GUARD
        text += " " if note.ends_word and not note.ends_line else ""
        rows.append(f"{LETTERS[kind]} {note.start} {note.end - note.start} {pitch} {text}")
        if note.ends_line and number + 1 < len(notes):
            rows.append(f"- {note.end}")
    return rows
