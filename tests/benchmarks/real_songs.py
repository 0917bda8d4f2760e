"""What is heard of ten real songs of the corpus: ``python tests/benchmarks/real_songs.py CORPUS``.

What is known of them, and how, is in ``tests/data/real_songs.json``. Each is separated and analysed
by ``karaoke analyse``; beside it, librosa's beat tracker, Krumhansl's profiles and templates of
triads hear the same file. Many songs are of a kind that is hard to hear.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import soundfile
from analysis import analyse
from judging import Heard, heard_by_karaoke, heard_plainly

from karaoke.audio import load_audio

DATA = Path(__file__).parents[1] / "data"
TEMPO_SHARE = 0.04
SCORES = ("key", "tempo", "tempo or octave", "beats", "chords")


def score(facts: dict[str, Any], heard: Heard, seconds: float) -> dict[str, float]:
    """Compare what is heard with what is known."""
    scores: dict[str, float] = {}
    if facts["key"] is not None:
        known = heard.key is not None
        scores["key"] = mir_eval.key.weighted_score(facts["key"], heard.key) if known else 0.0
    ratio = (heard.bpm or 0.0) / facts["bpm"]
    scores["tempo"] = float(abs(ratio - 1) < TEMPO_SHARE)
    others = (0.5, 1, 2)
    scores["tempo or octave"] = float(any(abs(ratio / other - 1) < TEMPO_SHARE for other in others))
    if "first_beat" in facts:
        beats = np.arange(facts["first_beat"], seconds, 60 / facts["bpm"])
        trim = mir_eval.beat.trim_beats
        scores["beats"] = mir_eval.beat.f_measure(trim(beats), trim(heard.beats))
    if "chords" in facts:
        scores["chords"] = share_right(facts["chords"], heard)
    return scores


def share_right(known: list[Any], heard: Heard) -> float:
    """Tell for which share of the time in which a chord is known it is heard, as major or minor."""
    spans, names = heard.chords
    times = [(t, name) for begin, end, name in known for t in np.arange(begin + 0.05, end, 0.1)]
    labels = [names[int(np.searchsorted(spans[:, 1], t, side="right"))] for t, _ in times]
    return float(mir_eval.chord.majmin([name for _, name in times], labels).mean())


def hear(corpus: Path, facts: dict[str, Any], folder: Path) -> list[dict[str, float]]:
    """Score the command, and the plain methods, on a song; print it."""
    piece = corpus / facts["piece"]
    parts = [piece / f"{stem}.opus" for stem in ("vocals", "accompaniment")]
    stems = [load_audio(path) for path in (parts if piece.is_dir() else [piece])]
    mixture = sum(samples for samples, _ in stems)
    path = folder / "song.wav"
    soundfile.write(path, mixture.T, stems[0][1])
    ours, plain = heard_by_karaoke(analyse(path)[0]), heard_plainly(path)
    both = [score(facts, heard, mixture.shape[1] / stems[0][1]) for heard in (ours, plain)]
    print(f"{facts['piece']}: {ours.key}, {ours.bpm} bpm, {ours.metre} for "
          f"{facts['key']}, {facts['bpm']} bpm, 4/4")  # fmt: skip
    for scores in both:
        print("   ", " ".join(f"{name} {value:.2f}" for name, value in scores.items()), flush=True)
    return both


def main() -> None:
    """Hear all that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    songs = json.loads((DATA / "real_songs.json").read_text(encoding="utf-8"))["songs"]
    with tempfile.TemporaryDirectory() as folder:
        scores = [
            hear(corpus, song, Path(folder)) for song in songs if (corpus / song["piece"]).exists()
        ]
    for who, rows in zip(("karaoke", "plain"), zip(*scores, strict=True), strict=True):
        means = {n: np.mean([one[n] for one in rows if n in one]) for n in SCORES}
        figures = " ".join(f"{name} {mean:.2f}" for name, mean in means.items())
        print(f"{who}, mean of {len(rows)}: {figures}")


if __name__ == "__main__":
    main()
