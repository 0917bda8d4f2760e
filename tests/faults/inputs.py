"""Inputs that are odd, damaged, or no songs at all."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile

from tests.faults.bench import RATE, Bench, fault, ffmpeg_builds

NOT_SONGS = {
    "text.mp3": b"these are the words of a song\n" * 40,
    "page.mp3": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "picture.mp3": b"\x89PNG\r\n\x1a\n" + bytes(500),
    "archive.mp3": b"PK\x03\x04" + bytes(500),
    "empty.wav": b"",
    "zeros.mp3": bytes(5000),
    "riff.wav": b"RIFF\xff\xff\xff\xffWAVE",
    "header.flac": b"fLaC" + bytes(38),
    "tag.mp3": b"ID3\x04\0\0\0\0\x02\0" + bytes(256),
    "object.json": json.dumps({"a": list(range(100))}).encode(),
    "random.mp3": np.random.default_rng(0).bytes(200_000),
    "random.wav": np.random.default_rng(1).bytes(50_000),
    "list.m3u": b"#EXTM3U\nsong.wav\n",
}


@fault("not audio", *NOT_SONGS)
def is_refused_and_nothing_is_written(bench: Bench, name: str) -> None:
    bench.refused(bench.split(bench.put(name, NOT_SONGS[name])), 65, "not")


@fault("no input", "missing.wav", "folder/missing.wav", "x" * 300)
def is_named(bench: Bench, name: str) -> None:
    bench.refused(bench.split(name), 66, "no such file")


@fault("no input")
def an_empty_folder_is_named(bench: Bench) -> None:
    (bench.folder / "empty").mkdir()
    bench.refused(bench.split("empty"), 66)


NAMES = [
    *(b"-x.wav", b"a:b.wav", b"%03d.wav", b"a\nb.wav", b" .wav", b"$(touch pwned).wav"),
    *("naïve 🎤.wav".encode(), b"\xff\xfe.wav", b"'\"`.wav", b"[a]{b}*?.wav"),
    *(b"x" * 251 + b".wav", "ü".encode() * 125 + b".wav"),
]


@fault("name", *NAMES)
def of_any_bytes(bench: Bench, name: bytes) -> None:
    source = bench.song()
    path = bench.folder / "in" / os.fsdecode(name)
    path.parent.mkdir()
    source.rename(path)
    bench.inputs = {path: bench.inputs[source]}
    options = ["--json", "-n", bench.model, "-o", bench.out]
    done = bench.karaoke("split", *options, "--", os.path.join("in", os.fsdecode(name)))
    assert done.returncode == 0, done.stderr
    stems = [path for path in bench.files() if path.name in ("vocals.wav", "instrumental.wav")]
    assert len(stems) == 2 and not (bench.folder / "pwned").exists()
    assert soundfile.info(os.fsencode(stems[0])).frames == RATE // 2


@fault("format", (8000, 1), (11025, 2), (192_000, 2), (44100, 6), (48000, 7), (44100, 3))
def keeps_rate_channels_and_length(bench: Bench, layout: tuple[int, int]) -> None:
    source = bench.song(rate=layout[0], channels=layout[1], subtype="FLOAT")
    done = bench.split(source, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    bench.add_up(source)


@fault("format", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "DOUBLE", "ALAW", "ULAW")
def of_samples_is_read(bench: Bench, subtype: str) -> None:
    source = bench.song(subtype=subtype)
    assert bench.split(source, "-q").returncode == 0
    bench.add_up(source)


CODED = {
    "song.mp3": [], "song.ogg": [], "song.opus": ["-ar", "48000"], "song.m4a": [], "song.aac": [],
    "song.wma": [], "song.ac3": [], "song.mka": ["-c:a", "pcm_s16le"], "song.aiff": [],
    "song.caf": [], "song.tta": [], "song.w64": [], "song.flac": [],
}  # fmt: skip


@fault("format", *CODED)
def of_any_codec_is_read(bench: Bench, name: str) -> None:
    source = bench.convert(bench.song("source.wav", seconds=1.0), name, *CODED[name])
    done = bench.split(source, "-q")
    assert done.returncode == 0, done.stderr
    assert abs(soundfile.info(bench.stems()[0]).duration - 1) < 0.15


@fault("format")
def a_cover_is_no_film(bench: Bench) -> None:
    cover = bench.convert(
        bench.song(), "cover.png", "-lavfi", "showwavespic=s=64x64", "-frames:v", "1"
    )
    source = bench.convert(bench.song(), "plain.mp3")
    target = [
        "-i",
        str(cover),
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c",
        "copy",
        "-disposition:v",
        "attached_pic",
    ]
    with_cover = bench.convert(source, "song.mp3", *target)
    assert bench.split(with_cover, "-q").returncode == 0


@fault("format")
def of_several_sounds_one_is_chosen(bench: Bench) -> None:
    tracks = ["-f", "lavfi", "-i", "sine=frequency=440:duration=0.5", "-map", "0:a", "-map", "1:a"]
    film = bench.convert(bench.song(), "song.mka", *tracks, "-c:a", "pcm_s16le")
    assert bench.split(film, "-q").returncode == 0
    assert soundfile.info(bench.stems()[0]).channels == 2
    assert bench.split(film, "-q", "--stream", 2, "--overwrite").returncode == 0
    assert soundfile.info(bench.stems()[0]).channels == 1
    done = bench.split(film, "-q", "--stream", 3, "-o", "other")
    assert done.returncode == 65 and not (bench.folder / "other").exists(), done.stderr


@fault("length", 1, 2, 100, 22_050)
def silence_gives_silence(bench: Bench, frames: int) -> None:
    source = bench.folder / "song.wav"
    soundfile.write(source, np.zeros((frames, 2)), RATE)
    assert bench.split(bench.keep(source), "-q").returncode == 0
    bench.add_up(source, tolerance=1e-7)
    assert not soundfile.read(bench.stems()[0])[0].any()


@fault("length")
def no_samples_are_no_song(bench: Bench) -> None:
    source = bench.folder / "song.wav"
    soundfile.write(source, np.zeros((0, 2)), RATE)
    bench.refused(bench.split(bench.keep(source)), 65)


@fault("damage", "mp3", "ogg", "flac", "m4a", "wav", "opus")
def a_truncated_song_goes_on_or_is_refused(bench: Bench, extension: str) -> None:
    whole = bench.convert(bench.song("source.wav", seconds=6), f"whole.{extension}")
    content = whole.read_bytes()
    cut = bench.put(f"song.{extension}", content[: len(content) // 2])
    done = bench.split(cut, "-q", "--json")
    (entry,) = map(json.loads, done.stdout.splitlines())
    if done.returncode == 0:
        assert 1 < entry["seconds"] < 5
        if extension in ("flac", "wav"):  # the others declare no length, or what is left of it
            assert "declare" in entry["warnings"][0] or "decoding stopped" in entry["warnings"][0]
            again = bench.split(cut, "--strict", "-o", "other")
            assert again.returncode == 65 and not (bench.folder / "other").exists()
    else:
        assert done.returncode == entry["error"]["exit"] == 65 and not bench.files()


@fault("damage", "mp3", "ogg", "flac", "wav")
def flipped_bytes_are_survived(bench: Bench, extension: str) -> None:
    whole = bench.convert(bench.song("source.wav", seconds=3), f"whole.{extension}")
    content = np.frombuffer(whole.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(0)
    content[rng.integers(200, len(content), len(content) // 1000)] ^= 0xFF
    done = bench.split(bench.put(f"song.{extension}", content.tobytes()), "-q")
    assert done.returncode in (0, 65), done.stderr
    assert len(bench.files()) == (3 if done.returncode == 0 else 0)


@fault("damage")
def samples_that_are_no_numbers_are_silenced(bench: Bench) -> None:
    source = bench.song(subtype="FLOAT")
    samples, _ = soundfile.read(source, dtype="float32")
    samples[100:110] = np.nan
    samples[200] = np.inf
    soundfile.write(source, samples, RATE, subtype="FLOAT")
    done = bench.split(bench.keep(source), "--json", "-q")
    (entry,) = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0 and "22 samples" in entry["warnings"][0]
    assert np.isfinite(soundfile.read(bench.stems()[0])[0]).all()


@fault("level")
def clipping_is_avoided_by_one_gain(bench: Bench) -> None:
    source = bench.song(subtype="FLOAT", scale=1.0)
    done = bench.split(source, "--json", "-q")
    (entry,) = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0 and 0 < entry["gain"] < 1
    song = soundfile.read(source)[0]
    vocals, instrumental = (soundfile.read(path)[0] for path in bench.stems())
    assert np.abs(vocals + instrumental - entry["gain"] * song).max() < 1e-5
    assert max(np.abs(vocals).max(), np.abs(instrumental).max()) <= 1


class Canary(http.server.BaseHTTPRequestHandler):
    """Counts who asks."""

    visits: list[str]

    def do_GET(self) -> None:
        self.visits.append(self.path)
        self.send_error(404)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def canary() -> Iterator[tuple[int, list[str]]]:
    """Listen on a port of this machine: the port, and the visits so far."""
    visits: list[str] = []
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Here", (Canary,), {"visits": visits})
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], visits
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
PLAYLISTS = {
    "hls of a file": HLS.format("file:{secret}"),
    "hls of a server": HLS.format("{url}"),
    "concat of a file": "ffconcat version 1.0\nfile '{secret}'\n",
    "concat of a server": "ffconcat version 1.0\nfile '{url}'\n",
    "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period>"
    "<AdaptationSet><Representation id='1' bandwidth='1'><BaseURL>{url}</BaseURL></Representation>"
    "</AdaptationSet></Period></MPD>",
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "image list": "{secret}\n{url}\n",
}  # fmt: skip
ARGUMENTS = [
    *("{url}", "concat:{secret}|{secret}", "subfile,,start,0,end,0,,:{secret}", "tcp://{host}"),
    *("file:{url}", "pipe:0", "data:audio/wav;base64,UklGRg==", "async:{secret}", "cache:{url}"),
]


def canaries(bench: Bench, build: str) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Set a secret song and a server out: what stands for them, and the server's visits."""
    secret = bench.song("secret.wav")
    with canary() as (port, visits):
        host = f"127.0.0.1:{port}"
        yield (
            str(secret),
            {"secret": str(secret), "url": f"http://{host}/x.wav", "host": host},
            visits,
        )
    bench.tally.probed += 1
    bench.tally.leaked += bool(visits or bench.files())
    assert not visits and not bench.files(), build


@fault("canary", *((os.path.basename(b), kind, b) for b in ffmpeg_builds() for kind in PLAYLISTS))
def a_playlist_opens_nothing(bench: Bench, variant: tuple[str, str, str]) -> None:
    _, kind, build = variant
    environment = {**os.environ, "KARAOKE_FFMPEG": build}
    for _, places, _ in canaries(bench, build):
        for extension in ("wav", "mp3"):
            evil = bench.put(f"evil.{extension}", PLAYLISTS[kind].format(**places).encode())
            assert bench.split(evil, env=environment).returncode == 65


@fault("canary", *((os.path.basename(b), text, b) for b in ffmpeg_builds() for text in ARGUMENTS))
def an_argument_is_only_ever_a_file(bench: Bench, variant: tuple[str, str, str]) -> None:
    _, text, build = variant
    for _, places, _ in canaries(bench, build):
        done = bench.split(text.format(**places), env={**os.environ, "KARAOKE_FFMPEG": build})
        assert done.returncode == 66, done.stderr
