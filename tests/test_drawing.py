"""Pictures and tutorials of ``karaoke analyse``, measured on what ffmpeg decodes of them."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from karaoke.analysis.harmony import QUALITIES, TONES, Chord
from karaoke.analysis.keys import Key
from karaoke.analysis.melody import Note
from karaoke.analysis.metre import Bars
from karaoke.analysis.pulse import Pulse
from karaoke.analysis.song import SongFacts
from karaoke.analysis.sounds import Sound
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.errors import ExitCode
from karaoke.jobs.task import Cancelled
from karaoke.making import paper
from karaoke.making.canvas import Canvas
from karaoke.making.font import Font
from karaoke.making.keyboard import is_black, keyboard_for
from karaoke.making.paper import PAGE, pages_of
from karaoke.making.printing import EDGE, Drawing, Print, Waves, peaks_of, write_print
from karaoke.making.tutorial import (
    BLACK_HEIGHT,
    FPS,
    KEYS_TOP,
    SIZE,
    Tutorial,
    cut,
    write_tutorial,
)
from tests.songs import RATE, a_song

Run = Callable[..., subprocess.CompletedProcess[str]]
Picture = NDArray[np.int16]
SYLLABLES = ["la", "streets", "of", "through", "ev", "round", "strength", "I", "know", "sometimes"]


def decoded(path: Path, size: tuple[int, int], *options: object) -> Picture:
    """Decode all pictures ``(T, H, W, 3)`` by ffmpeg."""
    raw = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", path, *map(str, options), "-f", "rawvideo",
         "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3).astype(np.int16)


def facts_of(rng: np.random.Generator, seconds: float, words: bool = False) -> SongFacts:
    """Draw a tune of minor thirds with chords; notes that follow each other differ."""
    beat = float(rng.uniform(0.4, 0.7))
    beats = np.arange(0.3, seconds - 0.3, beat)
    chords, at = [], 0
    while at + 2 < len(beats):
        end = min(at + int(rng.choice([2, 4, 4])), len(beats) - 1)
        quality = str(rng.choice(QUALITIES))
        chords.append(Chord(float(beats[at]), float(beats[end]), int(rng.integers(12)), quality, 1))
        at = end
    notes: list[Note] = []
    now, lowest = 0.5 + float(rng.uniform(0, 0.4)), int(rng.integers(64, 67))
    pitches = range(lowest, lowest + 16, 3)
    while now < seconds - 1.5:
        long = float(rng.uniform(0.25, 0.8))
        pitch = int(rng.choice([p for p in pitches if not notes or p != notes[-1].pitch]))
        text = str(rng.choice(SYLLABLES)) if words else ""
        notes.append(Note(now, now + long, pitch, 1.0, text, text == "ev"))
        now += long + float(rng.uniform(0.05, 0.3))
    return SongFacts(
        seconds, 440.0, Key(int(rng.integers(12)), False, 0.9), Pulse(beats, 60 / beat, 0.9),
        Bars("4/4", int(rng.integers(4)), 0.9), tuple(chords), tuple(notes),
    )  # fmt: skip


def silence(path: Path, seconds: float) -> Path:
    """Write a sound for a film."""
    subprocess.run([find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i",
                    f"anullsrc=d={seconds}", path], check=True)  # fmt: skip
    return path


def orange(picture: Picture) -> NDArray[np.bool_]:
    """Find the melody's colour, bright or dark."""
    return np.asarray(picture[..., 0] - picture[..., 2] > 70)


def blue(picture: Picture) -> NDArray[np.bool_]:
    """Find the chords' colour, bright or dark."""
    return np.asarray(picture[..., 2] - picture[..., 0] > 70)


def test_notes_land_on_keys_that_light_up_while_they_sound(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    facts = facts_of(rng, 4)
    tutorial = Tutorial(facts, Font(), 4.0, "A song")
    film = tmp_path / "film.mp4"
    done: list[float] = []
    write_tutorial(film, tutorial, silence(tmp_path / "s.m4a", 4), done.append, lambda: None)
    assert done == sorted(done) and done[-1] == pytest.approx(4, abs=0.1)
    rows = [KEYS_TOP - 3, KEYS_TOP + BLACK_HEIGHT // 2, SIZE[1] - 34]
    landing, black_keys, white_keys = (
        decoded(film, (SIZE[0], 2), "-vf", f"crop={SIZE[0]}:2:0:{row}")[:, 0] for row in rows
    )
    times = np.arange(len(landing)) / FPS
    assert len(times) == pytest.approx(4 * FPS, abs=1)
    keyboard = keyboard_for((key.pitch for key in tutorial.struck), 150, SIZE[0] - 150)
    late = 2 / FPS
    for pitch in range(keyboard.lowest, keyboard.highest + 1):
        left, wide = keyboard.key(pitch)
        column = round(left + wide / 2)
        key = orange((black_keys if is_black(pitch) else white_keys)[:, column])
        # The name of a note is black.
        reach = round(wide * (0.4 if is_black(pitch) else 0.2))
        fallen = orange(landing[:, column - reach : column + reach + 1]).any(axis=1)
        spans = [(n.start_seconds, n.end_seconds) for n in facts.notes if n.pitch == pitch]
        near = np.zeros(len(times), bool)
        sounds = np.zeros(len(times), bool)
        for start, end in spans:
            sounds |= (times >= start) & (times < end)
            near |= (np.abs(times - start) < late) | (np.abs(times - end) < late + 0.05)
        assert (key == sounds)[~near].all(), pitch
        # The notes of neighbours overlap where white and black keys do.
        if pitch % 3 == facts.notes[0].pitch % 3:
            assert (fallen == sounds)[~near].all(), pitch
    for chord in facts.chords:
        middle = (chord.start_seconds + min(chord.end_seconds, chord.start_seconds + 0.6)) / 2
        shown = round(middle * FPS)
        lit = set()
        for pitch in range(keyboard.lowest, 64):
            left, wide = keyboard.key(pitch)
            keys = (black_keys if is_black(pitch) else white_keys)[shown]
            if blue(keys[round(left + wide / 2)]):
                lit.add(pitch % 12)
        assert chord.root is not None
        assert lit == {(chord.root + tone) % 12 for tone in TONES[chord.quality]}


def test_a_tutorial_stops_when_it_is_told_to(tmp_path: Path, rng: np.random.Generator) -> None:
    tutorial = Tutorial(facts_of(rng, 600), Font(), 600.0)
    sound = silence(tmp_path / "s.m4a", 600)

    def check() -> None:
        raise Cancelled

    began = time.perf_counter()
    with pytest.raises(Cancelled):
        write_tutorial(tmp_path / "film.mp4", tutorial, sound, lambda _: None, check)
    assert time.perf_counter() - began < 20, "all of it takes minutes"


def test_a_keyboard_has_all_that_is_played_and_cuts_no_key(rng: np.random.Generator) -> None:
    for _ in range(20):
        pitches = rng.integers(22, 107, int(rng.integers(1, 6))).tolist()
        keyboard = keyboard_for(pitches, 100, 800)
        assert keyboard.lowest <= min(pitches) and keyboard.highest >= max(pitches)
        assert keyboard.highest - keyboard.lowest + 1 >= 24
        assert not is_black(keyboard.lowest) and not is_black(keyboard.highest)
        edges = [keyboard.key(pitch) for pitch in keyboard.whites]
        assert edges[0][0] == 100 and sum(edges[-1]) == pytest.approx(900)
        for pitch in keyboard.blacks:
            left, wide = keyboard.key(pitch)
            below, above = keyboard.key(pitch - 1), keyboard.key(pitch + 1)
            assert below[0] < left < above[0] < left + wide < sum(above)
    assert keyboard_for([], 0, 100).whites


def test_what_sounds_for_long_is_struck_again(rng: np.random.Generator) -> None:
    for _ in range(50):
        start, long = float(rng.uniform(0, 9)), float(rng.uniform(0.1, 90))
        edges = np.sort(rng.uniform(0, 100, int(rng.integers(0, 9)))).tolist()
        pieces = list(cut(start, start + long, edges))
        assert pieces[0][0] == start and pieces[-1][1] == start + long
        assert all(a[1] == b[0] for a, b in pairwise(pieces))
        assert max(end - begin for begin, end in pieces) < 6.5


def page_of(tmp_path: Path, facts: SongFacts, seconds: float) -> tuple[Picture, Print]:
    """Print a song, and decode it."""
    waves = Waves(np.full(round(100 * seconds), 0.5, np.float32))
    song = Print(facts, waves, Font(), seconds, "A song", "Somebody")
    write_print(tmp_path / "song.png", song, lambda: None)
    size = PAGE[0], PAGE[1] * song.pages.count
    (picture,) = decoded(tmp_path / "song.png", size)
    return picture, song


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """List where marks begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_chords_and_notes_stand_where_they_begin(tmp_path: Path, rng: np.random.Generator) -> None:
    facts = facts_of(rng, float(rng.uniform(7, 20)), words=True)
    picture, song = page_of(tmp_path, facts, facts.seconds)
    red, green, ink = picture[..., 0], picture[..., 1], picture[..., 2]
    heard = 0
    for system, page, y in song.pages.systems:
        top = round(y) + page * PAGE[1]
        roll = top + paper.CHORDS + paper.WAVE
        bottom = roll + round(song.pages.roll)
        # Lines between bars are dark from the waves down to the last note.
        dark = (picture[roll + 1 : bottom - 1].max(axis=2) < 140).mean(axis=0) > 0.9
        lines = [(left + right) / 2 for left, right in runs(dark)]
        downbeats = [s for s in facts.downbeats if system.holds(s)]
        bars = [bar.second for bar in song.pages.bars if bar.number and system.holds(bar.second)]
        assert len(lines) == len(bars) + 1, "one more at the end"
        assert set(downbeats) <= set(bars)
        # All else is measured by the first line and the last.
        seconds = [*bars, system.end_seconds]
        scale = (lines[-1] - lines[0]) / (seconds[-1] - seconds[0])
        x = {s: lines[0] + (s - seconds[0]) * scale for s in seconds}
        assert [x[s] for s in seconds] == pytest.approx(lines, abs=1.5)
        names = picture[top + 20 : top + 56]
        reds = (names[..., 0] - names[..., 1] > 60).any(axis=0)
        for chord in facts.chords:
            if not system.holds(chord.start_seconds) or not system.holds(chord.end_seconds - 0.2):
                continue
            at = lines[0] + (chord.start_seconds - seconds[0]) * scale
            after = np.flatnonzero(reds[round(at) :])
            if chord.end_seconds - chord.start_seconds > 1.2:
                assert after[0] <= 10 and not reds[max(round(at) - 4, 0) : round(at) + 1].any()
        blues = (ink - red > 60) & (ink - green > 40)
        for note in facts.notes:
            if not (system.holds(note.start_seconds) and system.holds(note.end_seconds)):
                continue
            heard += 1
            level = roll + (song.pages.highest - note.pitch + 0.5) * song.pages.semitone
            row = blues[round(level)]
            middle = (note.start_seconds + note.end_seconds) / 2
            at = round(lines[0] + (middle - seconds[0]) * scale)
            left, right = next(run for run in runs(row) if run[0] <= at < run[1])
            assert (left - lines[0]) / scale + seconds[0] == pytest.approx(
                note.start_seconds, abs=4 / scale
            )
            assert (right - lines[0]) / scale + seconds[0] == pytest.approx(
                note.end_seconds, abs=6 / scale
            )
    assert heard > 3


def test_a_picture_is_of_whole_pages_with_white_margins(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    facts = facts_of(rng, float(rng.uniform(60, 150)), words=True)
    picture, song = page_of(tmp_path, replace(facts, key=None), facts.seconds)
    assert 1 < song.pages.count <= 6
    pages = picture.reshape(song.pages.count, PAGE[1], PAGE[0], 3)
    margins = [pages[:, :40], pages[:, -36:], pages[:, :, :40], pages[:, :, -18:]]
    assert all((margin == 255).all() for margin in margins)
    assert all((page < 128).any() for page in pages)
    assert re.search(rb"pHYs.{4}.{4}\x01", (tmp_path / "song.png").read_bytes(), re.DOTALL)


@pytest.mark.parametrize("words", [True, False])
def test_long_songs_end_somewhere(rng: np.random.Generator, words: bool) -> None:
    for seconds in (0.05, *10 ** rng.uniform(0, 4.6, 5)):
        facts = facts_of(rng, min(float(seconds), 600.0), words)
        if rng.random() < 0.3:
            facts = replace(facts, pulse=None, bars=None)
        pages = pages_of(facts, float(seconds))
        assert pages.count <= 14
        systems = [system for system, _, _ in pages.systems]
        assert systems[0].start_seconds == 0
        assert systems[-1].end_seconds >= seconds
        for one, other in pairwise(systems):
            assert one.end_seconds == other.start_seconds
        high = paper.CHORDS + paper.WAVE + pages.roll
        high += paper.LANES * paper.LANE * pages.has_words
        places = [(page, y) for _, page, y in pages.systems]
        assert all(y + high <= paper.BOTTOM + 1e-6 for _, y in places)
        for (page, y), (following, below) in pairwise(places):
            assert following == page + 1 or (following == page and below >= y + high)


def test_words_have_room(rng: np.random.Generator) -> None:
    facts, font = facts_of(rng, 20, words=True), Font()
    song = Print(facts, Waves(np.zeros(2000, np.float32)), font, 20.0)
    for system, page, y in song.pages.systems:
        drawing = Drawing(song, Canvas(PAGE, font), system, (page, page + 1), y)
        said = [(system.x(n.start_seconds), n.text) for n in facts.notes
                if system.holds(n.start_seconds)]  # fmt: skip
        size, placed = drawing.fitted(said)
        assert [text for text, _, _ in placed] == [text for _, text in said]
        for (x, _), (text, left, lane) in zip(said, placed, strict=True):
            assert x <= left <= x + 40 or left + font.width(text, size) == pytest.approx(EDGE)
            assert left + font.width(text, size) <= EDGE + 1e-6
            others = [o for o in placed if o[2] == lane and o[1] > left]
            assert all(left + font.width(text, size) < other[1] for other in others)


def test_peaks_of_a_sound(rng: np.random.Generator) -> None:
    rate = int(rng.choice([8000, 22050, 44100, 48000, 96001]))
    samples = np.zeros((2, 5 * rate), np.float32)
    second = float(rng.uniform(0, 4.9))
    samples[1, round(second * rate)] = -0.7
    sound = Sound(lambda at, count: samples[:, at : at + count], samples.shape[1], rate)
    peaks = peaks_of(sound)
    assert peaks.max() == pytest.approx(0.7)
    assert int(peaks.argmax()) / 100 == pytest.approx(second, abs=0.011)
    assert np.count_nonzero(peaks) == 1


def test_drawings_are_outputs_like_others(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    voice, band, _ = a_song(rng, beat=0.3)
    seconds = voice.shape[1] / RATE
    (tmp_path / "stems").mkdir()
    soundfile.write(tmp_path / "song.wav", (voice + band).T, RATE)
    for name, stem in (("vocals", voice), ("instrumental", band)):
        soundfile.write(tmp_path / "stems" / f"{name}.wav", stem.T, RATE, subtype="FLOAT")
    song = [tmp_path / "song.wav", "--from", tmp_path / "stems", "-o", tmp_path / "out"]
    done = run_karaoke("analyse", *song, "--write", "picture,tutorial,notes", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    paths = {kind: Path(output["path"]) for kind, output in report["outputs"].items()}
    assert [path.name for path in paths.values()] == ["song.png", "song.tutorial.mp4", "song.csv"]
    assert len(list(paths["notes"].parent.iterdir())) == 4, "and the manifest"
    said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", paths["tutorial"]],
                          capture_output=True, text=True, check=False).stderr  # fmt: skip
    assert "Video: h264" in said and "yuv420p" in said and "1280x720" in said
    assert "Audio: aac" in said
    duration = re.search(r"Duration: 00:00:(\d+\.\d+)", said)
    assert duration and float(duration[1]) == pytest.approx(seconds, abs=0.1)
    raw = subprocess.run([find_ffmpeg(), "-v", "error", "-i", paths["tutorial"], "-f", "f32le",
                          "-ac", "1", "-"], capture_output=True, check=True).stdout  # fmt: skip
    heard, mixture = np.frombuffer(raw, np.float32), (voice + band).mean(axis=0)
    length = min(len(heard), len(mixture))
    assert np.corrcoef(heard[:length], mixture[:length])[0, 1] > 0.99, "the song itself"
    note = max(report["analysis"]["notes"], key=lambda one: one["end"] - one["start"])
    middle, row = (note["start"] + note["end"]) / 2, 609 if is_black(note["pitch"]) else 686
    picked = f"select='between(t,{middle:.3f},{middle + 0.1:.3f})',crop=1280:2:0:{row}"
    lit = orange(decoded(paths["tutorial"], (1280, 2), "-vf", picked)[0, 0])
    assert len(runs(lit)) == 1, "the only key of the melody that is pressed"
    done = run_karaoke("analyse", *song, "--write", "picture,tutorial,notes")
    assert done.returncode == ExitCode.EXISTS


def test_ffmpeg_without_libass_is_said_before_any_work(
    run_karaoke: Run, tmp_path: Path, song: Path
) -> None:
    poor = tmp_path / "ffmpeg"
    poor.write_text(f'#!/bin/sh\n"{find_ffmpeg()}" "$@" | grep -v " ass "\n')
    poor.chmod(poor.stat().st_mode | stat.S_IXUSR)
    for kind in ("picture", "tutorial", "all"):
        done = run_karaoke("analyse", song, "--write", kind, "-o", tmp_path / "out",
                           env={**os.environ, "KARAOKE_FFMPEG": str(poor)})  # fmt: skip
        assert done.returncode == ExitCode.UNAVAILABLE
        assert "ffmpeg has no filter ass" in done.stderr and done.stderr.count("\n") <= 3
    assert not (tmp_path / "out").exists()


def test_a_tutorial_takes_no_more_channels_than_its_sound(
    run_karaoke: Run, wav: Callable[..., Path], noise: Callable[..., Picture], tmp_path: Path
) -> None:
    song = wav(noise(8, 8000), 8000)
    arguments = ["--no-split", "-o", tmp_path / "out", "--write"]
    done = run_karaoke("analyse", song, *arguments, "tutorial,json")
    assert done.returncode == ExitCode.USAGE and "Leave tutorial out" in done.stderr
    assert not (tmp_path / "out").exists()
    done = run_karaoke("analyse", song, *arguments, "picture")
    assert done.returncode == 0 and "neither chords nor a melody" in done.stderr
