"""Plain text: one line per row, with empty rows between stanzas.

Nobody sings "[Chorus]" or "(2x)": such rows and marks are left out with a warning.
"""

from __future__ import annotations

import re

from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.reading import Piece, Reading

PARTS = (
    "intro|verse|chorus|pre-?chorus|post-?chorus|hook|bridge|outro|interlude|instrumental|solo"
    "|refrain|coda|break|strophe|vers|couplet|estribillo|estrofa|puente|coro"
)
#: A whole row in brackets, or just the name of a part of a song.
HEADING = re.compile(
    rf"\s*(?:\[[^\[\]]{{1,80}}\]|[(]?(?:{PARTS})(?:\s*\d{{1,2}})?(?:\s*[(]?x\s*\d[)]?)?\s*[:.)]*)\s*",
    re.IGNORECASE,
)
#: How often a row is sung: ``(2x)``, ``x2``, ``[x3]``, ``(repeat)``.
REPEAT = re.compile(
    r"(?:[(\[]\s*(?:[x\u00d7]\s*\d{1,2}|\d{1,2}\s*[x\u00d7]|repeat(?:\s*x?\s*\d{1,2})?"
    r"|bis)\s*[)\]]|(?<!\S)(?:[x\u00d7]\d{1,2}|\d{1,2}[x\u00d7]))$",
    re.IGNORECASE,
)
LONGEST_HEADING = 100
LEFT_OUT = 'headings such as "[Chorus]" were left out'
WRITE_OUT = 'marks such as "(2x)" were left out: write what is repeated as often as it is sung'


def is_heading(row: str) -> bool:
    """Return whether a row names a part of the song."""
    return len(row) <= LONGEST_HEADING and HEADING.fullmatch(row) is not None


def read_plain(text: str, called: str) -> Lyrics:
    """Read text without times."""
    reading = Reading(called)
    apart = False
    for number, row in enumerate(text.split("\n"), 1):
        row = row.strip()
        if not row:
            apart = True
        elif found := REPEAT.search(row):
            reading.warn(WRITE_OUT, number)
            row = row[: found.start()].rstrip()
        if is_heading(row):
            reading.warn(LEFT_OUT, number)
            apart, row = True, ""
        before = len(reading.lines)
        reading.add_line([Piece(row)], number, starts_stanza=apart and before > 0)
        apart = apart and len(reading.lines) == before
    return reading.finish("plain")


def write_plain(lyrics: Lyrics) -> bytes:
    """Write only the words, with empty rows between stanzas."""
    return f"{lyrics.text}\n".encode()
