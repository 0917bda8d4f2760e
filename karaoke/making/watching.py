"""Pictures of a film that was written, decoded again: when its words light up."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from karaoke.errors import WriteError
from karaoke.files import SPACE
from karaoke.making.font import Font
from karaoke.making.layout import Layout, Shown
from karaoke.making.screens import singer_colours
from karaoke.making.styles import Style, rgb
from karaoke.making.video import pictures_of

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Colour = NDArray[np.float32]
#: Wider pictures are looked at in this size: letters are large.
WIDEST = 1280
#: How far a letter's colour may be from what it should be, as a share of the way from one of its
#: two colours to the other, along it and across it.
ALONG, ACROSS = 0.3, 0.4
#: Of a row, from its middle, in heights of the letters.
HALF_HEIGHT = 0.5
#: Of a syllable, from its left, what is looked at.
BEGINNING = 0.25
#: Of a row in letters that run from right to left, what is lit when it has begun.
FIRST_LIGHT = 0.01
#: With fewer pixels nothing is certain.
FEWEST_PIXELS = 6
#: Later or earlier than so many pictures is worth a warning.
OFF_PICTURES = 2.5


@dataclass
class Watched:
    """A row of words while it is seen.

    Parameters
    ----------
    shown
        What it is.
    top, after
        Lines of the picture between which it stands.
    letters
        Their height in pixels.
    before, sung
        The colours of its letters, ``(3,)``.
    seen
        Of each picture: its time, and where letters may be that are not sung yet, or are, as bits.
    """

    shown: Shown
    top: int
    after: int
    letters: float
    before: Colour
    sung: Colour
    seen: list[tuple[float, Pixels, Pixels]] = field(default_factory=list)

    def look(self, seconds: float, picture: Pixels) -> None:
        """Keep what a picture ``(H, W, 3)`` shows of it."""
        off = picture[self.top : self.after] - self.before
        way = self.sung - self.before
        length = float(way @ way)
        along = off @ way / length
        across = np.sum((off - along[..., None] * way) ** 2, axis=-1)
        likely = across < ACROSS**2 * length
        unsung, lit = likely & (np.abs(along) < ALONG), likely & (np.abs(along - 1) < ALONG)
        self.seen.append((seconds, np.packbits(unsung, axis=1), np.packbits(lit, axis=1)))

    def starts(
        self, fps: float, wide: int, font: Font, sweep: str
    ) -> Iterator[tuple[float, float]]:
        """Yield of each syllable when its beginning should be lit and when it was, in seconds.

        Those of which not enough is seen are left out.
        """
        row = self.shown.row
        early = [unsung for at, unsung, _ in self.seen if at < row.start - 0.5 / fps]
        over = [at for at, _, _ in self.seen if at > row.end + 1.5 / fps]
        if not early or not over:
            return
        seen = [(at, unpacked(lit, wide)) for at, _, lit in self.seen if at <= over[0]]
        # Of a film that is early, some are lit by then, and the last picture may have none.
        ever_lit = np.any([picture for _, picture in seen], axis=0)
        letters = unpacked(np.bitwise_or.reduce(early), wide) & ever_lit
        columns = np.nonzero(letters)[1]
        if not len(columns):
            return
        lit = np.stack([picture[letters] for _, picture in seen])
        bright = lit.mean(axis=1)
        there = np.flatnonzero(bright >= bright.max() / 2)[-1] + 1
        lit, times = lit[:there], np.array([at for at, _ in seen[:there]])
        if runs_leftwards(row.text):
            # Its syllables stand elsewhere than their order says: only its beginning is known.
            yield from begun(times, lit, FIRST_LIGHT, row.start)
            return
        at = (wide - font.width(row.text.rstrip(), self.letters)) / 2
        for text, start, end in row.pieces:
            first, width = at, font.width(text.rstrip(), self.letters)
            at += font.width(text, self.letters)
            mine = (columns >= first) & (columns < first + BEGINNING * width)
            if not width or not mine.any():
                continue
            # Half of these letters are lit when the colour has come as far as their middle.
            run = 0.0 if sweep == "word" else (np.median(columns[mine]) + 0.5 - first) / width
            yield from begun(times, lit[:, mine], 0.5, start + (end - start) * float(run))


def runs_leftwards(text: str) -> bool:
    """Tell whether letters of a text run from right to left."""
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def begun(times: Any, lit: Mask, share: float, due: float) -> Iterator[tuple[float, float]]:
    """Yield when a share of pixels ``(T, pixels)`` should be lit and is from then on, if ever."""
    if lit.shape[1] >= FEWEST_PIXELS:
        # The row that stood there before may still be seen in the first picture.
        dark = np.flatnonzero(lit.mean(axis=1) < share)
        if len(dark) and dark[-1] + 1 < len(times):
            yield due, float(times[dark[-1] + 1])


def unpacked(bits: Pixels, wide: int) -> Mask:
    """Give bits as a mask."""
    return np.unpackbits(bits, axis=1, count=wide).astype(bool)


def pictures(
    path: Path, size: tuple[int, int], fps: float, check: Callable[[], None]
) -> Iterator[tuple[float, Pixels]]:
    """Decode the pictures of a film ``(H, W, 3)`` in a size, each with its second.

    Raises
    ------
    WriteError
        They cannot be decoded.
    """
    shown = ffmpeg.input(f"file:{path}", protocol_whitelist="file").video
    shown = shown.filter("fps", fps=f"{fps:g}", start_time=0).filter("scale", *size)

    def failure(problem: str) -> WriteError:
        return WriteError(f'"{path}": did not read back: {problem}', hint=SPACE)

    for number, picture in enumerate(pictures_of(shown, size, failure)):
        check()
        yield number / fps, picture


def watch(
    path: Path,
    layout: Layout,
    *,
    style: Style,
    font: Font,
    size: tuple[int, int],
    fps: float,
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> dict[str, Any]:
    """Measure when the words of a film light up.

    Parameters
    ----------
    path
        Of the film.
    layout, style, font, size, fps
        What it was drawn with.
    progress
        Told the seconds that are done.
    check
        Called between pictures; what it raises ends the work.

    Returns
    -------
    dict
        How many syllables there are and were measured, and how late they are, in seconds. Of rows
        that run from right to left, the first alone counts.
    """
    scale = min(1.0, WIDEST / size[0])
    wide, high = (round(scale * side / 2) * 2 for side in size)
    colours = singer_colours(style)
    waiting = sorted(layout.shown, key=lambda one: one.since, reverse=True)
    watched: list[Watched] = []
    late: list[float] = []
    for seconds, picture in pictures(path, (wide, high), fps, check):
        while waiting and waiting[-1].since <= seconds:
            one = waiting.pop()
            middle, half = scale * layout.middle_of(one), scale * HALF_HEIGHT * layout.letters
            sung, unsung = colours[one.row.singer % len(colours)]
            watched.append(
                Watched(
                    one,
                    max(round(middle - half), 0),
                    round(middle + half) + 1,
                    scale * layout.letters,
                    np.array(rgb(unsung), np.float32),
                    np.array(rgb(sung), np.float32),
                )
            )
        for row in [row for row in watched if row.shown.until <= seconds]:
            late += [was - due for due, was in row.starts(fps, wide, font, style.sweep)]
            watched.remove(row)
        for row in watched:
            row.look(seconds, picture)
        progress(seconds)
    for row in watched:
        late += [was - due for due, was in row.starts(fps, wide, font, style.sweep)]
    facts: dict[str, Any] = {
        "syllables": sum(
            1 if runs_leftwards(one.row.text) else len(one.row.pieces) for one in layout.shown
        ),
        "measured": len(late),
    }
    if late:
        facts["late_seconds"] = round(float(np.median(late)), 3)
        facts["latest_seconds"] = round(max(late), 3)
        facts["earliest_seconds"] = round(min(late), 3)
    return facts
