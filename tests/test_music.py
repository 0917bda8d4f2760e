"""Composed music: every style plays, stays off voices, and renders to a corpus folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from karaoke.errors import NoInputError
from karaoke.training.corpus import find_rows
from karaoke.training.workshop import music
from karaoke.training.workshop.styles import FLUTES, SAXOPHONES, STYLES

VOICES = {52, 53, 54, 85, 91}
NEEDS_FLUIDSYNTH = pytest.mark.skipif(
    not shutil.which("fluidsynth") or not any(f.exists() for f in music.SOUNDFONT_FOLDERS),
    reason="FluidSynth with a soundfont is not installed",
)


@pytest.mark.parametrize("name", STYLES)
def test_every_style_makes_music_without_voices(name: str) -> None:
    for seed in range(3):
        band = music.Band(np.random.default_rng(seed), STYLES[name], 30.0)
        song = band.play()
        assert song.length == pytest.approx(30, rel=0.35)
        messages = [message for track in song.tracks for message in track]
        assert not VOICES & {m.program for m in messages if m.type == "program_change"}
        struck = [m for m in messages if m.type == "note_on"]
        assert len(struck) > 40
        assert len(struck) == sum(m.type == "note_off" for m in messages)
        assert all(message.time >= 0 for message in messages)


def test_a_seed_makes_the_same_music_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        music.Band(np.random.default_rng(5), STYLES["funk"], 10.0).play().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rendering_needs_fluidsynth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoInputError, match="FluidSynth"):
        music.write_corpus(tmp_path, pieces=1, seconds=1.0, seed=0)


@pytest.fixture
def plain_soundfonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave compressed soundfonts out, which take ten seconds to load, where there are others."""
    plain = [folder for folder in music.SOUNDFONT_FOLDERS if any(folder.glob("*.sf2"))]
    monkeypatch.setattr(music, "SOUNDFONT_FOLDERS", plain or music.SOUNDFONT_FOLDERS)


@NEEDS_FLUIDSYNTH
@pytest.mark.usefixtures("plain_soundfonts")
def test_music_is_rendered_to_a_corpus(tmp_path: Path) -> None:
    music.write_corpus(tmp_path, pieces=2, seconds=4.0, seed=0)
    rows = find_rows(tmp_path)
    assert [row["role"] for row in rows] == ["accompaniment"] * 2
    for row in rows:
        audio, rate = soundfile.read(tmp_path / row["path"])
        assert rate == 44100 and audio.shape[1] == 2
        assert 0.5 < np.abs(audio).max() < 0.9  # the coder moves peaks
        assert len(audio) / rate == pytest.approx(float(row["seconds"]), abs=0.06)
        assert row["licence"] and row["attribution"]


@NEEDS_FLUIDSYNTH
@pytest.mark.usefixtures("plain_soundfonts")
def test_a_piece_is_rendered_part_by_part(tmp_path: Path) -> None:
    music.write_corpus(tmp_path, pieces=1, seconds=4.0, seed=0, parts=True)
    rows = find_rows(tmp_path)
    assert [row["role"] for row in rows] == ["song-drums", "song-bass", "song-other"]
    assert len({row["group"] for row in rows}) == 1
    parts = np.stack([soundfile.read(tmp_path / row["path"])[0] for row in rows])
    assert 0.5 < np.abs(parts.sum(axis=0)).max() < 0.9
    assert (np.abs(parts).max(axis=(1, 2)) > 0.01).sum() >= 2, "a drummer may stay at home"


def test_the_parts_of_a_piece_have_all_of_its_notes() -> None:
    def notes(song: mido.MidiFile) -> list[tuple[int, int]]:
        return [(m.channel, m.note) for t in song.tracks for m in t if m.type == "note_on"]

    whole, band = (music.Band(np.random.default_rng(4), STYLES["funk"], 10.0) for _ in range(2))
    drums, bass, other = (notes(part) for part in band.play_parts())
    assert sorted(drums + bass + other) == sorted(notes(whole.play()))
    assert {channel for channel, _ in drums} == {music.DRUM_CHANNEL}
    assert bass and other


def test_leads_sound_like_voices_in_many_styles() -> None:
    alike = {*FLUTES, *SAXOPHONES, 29, 30, 40, 48}
    assert not alike & VOICES
    styles = [name for name, style in STYLES.items() if alike & {*style.lead_programs}]
    assert len(styles) > len(STYLES) / 2
    song = music.Band(np.random.default_rng(1), STYLES["folk"], 60.0)
    lead = song.lead()
    assert any(m.type == "pitchwheel" and abs(m.pitch) > 500 for _, m in lead.events)
