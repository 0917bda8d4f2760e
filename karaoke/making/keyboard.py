"""A piano's keyboard: where its keys are, and which of them a song takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Pitch classes of the black keys.
BLACK = frozenset({1, 3, 6, 8, 10})
#: Where a keyboard may begin and end, so that no black key is cut: C or F, E or B.
FIRSTS, LASTS = (0, 5), (4, 11)
#: Keys of the smallest one, and the middle of one that nothing is played on.
FEWEST, MIDDLE_C = 24, 60
#: Width of a black key, of a white one's.
BLACK_SHARE = 0.6


def is_black(pitch: int) -> bool:
    """Tell whether a MIDI note is on a black key."""
    return pitch % 12 in BLACK


@dataclass(frozen=True)
class Keyboard:
    """Keys side by side.

    Parameters
    ----------
    lowest, highest
        MIDI notes of the first and the last, both white.
    left, width
        Where it is, in pixels.
    """

    lowest: int
    highest: int
    left: float
    width: float

    @property
    def whites(self) -> list[int]:
        """Its white keys."""
        return [n for n in range(self.lowest, self.highest + 1) if not is_black(n)]

    @property
    def blacks(self) -> list[int]:
        """Its black keys."""
        return [n for n in range(self.lowest, self.highest + 1) if is_black(n)]

    @property
    def white_width(self) -> float:
        """Width of a white key."""
        return self.width / len(self.whites)

    def key(self, pitch: int) -> tuple[float, float]:
        """Give where a key begins, and its width."""
        before = sum(not is_black(n) for n in range(self.lowest, pitch))
        edge = self.left + before * self.white_width
        if not is_black(pitch):
            return edge, self.white_width
        wide = BLACK_SHARE * self.white_width
        return edge - wide / 2, wide

    def outline(self, pitch: int, high: float, black_high: float) -> list[tuple[float, float]]:
        """List the corners of what is seen of a key; the keyboard's upper edge is at 0."""
        left, wide = self.key(pitch)
        if is_black(pitch):
            return [(left, 0), (left + wide, 0), (left + wide, black_high), (left, black_high)]
        left, right = left + 1, left + wide - 1
        inner_left, inner_right = left, right
        if is_black(pitch - 1) and pitch > self.lowest:
            inner_left = sum(self.key(pitch - 1)) + 1
        if is_black(pitch + 1) and pitch < self.highest:
            inner_right = self.key(pitch + 1)[0] - 1
        return [(inner_left, 0), (inner_right, 0), (inner_right, black_high + 1),
                (right, black_high + 1), (right, high), (left, high), (left, black_high + 1),
                (inner_left, black_high + 1)]  # fmt: skip


def keyboard_for(pitches: Iterable[int], left: float, width: float) -> Keyboard:
    """Choose a keyboard that has all pitches, and two octaves at least."""
    taken = set(pitches) or {MIDDLE_C}
    lowest, highest = min(taken), max(taken)
    while lowest % 12 not in FIRSTS:
        lowest -= 1
    while highest % 12 not in LASTS:
        highest += 1
    below = True
    while highest - lowest + 1 < FEWEST:
        if below:
            lowest -= 5 if lowest % 12 == 5 else 7
        else:
            highest += 7 if highest % 12 == 4 else 5
        below = not below
    return Keyboard(lowest, highest, left, width)
