"""A piano tutorial: notes that fall on a keyboard, whose keys light up as they sound."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from karaoke.analysis.harmony import FLATS, SHARPS, TONES
from karaoke.analysis.song import SongFacts
from karaoke.making.canvas import BOTTOM, BOTTOM_LEFT, CENTRE, Canvas, colour, polygon, rectangle
from karaoke.making.font import Font
from karaoke.making.keyboard import Keyboard, is_black, keyboard_for
from karaoke.making.layout import place
from karaoke.making.phrasing import rows_of
from karaoke.making.screens import sung
from karaoke.making.styles import mixed
from karaoke.making.video import ENCODING, Track, mux, with_words

SIZE, FPS = (1280, 720), 30
#: The strip of words at the top, with words and without; the column of chords at the left.
STRIP, LOW_STRIP, COLUMN = 124, 60, 150
#: Where the keyboard begins, how long its black keys are, and how fast notes fall, in pixels.
KEYS_TOP, BLACK_HEIGHT, PIXELS_PER_SECOND = 560, 98, 165.0
KEYS_HEIGHT = SIZE[1] - KEYS_TOP
MELODY, CHORDS = "#ffab2e", "#4da3ff"
GROUND, LANE, PANEL, EDGE = "#14171f", "#0f1218", "#0b0d12", "#2b3142"
IVORY, EBONY, DARK, GREY, WHITE = "#f4f4f0", "#1b1d22", "#10131a", "#3c4049", "#ffffff"
#: What hides what.
BARS, FALLING, FALLING_BLACK, NAMES, LIT, LABELS = range(6)
#: A key is let go a moment before the next note, so that one sees two.
RELEASE_SECONDS = 0.05
#: What sounds for longer is struck again.
LONGEST_SECONDS = 6.0
#: Chords are not struck again so soon after they begin, or before they end.
SHORTEST_SECONDS = 0.4
#: Chords lie around this note, or lower, below the melody.
CHORD_FLOOR, LOWEST_FLOOR = 48, 36
WORDS_SIZE = 36.0


@dataclass(frozen=True)
class Struck:
    """A key that is pressed.

    Parameters
    ----------
    pitch
        MIDI number.
    start_seconds, end_seconds
        In the song.
    colour
        ``#rrggbb``.
    """

    pitch: int
    start_seconds: float
    end_seconds: float
    colour: str


@dataclass
class Tutorial:
    """What is drawn: once, and behind all pictures; and what moves.

    Parameters
    ----------
    facts
        The melody is played by one hand, the chords by the other.
    font
        Of names and words.
    seconds
        Length of the song.
    heading
        What the song is called, shown at the top until there are words.
    """

    facts: SongFacts
    font: Font
    seconds: float
    heading: str = ""

    def __post_init__(self) -> None:
        self.struck = [*chords_struck(self.facts), *melody_struck(self.facts)]
        wide = SIZE[0] - COLUMN
        self.keyboard = keyboard_for((key.pitch for key in self.struck), COLUMN, wide)
        self.rows = rows_of(self.facts, self.font, WORDS_SIZE, wide - 80)
        self.strip = STRIP if self.rows else LOW_STRIP
        self.flats = self.facts.key is not None and self.facts.key.flats

    def behind(self) -> str:
        """Write the subtitle file of what stands still."""
        canvas, keyboard = Canvas(SIZE, self.font), self.keyboard
        draw_lanes(canvas, keyboard, self.strip)
        draw_keyboard(canvas, keyboard)
        return canvas.written()

    def moving(self) -> str:
        """Write the subtitle file of what moves."""
        canvas = Canvas(SIZE, self.font)
        for second in self.facts.downbeats.tolist():
            bar = rectangle(SIZE[0] - COLUMN, 2)
            self.fall(canvas, bar, EDGE, COLUMN, 2, (second, second), BARS)
        for key in self.struck:
            self.draw_key(canvas, key)
        self.draw_chords(canvas)
        self.draw_words(canvas)
        looks = f"{colour(MELODY)},{colour(WHITE)},{colour(PANEL)},&H80000000"
        words = f"Style: Words,{self.font.name},{WORDS_SIZE:.0f},{looks}"
        return canvas.written([f"{words},0,0,0,0,100,100,0,0,1,2,0,5,0,0,0,1"])

    @property
    def field(self) -> tuple[float, float, float, float]:
        """Where things fall: outside of it, they are hidden."""
        return 0, self.strip + 2, SIZE[0], KEYS_TOP

    def fallen(self, second: float) -> tuple[float, float]:
        """Give when something that lands at a second is first seen, and where it is then."""
        lead = (KEYS_TOP - self.strip) / PIXELS_PER_SECOND
        # Times of subtitles are hundredths.
        begin = max(0.0, round(second - lead, 2))
        return begin, KEYS_TOP - (second - begin) * PIXELS_PER_SECOND

    def fall(
        self,
        canvas: Canvas,
        drawing: str,
        ink: str,
        left: float,
        high: float,
        span: tuple[float, float],
        layer: int,
    ) -> None:
        """Let a shape fall so that its lower edge is at the keyboard when its span begins."""
        begin, bottom = self.fallen(span[0])
        end = round(max(span[1], span[0] + high / PIXELS_PER_SECOND), 2)
        top = bottom - high
        to = left, top + (end - begin) * PIXELS_PER_SECOND
        canvas.shape(drawing, ink, (begin, end), (left, top), to=to, layer=layer, seen=self.field)

    def draw_key(self, canvas: Canvas, key: Struck) -> None:
        """Let a note fall, with its name, and light its key up."""
        black, flats = is_black(key.pitch), self.flats
        left, wide = self.keyboard.key(key.pitch)
        span = key.start_seconds, key.end_seconds
        # What follows at once stays apart by a little.
        high = max((span[1] - span[0]) * PIXELS_PER_SECOND - 4, 6.0)
        margin = 1.0 if black else self.keyboard.white_width * 0.12
        ink = mixed(key.colour, GROUND, 0.3) if black else key.colour
        body = rectangle(wide - 2 * margin, high, corner=7)
        layer = FALLING_BLACK if black else FALLING
        self.fall(canvas, body, ink, left + margin, high, span, layer)
        name, size = (FLATS if flats else SHARPS)[key.pitch % 12], min(20.0, wide * 0.62)
        if high > size:
            begin, bottom = self.fallen(span[0])
            end, middle = round(span[1], 2), left + wide / 2
            to = middle, bottom - 3 + (end - begin) * PIXELS_PER_SECOND
            canvas.text(name, size, DARK, (begin, end), (middle, bottom - 3), held=BOTTOM, to=to,
                        layer=NAMES, width=wide - 2 * margin - 2, seen=self.field)  # fmt: skip
        lit = span[0], max(span[1] - RELEASE_SECONDS, span[0] + RELEASE_SECONDS)
        glow = polygon(self.keyboard.outline(key.pitch, KEYS_HEIGHT, BLACK_HEIGHT))
        canvas.shape(glow, key.colour, lit, (0, KEYS_TOP), layer=LIT)
        if not black:
            label(canvas, self.keyboard, key.pitch, lit)

    def draw_chords(self, canvas: Canvas) -> None:
        """Let the names of the chords fall beside the notes, and show the one that sounds."""
        for chord in self.facts.chords:
            if chord.root is None:
                continue
            name, span = chord.name(self.flats), (chord.start_seconds, chord.end_seconds)
            begin, bottom = self.fallen(span[0])
            end = round(span[0] + 40 / PIXELS_PER_SECOND, 2)
            to = 16, bottom + (end - begin) * PIXELS_PER_SECOND
            canvas.text(name, 30, CHORDS, (begin, end), (16, bottom), held=BOTTOM_LEFT, to=to,
                        layer=NAMES, width=COLUMN - 28, seen=self.field)  # fmt: skip
            middle = COLUMN / 2, (KEYS_TOP + SIZE[1]) / 2
            canvas.text(name, 56, CHORDS, span, middle, held=CENTRE, width=COLUMN - 16,
                        layer=LABELS)  # fmt: skip

    def draw_words(self, canvas: Canvas) -> None:
        """Write the words, two rows at a time, and before them what the song is called."""
        shown, middle = place(self.rows, 2), SIZE[0] / 2
        first = min((one.since for one in shown), default=self.seconds + 1)
        if self.heading:
            canvas.text(self.heading, 30, WHITE, (0.0, first), (middle, self.strip / 2),
                        held=CENTRE, layer=LABELS, width=SIZE[0] - 80)  # fmt: skip
        for one in shown:
            y = self.strip * (0.28 + 0.46 * one.slot)
            at = f"{{\\pos({middle:.0f},{y:.0f})}}"
            canvas.line("Words", at + sung(one, "fill"), (one.since, one.until), LABELS)


def write_tutorial(
    target: Path,
    tutorial: Tutorial,
    sound: Path,
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> None:
    """Write the film as MP4.

    Parameters
    ----------
    target
        To write to, whatever is there.
    tutorial
        What is seen.
    sound
        What is heard, as M4A.
    progress
        Told the seconds that are done.
    check
        Called between pictures; what it raises ends the work.

    Raises
    ------
    ToolMissingError
        This ffmpeg has no libass.
    WriteError
        It did not come out whole.
    """
    wide, high = SIZE
    spec = f"color=c=0x{GROUND[1:]}:s={wide}x{high}:r={FPS}:d={1 / FPS:.6f}"
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        shown = ffmpeg.input(spec, f="lavfi")
        shown = with_words(shown, tutorial.behind(), tutorial.font, Path(folder, "behind"))
        # One picture, drawn once, and then again and again.
        shown = shown.filter("loop", loop=-1, size=1).filter("setpts", f"N/{FPS}/TB")
        shown = with_words(shown, tutorial.moving(), tutorial.font, Path(folder, "moving"))
        options = {**ENCODING, "t": f"{tutorial.seconds:.3f}"}
        mux(target, "mp4", shown, [Track("Original", sound)], options, progress, check)


def melody_struck(facts: SongFacts) -> Iterator[Struck]:
    """Yield the keys of the melody."""
    for note in facts.notes:
        for start, end in cut(note.start_seconds, note.end_seconds, ()):
            yield Struck(note.pitch, start, end, MELODY)


def chords_struck(facts: SongFacts) -> Iterator[Struck]:
    """Yield the keys of the chords, which are struck again in each bar."""
    span = facts.range
    floor = CHORD_FLOOR if span is None else max(LOWEST_FLOOR, min(CHORD_FLOOR, span[0] - 12))
    downbeats = facts.downbeats.tolist()
    for chord in facts.chords:
        if chord.root is None:
            continue
        for start, end in cut(chord.start_seconds, chord.end_seconds, downbeats):
            for tone in TONES[chord.quality]:
                yield Struck(floor + (chord.root + tone - floor) % 12, start, end, CHORDS)


def cut(start: float, end: float, edges: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Cut a stretch at edges that are well within it, and where it is still too long."""
    inner = [edge for edge in edges if start + SHORTEST_SECONDS < edge < end - SHORTEST_SECONDS]
    for first, last in zip([start, *inner], [*inner, end], strict=True):
        at = first
        while last - at > LONGEST_SECONDS + SHORTEST_SECONDS:
            yield at, at + LONGEST_SECONDS
            at += LONGEST_SECONDS
        yield at, last


def draw_lanes(canvas: Canvas, keyboard: Keyboard, strip: float) -> None:
    """Draw where things fall: darker below the black keys, and with lines between octaves."""
    high = KEYS_TOP - strip
    keys = [keyboard.key(pitch) for pitch in keyboard.blacks]
    lanes = [rectangle(wide, high, (left, 0)) for left, wide in keys]
    canvas.shape(" ".join(lanes), LANE, (0, 1), (0, strip))
    for pitch in keyboard.whites:
        if pitch % 12 == 0:
            canvas.shape(rectangle(1, high), EDGE, (0, 1), (keyboard.key(pitch)[0], strip))
    canvas.shape(rectangle(SIZE[0], strip), PANEL, (0, 1))
    canvas.shape(rectangle(SIZE[0], 2), EDGE, (0, 1), (0, strip))


def draw_keyboard(canvas: Canvas, keyboard: Keyboard) -> None:
    """Draw the keys, with their names."""
    canvas.shape(rectangle(SIZE[0], KEYS_HEIGHT), PANEL, (0, 1), (0, KEYS_TOP))
    for pitches, ink in ((keyboard.whites, IVORY), (keyboard.blacks, EBONY)):
        outlines = [keyboard.outline(pitch, KEYS_HEIGHT, BLACK_HEIGHT) for pitch in pitches]
        canvas.shape(" ".join(map(polygon, outlines)), ink, (0, 1), (0, KEYS_TOP))
    for pitch in keyboard.whites:
        label(canvas, keyboard, pitch, (0, 1))


def label(canvas: Canvas, keyboard: Keyboard, pitch: int, span: tuple[float, float]) -> None:
    """Write the name of a white key on it."""
    left, wide = keyboard.key(pitch)
    name = SHARPS[pitch % 12] + (str(pitch // 12 - 1) if pitch % 12 == 0 else "")
    canvas.text(name, 18, GREY, span, (left + wide / 2, SIZE[1] - 5), held=BOTTOM, width=wide - 4,
                layer=LABELS)  # fmt: skip
