"""Checks beside the scores of ``analysis.py``: transposition, MIDI, and songs that are none.

Each prints what it compared; none has a threshold.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import mido
import mir_eval
import numpy as np
import soundfile
from analysis import Song, analyse, render, run_karaoke
from composing import NAMES, Rng, Score, compose
from judging import Heard, heard_by_karaoke, note_scores, truth_of
from playing import DRUM_CHANNEL, RATE, Arrangement, arrange, play_band

#: Seconds of what is not a song.
SECONDS = 20
SPEECH = (
    "Good evening. This is a test of nothing in particular. The weather stays dry in the north, "
    "with rain from the west by the morning. Trains run on time, except those that do not. "
    "Please mind the gap, and keep your bags with you. Thank you for listening, and good night."
)


def moved_key(key: str | None, semitones: int) -> str | None:
    """Move the name of a key; sharps and flats are of no account."""
    if key is None:
        return None
    tonic, mode = key.split()
    root, _ = mir_eval.chord.split(f"{tonic}:maj")[:2]
    number = mir_eval.chord.pitch_class_to_semitone(root)
    return f"{NAMES[(number + semitones) % 12]} {mode}"


def moved_labels(labels: list[str], semitones: int) -> list[str]:
    """Move chords."""
    moved = []
    for label in labels:
        if label == "N":
            moved.append(label)
            continue
        root, quality = label.split(":")
        number = mir_eval.chord.pitch_class_to_semitone(root)
        moved.append(f"{NAMES[(number + semitones) % 12]}:{quality}")
    return moved


def agreement(before: Heard, after: Heard, semitones: int, what: str) -> str:
    """Say how much what was found has moved as it should."""
    key = moved_key(before.key, semitones) == moved_key(after.key, 0)
    spans, labels = before.chords
    chords = mir_eval.chord.evaluate(spans, moved_labels(labels, semitones), *after.chords)
    text = f"    {what} {semitones:+d}: key {'moved' if key else f'{before.key} -> {after.key}'}, "
    text += f"chords alike {chords['majmin']:.2f}, with sevenths {chords['sevenths']:.2f}"
    if len(before.notes[0]) and len(after.notes[0]):
        notes = before.notes[0], before.notes[1] * 2 ** (semitones / 12)
        scores = note_scores(notes, after.notes)
        text += f", notes alike {scores['notes 50']:.2f} at 50 ms"
    return text


def check_moved(song: Song, rng: Rng) -> None:
    """Play a song in another key, and move it by ``karaoke make``: all moves by as much."""
    semitones = int(rng.choice([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]))
    before = heard_by_karaoke(analyse(song.path)[0])
    path = song.path.with_name(f"moved-{song.path.name}")
    render(song, path, semitones)
    after = heard_by_karaoke(analyse(path)[0])
    print(agreement(before, after, semitones, "played"))
    truth = truth_of(song.score, song.sound, semitones)
    right = mir_eval.chord.evaluate(*truth.chords, *after.chords)["majmin"]
    print(f"    chords right there {right:.2f}, key {after.key} of {truth.key}")
    output, _ = run_karaoke(
        "make", song.path, "--key", str(semitones), "--to", "audio", "--format", "wav",
        "--no-lyrics", "-o", song.path.parent / "made", "--overwrite",
    )  # fmt: skip
    made = Path(output.splitlines()[0])
    band = heard_by_karaoke(analyse(made, "--no-split")[0])
    print(agreement(replace(before, notes=band.notes), band, semitones, "made"), flush=True)
    path.unlink()


def check_midi(song: Song) -> None:
    """Read the MIDI that is written by mido, and by music21 where that is installed."""
    folder = song.path.parent / "written"
    output, _ = run_karaoke(
        "analyse", song.path, "--write", "midi,json", "-o", folder, "--overwrite"
    )
    files = {Path(name).suffix: Path(name) for name in output.splitlines()}
    found = read_json(files[".json"])
    notes = [(note["start"], note["end"], note["pitch"]) for note in found["notes"]]
    read = melody_of(mido.MidiFile(files[".mid"]))
    print(f"    MIDI by mido: {compare_notes(notes, read)}; {bars_by_mido(files['.mid'], found)}")
    if importlib.util.find_spec("music21"):
        print(f"    MIDI by music21: {by_music21(files['.mid'], found)}", flush=True)


def read_json(path: Path) -> dict[str, Any]:
    """Read an object."""
    whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return whole


def melody_of(midi: mido.MidiFile) -> list[tuple[float, float, int]]:
    """Give the notes of the first channel in seconds."""
    sounding: dict[int, float] = {}
    notes, now = [], 0.0
    for message in midi:
        now += message.time
        if message.type == "note_on" and message.channel == 0 and message.velocity:
            sounding[message.note] = now
        elif message.type in ("note_on", "note_off") and message.channel == 0:
            notes.append((sounding.pop(message.note), now, message.note))
    return sorted(notes)


def compare_notes(
    wanted: list[tuple[float, float, int]], read: list[tuple[float, float, int]]
) -> str:
    """Say whether notes are the same, and how far they are apart."""
    if [n[2] for n in wanted] != [n[2] for n in read]:
        return f"{len(read)} notes for {len(wanted)}, not the same"
    if not wanted:
        return "no notes"
    apart = np.abs(np.array(wanted)[:, :2] - np.array(read)[:, :2]).max()
    return f"the same {len(read)} notes, {1000 * apart:.1f} ms apart at most"


def bars_by_mido(path: Path, found: dict[str, Any]) -> str:
    """Say how far the beginnings of bars of a file are from the downbeats found."""
    midi = mido.MidiFile(path)
    tempi, now, count = [], 0, 4
    for message in midi.tracks[0]:
        now += message.time
        if message.type == "set_tempo":
            tempi.append((now, message.tempo))
        elif message.type == "time_signature":
            count = message.numerator
    # Seconds of each bar's first tick, by the tempo map.
    ticks = np.array([tick for tick, _ in tempi], float)
    steps = np.array([tempo for _, tempo in tempi]) / 1e6 / midi.ticks_per_beat
    seconds = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * steps[:-1])])
    bars = np.arange(0, ticks[-1] + 1, count * midi.ticks_per_beat)
    return compare_bars(np.interp(bars, ticks, seconds), found)


def compare_bars(bars: np.ndarray, found: dict[str, Any]) -> str:
    """Compare the beginnings of bars in seconds with downbeats."""
    if not found["downbeats"]:
        return "no bars"
    apart = [np.abs(bars - beat).min() for beat in found["downbeats"][:-1]]
    return f"downbeats {1000 * max(apart):.1f} ms from a bar of the file at most"


def by_music21(path: Path, found: dict[str, Any]) -> str:
    """Read a file by music21, whose notes and measures are in quarters, not in seconds."""
    import music21

    score = music21.converter.parse(path, quantizePost=False)
    melody = next(part for part in score.parts if part.partName == "Melody")
    pitches = sorted(
        (float(note.getOffsetInHierarchy(melody)), note.pitch.midi)
        for note in melody.recurse().notes
        if note.tie is None or note.tie.type == "start"
    )
    wanted = [note["pitch"] for note in found["notes"]]
    same = "the same" if [p for _, p in pitches] == wanted else "not the same"
    signature = next(iter(score.recurse().getElementsByClass("TimeSignature")), None)
    key = next(iter(score.recurse().getElementsByClass("Key")), None)
    return (f"{same} {len(pitches)} notes for {len(wanted)}, {signature and signature.ratioString}"
            f" for {found['metre'] and found['metre']['name']}, {key} for"
            f" {found['key'] and found['key']['name']}")  # fmt: skip


def a_band_with_drums(rng: Rng, fonts: list[Path]) -> tuple[Score, Arrangement]:
    """Draw a band of which only the drums are left."""
    while True:
        score = compose(rng, int(rng.integers(2**16)))
        sound = arrange(rng, score, fonts)
        if drums := [part for part in sound.parts if part.channel == DRUM_CHANNEL]:
            return score, replace(sound, parts=drums)


def check_nothing(seed: int, fonts: list[Path], folder: Path) -> None:
    """Analyse what is no song, and print what is said of it."""
    rng = np.random.default_rng([seed, 2**31])
    length = SECONDS * RATE
    noise = 0.1 * rng.standard_normal((length, 2))
    pink = np.cumsum(noise, axis=0)
    pink -= np.linspace(0, 1, length)[:, None] * pink[-1]
    sounds = {"silence": np.zeros((length, 2)), "noise": noise,
              "rumble": 0.3 * pink / np.abs(pink).max()}  # fmt: skip
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE)
    speech = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-w", str(speech), SPEECH], check=True)
    score, sound = a_band_with_drums(rng, fonts)
    band = play_band(score, sound, folder)
    soundfile.write(folder / "drums.wav", 0.8 * band / np.abs(band).max(), RATE)
    for name in (*sounds, "speech", "drums"):
        found, _ = analyse(folder / f"{name}.wav")
        named = sum(chord["name"] is not None for chord in found["chords"])
        said = ", ".join(f"{what} {found[what]}" for what in ("key", "tempo", "metre", "tuning_hz"))
        print(f"{name}: {said}, {named} chords of {len(found['chords'])}, "
              f"{len(found['beats'])} beats, {len(found['notes'])} notes", flush=True)  # fmt: skip
