"""A melody as it is written: on the grid of the beats, cut into the notes that music has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from karaoke.analysis.harmony import Chord
from karaoke.analysis.melody import Note
from karaoke.analysis.song import SongFacts

#: All places and lengths are twelfths of a beat: a sixteenth is 3, one of a triplet 4, and, where
#: three eighths make a beat, an eighth is 4, too.
BEAT = 12
#: Where no pulse was found.
DEFAULT_BPM = 120.0
#: The price of a place between eighths, and of an eighth off the beat, in beats.
SIXTEENTH_PRICE, EIGHTH_PRICE = 0.06, 0.02
#: The price of leaving out one of two notes that fall together.
TOGETHER_PRICE = 0.3
#: A note may be moved so far, in beats.
REACH = 0.5
#: By how much thirds of a beat must fit two notes better than quarters, in beats.
TRIPLET_LEAD = 0.05
#: Nearer to a beat, a note is on it.
ON_BEAT = 0.15
#: Lengths that one note or rest can have, longest first.
SIMPLE = (48, 36, 24, 18, 12, 9, 6, 3)
COMPOUND = (24, 12, 8, 6, 4, 2)
TRIPLETS = (8, 4)
#: Without a chord for so many beats, the sheet says so.
SILENT_BEATS = 2


@dataclass(frozen=True)
class Piece:
    """A note, a part of one that is tied, or a rest.

    Parameters
    ----------
    start, length
        In its bar, which a pickup only has the end of.
    note
        None for a rest.
    is_first, is_last
        Whether the note begins and ends with it; elsewhere it is tied.
    in_triplet
        Whether its beat is divided by three.
    """

    start: int
    length: int
    note: Note | None = None
    is_first: bool = True
    is_last: bool = True
    in_triplet: bool = False


@dataclass(frozen=True)
class Measure:
    """A bar.

    Parameters
    ----------
    start, end
        In a whole bar; it starts above 0 where it is a pickup.
    pieces
        Without gaps.
    chords
        Places in the bar, and what begins there.
    """

    start: int
    end: int
    pieces: tuple[Piece, ...]
    chords: tuple[tuple[int, Chord], ...]

    @property
    def is_silent(self) -> bool:
        """Whether nobody sings in it."""
        return all(piece.note is None for piece in self.pieces)


@dataclass(frozen=True)
class Sheet:
    """The melody of a song with its chords.

    Parameters
    ----------
    metre
        A key of :data:`karaoke.analysis.metre.METRES`.
    tempo_bpm
        Beats a minute; None where no pulse was found, and the grid is nobody's.
    measures
        In order.
    """

    metre: str
    tempo_bpm: float | None
    measures: tuple[Measure, ...]

    @property
    def is_compound(self) -> bool:
        """Whether a beat is three eighths."""
        return self.metre == "6/8"


class Grid:
    """Turns seconds into beats since the first that begins a bar."""

    def __init__(self, beats: NDArray[np.float64], first: int) -> None:
        self.beats, self.numbers = beats, np.arange(len(beats)) - first

    def place(self, seconds: float) -> float:
        """Give the place of a second; beats go on before the first and after the last."""
        beats, at = self.beats, float(np.interp(seconds, self.beats, self.numbers))
        before = min(0.0, (seconds - beats[0]) / (beats[1] - beats[0]))
        after = max(0.0, (seconds - beats[-1]) / (beats[-1] - beats[-2]))
        return float(at + before + after)


def lay_out(facts: SongFacts) -> Sheet:
    """Write the melody and the chords of a song on a grid of its beats."""
    pulse, bars = facts.pulse, facts.bars
    if pulse is None or len(pulse.beats) < 2:
        beats, tempo = np.arange(0, max(1.0, facts.seconds), 60 / DEFAULT_BPM), None
        bars = None
    else:
        beats, tempo = pulse.beats, pulse.tempo_bpm
    metre, first, count = ("4/4", 0, 4) if bars is None else (bars.metre, bars.first, bars.beats)
    grid = Grid(beats, first)
    is_compound = metre == "6/8"
    triplets = set() if is_compound else find_triplets(facts.notes, grid)
    notes = in_places(facts.notes, grid, is_compound, triplets)
    begin = min(0, notes[0][0] // BEAT * BEAT) if notes else 0
    chords = chord_places(facts.chords, grid, begin)
    end = max([BEAT, *(end for _, end, _ in notes), *(at + BEAT for at in chords)])
    whole = count * BEAT
    measures = []
    for bar in range(begin // whole, -(-end // whole)):
        at = bar * whole
        start = max(begin - at, 0)
        inside = [(a - at, b - at, n) for a, b, n in notes if a < at + whole and b > at]
        here = {place - at: chord for place, chord in chords.items() if 0 <= place - at < whole}
        thirds = {beat - bar * count for beat in triplets}
        pieces = tuple(pieces_of(inside, start, whole, sorted(here), thirds, is_compound))
        measures.append(Measure(start, whole, pieces, tuple(sorted(here.items(), key=place_of))))
    return Sheet(metre, tempo, tuple(measures))


def place_of(chord: tuple[int, Chord]) -> int:
    """Give the place of a chord in its bar."""
    return chord[0]


def find_triplets(notes: Sequence[Note], grid: Grid) -> set[int]:
    """Find the beats in which two notes begin at thirds rather than at quarters."""
    inner: dict[int, list[float]] = {}
    for note in notes:
        beat, part = divmod(grid.place(note.start_seconds), 1.0)
        if ON_BEAT < part < 1 - ON_BEAT:
            inner.setdefault(int(beat), []).append(part)
    found = set()
    for beat, parts in inner.items():
        if len(parts) == 2:
            thirds = sum(abs(p - third) for p, third in zip(parts, (1 / 3, 2 / 3), strict=True))
            quarters = sum(abs(p - round(4 * p) / 4) for p in parts)
            if thirds + TRIPLET_LEAD < quarters:
                found.add(beat)
    return found


def in_places(
    notes: Sequence[Note], grid: Grid, is_compound: bool, triplets: set[int]
) -> list[tuple[int, int, Note]]:
    """Give notes their places and ends on the grid, in order and without overlaps."""

    def slots(near: float) -> Iterator[tuple[int, float]]:
        for place in range(round((near - REACH) * BEAT), round((near + REACH) * BEAT) + 1):
            beat, part = divmod(place, BEAT)
            price = price_of(part, beat in triplets, is_compound)
            if price is not None:
                yield place, abs(place / BEAT - near) + price

    starts = cheapest([list(slots(grid.place(note.start_seconds))) for note in notes])
    groups = groupby(zip(starts, notes, strict=True), key=lambda pair: pair[0])
    kept = [(place, together([note for _, note in group])) for place, group in groups]
    laid = []
    for number, (start, note) in enumerate(kept):
        limit = kept[number + 1][0] if number + 1 < len(kept) else None
        over = grid.place(note.end_seconds) * BEAT
        laid.append((start, end_of(start, over, limit, is_compound, triplets), note))
    return laid


def price_of(part: int, in_triplet: bool, is_compound: bool) -> float | None:
    """Tell what it costs to begin at a part of a beat; None where nothing can."""
    if part == 0:
        return 0.0
    if in_triplet or is_compound:
        if part % 4 == 0:
            return EIGHTH_PRICE
        return SIXTEENTH_PRICE if is_compound and part % 2 == 0 else None
    return {6: EIGHTH_PRICE, 3: SIXTEENTH_PRICE, 9: SIXTEENTH_PRICE}.get(part)


def cheapest(slots: Sequence[Sequence[tuple[int, float]]]) -> list[int]:
    """Choose a slot for each note, none before that of the one before it, for least in all."""
    costs = [cost for _, cost in slots[0]] if slots else []
    ways: list[list[int]] = []
    for before, here in pairwise(slots):
        way, new = [], []
        for place, cost in here:
            reached = [
                costs[i] + (TOGETHER_PRICE if other == place else 0.0)
                for i, (other, _) in enumerate(before)
                if other <= place
            ]
            # Slots are in order, so the first ones are those that lie before.
            best = int(np.argmin(reached)) if reached else 0
            way.append(best)
            new.append(cost + (reached[best] if reached else costs[0] + REACH * 4))
        ways.append(way)
        costs = new
    chosen = [int(np.argmin(costs))] if slots else []
    for way in reversed(ways):
        chosen.append(way[chosen[-1]])
    places = [slots[n][index][0] for n, index in enumerate(reversed(chosen))]
    return np.maximum.accumulate(places).tolist() if places else []


def together(notes: Sequence[Note]) -> Note:
    """Make one of notes that fall together: the longest, with the words of all."""
    longest = max(notes, key=lambda note: note.end_seconds - note.start_seconds)
    text = ""
    for note in notes:
        text += note.text + (" " if note.text and not note.goes_on else "")
    worded = [note for note in notes if note.text]
    goes_on = bool(worded) and worded[-1].goes_on
    end = max(note.end_seconds for note in notes)
    return replace(longest, text=text.strip(), goes_on=goes_on, end_seconds=end)


def end_of(
    start: int, over: float, limit: int | None, is_compound: bool, triplets: set[int]
) -> int:
    """Choose where a note ends: where the next begins, or else on an eighth or a beat."""
    eighth = 4 if is_compound else 6
    if limit is not None and limit - over < eighth:
        return limit
    last = max(start + BEAT, round(over) + BEAT)
    places = [
        place
        for place in range(start + 1, last + 1)
        if place % BEAT % (4 if is_compound or place // BEAT in triplets else 6) == 0
        and (limit is None or place <= limit)
    ]
    if not places:
        assert limit is not None
        return limit
    return min(places, key=lambda place: abs(place - over))


def chord_places(chords: Sequence[Chord], grid: Grid, begin: int) -> dict[int, Chord]:
    """Give the places of chords that follow others; silence counts where it lasts."""
    sounding = [n for n, chord in enumerate(chords) if chord.root is not None]
    found: dict[int, Chord] = {}
    for chord in chords[sounding[0] : sounding[-1] + 1] if sounding else ():
        start, end = grid.place(chord.start_seconds), grid.place(chord.end_seconds)
        counts = chord.root is not None or end - start >= SILENT_BEATS - 0.5
        if counts and round(end) * BEAT > begin:
            found[max(begin, round(start) * BEAT)] = chord
    kept: dict[int, Chord] = {}
    last = None
    for place, chord in found.items():
        if (chord.root, chord.quality) != last:
            kept[place] = chord
        last = chord.root, chord.quality
    return kept


def pieces_of(
    notes: Sequence[tuple[int, int, Note]],
    start: int,
    end: int,
    chords: Sequence[int],
    triplets: set[int],
    is_compound: bool,
) -> Iterator[Piece]:
    """Fill a bar with the pieces of its notes, and with rests, which chords divide."""
    at = start
    for begin, stop, note in notes:
        yield from rests(at, begin, end, chords, triplets, is_compound)
        first, last = max(begin, start), min(stop, end)
        edges = cut(first, last, end, triplets, is_compound)
        for a, b in edges:
            yield Piece(a, b - a, note, a == begin, b == stop, is_third(a, b, triplets))
        at = last
    yield from rests(at, end, end, chords, triplets, is_compound)


def rests(
    start: int, end: int, bar: int, chords: Sequence[int], triplets: set[int], is_compound: bool
) -> Iterator[Piece]:
    """Fill a stretch of a bar with rests, or one if it is the whole bar."""
    edges = [start, *(place for place in chords if start < place < end), end]
    if edges == [0, bar]:
        yield Piece(0, bar)
        return
    for begin, stop in pairwise(edges):
        for a, b in cut(begin, stop, bar, triplets, is_compound, is_rest=True):
            yield Piece(a, b - a, in_triplet=is_third(a, b, triplets))


def is_third(start: int, end: int, triplets: set[int]) -> bool:
    """Tell whether a piece is one of a triplet."""
    return start // BEAT in triplets and (end - start) in TRIPLETS


def cut(
    start: int, end: int, bar: int, triplets: set[int], is_compound: bool, *, is_rest: bool = False
) -> list[tuple[int, int]]:
    """Cut a stretch of a bar so that each piece has a length that is written, and beats show."""
    cuts = []
    at = start
    while at < end:
        if is_compound:
            length = next(n for n in COMPOUND if at + n <= end and shows_eighths(at, n))
        elif at // BEAT in triplets and (at % BEAT or end - at < BEAT):
            room = min(end - at, BEAT - at % BEAT)
            length = next(n for n in TRIPLETS if n <= room)
        else:
            thirds = [beat * BEAT for beat in triplets if beat * BEAT > at]
            stop = min([end, *thirds])
            length = next(n for n in SIMPLE if at + n <= stop and shows_beats(at, n, bar, is_rest))
        cuts.append((at, at + length))
        at += length
    return cuts


def shows_eighths(at: int, length: int) -> bool:
    """Tell whether a piece of a compound bar hides no beat, and no eighth with a sixteenth."""
    part = at % BEAT
    if part % 4:
        return length == 2
    return at % (2 * BEAT) == 0 if length == 24 else part + length <= BEAT


def shows_beats(at: int, length: int, bar: int, is_rest: bool) -> bool:
    """Tell whether a piece of a simple bar hides neither its beats nor its middle."""
    part, half = at % BEAT, 2 * BEAT
    if part == 0 and length < BEAT:
        return True
    if is_rest and length == BEAT + 6:
        return False
    if bar == 2 * half:  # its middle shows, but in notes from its start
        inside = at % half + length <= half
        if part == 0:
            return inside if is_rest else inside or at == 0
        if part == 6 and at % half == 6 and not is_rest and inside:
            return length in (12, 18) or part + length <= BEAT
    elif part == 0:
        return not is_rest or length <= BEAT or length == bar
    return part + length <= BEAT
