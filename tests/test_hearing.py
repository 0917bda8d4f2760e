"""What ``karaoke make`` takes of the song itself: its tempo, range, beats and chords."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke.audio import load_audio
from karaoke.errors import UsageError
from karaoke.lyrics import Timeline, read_lyrics
from karaoke.making.font import Font
from karaoke.making.hearing import chord_names, clicks, count_in, key_for, speed_for
from karaoke.making.screens import draw
from karaoke.making.styles import STYLES
from tests.songs import RATE, a_song, facts_of

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_nearest_speed_that_gives_a_tempo() -> None:
    facts = facts_of(beat=0.5)  # 120 bpm
    assert speed_for(108, facts, "song") == pytest.approx(0.9)
    assert speed_for(54, facts, "song") == pytest.approx(0.9), "tapped every other beat"
    assert speed_for(250, facts, "song") == pytest.approx(250 / 240)
    with pytest.raises(UsageError, match="too far"):
        speed_for(20, facts, "song")
    with pytest.raises(UsageError, match="not known"):
        speed_for(108, replace(facts, pulse=None), "song")


def test_the_smallest_change_of_key_that_is_enough() -> None:
    said: list[str] = []
    facts = facts_of()  # from 60 to 64
    assert key_for((58, 70), facts, "song", said.append) == 0
    assert key_for((62, 75), facts, "song", said.append) == 2
    assert key_for((50, 62), facts, "song", said.append) == -2
    assert said == []
    assert key_for((60, 62), facts, "song", said.append) == -1
    assert "wider than the singer's range" in said[0]
    assert key_for((40, 46), facts, "song", said.append) == -6
    assert "octave" in said[1]
    with pytest.raises(UsageError, match="nobody sings"):
        key_for((50, 60), replace(facts, notes=()), "song", said.append)


def test_clicks_go_on_with_the_beats() -> None:
    said: list[str] = []
    facts = facts_of(beat=0.5)  # the first at 0.7 s
    assert count_in(4, facts, Timeline(), 1.0, said.append) == pytest.approx([1.3, 0.8, 0.3, -0.2])
    assert count_in(4, facts, Timeline(), 2.5, said.append) == [], "there is time enough"
    slow = count_in(2, facts, Timeline(start_seconds=0.7, tempo=0.5), None, said.append)
    assert slow == pytest.approx([2.0, 1.0])
    assert said == []
    assert count_in(4, replace(facts, pulse=None), Timeline(), None, said.append) == []
    assert "nothing counts in" in said[0]
    sound = clicks([1.0, 0.5, -0.2], RATE, 2)
    level = np.abs(sound[0])
    loud = np.flatnonzero(level > 0.05)
    starts = loud[np.concatenate([[True], np.diff(loud) > 4000])]
    np.testing.assert_allclose(len(level) - starts, [RATE, RATE / 2], atol=RATE / 200)


def test_chords_are_named_in_the_singers_key() -> None:
    facts = facts_of()
    assert chord_names(facts, 0) == ((0.7, "Am"), (2.7, ""), (4.7, "Bb7"))
    assert chord_names(facts, 1) == ((0.7, "A#m"), (2.7, ""), (4.7, "B7"))
    assert facts.key is not None and facts.key.name == "D minor"


def test_chords_stand_above_their_words(tmp_path: Path) -> None:
    (tmp_path / "words.lrc").write_text("[00:01.00]<00:01.00>one <00:02.00>two <00:03.00>three\n")
    lyrics = read_lyrics(tmp_path / "words.lrc")
    script = draw(lyrics, Timeline(), size=(1280, 720), font=Font(), style=STYLES["plain"],
                  chords=[(0.2, "C"), (2.0, "Am7"), (2.1, "F"), (9.0, "G")])  # fmt: skip
    found = [line.split(",", 9) for line in script.splitlines() if ",Chord," in line]
    texts = [event[9].rpartition("}")[2] for event in found]
    assert texts == ["C", "Am7"], "F would cover Am7, and G comes when nobody sings"
    places = [int(event[9].partition("\\pos(")[2].partition(",")[0]) for event in found]
    assert places[0] < places[1] < 1280


def test_the_command_keeps_what_it_promises(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    voice, band, truth = a_song(rng, beat=0.5)
    stems = tmp_path / "stems"
    stems.mkdir()
    for name, sound in (("../song", voice + band), ("vocals", voice), ("instrumental", band)):
        soundfile.write(stems / f"{name}.wav", sound.T, RATE, subtype="FLOAT")
    (tmp_path / "song.lrc").write_text("[00:00.70]one two\n[00:03.00]three\n")
    song = [tmp_path / "song.wav", "--from", stems, "--json", "--format", "wav"]
    pitches = [pitch for _, pitch in truth["notes"]]  # type: ignore[attr-defined]
    low, high = min(pitches) + 3, max(pitches) + 3
    names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    span = "-".join(f"{names[pitch % 12]}{pitch // 12 - 1}" for pitch in (low, high))
    done = run_karaoke("make", *song, "-o", tmp_path / "a", "--tempo", "100bpm", "--range", span,
                       "--count-in", "2", "--to", "audio,lrc", "--align", "none")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["mix"]["tempo"] == pytest.approx(100 / 120, rel=0.02)
    assert 0 <= report["mix"]["semitones"] <= 4, "notes that hardly sound do not count"
    lead_in = report["mix"]["lead_in_seconds"]
    assert lead_in > 0.5
    made, _ = load_audio(report["outputs"]["karaoke"]["path"])
    length = round(band.shape[1] / report["mix"]["tempo"] + lead_in * RATE)
    assert made.shape[1] == pytest.approx(length, abs=2)
    assert np.abs(made[:, : RATE // 10]).max() < 1e-3 < np.abs(made[:, : int(lead_in * RATE)]).max()
    lines = read_lyrics(Path(report["outputs"]["lrc"]["path"])).lines
    starts = [line.start_seconds for line in lines]
    wanted = [lead_in + time / report["mix"]["tempo"] for time in (0.7, 3.0)]
    assert starts == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tempo", "5bpm"], "not from 20 to 400 bpm"),
        (["--tempo", "fastbpm"], "not a speed"),
        (["--range", "low-high"], "not two notes"),
        (["--range", "C5-C4"], "ends where it begins"),
        (["--range", "A2-E4", "--key", "2"], "choose one"),
        (["--count-in", "99"], "--count-in"),
    ],
)
def test_mistakes_are_one_clear_line(
    run_karaoke: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    soundfile.write(tmp_path / "song.wav", np.zeros((RATE, 2)), RATE)
    done = run_karaoke("make", tmp_path / "song.wav", *arguments, "-o", tmp_path / "made")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "made").exists()
