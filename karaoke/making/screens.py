"""Words on the screen: which line stands where and when, as a subtitle file that libass draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from karaoke.lyrics.ass import escaped, timestamp
from karaoke.lyrics.lrc import hundredths
from karaoke.lyrics.model import Line, Lyrics
from karaoke.lyrics.timeline import Timeline
from karaoke.making.font import Font
from karaoke.making.styles import Style, mixed

#: A rest after which the next line stands at the top again, and one before which dots count down.
GROUP_SECONDS, DOTS_SECONDS = 2.5, 5.0
#: How long a line is seen before it is sung, at least where there is room, and at most.
READ_SECONDS, EARLY_SECONDS = 1.0, 2.5
#: How long it stays when it is over.
LINGER_SECONDS = 0.4
#: Of a line whose end nobody knows.
LONGEST_LINE_SECONDS = 8.0
DOTS = 3
#: Height of chords' names, and the room for them between lines, in heights of the words.
CHORD_SIZE, CHORD_ROOM = 0.5, 0.42


@dataclass(frozen=True)
class Row:
    """What stands in one row, with its times in the output.

    Parameters
    ----------
    pieces
        Text, start and end in seconds, in their order; spaces belong to the text.
    start, end
        Of all of it.
    singer
        Number of the singer.
    """

    pieces: tuple[tuple[str, float, float], ...]
    start: float
    end: float
    singer: int = 0

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(piece for piece, _, _ in self.pieces)


@dataclass
class Shown:
    """A row in its place, and when it is seen."""

    row: Row
    slot: int
    since: float
    until: float
    leads: bool = False


def timed_pieces(line: Line, end: float, timeline: Timeline) -> list[tuple[str, float, float]]:
    """List the syllables of a line with their times in the output; spaces end words."""
    syllables = [
        (syllable, syllable.text + (" " if last and word is not line.words[-1] else ""))
        for word in line.words
        for syllable, last in zip(
            word.syllables, [False] * (len(word.syllables) - 1) + [True], strict=True
        )
    ]
    starts: list[float] = []
    at = line.start_seconds or 0.0
    for syllable, _ in syllables:
        at = at if syllable.start_seconds is None else syllable.start_seconds
        starts.append(at)
    pieces = []
    for number, (syllable, text) in enumerate(syllables):
        after = starts[number + 1] if number + 1 < len(starts) else end
        over = after if syllable.end_seconds is None else min(syllable.end_seconds, after)
        start = timeline.to_output(starts[number])
        pieces.append((text, start, max(timeline.to_output(over), start)))
    return pieces


def wrap(pieces: Sequence[tuple[str, float, float]], font: Font, size: float, width: float
         ) -> Iterator[list[tuple[str, float, float]]]:  # fmt: skip
    """Break a line into rows that fit, at words, as evenly as they come."""
    words: list[list[tuple[str, float, float]]] = [[]]
    for piece in pieces:
        words[-1].append(piece)
        if piece[0].endswith(" "):
            words.append([])
    words = [word for word in words if word]
    lengths = [font.width("".join(p[0] for p in word), size) for word in words]
    count = 1
    while count <= len(words):
        target = sum(lengths) / count
        rows: list[list[tuple[str, float, float]]] = [[]]
        filled, widths = 0.0, [0.0]
        for word, length in zip(words, lengths, strict=True):
            over = filled + length / 2 > target * len(rows) and rows[-1]
            if over and len(rows) < count:
                rows.append([])
                widths.append(0.0)
            rows[-1] += word
            widths[-1] += length
            filled += length
        if max(widths) <= width or count == len(words):
            break
        count += 1
    for row in rows:
        yield from split_long(row, font, size, width)


def split_long(
    row: list[tuple[str, float, float]], font: Font, size: float, width: float
) -> Iterator[list[tuple[str, float, float]]]:
    """Break a word that is wider than the screen between its letters."""
    if font.width("".join(piece for piece, _, _ in row), size) <= width:
        yield row
        return
    part: list[tuple[str, float, float]] = []
    used = 0.0
    for text, start, end in row:
        for index, letter in enumerate(text):
            length = font.width(letter, size)
            if used + length > width and part:
                yield part
                part, used = [], 0.0
            begin, stop = (start + (end - start) * i / len(text) for i in (index, index + 1))
            part.append((letter, begin, stop))
            used += length
    if part:
        yield part


def rows_of(
    lyrics: Lyrics, timeline: Timeline, font: Font, style: Style, size: float, width: float
) -> list[Row]:
    """Lay all lines that have times into rows, in the order of their starts."""
    lines = [line for line in lyrics.lines if line.timing != "none" and line.words]
    singers = list(dict.fromkeys(line.singer for line in lines))
    rows = []
    for number, line in enumerate(lines):
        starts = [s.start_seconds for s in line.syllables if s.start_seconds is not None]
        start = line.start_seconds if line.start_seconds is not None else min(starts)
        later = [n.start_seconds for n in lines[number + 1 :] if n.start_seconds is not None]
        end = line.end_seconds or line.syllables[-1].end_seconds
        if end is None:
            end = min([start + LONGEST_LINE_SECONDS, *(t for t in later[:1] if t > start)])
        if not timeline.holds(start, end):
            continue
        for below, part in enumerate(wrap(timed_pieces(line, end, timeline), font, size, width)):
            whole = line.timing == "lines" or style.sweep == "line"
            begin = timeline.to_output(start) if whole else part[0][1]
            stop = max(part[-1][2], begin)
            pieces = tuple(part)
            if whole:
                at = begin + (below - 0.5) * style.line_seconds
                pieces = (("".join(p[0] for p in part), at, at + style.line_seconds),)
            rows.append(Row(pieces, begin, stop, singers.index(line.singer)))
    return sorted(rows, key=lambda row: row.start)


def place(rows: Sequence[Row], count: int) -> list[Shown]:
    """Give every row a place and a time, so that none meets another in its place."""
    shown: list[Shown] = []
    taken: dict[int, Shown] = {}
    slot, group_start = 0, 0.0
    for row in rows:
        ended = max((one.row.end for one in shown[-1:]), default=0.0)
        leads = not shown or row.start - ended >= GROUP_SECONDS
        slot = 0 if leads else (slot + 1) % count
        if leads:
            free = ended + LINGER_SECONDS if shown else 0.0
            group_start = max(row.start - EARLY_SECONDS, free)
        since = max(group_start, 0.0)
        if slot in taken:
            before = taken[slot]
            # It goes when the next one has to come to be read, but not while it is sung.
            before.until = max(
                before.row.end,
                min(before.until, row.start - READ_SECONDS),
            )
            since = max(since, before.until)
        one = Shown(row, slot, min(since, row.start), row.end + LINGER_SECONDS, leads)
        taken[slot] = one
        shown.append(one)
    return shown


def colour(text: str) -> str:
    """Write ``#rrggbb`` as subtitles do."""
    red, green, blue = text[1:3], text[3:5], text[5:7]
    return f"&H00{blue}{green}{red}".upper()


def clock(seconds: float) -> str:
    """Write a time as subtitles do; what is before the film is its beginning."""
    return timestamp(hundredths(max(seconds, 0.0)))


def harmless(text: str) -> str:
    """Write a text on one line, so that nothing in it is a command of the subtitle format."""
    return " ".join(escaped(text).splitlines())


def sung(one: Shown, sweep: str) -> str:
    """Write a row with the times at which its syllables change colour."""
    tag = "k" if sweep == "word" else "kf"
    written, at = [], round(100 * one.since)
    for text, start, end in one.row.pieces:
        begin, stop = round(100 * start), round(100 * end)
        if begin > at:
            written.append(f"{{\\k{begin - at}}}")
            at = begin
        written.append(f"{{\\{tag}{max(stop - at, 0)}}}{harmless(text)}")
        at = max(stop, at)
    return "".join(written)


def draw(
    lyrics: Lyrics,
    timeline: Timeline,
    *,
    size: tuple[int, int],
    font: Font,
    style: Style,
    title: str = "",
    artist: str = "",
    card_seconds: float = 4.0,
    chords: Sequence[tuple[float, str]] = (),
    matrix: str = "TV.709",
) -> str:
    """Write the subtitle file of a song.

    Parameters
    ----------
    lyrics
        With times of lines at least; those without are left out.
    timeline
        From the song's times to those of the film.
    size
        Width and height of the picture in pixels.
    font, style
        Of the words.
    title, artist
        Shown before the first line where there is time.
    card_seconds
        How long, at most.
    chords
        When each begins in the song, and its name, which may be empty.
    matrix
        That the film's pictures are encoded with; ``None`` for those of red, green and blue.

    Returns
    -------
    str
        In the format of Advanced SubStation Alpha.

    Raises
    ------
    UsageError
        The font lacks characters.
    """
    wide, high = size
    font.check(lyrics.text + title + artist, "lyrics")
    letters = style.size * min(high, wide * 0.75)
    rows = rows_of(lyrics, timeline, font, style, letters, wide * (1 - 2 * style.margin))
    shown = place(rows, style.rows)
    # Chords stand between the lines.
    step = (style.spacing + (CHORD_ROOM if chords else 0.0)) * letters
    top = style.middle * high - step * (style.rows - 1) / 2
    events = []
    sounding = [(timeline.of_sound.to_output(start), chord) for start, chord in chords]
    first = min((one.since for one in shown), default=float("inf"))
    card = min(card_seconds, first - LINGER_SECONDS)
    if (title or artist) and card >= READ_SECONDS:
        for text, scale, place_y in ((title, 1.25, 0.44), (artist, 0.75, 0.58)):
            if text:
                room = font.width(text, letters * scale) / (wide * (1 - 2 * style.margin))
                points = letters * scale / max(room, 1.0)
                fade = round(1000 * style.fade_seconds)
                where = f"\\pos({wide // 2},{round(place_y * high)})"
                at = f"{{{where}\\fs{points:.0f}\\fad({fade},{fade})}}"
                events.append((0.0, card, "Card", at + harmless(text)))
    for one in shown:
        y = top + step * one.slot
        at = f"{{\\pos({wide // 2},{round(y)})}}"
        name = f"Singer{one.row.singer % len(style.singers)}"
        events.append((one.since, one.until, name, at + sung(one, style.sweep)))
        if one.leads:
            events += dots(one, shown, wide, y - 0.95 * step)
        events += chords_above(one, sounding, font, letters, (wide / 2, y))
    lines = [
        f"Dialogue: 0,{clock(since)},{clock(until)},{name},,0,0,0,,{text}"
        for since, until, name, text in sorted(events)
    ]
    return header(size, font, style, letters, matrix) + "\n".join(lines) + "\n"


def dots(
    one: Shown, shown: Sequence[Shown], wide: int, y: float
) -> Iterator[tuple[float, float, str, str]]:
    """Yield the dots that count the seconds before an entry after a rest, if there is one."""
    before = [other.row.end for other in shown if other.row.start < one.row.start]
    rest = one.row.start - max(before, default=0.0)
    if rest < DOTS_SECONDS:
        return
    since = one.row.start - DOTS
    text = "".join(f"{{\\k100}}{'●' + (' ' if n < DOTS - 1 else '')}" for n in range(DOTS))
    yield since, one.row.start, "Dots", f"{{\\pos({wide // 2},{round(y)})}}{text}"


def chords_above(
    one: Shown,
    chords: Sequence[tuple[float, str]],
    font: Font,
    letters: float,
    middle: tuple[float, float],
) -> Iterator[tuple[float, float, str, str]]:
    """Yield the names of chords above the syllables at which they begin.

    The first is the one that sounds already when the row begins.
    """
    row, size = one.row, CHORD_SIZE * letters
    before = [name for start, name in chords if start <= row.start][-1:]
    here = [(row.start, name) for name in before]
    here += [(start, name) for start, name in chords if row.start < start < row.end]
    left = middle[0] - font.width(row.text.rstrip(), letters) / 2
    free = -float("inf")
    for start, name in here:
        sung_width = 0.0
        for text, begin, end in row.pieces:
            share = 1.0 if start >= end else 0.0
            if begin <= start < end:
                share = (start - begin) / (end - begin)
            sung_width += share * font.width(text, letters)
        x = left + sung_width
        if name and x >= free:
            where = f"{{\\an4\\pos({round(x)},{round(middle[1] - 0.82 * letters)})}}"
            yield one.since, one.until, "Chord", where + harmless(name)
            free = x + font.width(name + " ", size)


def header(
    size: tuple[int, int], font: Font, style: Style, letters: float, matrix: str = "TV.709"
) -> str:
    """Write what stands before the events: the picture's size and the looks by name."""
    looks = [
        ("Card", style.unsung, style.unsung, letters),
        ("Dots", style.sung, style.unsung, letters * 0.5),
        ("Chord", style.singers[-1], style.singers[-1], letters * CHORD_SIZE),
    ]
    for number, colour_of in enumerate((style.sung, *style.singers[1:])):
        unsung = mixed(style.unsung, colour_of, style.tint)
        looks.append((f"Singer{number}", colour_of, unsung, letters))
    styles = [
        f"Style: {name},{font.name},{points:.0f},{colour(after)},{colour(before)},"
        f"{colour(style.outline)},&H80000000,0,0,0,0,100,100,0,0,1,{points * 0.07:.1f},0,5,0,0,0,1"
        for name, after, before, points in looks
    ]
    return (
        "[Script Info]\nScriptType: v4.00+\nWrapStyle: 2\nScaledBorderAndShadow: yes\n"
        f"PlayResX: {size[0]}\nPlayResY: {size[1]}\nYCbCr Matrix: {matrix}\n\n[V4+ Styles]\n"
        "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour,"
        " BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle,"
        " BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
        + "\n".join(styles)
        + "\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    )
