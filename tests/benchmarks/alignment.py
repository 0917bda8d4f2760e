"""Measure drafts and alignments on songs that a speech synthesiser sings, split by the model.

Every song is drawn from a seed, sung by ``espeak-ng`` to a band, mixed, and split by ``karaoke
split``; what the analysis finds in the separated vocals is compared with the score.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy import signal

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "data")]

import singer  # noqa: E402

from karaoke.analysis.acoustics import recogniser_version  # noqa: E402
from karaoke.analysis.alignment import Aligned, align_lyrics  # noqa: E402
from karaoke.analysis.drafting import draft_lines  # noqa: E402
from karaoke.analysis.sounds import Sound  # noqa: E402
from karaoke.lyrics import parse_lyrics  # noqa: E402
from tests.singing import RATE, Audio, Rng, Score, draw_score, play  # noqa: E402

STEMS = ("vocals", "instrumental")
#: How espeak-ng writes the nucleus of a syllable.
NUCLEUS = re.compile(
    r"'?,?(?:aI@|aI3|aU@|i@3|i@|e@|A@|o@|U@|O@|aI|aU|eI|oU|OI|i:|u:|3:|A:|O:|I#|I2|@2|@L|a#"
    r"|aa|[aEIiUu0OVe3@o])"
)


@cache
def phonemes(word: str, parts: int) -> list[str]:
    """Let espeak-ng spell a word, and cut it into as many syllables as it is sung on."""
    argv = ["espeak-ng", "-q", "-x", "-v", "en-us", word]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    spelled = re.sub(r"[_|\s-]|(?<=t)#", "", said)  # without the sign of a flapped t
    nuclei = list(NUCLEUS.finditer(spelled))[:parts]
    if len(nuclei) < parts:
        raise ValueError(f"{word}: {spelled} has no {parts} syllables")
    cuts = [0]
    for left, right in pairwise(nuclei):
        between = right.start() - left.end()
        cuts.append(left.end() + (1 if between > 1 else 0))
    return [spelled[a:b] for a, b in zip(cuts, [*cuts[1:], len(spelled)], strict=True)]


def spoken_notes(score: Score) -> list[tuple[float, float, float, str]]:
    """Give every note of a score the phonemes that are sung on it."""
    texts = {(n.line, n.word): [] for n in score.notes}
    for note in score.notes:
        if note.text:
            texts[note.line, note.word].append(note.text)
    notes, at = [], {key: 0 for key in texts}
    for note in score.notes:
        key = note.line, note.word
        said = phonemes("".join(texts[key]), len(texts[key]))
        if note.text:
            text = said[at[key]]
            at[key] += 1
        else:
            held = NUCLEUS.search(said[at[key] - 1])
            text = held.group() if held else "@"
        notes.append((note.start, note.seconds, note.note, text))
    return notes


def reverb(rng: Rng, sound: Audio, seconds: float) -> Audio:
    """Put a sound into a small room."""
    t = np.arange(round(seconds * RATE)) / RATE
    room = rng.standard_normal(len(t)) * 10 ** (-3 * t / seconds)
    return np.asarray(signal.fftconvolve(sound, room / np.sqrt((room**2).sum()))[: len(sound)])


def render(seed: int, folder: Path, seconds: float) -> Path:
    """Write a song, its voice and its score; give the song's file."""
    rng = np.random.default_rng(seed)
    target = folder / f"{seed}.flac"
    if target.exists():
        return target
    score = draw_score(rng, seconds=seconds)
    voice = singer.sing(spoken_notes(score), round(seconds * RATE), rng)
    voice += 0.15 * reverb(rng, voice, 1.0)
    band = play(rng, score)
    band += 0.1 * reverb(rng, band, 1.2)
    level = np.sqrt(np.mean(band**2) / np.mean(voice[voice != 0] ** 2))
    voice = voice * level * 10 ** (rng.uniform(-1, 4) / 20)
    pan = rng.uniform(0.9, 1.1)
    song = np.stack([voice + band * pan, voice + band * (2 - pan)])
    scale = 0.9 / np.abs(song).max()
    soundfile.write(target, (song * scale).T, RATE)
    soundfile.write(folder / f"{seed}.voice.flac", voice * scale, RATE)
    soundfile.write(folder / f"{seed}.band.flac", 0.9 * band / np.abs(band).max(), RATE)
    return target


def split(paths: list[Path], folder: Path) -> None:
    """Split songs by the default model."""
    command = [sys.executable, "-m", "karaoke", "split", *map(str, paths), "-o", str(folder)]
    command += ["--format", "flac", "--skip-existing", "--progress", "none", "-q"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def stem(path: Path) -> Sound:
    """Give a stem to listen to."""
    block = soundfile.read(path, dtype="float32", always_2d=True)[0].T.copy()
    return Sound(lambda at, count: block[:, at : at + count], block.shape[1], RATE)


def other_words(seed: int, seconds: float) -> str:
    """Give the text of another song."""
    return draw_score(np.random.default_rng([seed, 1]), seconds=seconds).text


def tampered(score: Score, rng: Rng) -> tuple[str, list[int]]:
    """Leave a line out of the words of a score: the text, and which lines are left."""
    gone = int(rng.integers(score.line_count))
    left = [line for line in range(score.line_count) if line != gone]
    rows = [" ".join(word for word, _ in score.words(line)) for line in left]
    return "\n".join(rows), left


def lay(text: str, vocals: Sound, band: Sound) -> Aligned:
    """Align a text to a song."""
    return align_lyrics(parse_lyrics(text.encode(), "words"), vocals, band)


def line_errors(aligned: Aligned, score: Score, lines: Sequence[int]) -> list[tuple[float, bool]]:
    """Give for each line how far off it is, in seconds, and whether it is named."""
    return [
        (abs((line.start_seconds or 0) - score.words(number)[0][1]), place in aligned.doubtful)
        for place, (line, number) in enumerate(zip(aligned.lyrics.lines, lines, strict=True), 1)
    ]


def measure(seed: int, folder: Path, seconds: float) -> dict[str, list[Any]]:
    """Measure one song."""
    score = draw_score(np.random.default_rng(seed), seconds=seconds)
    vocals, band = (stem(folder / "split" / str(seed) / f"{n}.flac") for n in STEMS)
    aligned = lay(score.text, vocals, band)
    words = [
        (word.start_seconds, start)
        for number, line in enumerate(aligned.lyrics.lines)
        for word, (_, start) in zip(line.words, score.words(number), strict=True)
    ]
    text, left = tampered(score, np.random.default_rng([seed, 2]))
    without = lay(text, vocals, band)
    another = lay(other_words(seed, seconds), vocals, band)
    drafted = [line.start_seconds for line in draft_lines(vocals, band)]

    def near(these: Sequence[float], those: Sequence[float]) -> list[bool]:
        return [min((abs(a - b) for b in those), default=np.inf) <= 0.25 for a in these]

    return {
        "late": [found - start for found, start in words if found is not None],
        "without_times": [found is None for found, _ in words],
        "right_lines": line_errors(aligned, score, range(score.line_count)),
        "line_missing": line_errors(without, score, left),
        "other_song_doubtful": [n in another.doubtful for n in range(1, len(another.doubts) + 1)],
        "draft_recall": near(score.phrases(0.5), drafted),
        "draft_precision": near(drafted, score.phrases(0.15)),
    }


def summary(songs: Sequence[dict[str, list[Any]]]) -> dict[str, float]:
    """Sum up what was measured of all songs."""
    every = {name: [x for song in songs for x in song[name]] for name in songs[0]}
    late = np.abs(every["late"])
    lines = [*every["right_lines"], *every["line_missing"]]
    far = [named for error, named in lines if error > 1]
    close = [named for error, named in lines if error <= 1]
    return {
        "words": len(every["without_times"]),
        "words_without_times": sum(every["without_times"]),
        "median_seconds": float(np.median(late)),
        "within_0.3_seconds": float(np.sum(late < 0.3) / len(every["without_times"])),
        "lines_far_off": len(far),
        "far_off_named": float(np.mean(far)) if far else math.nan,
        "others_named": float(np.mean(close)),
        "right_text_named": float(np.mean([named for _, named in every["right_lines"]])),
        "other_song_named": float(np.mean(every["other_song_doubtful"])),
        "draft_recall": float(np.mean(every["draft_recall"])),
        "draft_precision": float(np.mean(every["draft_precision"])),
    }


def main() -> None:
    """Render, split, measure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=None, help="of the first song; drawn if absent")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--work", type=Path, required=True, help="folder for songs and stems")
    wanted = parser.parse_args()
    first = wanted.seed
    if first is None:
        first = int(np.random.SeedSequence().generate_state(1)[0])
    wanted.work.mkdir(parents=True, exist_ok=True)
    seeds = [first + number for number in range(wanted.songs)]
    print(json.dumps({"first_seed": first, "songs": wanted.songs}), flush=True)
    with ProcessPoolExecutor(2) as pool:
        task = partial(render, folder=wanted.work, seconds=wanted.seconds)
        songs = list(pool.map(task, seeds))
    split(songs, wanted.work / "split")
    measured = []
    for seed in seeds:
        measured.append(measure(seed, wanted.work, wanted.seconds))
        print(json.dumps({"seed": seed, **rounded(summary(measured[-1:]))}), flush=True)
    recogniser = recogniser_version() or None
    print(json.dumps({"recogniser": recogniser, **rounded(summary(measured))}))


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """Round figures for reading."""
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    main()
