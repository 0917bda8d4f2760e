"""UltraStar's ``.txt``, without a version or of version 1, as read by singing games.

References
----------
The UltraStar File Format, https://github.com/UltraStar-Deluxe/format
"""

from __future__ import annotations

import re
from bisect import bisect_right

from karaoke.lyrics.languages import language_code
from karaoke.lyrics.model import Kind, Lyrics
from karaoke.lyrics.reading import GUARD, LATEST_SECONDS, Piece, Reading

HEADER = re.compile(r"#\s*([^\s:][^:]{0,60}?)\s*:(.*)")
NOTE = re.compile(r"([!-~])\s*(-?\d{1,9})\s+(-?\d{1,9})\s+(-?\d{1,4})(?:\s(.*))?")
BREAK = re.compile(r"-\s*(-?\d{1,9})?(?:\s+(-?\d{1,9}))?\s*")
VOICE = re.compile(r"P\s*([1-9])\s*")
TEMPO = re.compile(r"B\s+(-?\d{1,9})\s+(\d{1,6}(?:[.,]\d{1,9})?)\s*")
NUMBER = re.compile(r"-?\d{1,9}(?:[.,]\d{0,9})?")
KINDS: dict[str, Kind] = {
    ":": "normal",
    "*": "golden",
    "R": "rap",
    "G": "golden-rap",
    "F": "freestyle",
}
#: Kinds without a meaningful pitch.
SPOKEN = ("rap", "golden-rap", "freestyle")
MIDDLE_C = 60
#: Until version 2, a beat in the header is four beats of the grid.
QUARTERS = 4
#: Headers for tempo and reading the file, which are not facts about the song.
OF_THE_FILE = ("bpm", "gap", "relative", "encoding", "version", "duetsingerp1", "duetsingerp2")


def read_ultrastar(text: str, called: str) -> Lyrics:
    """Read a song for UltraStar and similar games."""
    reading = Reading(called)
    rows = text.split("\n")
    headers: dict[str, tuple[int, str]] = {}
    for number, row in enumerate(rows, 1):
        if row.startswith("#") and (found := HEADER.fullmatch(row)):
            headers[found[1].lower()] = number, found[2].strip()
    body = _Body(reading, headers)
    for number, row in enumerate(rows, 1):
        if row.strip() == "E":
            break
        if row.strip() and not row.startswith("#"):
            body.read(number, row)
    body.end()
    values = {name: value for name, (_, value) in headers.items()}
    metadata = {n: v for n, v in values.items() if n not in OF_THE_FILE and not _is_voice(n)}
    metadata["language"] = language_code(values.get("language", "").partition(",")[0])
    # The notes of another voice follow those of the previous one for the whole song.
    return reading.finish("ultrastar", metadata, in_order=not body.voice)


def _is_voice(name: str) -> bool:
    """Return whether a header names a singer."""
    return re.fullmatch(r"p[1-9]", name) is not None


class _Body:
    """Reads the notes."""

    def __init__(self, reading: Reading, headers: dict[str, tuple[int, str]]) -> None:
        self.reading = reading
        self.headers = headers
        self.versioned = "version" in headers
        version = re.match(r"\d{1,3}", headers.get("version", (0, ""))[1])
        self.quarters = 1 if version and int(version[0]) >= 2 else QUARTERS
        self.relative = headers.get("relative", (0, ""))[1].lower() in ("yes", "true", "1")
        self.gap = self.number("gap", 0.0) / 1000
        tempo = self.number("bpm", None)
        #: Where the tempo changes: beats, seconds, and seconds per beat from then on.
        self.beats, self.seconds = [0], [0.0]
        self.lengths = [60 / (tempo * self.quarters)]
        self.voice = ""
        #: Beats that relative beats are counted from, by voice.
        self.bases: dict[str, int] = {}
        self.pieces: list[Piece] = []
        self.first = 0

    def number(self, name: str, default: float | None) -> float:
        """Return the number in a header, which must be positive if there is no default."""
        line, value = self.headers.get(name, (1, ""))
        found = NUMBER.fullmatch(value)
        number = float(value.replace(",", ".")) if found else default
        if number is None or (default is None and number <= 0):
            raise self.reading.fail(line, 1, f"#{name.upper()} with a number, such as 300")
        if value and not found:
            self.reading.skip(line, 1, f"#{name.upper()} with a number")
        return number

    def time(self, beat: int, number: int) -> float:
        """Return the time of a beat."""
        change = max(0, bisect_right(self.beats, beat) - 1)
        after = (beat - self.beats[change]) * self.lengths[change]
        return self.reading.check_time(self.gap + self.seconds[change] + after, number)

    def read(self, number: int, row: str) -> None:
        """Read one row that is not a header."""
        row = row.lstrip(" \t\ufeff")
        if not row:
            return
        if voice := VOICE.fullmatch(row):
            self.end()
            self.voice = voice[1]
        elif row.startswith("-") and (found := BREAK.fullmatch(row)):
            self.end()
            if self.relative and found[1]:
                self.bases[self.voice] = self.base + int(found[2] or found[1])
        elif found := TEMPO.fullmatch(row):
            self.change_tempo(number, int(found[1]), float(found[2].replace(",", ".")))
        elif row[0] != "-" and (found := NOTE.fullmatch(row)):
            self.add_note(number, found)
        else:
            self.reading.skip(number, 1, 'a note, such as ": 12 4 7 la"')

    @property
    def base(self) -> int:
        """Beat that those of the current voice are counted from."""
        return self.bases.get(self.voice, 0)

    def change_tempo(self, number: int, beat: int, tempo: float) -> None:
        """Change the tempo from a beat on."""
        beat += self.base
        if tempo <= 0 or beat < self.beats[-1]:
            self.reading.skip(number, 1, "a tempo above 0 that begins after the previous one")
            return
        self.seconds.append(self.seconds[-1] + (beat - self.beats[-1]) * self.lengths[-1])
        self.beats.append(beat)
        self.lengths.append(60 / (tempo * self.quarters))

    def add_note(self, number: int, note: re.Match[str]) -> None:
        """Add a note to the line."""
        letter, beat, length, pitch, said = note.groups()
        kind = KINDS.get(letter.upper(), "freestyle")
        start_beat = int(beat) + self.base
        start = self.time(start_beat, number)
        end = max(start, self.time(start_beat + int(length), number))
        midi = MIDDLE_C + int(pitch) if kind not in SPOKEN else None
        if midi is not None and not 0 <= midi <= 127:
            self.reading.warn("impossible pitches were left out", number)
            midi = None
        said = said or ""
        held = said.strip() != "" and set(said.strip()) == {"~"}
        self.first = self.first or number
        self.reading.check_size(number, pieces=len(self.pieces))
        text = said.replace(f"~{GUARD}", "~") if not held else said
        self.pieces.append(Piece(text, start, min(end, LATEST_SECONDS), midi, kind, held))

    def end(self) -> None:
        """End the line."""
        if self.pieces:
            self.reading.add_line(self.pieces, self.first, singer=self.singer)
        self.pieces, self.first = [], 0

    @property
    def singer(self) -> str:
        """The name of the current voice; empty if there is only one, without a name."""
        if not self.voice:
            return ""
        name = self.name_of(self.voice)
        if self.voice == "3" and not self.versioned and not name:
            # Before there were versions, the third voice was both singers.
            return " & ".join(self.name_of(voice) or f"P{voice}" for voice in "12")
        return name or f"P{self.voice}"

    def name_of(self, voice: str) -> str:
        """Return the name of a voice from the headers."""
        old = self.headers.get(f"duetsingerp{voice}", (0, ""))[1]
        return self.headers.get(f"p{voice}", (0, ""))[1] or old
