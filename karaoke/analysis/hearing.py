"""Ask the recogniser about a song, stretch by stretch, where its words were found roughly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from karaoke.analysis.acoustics import SAMPLE_RATE, Recogniser
from karaoke.analysis.laying import Found, Opinion
from karaoke.analysis.sounds import Sound

#: It hears so much more than the lines that it is asked about.
MARGIN_SECONDS = 0.6
#: Stretches are parted by pauses: how long ones, and the shortest and longest stretch, in seconds.
#: It is asked twice, since it loses its way on long ones, and has no choice on short ones.
STRETCHES = ((0.8, 6.0, 25.0), (0.3, 0.0, 12.0))
#: It hears the consonant before a note, by so much.
CONSONANT_SECONDS = 0.05
#: Of a text, the least share of words that are English.
KNOWN_SHARE = 0.7


def opinions_on(found: Found, vocals: Sound) -> list[Opinion]:
    """Ask when each word begins; what is not English is not asked about.

    Raises
    ------
    UnavailableError
        There is no recogniser.
    """
    recogniser = Recogniser()
    texts = [word.text for line in found.lines for word in line.words]
    if recogniser.known_share(texts) < KNOWN_SHARE:
        return []
    opinions: list[Opinion] = []
    for pause, shortest, longest in STRETCHES:
        said: list[float | None] = []
        for first, stop in stretches(found, pause, shortest, longest):
            start, end = window(found, first, stop)
            words = [word.text for line in found.lines[first:stop] for word in line.words]
            heard = recogniser.hear(vocals.part(start, end, SAMPLE_RATE), words)
            said += [None if at is None else start + at + CONSONANT_SECONDS for at in heard]
        opinions.append(said)
    return opinions


def stretches(
    found: Found, pause: float, shortest: float, longest: float
) -> Iterator[tuple[int, int]]:
    """Cut the lines into stretches at pauses, as first and last + 1."""
    edges = [0]
    for line in range(1, len(found.lines)):
        begins, here = float(found.starts[line][0]), float(found.starts[edges[-1]][0])
        parted = begins - found.ends[line - 1] > pause and found.ends[line - 1] - here > shortest
        if parted or found.ends[line] - here > longest:
            edges.append(line)
    yield from pairwise([*edges, len(found.lines)])


def window(found: Found, first: int, stop: int) -> tuple[float, float]:
    """Give the seconds in which lines lie, with a margin that holds none of the others."""
    start = float(found.starts[first][0]) - MARGIN_SECONDS
    end = float(found.ends[stop - 1]) + MARGIN_SECONDS
    if first:
        start = max(start, float(found.ends[first - 1]))
    if stop < len(found.lines):
        end = min(end, float(found.starts[stop][0]))
    return max(start, 0.0), end
