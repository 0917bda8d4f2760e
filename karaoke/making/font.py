"""The font of the words on the screen: how wide they come out, and what it cannot write."""

from __future__ import annotations

import unicodedata
from functools import cached_property
from pathlib import Path

from karaoke.errors import NoInputError, UsageError

#: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew and Arabic; its licence lies beside it.
BUNDLED = Path(__file__).parent / "fonts" / "DejaVuSans-Bold.ttf"
#: Characters named in one error.
MOST_NAMED = 8
#: Of no width and no look: they need no glyph.
UNSEEN = {"Cf", "Cc", "Mn", "Me", "Zs", "Zl", "Zp"}


class Font:
    """A TrueType or OpenType font file.

    Parameters
    ----------
    path
        Of the file.

    Raises
    ------
    NoInputError
        It cannot be read.
    UsageError
        It is no font.
    """

    def __init__(self, path: Path = BUNDLED) -> None:
        from fontTools.ttLib import TTFont, TTLibError

        self.path = path
        try:
            with TTFont(path, lazy=True, fontNumber=0) as font:
                self._glyphs: dict[int, str] = font.getBestCmap() or {}
                self._advances: dict[str, tuple[int, int]] = font["hmtx"].metrics
                metrics = font["OS/2"]
                # As libass scales fonts, which does it as Windows does.
                self._height = metrics.usWinAscent + metrics.usWinDescent
                self.name = str(font["name"].getBestFullName())
        except OSError as error:
            raise NoInputError(f'"{path}": {error.strerror}', hint="Check --font.") from error
        except (TTLibError, KeyError, AttributeError, AssertionError, ValueError) as error:
            raise UsageError(
                f'"{path}": not a font ({error})', hint="Give a .ttf or .otf file."
            ) from error

    @cached_property
    def _space(self) -> float:
        """How wide a character is that the font does not have, about."""
        return float(self._height) / 2

    def width(self, text: str, size: float) -> float:
        """Tell how wide a text comes out, in pixels, where letters stand apart from each other.

        Scripts whose letters join come out narrower.
        """
        total = 0.0
        for character in text:
            glyph = self._glyphs.get(ord(character))
            if glyph is not None:
                total += self._advances[glyph][0]
            elif unicodedata.category(character) not in UNSEEN:
                total += self._space
        return float(total * size / self._height)

    def check(self, text: str, what: str) -> None:
        """Refuse a text with characters that the font does not have.

        Parameters
        ----------
        text
            To be written.
        what
            Names it in the error.

        Raises
        ------
        UsageError
            There are some.
        """
        missing = [
            c
            for c in dict.fromkeys(text)
            if ord(c) not in self._glyphs and unicodedata.category(c) not in UNSEEN
        ]
        if missing:
            named = " ".join(missing[:MOST_NAMED])
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            raise UsageError(
                f"{what}: {self.name} has no {named}{more}",
                hint="Name a font that has, with --font FILE.",
            )
