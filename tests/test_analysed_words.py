"""``karaoke analyse`` with lyrics: the files that it writes, as other programs read them."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from karaoke.lyrics import Timeline, write_enhanced_lrc
from tests.singing import RATE, Score, draw_long_score, play, sing
from tests.test_lead_sheet import read_music
from tests.test_lyrics_writing import parse_by_the_specification
from tests.test_wording import lyrics_of

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def score(tmp_path: Path, rng: np.random.Generator) -> Score:
    """Write a song, its stems and its words."""
    score = draw_long_score(rng, seconds=20.0, fewest=15)
    voice, band = sing(rng, score), play(rng, score)
    (tmp_path / "stems").mkdir()
    sounds = {"song": voice + band, "stems/vocals": voice, "stems/instrumental": band}
    for name, sound in sounds.items():
        stereo = np.repeat(sound[:, None], 2, axis=1)
        soundfile.write(tmp_path / f"{name}.wav", stereo, RATE, subtype="FLOAT")
    lyrics = lyrics_of(score, parted=True)
    (tmp_path / "timed.lrc").write_bytes(write_enhanced_lrc(lyrics, Timeline()))
    (tmp_path / "plain.text").write_text(score.text)
    return score


def letters(text: str) -> str:
    """Leave out what parts words and syllables."""
    return "".join(character for character in text if character.isalpha())


def test_words_are_in_all_files(run_karaoke: Run, tmp_path: Path, score: Score) -> None:
    done = run_karaoke("analyse", tmp_path / "song.wav", "--from", tmp_path / "stems", "--json",
                       "--lyrics", tmp_path / "timed.lrc", "--write", "all", "-o", tmp_path,
                       )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    paths = {name: Path(entry["path"]) for name, entry in report["outputs"].items()}
    count = sum(bool(sung.text) for sung in score.notes)
    notes = report["analysis"]["notes"]
    said = sum(note["text"] is not None for note in notes)
    assert said == report["lyrics"]["syllables_on_notes"] > 0.8 * count
    assert report["lyrics"]["format"] == "elrc" and report["lyrics"]["aligned"] is None
    by_text = {round(s.start, 3): s.text for s in score.notes}
    right = [note for note in notes for start, text in by_text.items()
             if text and note["text"] == text and abs(note["start"] - start) < 0.12]  # fmt: skip
    assert len(right) > 0.8 * count
    # Formats that do not need a note for each syllable lose none.
    headers, voices = parse_by_the_specification(paths["ultrastar"].read_bytes())
    sung = [note for phrase in voices[1] for note in phrase]
    assert letters("".join(note.text for note in sung)) == letters(score.text)
    assert headers["MP3"] == "song.wav" and len(voices[1]) == score.line_count
    pitched = [note for note in sung if note.kind == ":" and note.text.strip() != "~"]
    assert len(pitched) > 0.8 * count
    for name, kind in (("kar", "text"), ("midi", "lyrics")):
        midi = mido.MidiFile(file=io.BytesIO(paths[name].read_bytes()))
        words = [m.text for m in midi if m.type == kind and not m.text.startswith("@")]
        assert letters("".join(words)) == letters(score.text)
        starts = sum(m.type == "note_on" and m.channel == 0 for m in midi)
        assert starts == len(notes) or name == "kar"
    music = read_music(paths["lead-sheet"].read_bytes())
    told = letters("".join(note["text"] or "" for note in notes))
    assert letters("".join(note.text for note in music.notes)) == told
    assert len(music.notes) > 0.9 * len(notes) and music.chords


def test_words_without_times_are_aligned(run_karaoke: Run, tmp_path: Path, score: Score) -> None:
    (tmp_path / "plain.text").rename(tmp_path / "song.txt")
    done = run_karaoke("analyse", tmp_path / "song.wav", "--from", tmp_path / "stems", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lyrics"]["aligned"] == "words"
    assert report["lyrics"]["syllables_on_notes"] > 0
    told = "".join(note["text"] or "" for note in report["analysis"]["notes"])
    assert 0 < len(letters(told)) <= len(letters(score.text))
    done = run_karaoke("analyse", tmp_path / "song.wav", "--from", tmp_path / "stems", "--json",
                       "--no-lyrics", "--write", "all", "-o", tmp_path)  # fmt: skip
    report = json.loads(done.stdout)
    assert "lyrics" not in report and not {"kar", "ultrastar"} & set(report["outputs"])
    assert {note["text"] for note in report["analysis"]["notes"]} == {None}


def test_lyrics_that_are_late_are_moved(run_karaoke: Run, tmp_path: Path, score: Score) -> None:
    late = lyrics_of(score, parted=True, late=[0.8] * len(score.notes))
    (tmp_path / "song.lrc").write_bytes(write_enhanced_lrc(late, Timeline()))
    done = run_karaoke("analyse", tmp_path / "song.wav", "--from", tmp_path / "stems", "--json",
                       "--offset", "-0.8")  # fmt: skip
    report = json.loads(done.stdout)
    count = sum(bool(sung.text) for sung in score.notes)
    assert report["lyrics"]["syllables_on_notes"] > 0.8 * count
    by_text = {round(s.start, 3): s.text for s in score.notes}
    right = [note for note in report["analysis"]["notes"] for start, text in by_text.items()
             if text and note["text"] == text and abs(note["start"] - start) < 0.12]  # fmt: skip
    assert len(right) > 0.8 * count


def test_odd_lyrics_are_told_of(run_karaoke: Run, tmp_path: Path, score: Score) -> None:
    """Of another song, or unreadable beside the song."""
    command = ["analyse", tmp_path / "song.wav", "--from", tmp_path / "stems"]
    (tmp_path / "other.lrc").write_text("[00:30.00]<00:30.00>one <00:40.00>two <00:50.00>three\n")
    done = run_karaoke(*command, "--lyrics", tmp_path / "other.lrc")
    assert done.returncode == 0 and "0 of 3 syllables" in done.stderr
    (tmp_path / "song.lrc").write_text("\n")
    done = run_karaoke(*command)
    assert done.returncode == 0 and "no words are put on the notes" in done.stderr, done.stderr
    done = run_karaoke(*command, "--write", "kar", "-o", tmp_path / "out")
    assert done.returncode == 65 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--write", "kar"], "no words to write"),
        (["--write", "ultrastar", "--no-lyrics"], "needs words"),
        (["--write", "kar", "--no-split"], "takes the voice"),
        (["--lyrics", "words.txt", "--no-split"], "takes the voice"),
        (["--lyrics", "words.txt", "--no-lyrics"], "choose one"),
        (["--lyrics", "nowhere.txt"], "nowhere.txt"),
        (["--language", "Klingon"], "unknown"),
    ],
)
def test_what_cannot_be_is_refused(
    run_karaoke: Run, tmp_path: Path, arguments: list[str], said: str
) -> None:
    for name in ("song", "vocals", "instrumental"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros((RATE, 2)), RATE)
    where = [] if "--no-split" in arguments else ["--from", tmp_path]
    done = run_karaoke("analyse", tmp_path / "song.wav", *where, *arguments)
    assert done.returncode != 0 and said in done.stderr, done.stderr
    assert done.stderr.count("\n") <= 3
