"""Tags and covers: carried from any format to any format, read back by another program."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import mutagen
import numpy as np
import pytest
import soundfile

from karaoke.audio import FORMATS, encode, fit_tags, load_audio, output_format, read_tags
from karaoke.audio.blocks import Block
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.audio.tags import Picture, Tags
from karaoke.files import PartFile, publish_all
from tests import tagged as songs

FIELDS = {
    "title": "A = b; #c \\ d",
    "artist": "Zoë 音楽 & Ünïcode",
    "album": "Two\nlines",
    "track": "3/9",
    "date": "1999",
}


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
    run_karaoke: Callable[..., subprocess.CompletedProcess[str]], tagged: Path, cover: Path,
    tiny_model: Path, tmp_path: Path, extension: str, build: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if build == "wheel":
        monkeypatch.setenv("KARAOKE_FFMPEG", imageio_ffmpeg.get_ffmpeg_exe())
    options = ("-n", tiny_model, "-q", "-o", tmp_path, "--format", extension)
    done = run_karaoke("split", tagged, *options)
    assert done.returncode == 0, done.stderr
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
    assert found.fields["title"] == (FIELDS["title"],)
    assert found.fields["artist"] == (FIELDS["artist"],)
    assert "encoder" not in found.fields


def test_a_song_without_tags_gets_none(
    noise: Callable[..., Block], wav: Callable[..., Path], transcode: Callable[..., Path]
) -> None:
    path = wav(noise(1, 1000))
    assert not read_tags(path)
    assert Tags().for_stem("vocals") == Tags()
    assert not read_tags(path.with_name("gone.wav"))
    video = transcode(path, "v.mkv", "-f", "lavfi", "-i", "testsrc=d=0.1", "-map", "0", "-map", "1")
    assert read_tags(video).pictures == (), "a film is no cover"


def write(path: Path, tags: Tags, seconds: float = 0.5) -> list[str]:
    """Write noise with tags as a stem is written, and give the warnings."""
    noise = (0.1 * np.random.default_rng(0).standard_normal((2, int(seconds * 44100)))).astype("f4")
    fitted, said = fit_tags(tags, path.suffix[1:])
    with PartFile(path) as part:
        encode(
            part,
            [noise],
            sample_rate=44100,
            channels=2,
            frames=noise.shape[1],
            chosen=output_format(path.suffix),
            tags=fitted,
        )
        publish_all([part])
    return said


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("source", list(songs.KINDS))
def test_what_stays_of_each_format_in_each(tmp_path: Path, source: str, extension: str) -> None:
    song, front, back = songs.tagged_song(tmp_path / f"song.{source}")
    target = tmp_path / f"stem.{extension}"
    assert write(target, read_tags(song)) == []
    found = songs.read(target)
    assert found == {**songs.FIELDS}, {
        name: (songs.FIELDS.get(name), found.get(name))
        for name in {*found, *songs.FIELDS}
        if found.get(name) != songs.FIELDS.get(name)
    }
    kinds = songs.pictures(target)
    assert kinds[0] == (3, front), "the front cover comes first and stays one"
    if source not in ("m4a", "wma", "wv") and extension != "m4a":
        assert kinds[1:] == [(4, back)]
    audio, rate = load_audio(target)
    assert audio.shape[1] / rate == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("extension", FORMATS)
def test_the_sound_is_the_same_with_and_without_tags(tmp_path: Path, extension: str) -> None:
    plain, tagged = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
    picture = Picture(songs.draw(tmp_path / "c.png") + bytes(300_000))
    write(plain, Tags(), seconds=3)
    write(tagged, Tags({"title": ("T",), "lyrics": ("x" * 200_000,)}, (picture,)), seconds=3)
    # Gaps before the first and after the last sample are stated in the file too.
    np.testing.assert_array_equal(load_audio(plain)[0], load_audio(tagged)[0])
    assert mutagen.File(plain).info.length == pytest.approx(mutagen.File(tagged).info.length)
    if extension == "mp3":
        assert mutagen.File(tagged).info.bitrate_mode == mutagen.File(plain).info.bitrate_mode
        assert b"Info" in tagged.read_bytes()[-plain.stat().st_size :][:200]


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("name", ["comment", "lyrics", "title", "mood", "own"])
def test_text_of_any_length(tmp_path: Path, extension: str, name: str) -> None:
    for length, warned in ((70_000, False), (900_000, False), (3_000_000, True)):
        path = tmp_path / f"x.{extension}"
        said = write(path, Tags({name: ("ä" * (length // 2),)}))
        assert [name in line for line in said] == [True] * warned
        (value,) = songs.read(path)[name] if name in songs.FIELDS else [""]
        assert value in ("", "ä" * (min(length, 1_000_000) // 2))


@pytest.mark.parametrize("extension", FORMATS)
def test_any_number_of_tags(tmp_path: Path, extension: str) -> None:
    many = {f"field {number}": (str(number), "again") for number in range(3_000)}
    path = tmp_path / f"x.{extension}"
    assert write(path, Tags({"title": ("T",), **many})) == []
    found = songs.read(path)
    assert found["title"] == ["T"]
    assert found["field 2999"] == ["2999", "again"] and len(found) == 3_001
    more = {f"field {number}": ("x" * 900_000,) for number in range(40)}
    (said,) = write(path, Tags({**more, "title": ("T",)}))
    assert "field 39" not in said and "left out" in said and "more" in said
    assert songs.read(path)["title"] == ["T"]


@pytest.mark.parametrize("extension", FORMATS)
def test_odd_names_and_values(tmp_path: Path, extension: str) -> None:
    odd = {
        "": ("nothing",),
        "a=b": ("equal",),
        "ünï": ("code",),
        "title": ("\ud800 half \0 a pair",),
        "tracknumber": ("A3",),
        "tracktotal": ("99999999999",),
        "bpm": ("fast",),
        "compilation": ("yes",),
        "syncedlyrics": ("no times",),
        "x" * 300: ("long",),
        "comment": (" ",),
    }
    path = tmp_path / f"x.{extension}"
    said = write(path, Tags(odd, (Picture(b"\xff\xd8\xff rubbish"),)))
    if extension in ("flac", "ogg", "opus"):
        assert any("ünï" in line and "a=b" in line for line in said)
    found = read_tags(path).fields
    assert found["tracknumber"][0].startswith("A3") and "half" in found["title"][0]
    assert found["bpm"] == ("fast",)
    assert load_audio(path)[0].size


@pytest.mark.parametrize("extension", FORMATS)
def test_pictures_that_a_format_does_not_take(tmp_path: Path, extension: str) -> None:
    webp = songs.draw(tmp_path / "c.webp")
    path = tmp_path / f"x.{extension}"
    said = write(path, Tags(pictures=(Picture(webp),)))
    ((kind, data),) = songs.pictures(path)
    assert kind == 3
    if extension == "m4a":
        assert data.startswith(b"\xff\xd8\xff") and "converted" in said[0]
    else:
        assert data == webp and said == []
    huge = Picture(b"\x89PNG\r\n\x1a\n" + bytes(13_000_000))
    assert "too large" in write(path, Tags({"title": ("T",)}, (huge,)))[0]
    assert songs.pictures(path) == [] and songs.read(path) == {"title": ["T"]}
    broken = Picture(b"RIFF\0\0\0\0WEBPrubbish")
    assert bool(write(path, Tags(pictures=(broken,)))) is (extension == "m4a")


def test_frames_that_only_id3_holds_are_kept_there_and_named_elsewhere(tmp_path: Path) -> None:
    import mutagen.id3 as id3

    song = songs.plain_song(tmp_path / "song.mp3")
    tags = id3.ID3()
    tags.add(id3.POPM("me@x", 200, 5))
    tags.add(id3.PRIV("owner", bytes(range(256))))
    tags.add(id3.SYLT(3, "eng", 2, 1, "", [("la", 0), ("li", 1500)]))
    tags.add(id3.CHAP("c", 0, 1, 0, 0, sub_frames=[id3.TIT2(3, ["Chapter One"])]))
    tags.save(song)
    found = read_tags(song)
    assert write(tmp_path / "x.mp3", found) == []
    kept = id3.ID3(tmp_path / "x.mp3")
    assert kept.getall("POPM") == tags.getall("POPM")
    assert kept.getall("PRIV") == tags.getall("PRIV")
    assert kept.getall("SYLT")[0].text == [("la", 0), ("li", 1500)]
    assert kept.getall("SYLT")[0].lang == "eng" and not kept.getall("TIT2")
    for extension in ("flac", "ogg", "opus", "m4a"):
        (said,) = write(tmp_path / f"x.{extension}", found)
        assert "POPM, PRIV" in said
        lyrics = songs.read(tmp_path / f"x.{extension}")["syncedlyrics"]
        assert lyrics == ["[00:00.000]la\n[00:01.500]li"]


CHAPTERS = ";FFMETADATA1\nartist=A\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={start + 200}\ntitle=Chapter {start}\n"
    for start in (0, 200)
)


@pytest.mark.parametrize("extension", ["m4b", "m4a", "mp3", "mka", "opus", "ogg", "mp4"])
def test_chapters_are_no_tags(tmp_path: Path, extension: str) -> None:
    (tmp_path / "c.txt").write_text(CHAPTERS)
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=d=0.5"]
    source = tmp_path / f"c.{extension}"
    more = ["-map_metadata", "1", "-map_chapters", "1", "-metadata:s:a", "title=Stereo"]
    if extension in ("opus", "ogg"):  # whose tags are those of the stream
        more = ["-map_metadata:s:a", "1:g", "-map_chapters", "1"]
    subprocess.run([*command, "-i", tmp_path / "c.txt", *more, source], check=True)
    assert read_tags(source).fields == {"artist": ("A",)}


def test_the_tags_of_the_chosen_stream_of_an_ogg(tmp_path: Path) -> None:
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=d=0.5"]
    more = ["-map", "0", "-map", "0", "-c:a:0", "libvorbis", "-c:a:1", "libopus"]
    for number, name in enumerate(("one", "two")):
        more += [f"-metadata:s:a:{number}", f"title={name}"]
    subprocess.run([*command, *more, tmp_path / "x.ogg"], check=True)
    assert read_tags(tmp_path / "x.ogg", 1).fields["title"] == ("one",)
    assert read_tags(tmp_path / "x.ogg", 2).fields["title"] == ("two",)
    more = ["-map", "0", "-map", "0", "-metadata", "title=song", "-metadata:s:a", "title=Stereo"]
    subprocess.run([*command, *more, tmp_path / "x.mka"], check=True)
    assert read_tags(tmp_path / "x.mka", 2).fields["title"] == ("song",)


def test_tags_that_only_ffmpeg_reads(tmp_path: Path) -> None:
    front, back = tmp_path / "f.png", tmp_path / "b.jpg"
    pictures = songs.draw(front), songs.draw(back, "green")
    song = songs.plain_song(tmp_path / "x.wav")
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-i", song]
    tags = {"lyrics": "a\r\nalbum=x\n[b]\\", "album_artist": "B", "track": "3/9", "TBPM": "99"}
    for name, value in tags.items():
        command += ["-metadata", f"{name}={value}"]
    command += ["-attach", front, "-metadata:s:t", "mimetype=image/png"]
    subprocess.run([*command, tmp_path / "x.mka"], check=True)
    found = read_tags(tmp_path / "x.mka")
    assert found.fields == {
        "lyrics": ("a\r\nalbum=x\n[b]\\",),
        "albumartist": ("B",),
        "tracknumber": ("3",),
        "tracktotal": ("9",),
        "bpm": ("99",),
    }
    assert [(p.kind, p.data) for p in found.pictures] == [(3, pictures[0])]
