"""What ``karaoke analyse`` finds, on songs that are drawn anew each time and known."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from karaoke.analysis.decoding import decode
from karaoke.analysis.grids import on_grid
from karaoke.analysis.harmony import SHARPS, TONES, Chord
from karaoke.analysis.keys import find_key
from karaoke.analysis.melody import find_dips, steadiness
from karaoke.analysis.metre import METRES, Bars
from karaoke.analysis.pitch import PITCH_FPS
from karaoke.analysis.pulse import Pulse
from karaoke.analysis.song import SongFacts, analyse
from karaoke.analysis.sounds import Sound
from karaoke.analysis.wording import put_words
from karaoke.analysis.writing import WRITERS, as_object, as_table, note_name
from karaoke.audio import load_audio
from tests.conftest import DATA
from tests.singing import draw_score
from tests.songs import RATE, a_song, facts_of, sound_of, tone
from tests.test_wording import lyrics_of, notes_of

Run = Callable[..., subprocess.CompletedProcess[str]]


def sharp_name(key: object) -> str:
    """Name a key by sharps alone."""
    assert key is not None
    return f"{SHARPS[key.tonic]} {'minor' if key.is_minor else 'major'}"  # type: ignore[attr-defined]


def test_a_song_is_heard(rng: np.random.Generator) -> None:
    voice, band, truth = a_song(rng, times=2)
    found = analyse(sound_of(voice), sound_of(band))
    assert sharp_name(found.key) == truth["key"]
    assert found.tuning_hz == pytest.approx(440, abs=2)
    assert found.pulse is not None and found.bars is not None
    assert found.pulse.tempo_bpm == pytest.approx(truth["bpm"], rel=0.02)
    beats = np.asarray(truth["beats"])
    near = np.abs(beats[:, None] - found.pulse.beats[None]).min(axis=1)
    assert np.mean(near < 0.07) > 0.9
    right = 0.0
    for start, end, root, quality in truth["chords"]:  # type: ignore[attr-defined]
        middle = (start + end) / 2
        chord = next(c for c in found.chords if c.start_seconds <= middle < c.end_seconds)
        minor = chord.quality.startswith("min")
        right += chord.root == root and minor == (quality == "min")
    assert right / 16 > 0.8
    notes = truth["notes"]
    hits = sum(
        any(abs(note.start_seconds - start) < 0.1 and note.pitch == pitch for note in found.notes)
        for start, pitch in notes  # type: ignore[attr-defined]
    )
    assert hits > 0.85 * len(notes) and len(found.notes) < 1.2 * len(notes)  # type: ignore[arg-type]


def test_a_song_in_another_key_is_the_same_song(rng: np.random.Generator) -> None:
    seed, shift = int(rng.integers(2**32)), int(rng.choice([-4, -3, 2, 3, 5]))
    here, there = (
        analyse(sound_of(voice), sound_of(band))
        for voice, band, _ in (
            a_song(np.random.default_rng(seed)), a_song(np.random.default_rng(seed), shift),
        )
    )  # fmt: skip
    assert here.key is not None and there.key is not None
    assert (there.key.tonic - here.key.tonic) % 12 == shift % 12
    assert there.key.is_minor == here.key.is_minor
    times = np.arange(0.5, here.seconds - 1, 0.1)

    same = [
        a == b for a, b in zip(roots_at(here, times, shift), roots_at(there, times), strict=True)
    ]
    assert np.mean(same) > 0.85


def test_three_eighths_are_no_beat() -> None:
    band, _ = load_audio(DATA / "instrumental.flac")
    found = analyse(None, sound_of(band))
    assert found.pulse is not None and found.pulse.tempo_bpm == pytest.approx(108, rel=0.01)
    assert found.bars is not None and found.bars.metre == "4/4"


@pytest.mark.parametrize("up", [False, True])
def test_what_is_made_in_another_key_is_the_same_song(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator, up: bool
) -> None:
    voice, band, _ = a_song(rng)
    shift = int(rng.integers(1, 6)) * (1 if up else -1)
    made = []
    for name, stem in (("voice", voice), ("band", band)):
        # Each stem in turn is the band of a song that nobody sings.
        folder = tmp_path / name
        folder.mkdir()
        soundfile.write(tmp_path / f"{name}.wav", stem.T, RATE, subtype="FLOAT")
        soundfile.write(folder / "instrumental.wav", stem.T, RATE, subtype="FLOAT")
        soundfile.write(folder / "vocals.wav", 0 * stem.T, RATE, subtype="FLOAT")
        done = run_karaoke("make", tmp_path / f"{name}.wav", "--from", folder, "--key", shift,
                           "--to", "audio", "--format", "wav", "--no-lyrics",
                           "-o", tmp_path / "made")  # fmt: skip
        assert done.returncode == 0, done.stderr
        made.append(load_audio(Path(done.stdout.splitlines()[0]))[0])
    here = analyse(sound_of(voice), sound_of(band))
    there = analyse(sound_of(made[0]), sound_of(made[1]))
    assert here.key is not None and there.key is not None
    assert (there.key.tonic - here.key.tonic) % 12 == shift % 12
    assert there.key.is_minor == here.key.is_minor
    times = np.arange(0.5, here.seconds - 1, 0.1)
    same = [
        a == b for a, b in zip(roots_at(here, times, shift), roots_at(there, times), strict=True)
    ]
    assert np.mean(same) > 0.85
    moved = [(other.start_seconds, other.pitch - shift) for other in there.notes]
    hits = sum(
        any(abs(note.start_seconds - start) < 0.1 and note.pitch == pitch for start, pitch in moved)
        for note in here.notes
    )
    assert hits > 0.9 * len(here.notes) and len(there.notes) < 1.2 * len(here.notes) + 1


def roots_at(song: SongFacts, times: np.ndarray, moved: int = 0) -> list[tuple[int | None, bool]]:
    """Give root and mode of the chords that sound at some times, moved by semitones."""
    found = []
    for time in times:
        chord = next(c for c in song.chords if c.start_seconds <= time < c.end_seconds)
        chord = chord.moved(moved)
        found.append((chord.root, chord.quality.startswith("min")))
    return found


def test_beats_end_with_the_last_bar(rng: np.random.Generator) -> None:
    _, band, truth = a_song(rng)
    beats = np.asarray(truth["beats"])
    # The last bar is one stroke that is held, and then it dies away in a hall.
    stroke = round(beats[-3] * RATE) - RATE // 20
    band[:, stroke:] = 0
    hall = rng.standard_normal((2, 5 * RATE)).astype(np.float32)
    hall *= 0.02 * np.exp(-np.arange(5 * RATE) / RATE)
    band = np.concatenate([band[:, :stroke], hall], axis=1)
    found = analyse(None, sound_of(band))
    assert found.pulse is not None and found.bars is not None
    after = found.pulse.beats[-1] - beats[-1]
    assert abs(after) < 0.5 * (beats[1] - beats[0]), after


@pytest.mark.parametrize("kind", ["silence", "noise", "nothing"])
def test_where_there_is_no_music_nothing_is_said(rng: np.random.Generator, kind: str) -> None:
    length = 0 if kind == "nothing" else 12 * RATE
    sound = np.zeros((2, length), np.float32)
    if kind == "noise":
        sound += (0.1 * rng.standard_normal(sound.shape)).astype(np.float32)
    found = as_object(analyse(sound_of(sound), sound_of(sound)))
    assert found["key"] is None and found["tuning_hz"] is None
    assert all(chord["name"] is None for chord in found["chords"])
    assert found["notes"] == [] and found["range"] is None
    assert found["tempo"] is None, found["tempo"]
    assert "not known" in as_table(found)


def test_drums_alone_have_a_tempo_but_no_key(rng: np.random.Generator) -> None:
    beat, length = float(rng.uniform(0.4, 0.6)), 16 * RATE
    band = 1e-4 * rng.standard_normal((2, length)).astype(np.float32)
    t = np.arange(RATE // 4) / RATE
    kick = 0.5 * np.sin(2 * np.pi * 55 * t + 8 * np.exp(-t / 0.02)) * np.exp(-t / 0.06)
    hit = 0.3 * np.exp(-t / 0.04)
    for n in range(int(14 / beat)):
        at = round((0.3 + n * beat) * RATE)
        sound = kick if n % 2 == 0 else hit * rng.standard_normal(len(t))
        band[:, at : at + len(t)] += sound.astype(np.float32)
    found = as_object(analyse(sound_of(0.01 * band), sound_of(band)))
    assert found["key"] is None and found["tuning_hz"] is None
    assert found["notes"] == [] and found["range"] is None
    sounding = sum(c["end"] - c["start"] for c in found["chords"] if c["name"] is not None)
    assert sounding < 0.3 * 16
    tempi = [found["tempo"]["bpm"], *(other["bpm"] for other in found["tempo"]["others"])]
    assert min(abs(tempo * beat / 60 - 1) for tempo in tempi) < 0.04


def test_a_tune_without_a_band_tells_its_key(rng: np.random.Generator) -> None:
    tonic, minor = int(rng.integers(12)), bool(rng.integers(2))
    scale = (0, 2, 3, 5, 7, 8, 10, 12) if minor else (0, 2, 4, 5, 7, 9, 11, 12)
    tune = [0, 1, 2, 1, 2, 4, 2, 0, 4, 5, 4, 3, 2, 1, 0, 4, 7, 4, 2, 3, 1, 6, 0, 0]
    pitches = [57 + (tonic - 57) % 12 + scale[step] for step in tune]
    voice = np.concatenate([0.1 * tone(pitch, 0.6, voice=True) for pitch in pitches])
    sung = np.stack([voice, voice]).astype(np.float32)
    key = analyse(sound_of(sung), sound_of(0 * sung)).key
    assert key is not None and (key.tonic, key.is_minor) == (tonic, minor)


def test_beats_on_a_click_are_equal(rng: np.random.Generator) -> None:
    beat, jitter = float(rng.uniform(20, 40)), rng.normal(0, 1.5, 200)
    clicks = 7 + beat * np.arange(200)
    onsets = np.zeros(int(clicks[-1]) + 50)
    onsets[np.round(clicks).astype(int)] = 5
    onsets = np.maximum(onsets, np.maximum(np.roll(onsets, 1), np.roll(onsets, -1)))
    # Where the song plays around the beat, the path slips off it.
    followed = clicks + np.where((np.arange(200) > 90) & (np.arange(200) < 120), beat / 3, 0)
    found = on_grid(followed, onsets)
    assert len(found) == 200 and np.abs(found - clicks).max() < 1
    played = np.cumsum(beat + jitter + np.linspace(0, 4, 200))
    onsets = np.zeros(int(played[-1]) + 50)
    onsets[np.round(played).astype(int)] = 5
    assert on_grid(played, onsets) is played


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_what_is_spoken_is_no_song(tmp_path: Path, rng: np.random.Generator) -> None:
    words = "weather north rain morning trains time mind gap thank listening night seven city"
    text = ". ".join(" ".join(rng.choice(words.split(), 7)) for _ in range(8))
    voice = str(rng.choice(["en-us", "en-gb", "de", "es"]))
    subprocess.run(["espeak-ng", "-v", voice, "-w", str(tmp_path / "speech.wav"), text], check=True)
    samples, rate = soundfile.read(tmp_path / "speech.wav", dtype="float32")
    sound = np.stack([samples, samples])
    speech = Sound(lambda at, count: sound[:, at : at + count], len(samples), rate)
    band = Sound(lambda at, count: 0.1 * sound[:, at : at + count], len(samples), rate)
    found = as_object(analyse(speech, band))
    assert found["tempo"] is None and found["metre"] is None and found["beats"] == []
    assert found["key"] is None or found["key"]["confidence"] < 0.5
    lasts = [note["end"] - note["start"] for note in found["notes"]]
    sure = [note["confidence"] for note in found["notes"]]
    assert not sure or np.average(sure, weights=lasts) < 0.5


def test_a_note_that_glides_is_less_sure() -> None:
    still, gliding = np.full(40, 60.0), np.linspace(59, 61, 40)
    vibrato = 60 + 0.4 * np.sin(2 * np.pi * 5.5 * np.arange(60) / PITCH_FPS)
    assert steadiness(still) == pytest.approx(1) and steadiness(vibrato) > 0.8
    assert steadiness(gliding) < 0.2 and steadiness(np.full(40, np.nan)) == 0


def test_what_the_band_left_in_the_vocals_is_not_sung(rng: np.random.Generator) -> None:
    voice, band, truth = a_song(rng)
    left = 10 ** (-rng.uniform(20, 26) / 20)
    found = analyse(sound_of(voice + left * band), sound_of(band))
    starts = np.array([start for start, _ in truth["notes"]])  # type: ignore[attr-defined]
    bar = 60 / float(truth["bpm"]) * 4  # type: ignore[arg-type]
    assert len(found.notes) > 0.8 * len(starts)
    for note in found.notes:
        # Nobody sings in every fourth bar.
        nearest = starts[np.abs(starts - note.start_seconds).argmin()]
        assert abs(note.start_seconds - nearest) < 0.3 * bar, note
    assert analyse(sound_of(left * band), sound_of(band)).notes == ()


def test_a_chord_now_and_then_tells_no_tuning(rng: np.random.Generator) -> None:
    sharp, root = float(rng.uniform(-0.4, 0.4)), int(rng.integers(48, 60))
    for seconds, known in ((1, False), (16, True)):
        chord = sum(tone(root + step + sharp, seconds, voice=True) for step in (0, 4, 7, 12))
        band = np.zeros((2, 16 * RATE), np.float32)
        band[:, : seconds * RATE] = 0.1 * chord
        found = analyse(None, sound_of(band))
        assert any(chord.root == root % 12 for chord in found.chords)
        if known:
            # Thirds of a semitone are told apart.
            assert found.tuning_hz == pytest.approx(440 * 2 ** (sharp / 12), rel=0.012)
        else:
            assert found.tuning_hz is None and found.key is None


@pytest.mark.parametrize("first", [0, 1, 3])
def test_midi_holds_the_same_notes_at_the_same_times(first: int) -> None:
    facts = facts_of(first=first)
    midi = mido.MidiFile(file=io.BytesIO(WRITERS["midi"].write(facts)))
    assert midi.type == 1 and [t.name for t in midi.tracks] == ["Tempo", "Melody", "Chords"]
    sounding: dict[tuple[int, int], float] = {}
    heard: dict[int, list[tuple[float, float, int]]] = {0: [], 1: []}
    now = 0.0
    for message in midi:
        now += message.time
        if message.type == "note_on":
            sounding[message.channel, message.note] = now
        elif message.type == "note_off":
            start = sounding.pop((message.channel, message.note))
            heard[message.channel].append((start, now, message.note))
    assert not sounding
    wanted = [(n.start_seconds, n.end_seconds, n.pitch) for n in facts.notes]
    np.testing.assert_allclose(heard[0], wanted, atol=0.003)
    roots = {note % 12 for _, _, note in heard[1]}
    assert roots == {(9 + t) % 12 for t in TONES["min"]} | {(10 + t) % 12 for t in TONES["7"]}


def bar_lines(midi: mido.MidiFile) -> list[float]:
    """Give the seconds at which the bars of a MIDI file begin, by its signatures and tempi."""
    tempi, signatures, tick = [], [], 0
    for message in midi.tracks[0]:
        tick += message.time
        if message.type == "set_tempo":
            tempi.append((tick, message.tempo))
        elif message.type == "time_signature":
            length = 4 * midi.ticks_per_beat * message.numerator // message.denominator
            signatures.append((tick, length))
    bars, last = [], tempi[-1][0]
    for (tick, length), (end, _) in zip(signatures, [*signatures[1:], (last, 0)], strict=True):
        assert tick == end or (end - tick) % length == 0 or end == last
        bars += range(tick, end, length)
    seconds, found, (before, tempo) = 0.0, {}, tempi[0]
    for tick, following in [*tempi[1:], (tempi[-1][0] + 1, 0)]:
        for bar in bars:
            if before <= bar < tick:
                found[bar] = seconds + (bar - before) * tempo / midi.ticks_per_beat / 1e6
        seconds += (tick - before) * tempo / midi.ticks_per_beat / 1e6
        before, tempo = tick, following
    return [found[bar] for bar in bars]


def test_bars_of_midi_are_those_of_the_song(rng: np.random.Generator) -> None:
    metre = str(rng.choice(list(METRES)))
    beat, begins = rng.uniform(0.35, 0.9), rng.uniform(0, 4)
    first = int(rng.integers(METRES[metre]))
    beats = begins + np.cumsum(beat * rng.uniform(0.97, 1.03, 40))
    pulse = Pulse(beats, 60 / beat, 0.9)
    facts = replace(facts_of(), pulse=pulse, bars=Bars(metre, first, 0.8))
    midi = mido.MidiFile(file=io.BytesIO(WRITERS["midi"].write(facts)))
    found = bar_lines(midi)
    for second in facts.downbeats[:-1]:
        if second < beat / 8:
            continue  # it is moved to the song's first moment
        assert min(abs(bar - second) for bar in found) < 0.002
    tempi = [60e6 / m.tempo for m in midi.tracks[0] if m.type == "set_tempo"]
    assert min(tempi) > 0.5 * 60 / beat and max(tempi) < 2.2 * 60 / beat


def test_midi_holds_the_words(rng: np.random.Generator) -> None:
    score = draw_score(rng)
    lyrics = lyrics_of(score, parted=True)
    stanzas = tuple(
        replace(line, starts_stanza=number in score.stanzas)
        for number, line in enumerate(lyrics.lines)
    )
    worded = put_words(replace(lyrics, lines=stanzas), notes_of(score.notes))
    facts = replace(facts_of(), notes=worded.notes, lyrics=worded.lyrics)
    midi = mido.MidiFile(file=io.BytesIO(WRITERS["midi"].write(facts)))
    text = "".join(m.text for m in midi.tracks[1] if m.type == "lyrics")
    rows = text.replace(" \n", "\n\n").replace(" \r", "\n")
    assert rows == score.text.rstrip() + " "
    sung, now = [], 0.0
    for message in midi:
        now += message.time
        if message.type == "lyrics" and message.text not in ("\n", "\r"):
            sung.append((message.text.rstrip(), now))
    wanted = [(note.text, note.start) for note in score.notes if note.text]
    assert [text for text, _ in sung] == [text for text, _ in wanted]
    np.testing.assert_allclose([t for _, t in sung], [t for _, t in wanted], atol=0.003)


def test_formats_are_what_other_programs_read() -> None:
    facts = facts_of()
    assert WRITERS["chords"].write(facts).decode().splitlines() == [
        "0.700\t2.700\tA:min", "2.700\t4.700\tN", "4.700\t6.700\tA#:7",
    ]  # fmt: skip
    beats = [line.split("\t") for line in WRITERS["beats"].write(facts).decode().splitlines()]
    assert beats[0] == ["0.700", "1"] and beats[5] == ["3.200", "2"] and len(beats) == 24
    rows = list(csv.DictReader(io.StringIO(WRITERS["notes"].write(facts).decode())))
    assert [row["name"] for row in rows] == ["C4", "C4", "E4"]
    whole = json.loads(WRITERS["json"].write(facts))
    assert whole["chords"][1]["name"] is None and whole["range"] == {
        "lowest": "C4",
        "highest": "E4",
    }
    assert whole["phrases"] == 2 and note_name(70, flats=True) == "Bb4"


def test_chords_speak_for_a_key() -> None:
    def chords(*names: tuple[int, str]) -> list[Chord]:
        return [Chord(2.0 * n, 2.0 * n + 2, *name, 0.9) for n, name in enumerate(names)]

    key = find_key(chords((0, "maj"), (5, "maj"), (7, "7"), (0, "maj")))
    assert key is not None and key.name == "C major"
    key = find_key(chords((9, "min"), (2, "min"), (4, "7"), (9, "min")))
    assert key is not None and key.name == "A minor" and not key.flats
    key = find_key(chords((10, "maj"), (3, "maj"), (5, "maj"), (10, "maj")))
    assert key is not None and key.name == "Bb major"
    assert find_key([]) is None and find_key(chords((0, "maj"))) is None


def test_the_best_path_changes_where_it_pays() -> None:
    scores = np.array([[0.0, -1], [0, -1], [-3, 0], [-3, 0], [-0.5, 0]])
    assert decode(scores, 1.0).tolist() == [0, 0, 1, 1, 1]
    assert decode(scores, 100.0).tolist() == [1] * 5
    assert decode(np.zeros((0, 3)), 1.0).tolist() == []


def test_a_voice_begins_anew_where_it_is_soft_for_a_moment() -> None:
    level = np.ones(100)
    level[48:52] = 0.1
    assert find_dips(level) == [pytest.approx(50, abs=2)]
    level[48:] = 0.1
    assert find_dips(level) == []


def test_the_command(
    run_karaoke: Run, tmp_path: Path, tiny_model: Path, rng: np.random.Generator
) -> None:
    voice, band, truth = a_song(rng)
    soundfile.write(tmp_path / "song.wav", (voice + band).T, RATE)
    for name, stem in (("vocals", voice), ("instrumental", band)):
        (tmp_path / "stems").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "stems" / f"{name}.wav", stem.T, RATE, subtype="FLOAT")
    song = [tmp_path / "song.wav", "--from", tmp_path / "stems"]
    done = run_karaoke("analyse", *song)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("song.wav\nkey ") and "melody " in done.stdout
    assert not (tmp_path / "analysed").exists()
    done = run_karaoke("analyse", *song, "--json", "--write", "midi,chords", "-o", tmp_path / "out")
    report = json.loads(done.stdout)
    assert report["analysis"]["tempo"]["bpm"] == pytest.approx(truth["bpm"], rel=0.02)
    assert {Path(o["path"]).name for o in report["outputs"].values()} == {"song.mid", "song.lab"}
    done = run_karaoke("analyse", *song, "--write", "midi,chords", "-o", tmp_path / "out",
                       "--skip-existing")  # fmt: skip
    assert "is done already" in done.stderr and done.returncode == 0
    done = run_karaoke("analyse", tmp_path / "song.wav", "--no-split", "--json")
    assert json.loads(done.stdout)["analysis"]["notes"] == []
    done = run_karaoke("analyse", tmp_path / "song.wav", "-n", tiny_model, "--json")
    assert done.returncode == 0, done.stderr
    for arguments, words in (
        (["--write", "tab"], "--write: unknown tab"),
        (["--no-split", "--from", tmp_path], "choose one"),
        (["--from", tmp_path / "nowhere"], "has no vocals"),
    ):
        done = run_karaoke("analyse", tmp_path / "song.wav", *arguments)
        assert done.returncode != 0 and words in done.stderr and done.stderr.count("\n") <= 2
