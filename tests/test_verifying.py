"""``make --verify``: what is right is found to be right, and what is off is found to be off."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from karaoke.audio import Spool, in_blocks, save_audio
from karaoke.audio.filtering import shifted
from karaoke.lyrics import Timeline, parse_lyrics
from karaoke.making import measuring
from karaoke.making.font import Font
from karaoke.making.layout import lay_out
from karaoke.making.mixes import Mix, Part
from karaoke.making.screens import draw
from karaoke.making.styles import STYLES
from karaoke.making.video import Picture, Track, render
from karaoke.making.watching import watch
from tests.singing import RATE, Audio, draw_score, play, sing
from tests.test_activity import write_stems
from tests.test_films import words_at

Run = Callable[..., subprocess.CompletedProcess[str]]
SIZE, FPS = (480, 270), 25.0


def spool_of(mono: Audio, files: ExitStack, folder: Path) -> Spool:
    """Keep a sound on the disk, in two channels that differ."""
    spool = Spool(folder, 2, files)
    spool.append(np.stack([mono, 0.8 * mono]).astype(np.float32))
    return spool


@pytest.fixture
def files() -> Iterator[ExitStack]:
    """Close what was opened."""
    with ExitStack() as stack:
        yield stack


def moved(spool: Spool, semitones: float, tempo: float, files: ExitStack, kind: str) -> Spool:
    """Change key and tempo of a sound."""
    made = Spool(spool.folder, spool.channels, files)
    blocks = shifted(in_blocks(spool.read, spool.frames), sample_rate=RATE, channels=2,
                     length=spool.frames, semitones=semitones, tempo=tempo, kind=kind)  # fmt: skip
    for block in blocks:
        made.append(block)
    return made


def test_the_command_measures_what_was_asked_for(
    run_karaoke: Run, tmp_path: Path, rng: np.random.Generator
) -> None:
    score = draw_score(rng, seconds=16.0)
    arguments = write_stems(tmp_path, sing(rng, score), play(rng, score))
    starts = [2.0, 2.6, 3.1, 3.9]
    (tmp_path / "song.lrc").write_text(words_at(starts, 4.6))
    level, key = round(float(rng.uniform(-20, 0)), 1), int(rng.choice([-4, -1, 2, 5]))
    tempo = round(float(rng.uniform(0.8, 1.25)), 2)
    done = run_karaoke("make", *arguments, "--guide", level, "--key", key, "--tempo", tempo,
                       "--to", "audio,mkv", "--size", f"{SIZE[0]}x{SIZE[1]}", "--format", "flac",
                       "--verify", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = report["verified"]
    assert found["late_seconds"] == {"karaoke": 0, "mkv": 0, "mkv original": 0}
    assert found["guide_db"] == pytest.approx(level, abs=0.1)
    assert found["semitones"] == pytest.approx(key, abs=0.05)
    assert found["tempo"] == pytest.approx(tempo, rel=0.002)
    words = found["words"]["mkv"]
    assert (words["syllables"], words["measured"]) == (4, 4)
    assert -2 / FPS < words["earliest_seconds"] <= words["latest_seconds"] < 2 / FPS
    assert report["warnings"] == []
    done = run_karaoke("make", *arguments, "--no-lyrics", "--verify", "--overwrite")
    assert "measured: sound within 0 ms" in done.stderr and "voice" not in done.stderr


def test_nothing_is_measured_unless_asked_for(run_karaoke: Run, tmp_path: Path) -> None:
    tone = 0.1 * np.sin(np.arange(RATE) / 20)
    done = run_karaoke("make", *write_stems(tmp_path, tone, tone), "--json")
    assert json.loads(done.stdout)["verified"] is None


@pytest.mark.parametrize("late", [-441, 0, 1234])
def test_levels_and_places_that_are_off_are_found(
    tmp_path: Path, rng: np.random.Generator, files: ExitStack, late: int
) -> None:
    score = draw_score(rng, seconds=10.0)
    voice, band = (spool_of(s, files, tmp_path) for s in (sing(rng, score), play(rng, score)))
    mix = Mix([Part(voice, 0.25), Part(band)], band.frames, np.zeros((2, 2000), np.float32))
    level = round(float(rng.uniform(-20, 0)), 1)
    other = Mix([Part(voice, 10 ** (level / 20)), Part(band)], band.frames, mix.before)
    sound = other.read(0, other.frames)
    sound = np.pad(sound, ((0, 0), (max(late, 0), 0)))[:, max(-late, 0) :]
    path = tmp_path / "made.wav"
    save_audio(path, sound, RATE)
    assert measuring.lateness(measuring.decoded(path, RATE), mix) == late
    levels = measuring.measure_gains(measuring.decoded(path, RATE), mix, late)
    assert levels.parts_db[0] - levels.parts_db[1] == pytest.approx(level, abs=0.05)
    assert levels.residual_db < -60


def test_another_song_is_not_late_but_another(
    tmp_path: Path, rng: np.random.Generator, files: ExitStack
) -> None:
    mixes = [Mix([Part(spool_of(0.1 * rng.standard_normal(RATE * 3), files, tmp_path))], RATE * 3)
             for _ in range(2)]  # fmt: skip
    sounds = [in_blocks(mix.read, mix.frames) for mix in mixes]
    assert measuring.lateness(sounds[0], mixes[1]) is None
    assert measuring.lateness([np.zeros((2, RATE), np.float32)], mixes[1]) is None


def test_keys_and_tempi_that_are_off_are_found(
    tmp_path: Path, rng: np.random.Generator, files: ExitStack
) -> None:
    score = draw_score(rng, seconds=26.0)
    band = spool_of(play(rng, score), files, tmp_path)
    off, tempo = round(float(rng.uniform(-0.4, 0.4)), 2), round(float(rng.uniform(0.997, 1.003)), 4)
    made = moved(band, 3 + off, tempo, files, "band")
    here, there = (list(in_blocks(spool.read, spool.frames)) for spool in (made, band))
    key = measuring.measure_key(here, there, RATE, 3)
    assert key == pytest.approx(3 + off, abs=0.05)
    found = measuring.measure_tempo(here, there, RATE, 1.0)
    assert found is not None and found[0] == pytest.approx(tempo, abs=0.001)


@pytest.mark.parametrize("sweep", ["fill", "word"])
@pytest.mark.parametrize("late", [-0.3, 0.0, 0.4])
def test_words_that_are_late_are_found(
    tmp_path: Path, rng: np.random.Generator, sweep: str, late: float
) -> None:
    starts = list(2.0 + np.cumsum(rng.uniform(0.4, 0.8, 4)).round(2))
    lyrics = parse_lyrics(words_at(starts, starts[-1] + 0.7).encode(), "words")
    style, font = replace(STYLES["plain"], sweep=sweep), Font()
    sound, film = tmp_path / "s.m4a", tmp_path / "f.mp4"
    save_audio(sound, np.zeros((2, 6 * RATE), np.float32), RATE)
    script = draw(lyrics, Timeline(offset_seconds=late), size=SIZE, font=font, style=style)
    picture = Picture(SIZE, FPS, colour=str(rng.choice(["#101a30", "#777777", "#30a050"])))
    render(film, container="mp4", words=script, font=font, tracks=[Track("Karaoke", sound)],
           timeline=Timeline(), seconds=6.0, picture=picture, progress=lambda _: None,
           check=lambda: None)  # fmt: skip
    layout = lay_out(lyrics, Timeline(), size=SIZE, font=font, style=style)
    found = watch(film, layout, style=style, font=font, size=SIZE, fps=FPS,
                  progress=lambda _: None, check=lambda: None)  # fmt: skip
    assert found["measured"] >= 3
    assert found["late_seconds"] == pytest.approx(late, abs=1.5 / FPS)
