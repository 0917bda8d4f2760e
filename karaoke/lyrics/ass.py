r"""Advanced SubStation Alpha: subtitles with ``{\k20}`` for lengths of syllables, in hundredths.

Only karaoke codes are read; drawings and comments are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from karaoke.lyrics.lrc import hundredths
from karaoke.lyrics.model import Line, Lyrics
from karaoke.lyrics.placing import fill_syllables, place, without_holds
from karaoke.lyrics.reading import GUARD, Piece, Reading, clock_seconds, one_line
from karaoke.lyrics.timeline import Timeline

EVENT = re.compile(r"\s*(Dialogue|Comment|Format)\s*:\s*(.*)", re.IGNORECASE)
MOMENT = re.compile(r"\s*(-?)(\d{1,3}):(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?\s*")
TOKEN = re.compile(r"\\[Nnh{}]|\{[^}]*\}|(?:[^\\{]|\\(?![Nnh{}]))+")
TAIL = re.compile(r"\\[Nnh{}]|(?:[^\\]|\\(?![Nnh{}]))+")
MEANT = {"\\N": " ", "\\n": " ", "\\h": " ", "\\{": "{", "\\}": "}"}
CODE = re.compile(r"\\(?:(k[fot]?|K)\s*(\d{1,6})|p(\d{1,2}))")
USUAL = "layer, start, end, style, name, marginl, marginr, marginv, effect, text"
FACTS = {"title": "title", "original script": "author"}
HEAD = r"""[Script Info]
Title: {title}
ScriptType: v4.00+
WrapStyle: 0
ScaledBorderAndShadow: yes
PlayResX: 1280
PlayResY: 720

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,DejaVu Sans,48,&H0000E5FF,&H00FFFFFF,&H00000000,&H80000000,-1,0,0,0,100,100,0,0,1,\
3,1,2,60,60,50,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
""".replace("\\\n", "")


@dataclass(frozen=True)
class _Event:
    """A row of the events."""

    number: int
    kind: str
    values: dict[str, str]


def read_ass(text: str, called: str) -> Lyrics:
    """Read subtitles; the name, or else the style if there are several, is the singer.

    If lines (effect ``fx``) were made by a template of Aegisub, those that it was made from
    (effect ``karaoke``) are read instead.
    """
    reading = Reading(called)
    metadata: dict[str, str] = {}
    events = events_of(text, reading, metadata)
    effects = {event.values.get("effect", "").lower() for event in events}
    wanted = [
        event
        for event in events
        if (event.kind == "dialogue" and event.values.get("effect", "").lower() != "fx")
        or ("fx" in effects and event.values.get("effect", "").lower() == "karaoke")
    ]
    by_style = len({event.values.get("style") for event in wanted}) > 1 and not any(
        event.values.get("name") for event in wanted
    )
    for event in wanted:
        singer = event.values.get("style" if by_style else "name", "")
        add_event(reading, event, singer)
    return reading.finish("ass", metadata, in_order=False)


def events_of(text: str, reading: Reading, metadata: dict[str, str]) -> list[_Event]:
    """List the events, and collect metadata."""
    events = []
    lines = 0
    section = "events"
    columns = USUAL.split(", ")
    for number, row in enumerate(text.split("\n"), 1):
        if row.startswith("[") and row.rstrip().endswith("]"):
            section = row.strip("[] \t").lower()
        elif section == "script info" and not row.startswith(";"):
            name, _, value = row.partition(":")
            if fact := FACTS.get(name.strip().lower()):
                metadata[fact] = value
        elif section == "events" and (found := EVENT.fullmatch(row)):
            kind = found[1].lower()
            if kind == "format":
                columns = [name.strip().lower() for name in found[2].split(",")]
                columns = ["name" if name == "actor" else name for name in columns]
                continue
            values = found[2].split(",", len(columns) - 1)
            if len(values) < len(columns):
                reading.skip(number, 1, f"{len(columns)} values separated by commas")
                continue
            stripped = dict(zip(columns, (value.strip() for value in values), strict=True))
            events.append(_Event(number, kind, stripped | {columns[-1]: values[-1]}))
            lines += kind == "dialogue" and stripped.get("effect", "").lower() != "fx"
            reading.check_size(number, lines=lines)
    return events


def add_event(reading: Reading, event: _Event, singer: str) -> None:
    """Read one subtitle."""
    times = [MOMENT.fullmatch(event.values.get(name, "")) for name in ("start", "end")]
    if times[0] is None or times[1] is None:
        reading.skip(event.number, 1, "two times, such as 0:01:02.50")
        return
    seconds = []
    for sign, hours, minutes, rest, fraction in (times[0].groups(), times[1].groups()):
        value = clock_seconds(hours, minutes, rest, fraction)
        seconds.append(reading.check_time(-value if sign else value, event.number))
    start, end = seconds
    reading.check_size(event.number, lines=1)
    pieces = pieces_of(event.values.get("text", ""), start)
    reading.add_line(pieces, event.number, start, end, singer)


def pieces_of(text: str, start: float) -> list[Piece]:
    """Split the text of a subtitle at its karaoke codes, which count from its start."""
    pieces: list[Piece] = []
    said: list[str] = []
    begin: int | None = None
    end = 0
    drawing = False

    def finish() -> None:
        if said:
            known = () if begin is None else (start + begin / 100, start + end / 100)
            pieces.append(Piece("".join(said).replace(f"\\{GUARD}", "\\"), *known))
            said.clear()

    for token in tokens_of(text):
        if token[0] == "{" and token[-1] == "}" and token != "{":
            for kind, length, scale in CODE.findall(token):
                if scale:
                    drawing = int(scale) > 0
                    continue
                finish()
                if kind == "kt":
                    end = int(length)
                else:
                    begin, end = end, end + int(length)
        elif not drawing:
            said.append(MEANT.get(token, token))
    finish()
    return pieces


def tokens_of(text: str) -> list[str]:
    """Split the text of a subtitle into codes and characters."""
    # After the last closing brace, an opening one is just a character.
    edge = text.rfind("}") + 1
    return TOKEN.findall(text[:edge]) + TAIL.findall(text[edge:])


def escaped(text: str) -> str:
    r"""Keep text from being read as codes.

    After a backslash comes an invisible character, so that renderers do not recognise a code.
    Braces are written ``\{``, as for libass; other renderers hide what is in braces.
    """
    return text.replace("\\", f"\\{GUARD}").replace("{", "\\{").replace("}", "\\}")


def timestamp(time: int) -> str:
    """Format a time in hundredths: ``0:01:02.50``."""
    seconds, rest = divmod(time, 100)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:02d}"


def write_ass(lyrics: Lyrics, timeline: Timeline) -> bytes:
    r"""Write subtitles for editing, with lengths of syllables as ``\k`` if they are known."""
    rows = []
    for line in place(lyrics, timeline, ends=True):
        start, end = (hundredths(t or 0.0) for t in (line.start_seconds, line.end_seconds))
        name = one_line(line.singer).replace(",", ";")
        times = f"{timestamp(start)},{timestamp(end)}"
        rows.append(f"Dialogue: 0,{times},Default,{name},0,0,0,,{text_of(line, start)}\n")
    title = one_line(lyrics.title)
    return (HEAD.replace("{title}", title) + "".join(rows)).encode()


def text_of(line: Line, start: int) -> str:
    """Format a line that starts at a time in hundredths."""
    if line.timing in ("none", "lines"):
        return escaped(line.text)
    text, now = "", start
    for number, word in enumerate(fill_syllables(line).words):
        text += " " if number else ""
        for syllable in without_holds(word):
            begin = max(now, hundredths(syllable.start_seconds or 0.0))
            end = max(begin, hundredths(syllable.end_seconds or 0.0))
            # A pause is a syllable without text.
            text += f"{{\\k{begin - now}}}" if begin > now else ""
            text += f"{{\\k{end - begin}}}{escaped(syllable.text)}"
            now = end
    return text
