"""A song to print and to sing from: bars, chords, waves, notes and words, as a picture."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.song import SongFacts
from karaoke.analysis.sounds import Sound
from karaoke.analysis.writing import note_name
from karaoke.making import paper
from karaoke.making.canvas import (
    RIGHT,
    TOP_LEFT,
    Canvas,
    polygon,
    rectangle,
)
from karaoke.making.font import Font
from karaoke.making.keyboard import is_black
from karaoke.making.paper import DPI, PAGE, Pages, System, pages_of
from karaoke.making.video import run, with_words

Curve = NDArray[np.float32]

#: Peaks of a sound, so often a second, and most of them in a system.
PEAKS_PER_SECOND, MOST_PEAKS = 100, 700
INK, NOTE, CHORD, GREY = "#111111", "#1f4fa3", "#9c1f1f", "#6a6a6a"
BAND, VOICE, STRIPE = "#cfcfcf", "#7d7d7d", "#f3f3f3"
#: Lines between bars, seconds or bars that do not count, and beats.
LINE, GRID, BEAT = "#444444", "#bdbdbd", "#dcdcdc"
#: Letters of words. They give way to those before them by so many pixels before they go below
#: them, and by so many before they have to be smaller, or at last are left out.
WORDS, NEAREST, FARTHEST = (24.0, 21.0, 18.0, 15.0, 12.0), 12.0, 40.0
#: Nothing is written beyond it.
EDGE = PAGE[0] - 20
#: Names of chords that would have to be narrower are left out.
NARROWEST = 0.45
#: Names of notes stand so far apart; those that come first are named rather. So do beats.
APART, NAMED, DENSEST = 17.0, (0, 7, 4, 9, 2, 5, 11), 7.0


@dataclass(frozen=True)
class Waves:
    """How loud a song is, a hundred times a second: its band, and its voice if told apart."""

    band: Curve
    voice: Curve | None = None

    @property
    def loud(self) -> float:
        """Hardly any peak is above it."""
        curves = [self.band] if self.voice is None else [self.band, self.voice]
        return max([1e-6, *(float(np.percentile(curve, 98)) for curve in curves)])


def peaks_of(sound: Sound) -> Curve:
    """Find the highest sample of each hundredth of a second ``(T,)``."""
    per_peak = sound.sample_rate / PEAKS_PER_SECOND
    found = np.zeros(int(sound.frames / per_peak) + 1, np.float32)
    at = 0
    for block in sound.blocks():
        loud = np.abs(block).max(axis=0)
        places = ((at + np.arange(len(loud))) / per_peak).astype(int)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        if len(starts):
            inside = places[starts]
            found[inside] = np.maximum(found[inside], np.maximum.reduceat(loud, starts))
        at += len(loud)
    return found


@dataclass
class Print:
    """A song that is drawn on pages.

    Parameters
    ----------
    facts
        What was heard.
    waves
        How loud it is.
    font
        Of all that is written.
    seconds
        Length of the song.
    title, artist
        What it is called.
    """

    facts: SongFacts
    waves: Waves
    font: Font
    seconds: float
    title: str = ""
    artist: str = ""

    def __post_init__(self) -> None:
        self.pages: Pages = pages_of(self.facts, self.seconds)
        self.flats = self.facts.key is not None and self.facts.key.flats

    def drawn(self) -> str:
        """Write the subtitle file of a film that shows each page for a second."""
        canvas = Canvas(PAGE, self.font, "None")
        self.draw_heading(canvas)
        for page in range(self.pages.count):
            if self.pages.count > 1:
                count = f"{page + 1} / {self.pages.count}"
                canvas.text(count, 22, GREY, (page, page + 1), (paper.RIGHT, PAGE[1] - 50),
                            held=RIGHT)  # fmt: skip
        for system, page, y in self.pages.systems:
            Drawing(self, canvas, system, (page, page + 1), y).draw()
        return canvas.written()

    def draw_heading(self, canvas: Canvas) -> None:
        """Write what the song is called, and what it is like."""
        facts, first = self.facts, (0, 1)
        room = paper.RIGHT - paper.LEFT
        canvas.text(self.title, 54, INK, first, (paper.LEFT, 80), held=TOP_LEFT, width=room)
        parts = [facts.key.name] if facts.key else []
        if facts.pulse is not None:
            parts.append(f"{facts.pulse.tempo_bpm:.0f} bpm")
        parts += [facts.bars.metre] if facts.bars else []
        if span := facts.range:
            names = [note_name(pitch, self.flats) for pitch in span]
            parts.append(f"sung from {names[0]} to {names[1]}")
        parts.append(clock(self.seconds))
        row = "   \N{MIDDLE DOT}   ".join([*filter(None, [self.artist]), *parts])
        canvas.text(row, 27, INK, first, (paper.LEFT, 150), held=TOP_LEFT, width=room)
        canvas.shape(rectangle(room, 2), INK, first, (paper.LEFT, 196))


@dataclass
class Drawing:
    """One system that is drawn from a height on."""

    song: Print
    canvas: Canvas
    system: System
    span: tuple[int, int]
    top: float

    def draw(self) -> None:
        """Draw all of it."""
        self.draw_roll()
        self.draw_bars()
        self.draw_waves()
        self.draw_chords()
        self.draw_notes()
        self.draw_words()

    @property
    def wave(self) -> float:
        """Where the waves begin."""
        return self.top + paper.CHORDS

    @property
    def roll(self) -> float:
        """Where the piano roll begins."""
        return self.wave + paper.WAVE

    @property
    def end(self) -> float:
        """Where the piano roll ends."""
        return self.roll + self.song.pages.roll

    @property
    def right(self) -> float:
        """Where the system ends, at its right."""
        return self.system.x(self.system.end_seconds)

    def box(self, left: float, top: float, right: float, bottom: float, ink: str, layer: int = 0
            ) -> None:  # fmt: skip
        """Draw a rectangle."""
        self.canvas.shape(rectangle(right - left, bottom - top), ink, self.span, (left, top),
                          layer=layer)  # fmt: skip

    def y(self, pitch: int) -> float:
        """Tell where the upper edge of a note is."""
        return self.roll + (self.song.pages.highest - pitch) * self.song.pages.semitone

    def draw_roll(self) -> None:
        """Draw the stripes of the black keys, and name notes at the left."""
        pages = self.song.pages
        for pitch in range(pages.lowest, pages.highest + 1):
            if is_black(pitch):
                y = self.y(pitch)
                self.box(paper.LEFT, y, self.right, y + pages.semitone, STRIPE)
        named: list[int] = []
        for place in NAMED:
            for pitch in range(pages.lowest, pages.highest + 1):
                near = min((abs(pitch - other) for other in named), default=128)
                if pitch % 12 == place and near * pages.semitone >= APART:
                    named.append(pitch)
        for pitch in named:
            at = paper.LEFT - 12, self.y(pitch) + pages.semitone / 2
            self.canvas.text(note_name(pitch), 17, GREY, self.span, at, held=RIGHT)

    def draw_bars(self) -> None:
        """Draw the lines of bars with their numbers, and those of beats."""
        system, top = self.system, self.wave - 6
        self.canvas.text(clock(system.start_seconds), 19, GREY, self.span,
                         (paper.LEFT - 12, self.wave + paper.WAVE / 2), held=RIGHT)  # fmt: skip
        for x in self.beats():
            self.box(x - 0.5, self.wave, x + 0.5, self.end, BEAT, 1)
        free = 0.0
        for bar in self.song.pages.bars:
            if not system.holds(bar.second):
                continue
            x, number = system.x(bar.second), str(bar.number)
            if not bar.number:
                self.box(x - 0.5, self.wave, x + 0.5, self.end, GRID, 1)
                continue
            self.box(x - 1, top, x + 1, self.end, LINE, 1)
            if x >= free:
                self.canvas.text(number, 17, GREY, self.span, (x - 1, self.top + 8))
                free = x + self.song.font.width(f"{number} ", 17)
        self.box(self.right - 1, top, self.right + 1, self.end, LINE, 1)

    def beats(self) -> list[float]:
        """Tell where the beats are; nowhere if they are too dense to be told apart."""
        pulse, system = self.song.facts.pulse, self.system
        if pulse is None:
            return []
        inside = (pulse.beats >= system.start_seconds) & (pulse.beats < system.end_seconds)
        places = [system.x(beat) for beat in pulse.beats[inside].tolist()]
        return places if len(places) * DENSEST < paper.RIGHT - paper.LEFT else []

    def draw_waves(self) -> None:
        """Draw how loud the band is, and the voice before it."""
        waves, middle = self.song.waves, self.wave + paper.WAVE / 2
        most = paper.WAVE / 2 - 3
        begin = round(self.system.start_seconds * PEAKS_PER_SECOND)
        after = round(self.system.end_seconds * PEAKS_PER_SECOND)
        for curve, ink in ((waves.band, BAND), (waves.voice, VOICE)):
            if curve is None or len(curve[begin:after]) < 2:
                continue
            part = pooled(curve[begin:after], MOST_PEAKS)
            length = len(curve[begin:after]) / PEAKS_PER_SECOND
            seconds = self.system.start_seconds + np.linspace(0, length, len(part))
            xs = [self.system.x(float(second)) for second in seconds]
            highs = np.clip(part / waves.loud * most, 0.6, most).tolist()
            upper = [(x, middle - high) for x, high in zip(xs, highs, strict=True)]
            lower = [(x, middle + high) for x, high in zip(xs, highs, strict=True)]
            self.canvas.shape(polygon([*upper, *lower[::-1]]), ink, self.span, layer=2)

    def draw_chords(self) -> None:
        """Write the names of the chords where they begin, and of the one that goes on."""
        here = [c for c in self.song.facts.chords if c.root is not None
                and c.start_seconds < self.system.end_seconds - 0.1
                and c.end_seconds > self.system.start_seconds + 0.1]  # fmt: skip
        for chord in here:
            left = self.system.x(max(chord.start_seconds, self.system.start_seconds))
            right = self.system.x(min(chord.end_seconds, self.system.end_seconds))
            name, at = chord.name(self.song.flats), (left + 3, self.top + 38)
            room = right - left - 8
            if room >= NARROWEST * self.song.font.width(name, 34):
                self.canvas.text(name, 34, CHORD, self.span, at, width=room, layer=3)

    def draw_notes(self) -> None:
        """Draw the notes as bars."""
        system, high = self.system, self.song.pages.semitone
        for note in self.song.facts.notes:
            start = max(note.start_seconds, system.start_seconds)
            end = min(note.end_seconds, system.end_seconds)
            if end > start:
                left, right = system.x(start), max(system.x(end) - 2, system.x(start) + 3)
                top = self.y(note.pitch)
                body = rectangle(right - left, high, corner=3)
                self.canvas.shape(body, NOTE, self.span, (left, top), layer=3)

    def draw_words(self) -> None:
        """Write the words below the notes, as large as they have room."""
        if not self.song.pages.has_words:
            return
        said = [(self.system.x(note.start_seconds), note.text + ("-" if note.goes_on else ""))
                for note in self.song.facts.notes
                if note.text and self.system.holds(note.start_seconds)]  # fmt: skip
        size, placed = self.fitted(said)
        for text, left, lane in placed:
            at = left, self.end + 4 + (lane + 0.5) * paper.LANE
            self.canvas.text(text, size, INK, self.span, at, layer=3)

    def fitted(
        self, said: Sequence[tuple[float, str]]
    ) -> tuple[float, list[tuple[str, float, int]]]:
        """Return the largest size in which all words have room, or else the smallest, and them."""
        for size in WORDS:
            placed = list(self.placed(said, size))
            if len(placed) == len(said):
                break
        return size, placed

    def placed(
        self, said: Sequence[tuple[float, str]], size: float
    ) -> Iterator[tuple[str, float, int]]:
        """Yield where words stand, in which row, as far as they have room."""
        free, font = [0.0] * paper.LANES, self.song.font
        for x, text in said:
            # The second row is for what would have to give way a lot.
            ends = [max(x, edge) + n * NEAREST for n, edge in enumerate(free)]
            lane = int(np.argmin(ends))
            wide = font.width(text, size)
            left = min(max(x, free[lane]), EDGE - wide)
            right = left + wide
            if free[lane] <= left <= x + FARTHEST:
                yield text, left, lane
                free[lane] = right + font.width(" ", size)


def pooled(curve: Curve, most: int) -> Curve:
    """Keep the highest of so many values next to each other that few are left."""
    if len(curve) <= most:
        return curve
    starts = np.linspace(0, len(curve), most, endpoint=False).astype(int)
    return np.asarray(np.maximum.reduceat(curve, starts))


def clock(seconds: float) -> str:
    """Write a time as people do: ``3:07``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def write_print(target: Path, song: Print, check: Callable[[], None]) -> None:
    """Write the pages below one another as one PNG.

    Parameters
    ----------
    target
        To write to, whatever is there.
    song
        What is drawn.
    check
        Called now and then; what it raises ends the work.

    Raises
    ------
    ToolMissingError
        This ffmpeg has no libass.
    WriteError
        It did not come out whole.
    """
    pages = song.pages.count
    spec = f"color=c=black:s={PAGE[0]}x{PAGE[1]}:r=1:d={pages}"
    with tempfile.TemporaryDirectory(prefix="karaoke-") as folder:
        # White would come out as a light grey.
        shown = ffmpeg.input(spec, f="lavfi").filter("format", "rgb24").filter("negate")
        shown = with_words(shown, song.drawn(), song.font, Path(folder, "pages"))
        shown = shown.filter("tile", layout=f"1x{pages}")
        out = ffmpeg.output(shown, f"file:{target}", f="image2", update=1, vframes=1, vcodec="png",
                            dpi=DPI, pred="mixed", v="level+info", progress="pipe:1")  # fmt: skip
        run(["-y", *map(str, ffmpeg.get_args(out))], target, lambda _: None, check)
