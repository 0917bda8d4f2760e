"""Tags that are long, many, odd or damaged, and channels that are not left and right."""

from __future__ import annotations

import subprocess

import mutagen.id3 as id3
import numpy as np
import soundfile
from mutagen.flac import FLAC

from karaoke.audio import FORMATS, AudioReader
from karaoke.audio.ffmpeg import find_ffmpeg
from tests import tagged
from tests.faults.bench import Bench, fault


def lengthy(bench: Bench, length: int) -> None:
    """Write a song with a long comment."""
    source = bench.convert(bench.song("plain.wav"), "song.flac")
    file = FLAC(source)
    file["title"], file["comment"] = "T", "ä" * (length // 2)
    file.save()
    bench.keep(source)


@fault("tags", *FORMATS)
def of_65000_bytes_are_kept(bench: Bench, extension: str) -> None:
    lengthy(bench, 65_000)
    done = bench.split("song.flac", "--format", extension)
    assert done.returncode == 0 and "tags" not in done.stderr, done.stderr
    for path in bench.stems(extension=extension):
        assert tagged.read(path)["comment"] == ["ä" * 32_500]


@fault("tags", *FORMATS)
def of_5_megabytes_are_cut_with_a_warning(bench: Bench, extension: str) -> None:
    lengthy(bench, 5_000_000)
    done = bench.split("song.flac", "--format", extension)
    assert done.returncode == 0 and "comment" in done.stderr, done.stderr
    (path, _) = bench.stems(extension=extension)
    assert tagged.read(path)["title"] == ["T (Vocals)"]
    assert tagged.read(path)["comment"] == ["ä" * 500_000]


@fault(
    "tags", *((s, e) for s, e in zip(tagged.KINDS, (*reversed(FORMATS), *FORMATS), strict=False))
)
def of_every_kind_are_kept(bench: Bench, formats: tuple[str, str]) -> None:
    source, extension = formats
    song, front, _ = tagged.tagged_song(bench.folder / f"song.{source}")
    bench.keep(song)
    done = bench.split(song, "--format", extension)
    assert done.returncode == 0 and "tags" not in done.stderr, done.stderr
    for path, stem in zip(
        bench.stems(extension=extension), ("Vocals", "Instrumental"), strict=True
    ):
        title = [f"{tagged.FIELDS['title'][0]} ({stem})"]
        assert tagged.read(path) == {**tagged.FIELDS, "title": title}
        assert tagged.pictures(path)[0] == (3, front)


@fault("tags", "m4b", "mp3", "mka", "opus")
def of_chapters_are_not_the_songs(bench: Bench, extension: str) -> None:
    text = ";FFMETADATA1\nartist=A\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
    chapters = bench.put("c.txt", text.encode())
    source = bench.folder / f"song.{extension}"
    command = [find_ffmpeg(), "-v", "error", "-i", bench.song("plain.wav"), "-i", chapters]
    where = "-map_metadata:s:a" if extension == "opus" else "-map_metadata"
    subprocess.run([*command, where, "1:g", "-map_chapters", "1", source], check=True)
    bench.keep(source)
    assert bench.split(source, "--format", "flac").returncode == 0
    assert tagged.read(bench.stems(extension="flac")[0]) == {"artist": ["A"]}


@fault("tags", "wav", "mp3", "m4a")
def that_are_many_are_kept(bench: Bench, extension: str) -> None:
    source = bench.convert(bench.song("plain.wav"), "song.flac")
    file = FLAC(source)
    for number in range(2000):
        file[f"field {number}"] = [str(number), "again"]
    file.save()
    bench.keep(source)
    done = bench.split(source, "--format", extension)
    assert done.returncode == 0, done.stderr
    assert len(tagged.read(bench.stems(extension=extension)[0])) == 2000


@fault(
    "tags",
    b"ID3\x03\0\0\x7f\x7f\x7f\x7fTIT2\0\0\0\x05\0\0\0Good",
    b"ID3\x04\0\x40\0\0\0\x20\x7f\x7f\x7f\x7f" + bytes(28),
    b"ID3\x03\0\x80\0\0\0\x20APIC\x7f\xff\xff\xff\0\0" + b"\xff" * 22,
    b"ID3\x03\0\0\0\0\0\x14TIT2\0\0\0\x05\0\0\0GoodTPE1\0",
)
def that_are_damaged_do_not_stop_the_song(bench: Bench, start: bytes) -> None:
    sound = bench.convert(bench.song("plain.wav"), "plain.mp3", "-id3v2_version", "0").read_bytes()
    done = bench.split(bench.put("song.mp3", start + sound), "--format", "flac")
    assert done.returncode == 0 or b"\x7f\x7f\x7f\x7f" in start, done.stderr
    if done.returncode == 0 and b"Good" in start:
        assert tagged.read(bench.stems(extension="flac")[0])["title"] == ["Good (Vocals)"]


@fault("tags", "flac", "m4a", "ogg")
def that_only_id3_holds_are_named(bench: Bench, extension: str) -> None:
    song = tagged.plain_song(bench.folder / "song.mp3")
    tags = id3.ID3(song)
    tags.add(id3.PRIV("owner", b"\0\1\2"))
    tags.add(id3.TIT2(3, ["T"]))
    tags.save()
    done = bench.split(bench.keep(song), "--format", extension)
    assert done.returncode == 0 and "PRIV" in done.stderr, done.stderr


@fault("cover", *FORMATS)
def of_webp_is_kept_or_converted(bench: Bench, extension: str) -> None:
    song = tagged.plain_song(bench.folder / "song.mp3")
    webp = tagged.draw(bench.folder / "c.webp")
    tags = id3.ID3(song)
    tags.add(id3.APIC(3, "image/webp", 3, "front", webp))
    tags.save()
    done = bench.split(bench.keep(song), "--format", extension)
    ((kind, data),) = tagged.pictures(bench.stems(extension=extension)[0])
    assert (done.returncode, kind) == (0, 3)
    assert data == webp or (data[:3] == b"\xff\xd8\xff" and "converted" in done.stderr)


@fault("channels", *((n, e) for n in ("2.1", "4.0", "5.1(side)") for e in ("wav", "flac")))
def keep_their_speakers(bench: Bench, case: tuple[str, str]) -> None:
    layout, extension = case
    speakers = {"2.1": 3, "4.0": 4, "5.1(side)": 6}[layout]
    source = (
        f"aevalsrc=exprs={'|'.join(['0.1*random(0)'] * speakers)}:channel_layout={layout}:d=0.5"
    )
    song = bench.folder / "song.wav"
    subprocess.run([find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", source, song], check=True)
    bench.keep(song)
    assert bench.split(song, "--format", extension).returncode == 0
    for path in bench.stems(extension=extension):
        with AudioReader(path) as reader:
            assert sum(block.shape[1] for block in reader.blocks()) and reader.layout == layout


@fault("channels")
def that_are_nameless_stay_so(bench: Bench) -> None:
    source = bench.song(channels=4)
    assert bench.split(source).returncode == 0
    bench.add_up(source)
    for path in bench.stems():
        with AudioReader(path) as reader:
            list(reader.blocks())
            assert reader.layout == "" and np.isfinite(soundfile.read(path)[0]).all()
