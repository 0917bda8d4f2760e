"""Tags and covers: carried from any format to any format, read back by another program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from karaoke.audio import load_audio, read_tags
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.audio.tags import Tags, format_metadata, parse_metadata
from karaoke.streaming import Block

FIELDS = {
    "title": "A = b; #c \\ d",
    "artist": "Zoë 音楽 & Ünïcode",
    "album": "Two\nlines",
    "track": "3/9",
    "date": "1999",
}
FORMATS = ("wav", "flac", "mp3", "m4a", "ogg", "opus")


@pytest.fixture
def cover(tmp_path: Path) -> Path:
    """Draw a picture."""
    path = tmp_path / "cover.png"
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64"]
    subprocess.run([*command, "-frames:v", "1", path], check=True)
    return path


@pytest.fixture
def tagged(tmp_path: Path, noise: Callable[..., Block], cover: Path) -> Path:
    """Make an MP3 with tags and a cover."""
    soundfile.write(tmp_path / "plain.wav", noise(2, 60_000).T, 44100)
    path = tmp_path / "song.mp3"
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-i", tmp_path / "plain.wav", "-i", cover]
    options = ["-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"]
    for name, value in FIELDS.items():
        options += ["-metadata", f"{name}={value}"]
    subprocess.run([*command, *options, path], check=True)
    return path


@given(
    st.dictionaries(
        st.sampled_from(["title", "artist", "x y"]),
        st.text(st.characters(blacklist_characters="\0\r", blacklist_categories=["Cs"])),
    )
)
def test_metadata_text_goes_there_and_back(fields: dict[str, str]) -> None:
    kept = {name: value for name, value in fields.items() if value.strip()}
    assert parse_metadata(format_metadata(fields)) == kept


def said(path: Path) -> dict[str, str]:
    """Read title, artist, album and track by mutagen, WAV by soundfile."""
    if path.suffix == ".wav":
        with soundfile.SoundFile(path) as file:
            return {"title": file.title, "artist": file.artist, "track": file.tracknumber}
    tags = mutagen.File(path, easy=True)
    names = {"title": "title", "artist": "artist", "album": "album", "track": "tracknumber"}
    return {name: tags[key][0] for name, key in names.items() if key in tags}


def picture(path: Path) -> bytes:
    """Read the cover by mutagen."""
    import base64

    from mutagen.flac import Picture

    file = mutagen.File(path)
    if path.suffix == ".flac":
        return bytes(file.pictures[0].data)
    if path.suffix in (".ogg", ".opus"):
        return bytes(Picture(base64.b64decode(file["metadata_block_picture"][0])).data)
    key = {".mp3": "APIC:", ".m4a": "covr"}[path.suffix]
    return bytes(file.tags[key].data if path.suffix == ".mp3" else file.tags[key][0])


@pytest.mark.parametrize("build", ["path", "wheel"])
@pytest.mark.parametrize("extension", FORMATS)
def test_tags_and_cover_are_carried_over(
    tagged: Path, cover: Path, tiny_model: Path, tmp_path: Path, extension: str, build: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if build == "wheel":
        monkeypatch.setenv("KARAOKE_FFMPEG", imageio_ffmpeg.get_ffmpeg_exe())
    command = [sys.executable, "-m", "karaoke", "split", tagged, "-n", tiny_model, "-q"]
    subprocess.run([*command, "-o", tmp_path, "--format", extension], check=True)
    for stem in ("vocals", "instrumental"):
        path = tmp_path / "song" / f"{stem}.{extension}"
        found = said(path)
        assert found["title"] == f"{FIELDS['title']} ({stem.capitalize()})"
        assert found["artist"] == FIELDS["artist"]
        assert found["track"].startswith("3")
        if extension != "wav":
            assert picture(path) == cover.read_bytes()
        audio, rate = load_audio(path)
        assert audio.shape[1] / rate == pytest.approx(60_000 / 44100, abs=0.03)
    if extension == "flac":
        stems = [load_audio(tmp_path / "song" / f"{s}.flac")[0] for s in ("vocals", "instrumental")]
        assert np.abs(sum(stems) - load_audio(tagged)[0]).max() < 1e-6


@pytest.mark.parametrize("extension", ["flac", "m4a", "ogg", "opus"])
def test_tags_are_read_from_every_format(
    tagged: Path, transcode: Callable[..., Path], extension: str
) -> None:
    # A container holds tags for itself or for its stream; both are found.
    path = transcode(tagged, f"copy.{extension}", "-map", "0:a")
    found = read_tags(path)
    assert found.fields["title"] == FIELDS["title"] and found.fields["artist"] == FIELDS["artist"]
    assert "encoder" not in found.fields


def test_a_song_without_tags_gets_none(
    noise: Callable[..., Block], wav: Callable[..., Path], transcode: Callable[..., Path]
) -> None:
    path = wav(noise(1, 1000))
    assert not read_tags(path)
    assert Tags().for_stem("vocals") == Tags()
    assert not read_tags(path.with_name("gone.wav"))
    video = transcode(path, "v.mkv", "-f", "lavfi", "-i", "testsrc=d=0.1", "-map", "0", "-map", "1")
    assert read_tags(video).cover == b"", "a film is no cover"
