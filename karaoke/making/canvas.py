r"""Shapes and texts with their times, as a subtitle file that libass draws.

Lengths are in pixels from the upper left corner, times in seconds of the film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from karaoke.lyrics.ass import escaped, timestamp
from karaoke.lyrics.lrc import hundredths
from karaoke.making.font import Font

#: Where a text is held: where its number is on the keypad of a keyboard.
LEFT, CENTRE, RIGHT = 4, 5, 6
TOP_LEFT, TOP, TOP_RIGHT, BOTTOM_LEFT, BOTTOM = 7, 8, 9, 1, 2
#: How round the corners of a rectangle are drawn: a Bézier curve's nearest to a circle.
ROUND = 0.5523
#: Letters are not squeezed further, as a share of their width.
NARROWEST = 0.65

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass
class Canvas:
    """What is to be drawn.

    Parameters
    ----------
    size
        Width and height of the picture.
    font
        Of the texts.
    matrix
        That the pictures are encoded with; ``None`` for those of red, green and blue.
    """

    size: tuple[int, int]
    font: Font
    matrix: str = "TV.709"
    _events: list[str] = field(default_factory=list)

    def shape(
        self,
        drawing: str,
        colour: str,
        span: tuple[float, float],
        at: Point = (0, 0),
        *,
        to: Point | None = None,
        layer: int = 0,
        seen: Box | None = None,
    ) -> None:
        """Draw a shape.

        Parameters
        ----------
        drawing
            From :func:`polygon` or :func:`rectangle`.
        colour
            ``#rrggbb``.
        span
            From when until when.
        at
            Where its origin is.
        to
            Where it is at the end, if it moves.
        layer
            Higher ones hide others.
        seen
            Left, top, right and bottom of where it is seen; None for everywhere.
        """
        where = f"{place(at, to)}{clip(seen)}\\an7\\1c{shade(colour)}\\bord0\\p1"
        self._add(span, layer, f"{{{where}}}{drawing}")

    def text(
        self,
        words: str,
        size: float,
        colour: str,
        span: tuple[float, float],
        at: Point,
        *,
        held: int = LEFT,
        to: Point | None = None,
        layer: int = 0,
        width: float = float("inf"),
        seen: Box | None = None,
    ) -> None:
        """Write a text; parameters besides are those of :meth:`shape`.

        Parameters
        ----------
        words
            On one line.
        size
            Height of the letters.
        held
            Which of its points is at ``at``; :data:`LEFT` and others.
        width
            It is squeezed to this; what would become too narrow becomes smaller.
        """
        share = min(1.0, width / max(self.font.width(words, size), 1e-9))
        squeezed = max(share, NARROWEST)
        size *= share / squeezed
        look = f"\\an{held}\\fs{size:.1f}\\1c{shade(colour)}\\fscx{100 * squeezed:.0f}"
        self._add(span, layer, f"{{{place(at, to)}{clip(seen)}{look}\\bord0}}{harmless(words)}")

    def line(self, style: str, codes: str, span: tuple[float, float], layer: int = 0) -> None:
        """Add a text with codes of its own, in a style that :meth:`written` is given."""
        self._add(span, layer, codes, style)

    def _add(
        self, span: tuple[float, float], layer: int, text: str, style: str = "Default"
    ) -> None:
        since, until = map(clock, span)
        if since != until:
            self._events.append(f"Dialogue: {layer},{since},{until},{style},,0,0,0,,{text}")

    def written(self, styles: Sequence[str] = ()) -> str:
        """Give the subtitle file, with further styles."""
        usual = f"Style: Default,{self.font.name},20,&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000"
        usual += ",0,0,0,0,100,100,0,0,1,0,0,7,0,0,0,1"
        events = "\n".join(self._events)
        return f"{head(self.size, [usual, *styles], self.matrix)}{events}\n"


def head(size: tuple[int, int], styles: Sequence[str], matrix: str) -> str:
    """Write what stands before the events: the picture's size and the styles."""
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


def colour(text: str) -> str:
    """Write ``#rrggbb`` as styles do."""
    return f"&H00{text[5:7]}{text[3:5]}{text[1:3]}".upper()


def shade(text: str) -> str:
    """Write ``#rrggbb`` as codes within texts do."""
    return f"{colour(text)}&"


def clock(seconds: float) -> str:
    """Write a time as subtitles do; what is before the film is its beginning."""
    return timestamp(hundredths(max(seconds, 0.0)))


def harmless(text: str) -> str:
    """Write a text on one line, so that nothing in it is a command of the subtitle format."""
    return " ".join(escaped(text).splitlines())


def place(at: Point, to: Point | None) -> str:
    """Say where something is, or from where to where it moves while it is seen."""
    if to is None:
        return f"\\pos({at[0]:.2f},{at[1]:.2f})"
    return f"\\move({at[0]:.2f},{at[1]:.2f},{to[0]:.2f},{to[1]:.2f})"


def clip(seen: Box | None) -> str:
    """Say where something is seen, if not everywhere."""
    return "" if seen is None else "\\clip({:.0f},{:.0f},{:.0f},{:.0f})".format(*seen)


def polygon(points: Sequence[Point]) -> str:
    """Write a shape by its corners."""
    first, *others = [f"{x:.1f} {y:.1f}" for x, y in points]
    return f"m {first} l {' '.join(others)}"


def rectangle(wide: float, high: float, at: Point = (0, 0), corner: float = 0.0) -> str:
    """Write a rectangle whose upper left corner is at a point, with corners so round."""
    left, top = at
    right, bottom = left + wide, top + high
    if not corner:
        return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])
    r = min(corner, wide / 2, high / 2)
    k = r * (1 - ROUND)
    steps: list[tuple[str, tuple[float, ...]]] = [
        ("l", (right - r, top)),
        ("b", (right - k, top, right, top + k, right, top + r)),
        ("l", (right, bottom - r)),
        ("b", (right, bottom - k, right - k, bottom, right - r, bottom)),
        ("l", (left + r, bottom)),
        ("b", (left + k, bottom, left, bottom - k, left, bottom - r)),
        ("l", (left, top + r)),
        ("b", (left, top + k, left + k, top, left + r, top)),
    ]
    drawn = [" ".join([kind, *(f"{value:.1f}" for value in rest)]) for kind, rest in steps]
    return f"m {left + r:.1f} {top:.1f} {' '.join(drawn)}"
