"""What is heard of ten real songs, where the corpus is beside the checkout.

``pytest tests/test_real_songs.py -s --no-cov`` prints what was heard of each. Many are of a kind
that is hard to hear: the limits only keep what is reached from being lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import mir_eval
import numpy as np
import pytest

from karaoke.analysis.harmony import Chord
from karaoke.analysis.song import analyse
from karaoke.analysis.sounds import Sound
from karaoke.audio import load_audio
from tests.conftest import CORPUS, DATA

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the checkout"),
]
TEMPO_SHARE = 0.04
#: How far the mean of each score lies at least.
LIMITS = {"key": 0.5, "tempo": 0.5, "tempo or octave": 0.8, "beats": 0.7, "chords": 0.65}


def hear(facts: dict[str, Any]) -> dict[str, float]:
    """Analyse a song without separating it, and compare what is known of it; print both."""
    path = CORPUS / facts["piece"]
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


def test_what_is_known_of_real_songs_is_heard() -> None:
    songs = json.loads((DATA / "real_songs.json").read_text(encoding="utf-8"))["songs"]
    here = [song for song in songs if (CORPUS / song["piece"]).exists()]
    if not here:
        pytest.skip("the corpus beside the checkout has none of these songs")
    scores = [hear(song) for song in here]
    means = {name: float(np.mean([one[name] for one in scores if name in one])) for name in LIMITS}
    print(f"mean of {len(here)}:", " ".join(f"{name} {mean:.2f}" for name, mean in means.items()))
    if len(here) == len(songs):
        assert {name: mean for name, mean in means.items() if mean < LIMITS[name]} == {}
