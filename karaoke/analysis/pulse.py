"""The pulse of a band: when its beats are, and how fast they go.

Beats are the path through the onsets that an interval leads from one to the next which changes
little [1]_. At which level people would tap - each beat, every other, twice as often - is chosen
among such paths by how strong onsets and changes of harmony are on and between their beats, and by
how much onsets repeat after a bar of them.

References
----------
.. [1] D. Ellis, "Beat tracking by dynamic programming", Journal of New Music Research 36 (2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from karaoke.analysis.features import BEAT_FPS, CHORD_FPS, Features
from karaoke.analysis.grids import on_grid, sample, usual_interval
from karaoke.analysis.harmony import bass_and_treble, in_tune
from karaoke.analysis.learned import learned, softmax

Curve = NDArray[np.float64]

SLOWEST_BPM, FASTEST_BPM = 38.0, 190.0
#: A first path is looked for near this tempo; others are multiples of it.
LIKELY_BPM, LIKELY_OCTAVES = 110.0, 0.5
RATIOS = (1 / 3, 1 / 2, 2 / 3, 1.0, 3 / 2, 2.0, 3.0)
#: Of the intervals around one of these, as a share.
SPREAD = 0.14
#: The price of an interval that is e times as long as the one before.
CHANGE_COST = 60.0
#: Logarithm of a beat's gain where the onset is of the usual strength.
BEAT_GAIN = 1.8
#: Autocorrelation: over so many seconds, so often a second.
WINDOW_SECONDS, STEPS_PER_SECOND = 8.0, 2
#: Bands below, between and above these are about kicks, snares and hats.
KICKS, SNARES = 7, 16
#: So many frames are compared at a time.
PART_FRAMES = 4096
#: The last note begins with a rise that is at least so strong, compared with strong ones: what
#: rises later is an echo.
LAST_RISE = 0.3
#: How much it speaks for beats that onsets repeat after two, three or four of them, as they do
#: after a bar; a beat and a half is not repeated.
BAR_WEIGHT = 4.0
#: How strong beats are, compared with all else, times how much onsets repeat: half a minute of
#: noise has at most 0.2, of speech 0.35; of music on which a beat is heard, 0.5 or more, mostly 1
#: to 3. In less time more repeats by chance.
FAINTEST, FAINTEST_SECONDS = 0.4, 8.0
#: What is in tune is music, and its beats may be fainter by this share.
TUNE_SHARE = 0.5


@dataclass(frozen=True)
class Pulse:
    """The beats of a song.

    Parameters
    ----------
    beats
        Seconds.
    tempo_bpm
        The median.
    confidence
        0 to 1, that this is the level at which people would tap.
    other_tempi_bpm
        Of other levels, likeliest first, with their confidence.
    """

    beats: Curve
    tempo_bpm: float
    confidence: float
    other_tempi_bpm: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A path of beats, in frames, its tempo, and what it is judged by."""

    frames: Curve
    tempo_bpm: float
    features: Curve


class Accents:
    """What makes a beat strong, found when it is first asked for.

    Parameters
    ----------
    features
        Of the band.
    """

    def __init__(self, features: Features) -> None:
        self.features = features

    @cached_property
    def onsets(self) -> Curve:
        """How strongly something begins in each frame; see :func:`onset_strength`."""
        return onset_strength(self.features.bands)

    @cached_property
    def repetition(self) -> Curve:
        """How much onsets repeat after each lag in frames, to eight seconds."""
        return mean_autocorrelation(self.curves["all"])

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Curves ``(T,)`` of onsets and of changes of harmony, each with a mean of one."""
        kicks, snares, hats = rises(self.features.bands).T
        bass, treble = bass_and_treble(self.features.notes)
        curves = {
            "all": peaks(self.onsets),
            "low": peaks(kicks),
            "mid": peaks(snares),
            "high": peaks(hats),
            "harmony": changes(treble, len(kicks)),
            "bass": changes(bass, len(kicks)),
        }
        return {name: curve / (curve.mean() + 1e-9) for name, curve in curves.items()}


def find_pulse(accents: Accents) -> Pulse | None:
    """Find the beats of a band; None where nothing beats."""
    found = candidates(accents)
    if not found:
        return None
    levels = learned("level").score(np.array([one.features for one in found]))
    bars = [bar_strength(accents.repetition, one.tempo_bpm) for one in found]
    shares = softmax(levels + BAR_WEIGHT * np.array(bars))
    order = np.argsort(-shares)
    best = found[int(order[0])]
    faintest = FAINTEST * (1 + FAINTEST_SECONDS / accents.features.seconds)
    faintest *= 1 - TUNE_SHARE * max(0.0, in_tune(accents.features.notes))
    if strength(accents, best) < faintest:
        return None
    others = tuple((found[int(n)].tempo_bpm, float(shares[n])) for n in order[1:])
    kept = on_grid(smoothed(best.frames), accents.curves["all"])
    beats = extended(kept, accents.features.bands) / BEAT_FPS
    return Pulse(beats, tempo_of(kept), float(shares[order[0]]), others)


def strength(accents: Accents, candidate: Candidate) -> float:
    """Tell how strongly something beats, on these beats or half-way between them."""
    curve, on = accents.curves["all"], candidate.frames
    beats = max(float(sample(curve, at).mean()) for at in (on, (on[1:] + on[:-1]) / 2))
    lags = lags_between(SLOWEST_BPM, FASTEST_BPM)
    return beats * float(mean_autocorrelation(accents.onsets)[lags].max())


def candidates(accents: Accents) -> list[Candidate]:
    """Follow the pulse at all levels that it may be felt at."""
    curve = accents.onsets
    if len(curve) < 4 * BEAT_FPS or not curve.any():
        return []
    lags = lags_between(SLOWEST_BPM, FASTEST_BPM)
    first = follow(curve, lags, tempo_scores(curve, lags))
    middle = float(np.median(np.diff(first))) if len(first) > 1 else 60 * BEAT_FPS / LIKELY_BPM
    found = []
    for ratio in RATIOS:
        lag = middle * ratio
        if not SLOWEST_BPM <= 60 * BEAT_FPS / lag <= FASTEST_BPM:
            continue
        near = np.arange(int(lag * (1 - SPREAD)), int(np.ceil(lag * (1 + SPREAD))) + 1)
        path = follow(curve, near, -8.0 * np.log(near / lag)[None] ** 2)
        if len(path) < 6:
            continue
        tempo = tempo_of(path)
        # What is strong may be off the beat.
        for beats in (path, (path[:-1] + path[1:]) / 2):
            found.append(Candidate(beats, tempo, describe(accents.curves, beats, tempo)))
    return found


def tempo_of(path: Curve) -> float:
    """Give the usual tempo of beats in frames."""
    return 60 * BEAT_FPS / usual_interval(path)


def extended(path: Curve, bands: NDArray[np.float32]) -> Curve:
    """Go on with the beats to where the sound begins and ends."""
    level = bands.mean(axis=1)
    heard = np.flatnonzero(level > 0.05 * np.percentile(level, 90))
    first, last = heard[0] - 2.0, float(heard[-1])
    begin, end = path[1] - path[0], path[-1] - path[-2]
    before = path[0] - begin * np.arange(int((path[0] - first) / begin), 0, -1)
    after = path[-1] + end * np.arange(1, int((last - path[-1]) / end) + 1)
    return np.concatenate([before[before >= 0], path, after])


def counted_out(beats: Curve, first: int, per_bar: int, bands: NDArray[np.float32]) -> Curve:
    """Leave out the beats after the bar in which something begins for the last time.

    Parameters
    ----------
    beats
        Seconds.
    first, per_bar
        Number of a beat that begins a bar, and of beats a bar.
    bands
        Of :class:`~karaoke.analysis.features.Features`.
    """
    rise = rises(bands).sum(axis=1)
    strong = np.flatnonzero(rise > LAST_RISE * np.percentile(rise[rise > 0], 98))
    # A beat is found to a frame or two.
    last = int(np.searchsorted(beats, (strong[-1] + 2) / BEAT_FPS, side="right")) - 1
    return beats[: last + per_bar - (last - first) % per_bar]


def smoothed(path: Curve) -> Curve:
    """Put each beat where its neighbours say that it is, finer than a frame."""
    reach = 2
    steps = np.diff(path)
    before, after = np.full(reach, steps[0]), np.full(reach, steps[-1])
    wide = np.concatenate([path[0] - np.cumsum(before)[::-1], path, path[-1] + np.cumsum(after)])
    return np.asarray(np.mean([wide[n : n + len(path)] for n in range(2 * reach + 1)], axis=0))


def rises(bands: NDArray[np.float32]) -> Curve:
    """Give how far levels rise above those of the same band and its neighbours before.

    Returns
    -------
    array
        ``(T, 3)``: sums over the bands of kicks, of snares, and of hats.
    """
    found = np.zeros((len(bands), 3))
    # In parts, as this takes several times the memory of the bands.
    for first in range(1, len(bands), PART_FRAMES):
        part = bands[first - 1 : first + PART_FRAMES]
        rise = np.maximum(part[1:] - maximum_filter1d(part[:-1], 3, axis=1), 0)
        found[first : first + PART_FRAMES] = np.add.reduceat(
            rise, (0, KICKS, SNARES), axis=1, dtype=float
        )
    return found


def onset_strength(bands: NDArray[np.float32]) -> Curve:
    """Give how strongly something begins in each frame, compared with the seconds around it."""
    flux = rises(bands).sum(axis=1)
    sharp = np.maximum(flux - uniform_filter1d(flux, BEAT_FPS // 2), 0)
    usual = np.sqrt(uniform_filter1d(sharp**2, 4 * BEAT_FPS).clip(0))
    return np.asarray(sharp / (usual + 1e-3 * sharp.max(initial=0) + 1e-9))


def lags_between(slowest_bpm: float, fastest_bpm: float) -> NDArray[np.intp]:
    """List intervals between beats, in frames."""
    return np.arange(
        int(60 * BEAT_FPS / fastest_bpm), int(np.ceil(60 * BEAT_FPS / slowest_bpm)) + 1
    )


def autocorrelations(curve: Curve) -> Iterator[Curve]:
    """Yield how much onsets repeat after each lag ``(steps, lags)``, seconds by seconds."""
    length = round(WINDOW_SECONDS * BEAT_FPS)
    size = 1 << (2 * length - 1).bit_length()
    window = np.hanning(length)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[:length]
    padded = np.pad(curve, length // 2)
    hop = BEAT_FPS // STEPS_PER_SECOND
    views = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    for first in range(0, len(views), 256):
        parts = views[first : first + 256] * window
        parts = parts - parts.mean(axis=1, keepdims=True)
        again = np.fft.irfft(np.abs(np.fft.rfft(parts, size, axis=1)) ** 2, axis=1)[:, :length]
        yield again / (again[:, :1] + 1e-9) / np.maximum(own / own[0], 0.2)


def mean_autocorrelation(curve: Curve) -> Curve:
    """Average :func:`autocorrelations` over a song ``(lags,)``."""
    total, count = np.zeros(round(WINDOW_SECONDS * BEAT_FPS)), 0
    for again in autocorrelations(curve):
        total += again.sum(axis=0)
        count += len(again)
    return total / count


def bar_strength(repetition: Curve, tempo_bpm: float) -> float:
    """Tell how much onsets repeat after two, three or four beats, whichever is most."""
    lags = 60 * BEAT_FPS / tempo_bpm * np.array([2, 3, 4])
    near = [repetition[max(int(lag) - 2, 0) : int(lag) + 4] for lag in lags]
    return max(float(part.max()) for part in near if len(part))


def tempo_scores(curve: Curve, lags: NDArray[np.intp]) -> Curve:
    """Score intervals ``(steps, lags)`` by how the onsets repeat after one to four of them."""
    rows = []
    for again in autocorrelations(curve):
        comb = np.zeros((len(again), len(lags)))
        for times in (1, 2, 3, 4):
            comb += again[:, np.minimum(lags * times, again.shape[1] - 1)] / times
        rows.append(np.log(np.maximum(comb, 0) / 2.08 + 0.05))
    octaves = np.log2(60 * BEAT_FPS / lags / LIKELY_BPM)
    scores = np.concatenate(rows) - 0.5 * (octaves / LIKELY_OCTAVES) ** 2
    return np.asarray(scores * 2 * lags / BEAT_FPS)


def follow(curve: Curve, lags: NDArray[np.intp], scores: Curve) -> Curve:
    """Find the path of beats through onsets that is best by gains, scores and changes.

    Parameters
    ----------
    curve
        From :func:`onset_strength`.
    lags
        Intervals in frames, next to each other.
    scores
        ``(steps, lags)`` of intervals, for equal parts of the curve.

    Returns
    -------
    array
        Frames of the beats.
    """
    gain = np.log(np.clip(curve / 2, 0.02, 1.5)) + BEAT_GAIN
    change = -CHANGE_COST * np.abs(np.log(lags[None, :] / lags[:, None]))
    length, count, longest = len(curve), len(lags), int(lags[-1])
    # No beat reaches back further than the longest interval: older totals are overwritten.
    total = np.full((longest, count), -1e9, np.float32)
    back = np.full((length, count), -1, np.int16 if count > 127 else np.int8)
    numbers = np.arange(count)
    per_step = -(-length // len(scores))
    for frame in range(length):
        # A first beat may be anywhere within three seconds.
        best = np.full(count, 0.0 if frame < 3 * BEAT_FPS else -1e9)
        reach = int(np.searchsorted(lags, frame, side="right"))
        if reach:
            ways = total[(frame - lags[:reach]) % longest] + change[:reach]
            chosen = ways.argmax(axis=1)
            value = ways[numbers[:reach], chosen]
            better = value > best[:reach]
            best[:reach] = np.where(better, value, best[:reach])
            back[frame, :reach] = np.where(better, chosen, -1)
        total[frame % longest] = gain[frame] + scores[frame // per_step] + best
    last = np.arange(max(0, length - longest), length)
    frame, state = divmod(int(total[last % longest].argmax()), count)
    frame += int(last[0])
    path = [frame]
    while (before := int(back[frame, state])) >= 0:
        frame, state = frame - int(lags[state]), before
        path.append(frame)
    return np.array(path[::-1], float)


def peaks(curve: Curve) -> Curve:
    """Widen peaks by a frame to each side: beats are not found to the frame."""
    return np.asarray(maximum_filter1d(curve, 3))


def changes(chroma: NDArray[np.float32], length: int, reach: int = 4) -> Curve:
    """Give how much the notes after a time differ from those before, on the clock of beats."""
    unit = chroma / (np.linalg.norm(chroma, axis=1, keepdims=True) + 1e-6)
    count = len(unit)
    held = np.pad(unit, ((reach, reach), (0, 0)), mode="edge")
    sums = np.concatenate([np.zeros((1, held.shape[1])), np.cumsum(held, axis=0)])
    before = sums[reach : reach + count] - sums[:count]
    after = sums[2 * reach : 2 * reach + count] - sums[reach : reach + count]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1) + 1e-6
    apart = 1 - (before * after).sum(axis=1) / norms
    return np.asarray(np.interp(np.arange(length) / BEAT_FPS, np.arange(count) / CHORD_FPS, apart))


def describe(curves: dict[str, Curve], path: Curve, tempo_bpm: float) -> Curve:
    """Describe a path of beats: its tempo, what is on and between beats, and which stand out."""
    octaves = np.log2(tempo_bpm / LIKELY_BPM)
    found = [octaves, octaves**2, abs(octaves)]
    steps = np.diff(path)
    for curve in curves.values():
        beats = sample(curve, path)
        found.append(np.log(beats.mean() + 0.05))
        for shares in ((1 / 2,), (1 / 3, 2 / 3), (1 / 4, 3 / 4)):
            between = np.concatenate([path[:-1] + share * steps for share in shares])
            found.append(np.log(sample(curve, between).mean() + 0.05))
        for group in (2, 3, 4):
            means = np.sort([beats[place::group].mean() for place in range(group)])[::-1]
            found.append((means[0] - means[1:].mean()) / (beats.mean() + 0.05))
    return np.array(found)
