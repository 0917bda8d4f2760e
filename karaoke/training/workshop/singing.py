"""Synthesise singing: ``karaoke workshop sing CORPUS FOLDER`` (needs the package ``pyworld``).

The corpus is rich in syllables and words, but poor in singers who move in pitch. This joins its
syllables into lines with made-up tunes. A vocoder gives each line another vocal tract, register and
manner. The lines become a corpus of their own, whose manifest names the sources. They have the
phase of a vocoder, so at least half of the voices to train on should be others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from karaoke.errors import NoInputError
from karaoke.evaluation.corpora import read_manifest, write_manifest
from karaoke.training.corpus import SAMPLE_RATE, Recording, load_corpus
from karaoke.training.mixtures.augment import Rng
from karaoke.training.mixtures.pools import Pool
from karaoke.training.workshop.tunes import Note, compose, pitch_line
from karaoke.training.workshop.vocoder import (
    BINS,
    FRAMES_PER_SECOND,
    PITCH_RANGE_HZ,
    SILENCE,
    Frames,
    analyse,
    synthesise,
    warp,
    world,
)

#: Largest number of frames in a syllable before it becomes voiced.
CONSONANT = 24
#: Shorter voiced stretches are clicks; longer ones are several syllables.
SHORTEST, LONGEST = 12, 140
#: Natural logarithm of the power of ten decibels.
TEN_DB = np.log(10.0)
#: Ways to sing a phrase, and how common they are.
MANNERS = {"plain": 0.78, "breathy": 0.1, "shouted": 0.07, "whispered": 0.05}


@dataclass(frozen=True)
class Syllable:
    """Frames that can be sung: an optional consonant, then a vowel from ``onset`` on."""

    frames: Frames
    onset: int


def cut_syllables(frames: Frames) -> Iterator[Syllable]:
    """Cut a recording into syllables: voiced stretches and what precedes them."""
    voiced = np.concatenate([[False], frames.pitch_hz > 0, [False]])
    edges = np.flatnonzero(voiced[1:] != voiced[:-1]).reshape(-1, 2)
    loudness = frames.envelope.max(axis=1)
    free = 0
    for start, stop in edges:
        for low, high in split_long(loudness, int(start), int(stop)):
            if high - low >= SHORTEST and loudness[low:high].max() > loudness.max() - 3 * TEN_DB:
                first = max(free, low - CONSONANT)
                yield Syllable(frames.read(np.arange(first, high, dtype=np.float64)), low - first)
            free = high


def split_long(loudness: NDArray[np.float64], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Split a stretch at its softest point until no part is too long."""
    if stop - start <= LONGEST:
        yield start, stop
        return
    margin = LONGEST // 4
    cut = start + margin + int(np.argmin(loudness[start + margin : stop - margin]))
    yield from split_long(loudness, start, cut)
    yield from split_long(loudness, cut, stop)


def hold(syllable: Syllable, length: int) -> Frames:
    """Sing a syllable for ``length`` frames, by stretching the middle of its vowel."""
    onset = min(syllable.onset, length * 2 // 5)
    vowel = len(syllable.frames) - syllable.onset
    wanted = length - onset
    edge = min(8, vowel // 3, wanted // 3)
    path = np.concatenate(
        [
            np.arange(syllable.onset - onset, syllable.onset + edge),
            syllable.onset + np.linspace(edge, vowel - edge, wanted - 2 * edge, endpoint=False),
            np.arange(len(syllable.frames) - edge, len(syllable.frames)),
        ]
    )
    return syllable.frames.read(path)


def sing(rng: Rng, syllables: Sequence[Syllable], frames: int) -> Frames:
    """Sing a made-up tune.

    Parameters
    ----------
    syllables
        Syllables of one voice.

    Returns
    -------
    Frames
        Rests are silent, except for breaths.
    """
    notes = compose(rng, frames)
    line = Frames(np.zeros(frames), np.full((frames, BINS), SILENCE), np.ones((frames, BINS)))
    pitch_hz = in_range(pitch_line(rng, notes, frames), middle_of(syllables) + rng.normal(4, 4))
    at = int(rng.integers(len(syllables)))
    for note in notes:
        # Mostly in order, so that some words remain.
        at = (at + 1 if rng.random() < 0.8 else int(rng.integers(len(syllables)))) % len(syllables)
        sung, here = hold(syllables[at], note.stop - note.start), slice(note.start, note.stop)
        line.pitch_hz[here] = np.where(sung.pitch_hz > 0, pitch_hz[here], 0)
        line.envelope[here] = sung.envelope + rng.normal(0, 0.15) * TEN_DB
        line.aperiodicity[here] = sung.aperiodicity
    join(line, notes)
    manner_of_phrases(rng, line, notes)
    return line


def middle_of(syllables: Sequence[Syllable]) -> float:
    """Return the usual pitch of a voice, in semitones above 1 Hz."""
    pitch_hz = np.concatenate([syllable.frames.pitch_hz for syllable in syllables])
    return float(12 * np.log2(np.median(pitch_hz[pitch_hz > 0])))


def in_range(line: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """Convert a tune to Hz, shifted so that it is neither too low nor too high."""
    lowest, highest = 12 * np.log2(PITCH_RANGE_HZ)
    middle = max(min(middle, highest - line.max()), lowest - line.min())
    pitch_hz: NDArray[np.float64] = 2 ** ((middle + line) / 12)
    return pitch_hz.clip(*PITCH_RANGE_HZ)


def join(line: Frames, notes: Sequence[Note]) -> None:
    """Smooth the transitions between notes, and fade phrases in and out, in place."""
    for left, right in zip([None, *notes], [*notes, None], strict=True):
        if left and right and left.phrase == right.phrase and right.start - 4 > left.start:
            share = np.linspace(0, 1, 8)[:, None]
            around = slice(right.start - 4, right.start + 4)
            for rows in (line.envelope, line.aperiodicity):
                ends = rows[around.start], rows[min(around.stop, len(rows)) - 1]
                rows[around] = ((1 - share) * ends[0] + share * ends[1])[: len(rows[around])]
        else:
            if left:
                fade = np.linspace(0, 4 * TEN_DB, min(12, left.stop - left.start))
                line.envelope[left.stop - len(fade) : left.stop] -= fade[:, None]
            if right:
                line.envelope[right.start : right.start + 3] -= np.array([[2], [1], [0.5]]) * TEN_DB


def manner_of_phrases(rng: Rng, line: Frames, notes: Sequence[Note]) -> None:
    """Give each phrase a manner and a level, and perhaps a breath before it, in place."""
    tilt = np.linspace(0, 1, BINS) * TEN_DB
    for phrase in dict.fromkeys(note.phrase for note in notes):
        own = [note for note in notes if note.phrase == phrase]
        here = slice(own[0].start, own[-1].stop)
        arc = np.sin(np.linspace(0, np.pi, here.stop - here.start))[:, None]
        line.envelope[here] += (rng.normal(0, 0.3) + rng.uniform(0, 0.5) * arc) * TEN_DB
        manner = rng.choice(list(MANNERS), p=list(MANNERS.values()))
        if manner == "whispered":
            line.pitch_hz[here] = 0
            line.aperiodicity[here] = 1
            line.envelope[here] += tilt - TEN_DB
        elif manner == "breathy":
            line.aperiodicity[here] **= 0.5
        elif manner == "shouted":
            line.envelope[here] += 0.5 * tilt + 0.4 * TEN_DB
            line.pitch_hz[here] = (line.pitch_hz[here] * 2 ** (5 / 12)).clip(max=PITCH_RANGE_HZ[1])
        if rng.random() < 0.5:
            breathe(rng, line, here)


def breathe(rng: Rng, line: Frames, phrase: slice) -> None:
    """Breathe before a phrase, if there is time, in place."""
    length = int(rng.uniform(0.15, 0.4) * FRAMES_PER_SECOND)
    here = slice(phrase.start - length - 4, phrase.start - 4)
    if here.start < 0 or line.envelope[here].max() > SILENCE:
        return
    shape = line.envelope[phrase].mean(axis=0) + 1.5 * np.linspace(0, 1, BINS) * TEN_DB
    rise = np.linspace(-2, 0, length)[:, None] * TEN_DB
    line.envelope[here] = (shape - rng.uniform(2, 3.5) * TEN_DB + rise).clip(SILENCE)


def sing_file(recording: Recording, seed: tuple[int, int], seconds: float) -> NDArray[np.float32]:
    """Sing two lines, by two singers, of the syllables of one recording: ``(samples,)``.

    Empty where the recording has too few syllables.
    """
    rng = np.random.default_rng(seed)
    length = min(recording.length, 15 * SAMPLE_RATE)
    start = int(rng.integers(0, recording.length - length + 1))
    frames = analyse(recording.read(start, length)[0])
    lines = []
    for _ in range(2):
        # Another singer for each line: a vocal tract of another length.
        syllables = list(cut_syllables(warp(frames, float(rng.uniform(0.85, 1.18)))))
        if len(syllables) < 5:
            return np.zeros(0, dtype=np.float32)
        line = synthesise(sing(rng, syllables, round(seconds * FRAMES_PER_SECOND / 2)))
        lines.append(line / max(float(np.abs(line).max()), 1e-3) * np.float32(0.7))
    return np.concatenate(lines)


def write_file(task: tuple[Recording, tuple[int, int], Path], seconds: float) -> float:
    """Sing a file of the corpus, and return its seconds."""
    recording, seed, target = task
    audio = sing_file(recording, seed, seconds)
    if len(audio):
        soundfile.write(target, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return len(audio) / SAMPLE_RATE


def write_corpus(
    corpus: Path,
    root: Path,
    *,
    minutes: float,
    seconds: float,
    seed: int,
    cache: Path,
    workers: int,
) -> None:
    """Write lines sung with the voices of a corpus, and their ``manifest.tsv``.

    Parameters
    ----------
    corpus
        A folder with a manifest, whose recordings of the roles ``vocals`` and ``speech`` are used.
    root
        Folder to write to.
    minutes, seconds
        Approximate total length, and length of a file.
    seed
        Random seed.
    cache
        Folder for decoded recordings.
    workers
        Number of processes.

    Raises
    ------
    NoInputError
        The corpus has no voices, or ``pyworld`` is missing.
    """
    facts = {row["path"]: row for row in read_manifest(corpus)}
    train = [r for r in load_corpus([corpus], cache, workers=workers) if r.split == "train"]
    roles = [[r for r in train if r.role == role] for role in ("vocals", "speech")]
    pools = [Pool(voices) for voices in roles if voices]
    if not pools:
        raise NoInputError(f'"{corpus}": no vocals and no speech', hint="Add some to sing with.")
    world()  # fails now rather than in every process
    (root / "sung").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    tasks = []
    for index in range(round(60 * minutes / seconds)):
        recording = pools[-1 if rng.random() < 0.45 else 0].draw(rng)
        tasks.append((recording, (seed, index), root / "sung" / f"{index:04}.flac"))
    with ProcessPoolExecutor(workers) as pool:
        lengths = list(pool.map(partial(write_file, seconds=seconds), tasks))
    list_sung(root, [(r, p, n) for (r, _, p), n in zip(tasks, lengths, strict=True) if n], facts)


def list_sung(
    root: Path,
    sung: Sequence[tuple[Recording, Path, float]],
    facts: Mapping[str, Mapping[str, str]],
) -> None:
    """Write the manifest of what was sung, given as recording, file and seconds."""
    rows = [
        {
            **facts[recording.path],
            "path": f"sung/{path.name}",
            "role": "vocals",
            # One group for all speakers, so that they do not outnumber the singers.
            "group": f"sung-{recording.group if recording.role == 'vocals' else 'speech'}",
            "seconds": f"{seconds:.1f}",
            "channels": "1",
            "note": "sung anew from syllables",
        }
        for recording, path, seconds in sung
    ]
    write_manifest(root, rows)
