"""Words on the screen, as a subtitle file that libass draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from karaoke.lyrics.model import Lyrics
from karaoke.lyrics.timeline import Timeline
from karaoke.making.canvas import clock, colour, harmless, head
from karaoke.making.font import Font
from karaoke.making.layout import LINGER_SECONDS, READ_SECONDS, Shown, lay_out
from karaoke.making.styles import Style, mixed

#: A rest before whose end dots count down, and how many, a second each.
DOTS_SECONDS, DOTS = 5.0, 3
#: Height of chords' names, in heights of the words.
CHORD_SIZE = 0.5


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


def singer_colours(style: Style) -> list[tuple[str, str]]:
    """Give the colours of what each singer has sung, and has yet to sing."""
    colours = (style.sung, *style.singers[1:])
    return [(sung, mixed(style.unsung, sung, style.tint)) for sung in colours]


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
    wide = size[0]
    font.check(lyrics.text + title + artist, "lyrics")
    layout = lay_out(lyrics, timeline, size=size, font=font, style=style, chords=bool(chords))
    letters, shown = layout.letters, layout.shown
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
                where = f"\\pos({wide // 2},{round(place_y * size[1])})"
                at = f"{{{where}\\fs{points:.0f}\\fad({fade},{fade})}}"
                events.append((0.0, card, "Card", at + harmless(text)))
    for one in shown:
        y = layout.middle_of(one)
        at = f"{{\\pos({wide // 2},{round(y)})}}"
        name = f"Singer{one.row.singer % len(style.singers)}"
        events.append((one.since, one.until, name, at + sung(one, style.sweep)))
        if one.leads:
            events += dots(one, shown, wide, y - 0.95 * layout.step)
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
    for number, (after, before) in enumerate(singer_colours(style)):
        looks.append((f"Singer{number}", after, before, letters))
    styles = [
        f"Style: {name},{font.name},{points:.0f},{colour(after)},{colour(before)},"
        f"{colour(style.outline)},&H80000000,0,0,0,0,100,100,0,0,1,{points * 0.07:.1f},0,5,0,0,0,1"
        for name, after, before, points in looks
    ]
    return head(size, styles, matrix)
