r"""Karaoke as MIDI, ``.kar``: words as text events, and as lyric events with the notes.

Players of ``.kar`` expect the words in a track of their own, where ``\`` begins a screen and ``/``
a line; others expect lyric events along with the notes. A tick is a millisecond.
"""

from __future__ import annotations

from karaoke.lyrics.languages import language_name
from karaoke.lyrics.midi import (
    LYRIC,
    NAME,
    TEXT,
    Event,
    encoding_for,
    meta_event,
    midi_file,
    tempo_event,
    track,
)
from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.placing import place, without_holds
from karaoke.lyrics.reading import one_line
from karaoke.lyrics.timeline import Timeline

TICKS_PER_BEAT = 500
BEAT_MICROSECONDS = 500_000
#: Characters that begin a line, a screen or a fact at the start of an event.
LEADING = ("/", "\\", "@")
VELOCITY = 100
#: Order of simultaneous events: a note ends before the text of the next, which precedes its start.
FIRST, MIDDLE, LAST = range(3)


def write_kar(lyrics: Lyrics, timeline: Timeline) -> bytes:
    """Write a MIDI file of format 1 with the words and, where they are known, the notes.

    Text is Latin-1, as in old players, or else UTF-8. Unknown times of words and syllables are
    spread over their line.
    """
    lines = place(lyrics, timeline, syllables=True)
    facts = ["@KMIDI KARAOKE FILE", "@V0100"]
    about = [f"@L{language_name(lyrics.language)[:4].upper()}"] if lyrics.language else []
    about += [f"@T{one_line(value)}" for value in (lyrics.title, lyrics.artist) if value]
    words: list[tuple[int, str]] = []
    sung: list[tuple[int, str]] = []
    notes: list[Event] = []
    latest = 0
    for number, line in enumerate(lines):
        mark = "\\" if number == 0 or line.starts_stanza else "/"
        for word in line.words:
            space = " " if word is not line.words[0] else ""
            for index, syllable in enumerate(without_holds(word)):
                # There is only one stream of words, so overlapping lines follow each other.
                latest = start = max(latest, ticks(syllable.start_seconds))
                text = space + syllable.text if index == 0 else syllable.text
                if not mark and text.startswith(LEADING):
                    # As an event of its own, the character would be taken for a mark.
                    words[-1] = words[-1][0], words[-1][1] + text
                else:
                    words.append((start, mark + text))
                sung.append((start, ("\r" if mark and number else "") + text))
                mark = ""
        for syllable in line.syllables:
            if syllable.pitch is not None:
                begin, end = ticks(syllable.start_seconds), ticks(syllable.end_seconds)
                notes.append((begin, LAST, bytes((0x90, syllable.pitch, VELOCITY))))
                notes.append((max(end, begin + 1), FIRST, bytes((0x80, syllable.pitch, 0))))
    every = "".join(text for _, text in words) + "".join(about)
    encoding = encoding_for(every)

    def meta(kind: int, events: list[tuple[int, str]]) -> list[Event]:
        return [(time, MIDDLE, meta_event(kind, text.encode(encoding))) for time, text in events]

    tracks = [
        track([(0, MIDDLE, tempo_event(BEAT_MICROSECONDS))]),
        track(meta(NAME, [(0, "Soft karaoke")]) + meta(TEXT, [(0, text) for text in facts])),
        track(meta(NAME, [(0, "Words")]) + meta(TEXT, [(0, text) for text in about] + words)),
        track(meta(NAME, [(0, "Melody")]) + meta(LYRIC, sung) + notes),
    ]
    return midi_file(tracks, TICKS_PER_BEAT)


def ticks(seconds: float | None) -> int:
    """Round to the resolution of the file."""
    return round(1000 * (seconds or 0.0))
