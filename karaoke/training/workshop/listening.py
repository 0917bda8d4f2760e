"""Learn to hear beats, bars and chords: ``karaoke workshop listen FILE``.

Linear models choose between the ways to hear a band: at which of several levels it is tapped,
which beats begin bars, which chord sounds. They are learned here of songs that are drawn and
rendered with their truth, and written as the file that ``karaoke.analysis.learned`` reads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from karaoke.analysis import metre, pulse
from karaoke.analysis.features import BEAT_FPS, listen
from karaoke.analysis.harmony import QUALITIES, chord_features, turned
from karaoke.analysis.learned import Linear, softmax, written
from karaoke.files import write_text
from karaoke.training.workshop.songs import RATE, Song, draw_song, play

Array = NDArray[np.float64]
#: How close a found tempo, beat or first beat must be to be the true one.
TEMPO_NEAR, BEAT_NEAR_SECONDS = 0.04, 0.08
#: Every so many songs are drums alone, and noise alone: nothing with a chord.
DRUMS_EVERY, NOISE_EVERY = 12, 17
#: By how much large weights are held back.
HOLD = {"level": 0.01, "metre": 0.01, "chords": 0.001}


@dataclass(frozen=True)
class Lesson:
    """What one song teaches.

    Parameters
    ----------
    levels, level_shares
        Features of the candidates for its pulse, and which of them are right.
    bars, bar_shares
        The same of all ways to begin bars.
    chords, labels
        Features between beats, and numbers of the chords; the last number is none.
    """

    levels: Array
    level_shares: Array
    bars: Array
    bar_shares: Array
    chords: Array
    labels: NDArray[np.intp]


def learn(path: Path, songs: int, jobs: int, say: Callable[[str], None]) -> None:
    """Render songs, learn of them, and write what was learned.

    Parameters
    ----------
    path
        Of the file.
    songs
        How many to render; 40 s each.
    jobs
        Processes that render.
    say
        Told how far it is.
    """
    lessons: list[Lesson] = []
    with ProcessPoolExecutor(jobs) as pool:
        for lesson in pool.map(partial(lesson_of), range(songs)):
            lessons.append(lesson)
            if len(lessons) % 20 == 0:
                say(f"{len(lessons)} of {songs} songs")
    write_text(path, written(fit_all(lessons)))


def lesson_of(seed: int) -> Lesson:
    """Render a song, and hear it."""
    rng = np.random.default_rng(seed)
    song = draw_song(rng, key=seed % 24)
    levels = {
        "comp": float(rng.uniform(0.45, 0.9)),
        "bass": float(rng.uniform(0.6, 1.0)),
        "drums": float(rng.uniform(0.5, 1.0)),
        # What is left of a voice.
        "tune": float(10 ** (-rng.uniform(4, 25) / 20)),
    }
    silent = seed % DRUMS_EVERY == 0 and bool(song.drums)
    if silent:
        song.parts, song.chords = {}, []
    band = play(song, levels)
    if seed % NOISE_EVERY == 0:
        song.chords, song.beats = [], []
        band = rng.standard_normal(band.shape).astype(np.float32) * 0.1
    # Rooms, microphones and masters colour all bands differently.
    band = coloured(rng, band)
    features = listen([band], RATE)
    accents = pulse.Accents(features)
    found = pulse.candidates(accents) if song.beats else []
    beats = np.array(song.beats) if song.beats else np.arange(0.5, song.seconds, 0.5)
    heard = chord_features(features.notes, beats)
    ways = metre.describe(accents.curves, beats * BEAT_FPS)
    return Lesson(
        levels=np.array([one.features for one in found]),
        level_shares=shares([right(one, song) for one in found]),
        bars=ways if song.beats and not silent else ways[:0],
        bar_shares=shares([way == true_way(song) for way in metre.ways()]),
        chords=heard,
        labels=np.array([label(song, m) for m in (beats[:-1] + beats[1:]) / 2], dtype=np.intp),
    )


def coloured(rng: np.random.Generator, band: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tilt and bend the spectrum of a recording by a few decibels."""
    spectrum = np.fft.rfft(band, axis=1)
    hz = np.fft.rfftfreq(band.shape[1], 1 / RATE)
    octaves = np.log2(np.maximum(hz, 20) / 20)
    points = np.cumsum(rng.normal(0, 2.5, 11))
    bent_db = np.interp(octaves, np.arange(11), points - points.mean())
    return np.fft.irfft(spectrum * 10 ** (bent_db / 20), band.shape[1]).astype(np.float32)


def right(candidate: pulse.Candidate, song: Song) -> bool:
    """Tell whether a candidate is at the true level, and on most of the true beats."""
    if abs(candidate.tempo_bpm / song.bpm - 1) > TEMPO_NEAR:
        return False
    beats = np.array(song.beats)
    apart = np.abs(beats[:, None] - candidate.frames[None] / BEAT_FPS).min(axis=1)
    return bool((apart < BEAT_NEAR_SECONDS).mean() > 0.6)


def true_way(song: Song) -> tuple[str, int]:
    """Give the metre of a song whose first beat begins a bar."""
    return song.metre, 0


def shares(rights: list[bool]) -> Array:
    """Share one among those that are right; all zero where none is."""
    chosen = np.array(rights, float)
    return np.asarray(chosen / max(chosen.sum(), 1.0))


def label(song: Song, second: float) -> int:
    """Give the number of the chord at a second: by root, then quality; the last is none."""
    for chord in song.chords:
        if chord.start <= second < chord.end:
            return chord.root * len(QUALITIES) + QUALITIES.index(chord.quality)
    return 12 * len(QUALITIES)


def fit_all(lessons: list[Lesson]) -> dict[str, Linear]:
    """Learn the three models."""
    levels = [(x.levels, x.level_shares) for x in lessons if x.level_shares.any()]
    bars = [(x.bars, x.bar_shares) for x in lessons if len(x.bars)]
    return {
        "level": fit_choice(levels, HOLD["level"]),
        "metre": fit_choice(bars, HOLD["metre"]),
        "chords": fit_chords(lessons, HOLD["chords"]),
    }


def scales(features: Array) -> tuple[Array, Array]:
    """Give the means and the spreads of features."""
    return features.mean(axis=0), features.std(axis=0) + 1e-3


def fit_choice(choices: list[tuple[Array, Array]], hold: float) -> Linear:
    """Learn to choose among candidates ``(n, D)``, of which shares are right."""
    mean, scale = scales(np.concatenate([features for features, _ in choices]))
    given = [((features - mean) / scale, right) for features, right in choices]

    def loss(weights: Array) -> tuple[float, Array]:
        total, slope = 0.0, np.zeros_like(weights)
        for features, right in given:
            chance = softmax(features @ weights)
            total -= float((right * np.log(chance + 1e-12)).sum())
            slope += features.T @ (chance - right)
        return (
            total / len(given) + hold * float(weights @ weights),
            slope / len(given) + 2 * hold * weights,
        )

    found = minimize(loss, np.zeros(len(mean)), jac=True, method="L-BFGS-B")
    return Linear(mean, scale, found.x, np.zeros(0))


def fit_chords(lessons: list[Lesson], hold: float) -> Linear:
    """Learn a score for each quality, the same from all roots, and one for no chord at all."""
    features = np.concatenate([turned(lesson.chords) for lesson in lessons])
    labels = np.concatenate([lesson.labels for lesson in lessons])
    count, dims = len(QUALITIES) + 1, features.shape[-1]
    mean, scale = scales(features.reshape(-1, dims))
    given = (features - mean) / scale
    number = 12 * len(QUALITIES)
    truth = np.eye(number + 1)[labels]

    def loss(flat: Array) -> tuple[float, Array]:
        weights, bias = flat[: count * dims].reshape(count, dims), flat[count * dims :]
        scores = given @ weights.T + bias
        all_scores = np.concatenate(
            [scores[..., :-1].reshape(len(given), number), scores[..., -1].mean(1, keepdims=True)],
            1,
        )
        chance = softmax(all_scores)
        total = -float(np.log((chance * truth).sum(axis=1) + 1e-12).mean())
        off = (chance - truth) / len(given)
        slopes = np.concatenate(
            [off[:, :-1].reshape(len(given), 12, count - 1),
             np.repeat(off[:, -1:, None] / 12, 12, axis=1)], axis=2,
        )  # fmt: skip
        slope = np.einsum("sro,srd->od", slopes, given) + 2 * hold / dims * weights
        return (
            total + hold / dims * float((weights**2).sum()),
            np.concatenate([slope.ravel(), slopes.sum(axis=(0, 1))]),
        )

    found = minimize(loss, np.zeros(count * (dims + 1)), jac=True, method="L-BFGS-B",
                     options={"maxiter": 150})  # fmt: skip
    weights = found.x[: count * dims].reshape(count, dims)
    return Linear(mean, scale, weights, found.x[count * dims :])
