"""What is heard of ten real songs of the corpus: ``python tests/benchmarks/real_songs.py CORPUS``.

What is known of them, and how, is in ``tests/data/real_songs.json``. Many are of a kind that is
hard to hear, and nothing was tuned to them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np

from karaoke.analysis.harmony import Chord
from karaoke.analysis.song import analyse
from karaoke.analysis.sounds import Sound
from karaoke.audio import load_audio

DATA = Path(__file__).parents[1] / "data"
TEMPO_SHARE = 0.04
SCORES = ("key", "tempo", "tempo or octave", "beats", "chords")


def hear(corpus: Path, facts: dict[str, Any]) -> dict[str, float]:
    """Analyse a song without separating it, and compare what is known of it; print both."""
    path = corpus / facts["piece"]
    if path.is_dir():
        path /= "accompaniment.opus"
    samples, rate = load_audio(path)
    found = analyse(None, Sound(lambda at, n: samples[:, at : at + n], samples.shape[1], rate))
    scores: dict[str, float] = {}
    said = []
    key = found.key.name if found.key is not None else None
    if facts["key"] is not None:
        scores["key"] = mir_eval.key.weighted_score(facts["key"], key) if key else 0.0
    ratio = found.pulse.tempo_bpm / facts["bpm"] if found.pulse is not None else 0.0
    scores["tempo"] = float(abs(ratio - 1) < TEMPO_SHARE)
    others = (0.5, 1, 2)
    scores["tempo or octave"] = float(any(abs(ratio / other - 1) < TEMPO_SHARE for other in others))
    if "first_beat" in facts:
        beats = np.arange(facts["first_beat"], found.seconds, 60 / facts["bpm"])
        heard = found.pulse.beats if found.pulse is not None else np.zeros(0)
        scores["beats"] = mir_eval.beat.f_measure(*map(mir_eval.beat.trim_beats, (beats, heard)))
    if "chords" in facts:
        scores["chords"] = share_right(facts["chords"], found.chords)
    said.append(f"{key}, {found.pulse and round(found.pulse.tempo_bpm, 1)} bpm")
    said.append(f"{found.bars and found.bars.metre} for {facts['key']}, {facts['bpm']} bpm, 4/4")
    figures = " ".join(f"{name} {value:.2f}" for name, value in scores.items())
    print(f"{facts['piece']}: {', '.join(said)}: {figures}", flush=True)
    return scores


def share_right(known: list[Any], heard: Sequence[Chord]) -> float:
    """Tell for which share of the time in which a chord is known it is heard, as major or minor."""
    times = [(t, name) for begin, end, name in known for t in np.arange(begin + 0.05, end, 0.1)]
    labels = [
        next(c.label for c in heard if c.start_seconds <= t < c.end_seconds) for t, _ in times
    ]
    return float(mir_eval.chord.majmin([name for _, name in times], labels).mean())


def main() -> None:
    """Hear all that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    songs = json.loads((DATA / "real_songs.json").read_text(encoding="utf-8"))["songs"]
    scores = [hear(corpus, song) for song in songs if (corpus / song["piece"]).exists()]
    means = {name: float(np.mean([one[name] for one in scores if name in one])) for name in SCORES}
    figures = " ".join(f"{name} {mean:.2f}" for name, mean in means.items())
    print(f"mean of {len(scores)}: {figures}")


if __name__ == "__main__":
    main()
