"""The readers and writers of tags by themselves: there and back, and through damage."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from karaoke.audio import fit_tags, read_tags
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.audio.tagging.flac import read_flac, tag_flac
from karaoke.audio.tagging.id3 import read_id3
from karaoke.audio.tagging.id3_names import events_from_lyrics, lyrics_from_events
from karaoke.audio.tagging.id3_writing import id3_tag, synchsafe
from karaoke.audio.tagging.model import Found, Picture, Tags
from karaoke.audio.tagging.mp4 import atom, item_list, read_mp4
from karaoke.audio.tagging.ogg import Page, pages, paginate, read_ogg
from karaoke.audio.tagging.riff import read_riff, tag_chunks
from karaoke.audio.tagging.vorbis import comment_block, read_comments
from tests import tagged as songs

TEXT = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), min_size=1)
WORDS = TEXT.filter(str.strip)
NAMES = st.sampled_from(
    """
    title artist composer genre comment lyrics initialkey mood musicbrainz_albumid label titlesort
    My-Own own:two a-b_c
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
PNG = b"\x89PNG\r\n\x1a\n"
PICTURES = st.lists(
    st.builds(Picture, st.binary(max_size=600).map(PNG.__add__), st.integers(0, 20)), max_size=3
).map(lambda found: tuple(sorted(found, key=lambda picture: picture.kind != 3)))
FIELDS = st.dictionaries(NAMES, st.lists(WORDS, min_size=1, max_size=3).map(tuple))
TAGS = st.builds(Tags, FIELDS, PICTURES)


def through_id3(tags: Tags) -> Found:
    found = Found()
    read_id3(io.BytesIO(id3_tag(tags)), found)
    return found


def through_comments(tags: Tags) -> Found:
    found = Found()
    read_comments(comment_block(tags, b"us", pictures=True), found)
    return found


def through_flac(tags: Tags) -> Found:
    plain = b"fLaC" + struct.pack(">I", 0x80 << 24 | 34) + bytes(34) + b"frames"
    written, found = io.BytesIO(), Found()
    tag_flac(io.BytesIO(plain), written, tags)
    assert written.getvalue().endswith(b"frames")
    written.seek(0)
    read_flac(written, found)
    assert written.read() == b"frames"
    return found


def through_ogg(tags: Tags) -> Found:
    packet = b"OpusTags" + comment_block(tags, b"us", pictures=True)
    first = Page(2, 0, 7, 0, bytes([8]), b"OpusHead")
    written = b"".join(page.encode() for page in [first, *paginate([packet], 7, 1)])
    found = Found()
    read_ogg(io.BytesIO(written), found)
    return found


def through_mp4(tags: Tags) -> Found:
    meta = atom(b"meta", bytes(4) + atom(b"hdlr", bytes(25)) + item_list(tags))
    file = atom(b"ftyp", b"M4A ") + atom(b"mdat", b"x") + atom(b"moov", atom(b"udta", meta))
    found = Found()
    read_mp4(io.BytesIO(file), found)
    return found


def through_wav(tags: Tags) -> Found:
    found = Found()
    read_riff(io.BytesIO(b"RIFF\0\0\0\0WAVE" + tag_chunks(tags)), found)
    return found


ID3_GENRE = re.compile(r"$|[(0-9]|(RX|CR)$")
CODECS = [through_id3, through_comments, through_flac, through_ogg, through_mp4, through_wav]


@pytest.mark.parametrize("codec", CODECS)
@given(tags=TAGS)
def test_tags_go_there_and_back(codec: Callable[[Tags], Found], tags: Tags) -> None:
    found = codec(tags).tags()
    in_id3 = codec in (through_id3, through_wav)
    for name, values in tags.fields.items():
        if in_id3 and name == "lyrics":  # a frame for each
            values = values[:1]
        if in_id3 and name == "genre" and any(map(ID3_GENRE.match, values)):
            continue  # numbers of genres, or abbreviations of the format itself
        lower = {key.lower(): value for key, value in found.fields.items()}
        assert lower[name.lower()] == values
    shown = [(p.data, p.kind) for p in found.pictures]
    if codec is through_mp4:
        assert [data for data, _ in shown] == [p.data for p in tags.pictures]
    else:
        assert shown == [(p.data, p.kind) for p in tags.pictures]


@given(st.lists(st.tuples(st.integers(0, 10**7), st.from_regex(r"[a-z ]{1,9}", fullmatch=True))))
def test_lyrics_with_times_go_there_and_back(events: list[tuple[int, str]]) -> None:
    assert events_from_lyrics(lyrics_from_events(events)) == events
    words = [
        (time, "\n" + text if n % 3 == 0 and n else text) for n, (time, text) in enumerate(events)
    ]
    assert events_from_lyrics(lyrics_from_events(words)) == words


@given(st.lists(st.binary(max_size=70_000), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
@settings(max_examples=30, suppress_health_check=[HealthCheck.large_base_example])
def test_pages_hold_packets_of_any_length(packets: list[bytes], serial: int) -> None:
    laid = list(paginate(packets, serial, 1))
    assert list(pages(io.BytesIO(b"".join(page.encode() for page in laid)))) == laid
    joined, current = [], b""
    for page in laid:
        assert page.serial == serial and len(page.body) <= 255 * 255
        for piece, ends in page.pieces():
            current += piece
            if ends:
                joined.append(current)
                current = b""
    assert joined == packets


def frame(name: bytes, content: bytes, version: int = 3, flags: int = 0) -> bytes:
    """Write a frame of ID3 as the specifications say, or as somebody did."""
    if version == 2:
        return name + len(content).to_bytes(3, "big") + content
    size = synchsafe(len(content)) if version == 4 else len(content).to_bytes(4, "big")
    return name + size + bytes([0, flags]) + content


def tag(body: bytes, version: int, flags: int = 0, size: int | None = None) -> bytes:
    """Write a tag of ID3."""
    return (
        b"ID3" + bytes([version, 0, flags]) + synchsafe(len(body) if size is None else size) + body
    )


def fields(content: bytes) -> dict[str, tuple[str, ...]]:
    """Read the fields of a tag of ID3."""
    found = Found()
    read_id3(io.BytesIO(content), found)
    return found.tags().fields


def test_every_version_of_id3() -> None:
    old = frame(b"TT2", b"\0T\xe4\0", 2) + frame(b"TRK", b"\0" + b"3/12", 2)
    old += frame(b"ULT", b"\x01eng\xff\xfe\0\0" + "\ufeffa\r\nb".encode("utf-16-le"), 2)
    old += frame(b"PIC", b"\0PNG\x03front\0" + PNG, 2) + frame(b"XYZ", b"?", 2)
    found = Found()
    read_id3(io.BytesIO(tag(old, 2)), found)
    assert found.fields == {
        "title": ["Tä"], "tracknumber": ["3"], "tracktotal": ["12"], "lyrics": ["a\r\nb"]
    }  # fmt: skip
    assert found.pictures == [Picture(PNG, 3, "front")] and found.left_out == ["XYZ"]
    dates = frame(b"TYER", b"\x001999") + frame(b"TDAT", b"\x003112") + frame(b"TIME", b"\x002359")
    assert fields(tag(dates + frame(b"TORY", b"\x001970"), 3)) == {
        "date": ("1999-12-31T23:59",), "originaldate": ("1970",)
    }  # fmt: skip
    genres = frame(b"TCON", b"\0(17)(6)More (live)")
    assert fields(tag(genres, 3)) == {"genre": ("Rock", "Grunge", "More (live)")}
    assert fields(tag(frame(b"TCON", b"\x0317\0Own", 4), 4)) == {"genre": ("Rock", "Own")}
    # An extended header, a frame that is compressed, and one in a group.
    packed = len(b"\0Zip").to_bytes(4, "big") + zlib.compress(b"\0Zip")
    body = frame(b"TIT2", packed, 3, 0x80) + frame(b"TPE1", b"\x07\0Group", 3, 0x20)
    body = (6).to_bytes(4, "big") + bytes(6) + body + frame(b"TALB", b"secret", 3, 0x40)
    found = Found()
    read_id3(io.BytesIO(tag(body + bytes(50), 3, 0x40)), found)
    assert found.fields == {"title": ["Zip"], "artist": ["Group"]} and found.left_out == ["TALB"]
    # What early iTunes wrote: sizes of version 2.3 in 2.4.
    long = b"\0" + b"x" * 300
    wrong = b"TIT2" + len(long).to_bytes(4, "big") + bytes(2) + long + frame(b"TPE1", b"\0A", 4)
    assert fields(tag(wrong, 4)) == {"title": ("x" * 300,), "artist": ("A",)}


@pytest.mark.parametrize("version", [3, 4])
def test_unsynchronised_tags(version: int) -> None:
    picture = b"\0image/jpeg\0\x03\0" + b"\xff\xd8\xff\xe0\xff\0\xff"
    if version == 3:
        body = frame(b"APIC", picture).replace(b"\xff", b"\xff\0")
    else:
        body = frame(b"APIC", picture.replace(b"\xff", b"\xff\0"), 4, 2)
    found = Found()
    read_id3(io.BytesIO(tag(body, version, 0x80)), found)
    assert found.pictures == [Picture(b"\xff\xd8\xff\xe0\xff\0\xff", 3)]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (tag(frame(b"TIT2", b"\0Whole") + frame(b"TPE1", b"\0" + bytes(99))[:30], 3, 0, 10_000), 1),
        (tag(frame(b"TIT2", b"\0Whole") + b"TPE1\x7f\xff\xff\xff\0\0", 3), 1),
        (tag(b"", 4, 0x40, 2**28 - 1), 0),
        (tag(frame(b"TIT2", b"\0Whole") + frame(b"APIC", b"\x01image/png"), 3), 1),
        (tag(frame(b"TIT2", b"\0Whole") + frame(b"APIC", b""), 3), 1),
        (tag(frame(b"TIT2", b"\0Whole") + frame(b"SYLT", b"\x01eng\x02\x01\0\0x"), 3), 1),
        (tag(frame(b"TIT2", b"\x09Whole") + frame(b"COMM", b"\x01e"), 3), 1),
        (tag(frame(b"TXXX", b"", 4) * 10_000 + frame(b"TIT2", b"\x03Whole", 4), 4), 1),
        (tag(frame(b"TIT2", b"\x80" * 8, 4, 0x09), 4), 0),
    ],
)  # fmt: skip
def test_damaged_id3_gives_what_is_whole(content: bytes, kept: int) -> None:
    assert [values == ("Whole",) for values in fields(content).values()] == [True] * kept


def test_damaged_mp4_and_vorbis_give_what_is_whole() -> None:
    title = atom("©nam", atom(b"data", struct.pack(">II", 1, 0) + b"Whole"))
    deep = title
    for _ in range(3000):
        deep = atom(b"ilst", deep)
    lists = (
        title + b"\xff\xff\xff\xff\xa9ART",
        title + atom(b"trkn", atom(b"data", b"\0\0")) + atom(b"----", b"") + atom(b"covr", b"x"),
        title + deep,
        title + b"\0\0\0\x01\xa9ART\0\0\0\0\0\0\0\0",
    )
    for items in lists:
        meta = atom(b"meta", bytes(4) + atom(b"hdlr", bytes(25)) + atom(b"ilst", items))
        found = Found()
        read_mp4(io.BytesIO(atom(b"ftyp", b"") + atom(b"moov", atom(b"udta", meta))), found)
        assert found.fields == {"title": ["Whole"]}
    tags = Tags({"title": ("Whole",), "artist": ("x" * 60,)})
    whole = comment_block(tags, b"us", pictures=False)
    for size in range(90):
        found = Found()
        with pytest.raises(ValueError, match="bytes wanted"):
            read_comments(whole[:size], found)
        assert found.fields in ({}, {"title": ["Whole"]})


@pytest.mark.parametrize("extension", [*songs.KINDS])
def test_mutations_never_raise_an_error_nor_take_long(tmp_path: Path, extension: str) -> None:
    song, *_ = songs.tagged_song(tmp_path / f"song.{extension}")
    content, rng = song.read_bytes(), np.random.default_rng(0)
    # Where tags are: at the beginning, and at the end.
    places = np.concatenate([np.arange(min(3000, len(content))), len(content) - np.arange(1, 3000)])
    started = time.monotonic()
    for _ in range(60):
        mutated = bytearray(content)
        for place in rng.choice(places, 6):
            mutated[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))])
        if rng.random() < 0.3:
            del mutated[int(rng.integers(len(mutated))) :]
        song.write_bytes(mutated)
        tags = read_tags(song)
        for output in ("mp3", "flac", "m4a"):
            fitted, _ = fit_tags(tags, output)
            assert sum(len(v) for values in fitted.fields.values() for v in values) < 10**6
    assert time.monotonic() - started < 60


def test_tags_of_dsf_and_of_flac_in_ogg(tmp_path: Path) -> None:
    tagged = tag(frame(b"TPE1", b"\3A\0B", 4), 4)
    head = b"DSD " + struct.pack("<QQQ", 28, 100 + len(tagged), 100)
    (tmp_path / "x.dsf").write_bytes(head.ljust(100, b"\0") + tagged)
    assert read_tags(tmp_path / "x.dsf").fields == {"artist": ("A", "B")}
    song = songs.plain_song(tmp_path / "x.wav")
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-i", song, "-c:a", "flac"]
    subprocess.run([*command, "-metadata", "title=T", tmp_path / "x.ogg"], check=True)
    assert read_tags(tmp_path / "x.ogg").fields == {"title": ("T",)}
