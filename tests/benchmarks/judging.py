"""Compare what was found in a song with its truth, by mir_eval, and what plain methods find."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import mir_eval
import numpy as np
from composing import NAMES, Score
from numpy.typing import NDArray
from playing import Arrangement

Curve = NDArray[np.float64]
Labels = tuple[Curve, list[str]]
#: Of the plain methods, in Hz.
RATE = 22_050
HOP = 512
#: A tempo is right within this share.
TEMPO_SHARE = 0.04
#: How well notes fit keys, from the tonic on: C. Krumhansl, "Cognitive Foundations of Musical
#: Pitch", Oxford 1990.
KRUMHANSL_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
KRUMHANSL_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
#: Notes shorter than this are dropped from pYIN's.
SHORTEST_SECONDS = 0.1


@dataclass(frozen=True)
class Heard:
    """What is in a song: its truth, or what somebody says.

    Parameters
    ----------
    key, metre, bpm
        None if not known.
    beats, downbeats
        Seconds.
    chords
        Intervals ``(chords, 2)`` and labels in Harte's notation.
    notes
        Intervals ``(notes, 2)`` and Hz.
    """

    key: str | None
    metre: str | None
    bpm: float | None
    beats: Curve
    downbeats: Curve
    chords: Labels
    notes: tuple[Curve, Curve]


def truth_of(score: Score, sound: Arrangement, shift: int = 0) -> Heard:
    """Say what was played; ``shift`` is by how many semitones it was moved."""
    spans, labels = [], []
    for chord in score.chords:
        begin, end = score.seconds(chord.beat), score.seconds(chord.beat + chord.beats)
        label = f"{NAMES[(chord.root + shift) % 12]}:{chord.quality}"
        bar = int(chord.beat + 1e-6) // score.per_bar
        if bar in score.breaks:
            # Whether the chord goes on while nobody plays it is a matter of taste: X is not judged.
            silent = max(begin, min(end, score.seconds(bar * score.per_bar + 0.9)))
            spans += [(begin, silent), (silent, end)]
            labels += [label, "X"]
        else:
            spans.append((begin, end))
            labels.append(label)
    kept = [n for n, (begin, end) in enumerate(spans) if end - begin > 1e-6]
    beats = score.beats[:-1]
    starts = np.array([[start, start + lasts] for start, lasts, _, _ in sound.sung])
    pitches = np.array([pitch + shift + score.sharp for _, _, pitch, _ in sound.sung])
    tonic = NAMES[(score.tonic + shift) % 12]
    return Heard(
        key=f"{tonic} {'minor' if score.is_minor else 'major'}",
        metre=score.style.metre,
        bpm=60 / float(np.median(np.diff(score.beats))),
        beats=beats,
        downbeats=beats[:: score.per_bar],
        chords=(np.array(spans)[kept], [labels[n] for n in kept]),
        notes=(starts.reshape(-1, 2), librosa.midi_to_hz(pitches)),
    )


def heard_by_karaoke(found: dict[str, Any]) -> Heard:
    """Read what ``karaoke analyse --json`` said."""
    chords, notes = found["chords"], found["notes"]
    a4 = found["tuning_hz"] or 440.0
    pitches = np.array([note["pitch"] for note in notes], float)
    return Heard(
        key=found["key"] and found["key"]["name"],
        metre=found["metre"] and found["metre"]["name"],
        bpm=found["tempo"] and found["tempo"]["bpm"],
        beats=np.array(found["beats"], float),
        downbeats=np.array(found["downbeats"], float),
        chords=(spans_of(chords), [harte(chord["name"]) for chord in chords]),
        notes=(spans_of(notes), a4 * 2 ** ((pitches - 69) / 12)),
    )


def spans_of(items: Sequence[dict[str, Any]]) -> Curve:
    """Give when things begin and end."""
    return np.array([[item["start"], item["end"]] for item in items], float).reshape(-1, 2)


def harte(name: str | None) -> str:
    """Write the name of a chord as mir_eval reads it."""
    if name is None:
        return "N"
    found = re.fullmatch(r"([A-G][b#]?)(maj7|m7|m|7|)", name)
    assert found, name
    quality = {"": "maj", "m": "min", "m7": "min7"}.get(found[2], found[2])
    return f"{found[1]}:{quality}"


def heard_plainly(path: Path) -> Heard:
    """Say what librosa's beat tracker and templates of keys and triads find."""
    sound, _ = librosa.load(path, sr=RATE, mono=True)
    tempo, beats = librosa.beat.beat_track(y=sound, sr=RATE, hop_length=HOP, units="time")
    chroma = librosa.feature.chroma_cqt(y=sound, sr=RATE, hop_length=HOP)
    edges = np.unique(np.concatenate([[0.0], beats, [len(sound) / RATE]]))
    frames = librosa.time_to_frames(edges[1:-1], sr=RATE, hop_length=HOP)
    by_beat = librosa.util.sync(chroma, frames, aggregate=np.mean).T
    # util.sync adds the ends itself.
    labels = [triad(row) for row in by_beat[: len(edges) - 1]]
    return Heard(
        key=krumhansl(chroma.mean(axis=1)),
        metre="4/4",
        bpm=float(np.atleast_1d(tempo)[0]),
        beats=beats,
        downbeats=beats[::4],
        chords=(np.stack([edges[: len(labels)], edges[1 : len(labels) + 1]], axis=1), labels),
        notes=(np.zeros((0, 2)), np.zeros(0)),
    )


def triad(chroma: Curve) -> str:
    """Name the triad whose template is nearest."""
    best, label = -1.0, "N"
    for quality, tones in (("maj", (0, 4, 7)), ("min", (0, 3, 7))):
        for root in range(12):
            score = sum(float(chroma[(root + tone) % 12]) for tone in tones)
            if score > best:
                best, label = score, f"{NAMES[root]}:{quality}"
    return label


def krumhansl(chroma: Curve) -> str:
    """Name the key whose profile correlates best."""
    scores = {
        f"{NAMES[tonic]} {mode}": np.corrcoef(np.roll(profile, tonic), chroma)[0, 1]
        for mode, profile in (("major", KRUMHANSL_MAJOR), ("minor", KRUMHANSL_MINOR))
        for tonic in range(12)
    }
    return max(scores, key=lambda key: float(scores[key]))


def pyin_notes(path: Path, begin: float, end: float) -> tuple[Curve, Curve]:
    """Cut pYIN's pitch of a stretch of vocals where it begins, ends or changes by a semitone."""
    sound, _ = librosa.load(path, sr=RATE, mono=True, offset=begin, duration=end - begin)
    hz, voiced, _ = librosa.pyin(sound, fmin=65, fmax=1050, sr=RATE, hop_length=256)
    semitones = np.where(voiced, np.round(librosa.hz_to_midi(hz)), -1)
    edges = np.flatnonzero(np.diff(semitones)) + 1
    spans, pitches = [], []
    for first, after in zip([0, *edges], [*edges, len(semitones)], strict=True):
        seconds = (after - first) * 256 / RATE
        if semitones[first] > 0 and seconds >= SHORTEST_SECONDS:
            start = begin + first * 256 / RATE
            spans.append([start, start + seconds])
            pitches.append(float(semitones[first]))
    return np.array(spans).reshape(-1, 2), librosa.midi_to_hz(np.array(pitches))


def note_scores(truth: tuple[Curve, Curve], found: tuple[Curve, Curve]) -> dict[str, float]:
    """Compare notes by their onset and pitch."""
    scores = {}
    for tolerance in (0.05, 0.1):
        name = f"notes {round(1000 * tolerance)}"
        if not len(found[0]):
            scores[name] = 0.0
            continue
        _, _, scores[name], _ = mir_eval.transcription.precision_recall_f1_overlap(
            *truth, *found, onset_tolerance=tolerance, offset_ratio=None
        )
    return scores


def within(notes: tuple[Curve, Curve], begin: float, end: float) -> tuple[Curve, Curve]:
    """Give the notes that begin between two seconds."""
    inside = (notes[0][:, 0] >= begin) & (notes[0][:, 0] < end)
    return notes[0][inside], notes[1][inside]


def scores_of(truth: Heard, found: Heard) -> dict[str, float]:
    """Compare all but notes; beats are judged from the first to the last, none is left out."""
    assert truth.key is not None and truth.bpm is not None
    ratio = 0.0 if found.bpm is None else found.bpm / truth.bpm
    octaves = (1 / 3, 1 / 2, 2 / 3, 3 / 2, 2.0, 3.0)
    beat = mir_eval.beat
    few = len(found.beats) < 2
    _, cmlt, _, amlt = (0.0,) * 4 if few else beat.continuity(truth.beats, found.beats)
    spans, labels = found.chords
    chords = mir_eval.chord.evaluate(*truth.chords, spans, labels) if labels else {"majmin": 0.0}
    return {
        "key": 0.0 if found.key is None else mir_eval.key.weighted_score(truth.key, found.key),
        "tempo": float(abs(ratio - 1) < TEMPO_SHARE),
        "octave": float(any(abs(ratio / other - 1) < TEMPO_SHARE for other in octaves)),
        "beats": 0.0 if few else beat.f_measure(truth.beats, found.beats),
        "CMLt": cmlt,
        "AMLt": amlt,
        "downbeats": 0.0 if few else beat.f_measure(truth.downbeats, found.downbeats),
        "metre": float(truth.metre == found.metre),
        "chords": chords["majmin"],
    }


def interval(values: Sequence[float], seed: int = 0, draws: int = 2000) -> tuple[float, float]:
    """Give the 95 % interval of a mean, by drawing the songs anew."""
    rng = np.random.default_rng(seed)
    means = rng.choice(np.asarray(values, float), (draws, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
