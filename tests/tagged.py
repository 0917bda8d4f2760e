"""Songs with tags in every container, written and read by mutagen, which is not what we read by."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import mutagen.id3 as id3
import numpy as np
import soundfile
from mutagen import File
from mutagen.aiff import AIFF
from mutagen.asf import ASF, ASFByteArrayAttribute
from mutagen.flac import FLAC, Picture
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE
from mutagen.wavpack import WavPack

from karaoke.audio.ffmpeg import find_ffmpeg

#: What a well-kept collection says of a song.
FIELDS: dict[str, list[str]] = {
    "title": ["Tïtle 🎤 = ; # \\ x"],
    "artist": ["Zoë / 音楽", "Other; Artist"],
    "album": ["Album"],
    "albumartist": ["Various"],
    "tracknumber": ["3"],
    "tracktotal": ["12"],
    "discnumber": ["1"],
    "disctotal": ["2"],
    "date": ["2019-05-01"],
    "genre": ["Rock", "Fado"],
    "comment": ["A comment,\r\nof lines"],
    "composer": ["Comp A", "Comp B"],
    "lyrics": ["one\r\ntwo\r\nalbum=love\r\n\r\nfour"],
    "bpm": ["128"],
    "initialkey": ["Am"],
    "compilation": ["1"],
    "titlesort": ["Title, The"],
    "artistsort": ["Zoe"],
    "musicbrainz_albumid": ["f1a9b3f6-0000-4000-8000-000000000001"],
    "musicbrainz_trackid": ["f1a9b3f6-0000-4000-8000-000000000002"],
    "isrc": ["USABC1900001"],
    "my own": ["thing"],
}
#: Of the old sound; none of it may reach a stem.
STALE = {
    "replaygain_track_gain": "-9.50 dB",
    "r128_track_gain": "-512",
    "acoustid_fingerprint": "AQAAC0kk",
    "iTunNORM": " 00000A8C",
    "iTunSMPB": " 00000000 00000840 000001C0 00000000000AF000",
    "encoder": "LAME",
}
#: Text frames of ID3 and atoms of MP4, from their specifications.
FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "albumartist": "TPE2",
    "date": "TDRC",
    "genre": "TCON",
    "composer": "TCOM",
    "bpm": "TBPM",
    "initialkey": "TKEY",
    "compilation": "TCMP",
    "titlesort": "TSOT",
    "artistsort": "TSOP",
    "isrc": "TSRC",
}
ATOMS = {
    "title": "\xa9nam",
    "artist": "\xa9ART",
    "album": "\xa9alb",
    "albumartist": "aART",
    "date": "\xa9day",
    "genre": "\xa9gen",
    "comment": "\xa9cmt",
    "composer": "\xa9wrt",
    "lyrics": "\xa9lyr",
    "titlesort": "sonm",
    "artistsort": "soar",
}
ITUNES = {
    "musicbrainz_albumid": "MusicBrainz Album Id",
    "musicbrainz_trackid": "MusicBrainz Track Id",
    "isrc": "ISRC",
    "initialkey": "initialkey",
    "my own": "my own",
}
WINDOWS = {
    "title": "Title",
    "artist": "Author",
    "album": "WM/AlbumTitle",
    "albumartist": "WM/AlbumArtist",
    "date": "WM/Year",
    "genre": "WM/Genre",
    "comment": "Description",
    "composer": "WM/Composer",
    "lyrics": "WM/Lyrics",
    "bpm": "WM/BeatsPerMinute",
    "initialkey": "WM/InitialKey",
    "compilation": "WM/IsCompilation",
    "titlesort": "WM/TitleSortOrder",
    "artistsort": "WM/ArtistSortOrder",
    "isrc": "WM/ISRC",
    "musicbrainz_albumid": "MusicBrainz/Album Id",
    "musicbrainz_trackid": "MusicBrainz/Track Id",
    "my own": "my own",
}
CODECS = {
    "mp3": ("-c:a", "libmp3lame"),
    "m4a": ("-c:a", "aac"),
    "ogg": ("-c:a", "libvorbis"),
    "opus": ("-c:a", "libopus"),
    "wma": ("-c:a", "wmav2"),
}
KINDS: dict[str, Any] = {
    "mp3": MP3,
    "wav": WAVE,
    "aiff": AIFF,
    "flac": FLAC,
    "ogg": OggVorbis,
    "opus": OggOpus,
    "m4a": MP4,
    "wma": ASF,
    "wv": WavPack,
}


def draw(path: Path, colour: str = "red") -> bytes:
    """Draw a picture of the format that the name says."""
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-f", "lavfi"]
    subprocess.run([*command, "-i", f"color={colour}:s=32x32", "-frames:v", "1", path], check=True)
    return path.read_bytes()


def plain_song(path: Path) -> Path:
    """Write noise without any tag."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((22050, 2))
    source = path.with_name("plain.wav")
    soundfile.write(source, noise, 44100)
    if path.suffix == ".wav":
        source.rename(path)
        return path
    codec = CODECS.get(path.suffix[1:], ())
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-i", source]
    subprocess.run([*command, "-map_metadata", "-1", *codec, path], check=True)
    return path


def write_id3(tags: id3.ID3, front: bytes, back: bytes) -> None:
    """Add everything to an ID3 tag, the back cover first."""
    for name, values in FIELDS.items():
        if name in FRAMES:
            tags.add(getattr(id3, FRAMES[name])(encoding=1, text=values))
    tags.add(id3.TRCK(encoding=0, text=["3/12"]))
    tags.add(id3.TPOS(encoding=0, text=["1/2"]))
    tags.add(id3.COMM(encoding=1, lang="eng", desc="", text=FIELDS["comment"]))
    tags.add(id3.USLT(encoding=2, lang="eng", desc="", text=FIELDS["lyrics"][0]))
    tags.add(id3.UFID("http://musicbrainz.org", FIELDS["musicbrainz_trackid"][0].encode()))
    tags.add(id3.TXXX(3, "MusicBrainz Album Id", FIELDS["musicbrainz_albumid"]))
    tags.add(id3.TXXX(3, "my own", FIELDS["my own"]))
    tags.add(id3.APIC(1, "image/png", 4, "bäck", back))
    tags.add(id3.APIC(1, "image/jpeg", 3, "frönt", front))
    for name, value in STALE.items():
        tags.add(id3.TXXX(3, name, [value]))
    tags.add(id3.COMM(0, "eng", "iTunNORM", [STALE["iTunNORM"]]))
    tags.add(id3.TSSE(3, ["LAME"]))
    tags.add(id3.TLEN(3, ["1000"]))


def picture_block(data: bytes, kind: int) -> Picture:
    """Make a picture of FLAC."""
    picture = Picture()
    picture.data, picture.type = data, kind
    picture.mime = "image/jpeg" if kind == 3 else "image/png"
    return picture


def write_mp4(file: MP4, front: bytes) -> None:
    """Add everything to an MP4."""
    for name, values in FIELDS.items():
        if name in ATOMS:
            file[ATOMS[name]] = values
        elif name in ITUNES:
            key = f"----:com.apple.iTunes:{ITUNES[name]}"
            file[key] = [MP4FreeForm(value.encode()) for value in values]
    file["trkn"], file["disk"], file["tmpo"], file["cpil"] = [(3, 12)], [(1, 2)], [128], True
    file["covr"] = [MP4Cover(front, MP4Cover.FORMAT_JPEG)]
    for name, value in STALE.items():
        file[f"----:com.apple.iTunes:{name}"] = [MP4FreeForm(value.encode())]
    file["\xa9too"] = ["Lavf"]


def tagged_song(path: Path) -> tuple[Path, bytes, bytes]:
    """Write a song that says everything, and tell its front and back covers."""
    front, back = draw(path.with_name("f.jpg")), draw(path.with_name("b.png"), "green")
    plain_song(path)
    file = KINDS[path.suffix[1:]](path)
    if path.suffix in (".mp3", ".wav", ".aiff"):
        if file.tags is None:
            file.add_tags()
        write_id3(file.tags, front, back)
    elif path.suffix == ".m4a":
        write_mp4(file, front)
    elif path.suffix == ".wma":
        for name, values in FIELDS.items():
            if name in WINDOWS:
                file[WINDOWS[name]] = values
        file["WM/TrackNumber"], file["WM/PartOfSet"] = "3/12", "1/2"
        head = b"\x03" + len(front).to_bytes(4, "little")
        kind = "image/jpeg\0\0".encode("utf-16-le")
        file["WM/Picture"] = [ASFByteArrayAttribute(head + kind + front)]
    elif path.suffix == ".wv":
        for name, values in FIELDS.items():
            if name not in ("tracktotal", "disctotal"):
                file[name] = values
        file["Track"], file["Disc"] = "3/12", "1/2"
        del file["tracknumber"], file["discnumber"]
        from mutagen.apev2 import APEValue

        file["Cover Art (Front)"] = APEValue(b"front.jpg\0" + front, 1)
    else:
        for name, value in {**FIELDS, **STALE}.items():
            file[name] = value
        for data, kind in ((back, 4), (front, 3)):
            picture = picture_block(data, kind)
            if path.suffix == ".flac":
                file.add_picture(picture)
            else:
                held = base64.b64encode(picture.write()).decode()
                file["metadata_block_picture"] = [*file.get("metadata_block_picture", []), held]
    file.save()
    return path, front, back


def read_id3(tags: id3.ID3) -> dict[str, list[str]]:
    """Read the fields of an ID3 tag."""
    found = {n: [str(t) for t in tags[f].text] for n, f in FRAMES.items() if f in tags}
    for frame, number, total in (("TRCK", "tracknumber", "tracktotal"),
                                 ("TPOS", "discnumber", "disctotal")):  # fmt: skip
        if frame in tags:
            first, _, second = tags[frame].text[0].partition("/")
            found[number] = [first]
            if second:
                found[total] = [second]
    for frame in tags.getall("COMM"):
        found["comment" if not frame.desc else f"comment:{frame.desc}"] = list(frame.text)
    for frame in tags.getall("USLT"):
        found["lyrics" if not frame.desc else f"lyrics:{frame.desc}"] = [frame.text]
    for frame in tags.getall("TXXX"):
        name = frame.desc.lower()
        found[name.replace("musicbrainz album id", "musicbrainz_albumid")] = list(frame.text)
    for frame in tags.getall("UFID"):
        found["musicbrainz_trackid"] = [frame.data.decode()]
    return found


def read_mp4(file: MP4) -> dict[str, list[str]]:
    """Read the fields of an MP4."""
    found = {n: [str(v) for v in file[a]] for n, a in ATOMS.items() if a in file}
    names = {key.lower(): name for name, key in ITUNES.items()}
    for key, values in file.items():
        if key.startswith("----:com.apple.iTunes:"):
            name = key.rpartition(":")[2].lower()
            found[names.get(name, name)] = [bytes(value).decode() for value in values]
    for atom, kind in (("trkn", "track"), ("disk", "disc")):
        for number, total in file.get(atom, []):
            found[f"{kind}number"] = [str(number)]
            if total:
                found[f"{kind}total"] = [str(total)]
    if "tmpo" in file:
        found.setdefault("bpm", [str(file["tmpo"][0])])
    if file.get("cpil"):
        found["compilation"] = ["1"]
    return found


def read(path: Path) -> dict[str, list[str]]:
    """Read what a file says, under the same names for all containers."""
    file = File(path)
    if path.suffix in (".mp3", ".wav"):
        return read_id3(file.tags) if file.tags is not None else {}
    if path.suffix == ".m4a":
        return read_mp4(file)
    keys = [] if file.tags is None else file.keys()
    skipped = ("metadata_block_picture", "waveformatextensible_channel_mask")
    return {k.lower(): list(file[k]) for k in keys if k.lower() not in skipped}


def pictures(path: Path) -> list[tuple[int, bytes]]:
    """Read the types and contents of a file's pictures; MP4 has no types."""
    file = File(path)
    if path.suffix in (".mp3", ".wav"):
        frames = file.tags.getall("APIC") if file.tags else []
        return sorted((int(frame.type), bytes(frame.data)) for frame in frames)
    if path.suffix == ".m4a":
        return [(3, bytes(cover)) for cover in file.get("covr", [])]
    if path.suffix == ".flac":
        return [(int(p.type), bytes(p.data)) for p in file.pictures]
    blocks = [Picture(base64.b64decode(b)) for b in file.get("metadata_block_picture", [])]
    return [(int(p.type), bytes(p.data)) for p in blocks]
