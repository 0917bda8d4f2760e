"""``karaoke serve``, asked over real connections."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import soundfile
from starlette.routing import Mount, Route

from karaoke.audio import load_audio
from karaoke.audio.ffmpeg import find_ffmpeg
from karaoke.service.app import make_app
from karaoke.service.engine import Engine
from karaoke.service.security import Door
from karaoke.service.service import Service, Wishes
from tests.launching import run_karaoke
from tests.serving import BYTES, Served

SEED = secrets.randbits(32)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut seconds of the song that ships, with its tags."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp3"
    song = Path(__file__).parent / "data" / "song.mp3"
    subprocess.run([find_ffmpeg(), "-v", "error", "-i", song, "-t", "6", path], check=True)
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Served]:
    """Start a service that all tests of this file ask."""
    with Served(tmp_path_factory.mktemp("served") / "data", "-n", tiny_model) as service:
        yield service


@pytest.fixture(scope="module")
def ready(served: Served, clip: Path) -> str:
    """Give a song that was split."""
    song = served.add(clip)["id"]
    served.idle()
    assert served.get(f"/songs/{song}")["state"] == "ready"
    return str(song)


def app_of(folder: Path) -> object:
    """Make the application without a server."""
    engine = Engine.__new__(Engine)
    return make_app(Service(Wishes(folder), Door(), engine))


def addresses_of(routes: Any, prefix: str = "") -> set[tuple[str, str]]:
    """List methods and addresses, as ``openapi.json`` has them."""
    found = set()
    for route in routes:
        if isinstance(route, Mount):
            found |= addresses_of(route.routes, prefix + route.path)
        elif isinstance(route, Route) and "{path:path}" not in route.path:
            address = prefix + route.path.replace(":path}", "}")
            found |= {(method, address) for method in route.methods or () if method != "HEAD"
                      or "GET" not in (route.methods or ())}  # fmt: skip
    return found


def test_the_description_has_all_addresses(tmp_path: Path, served: Served) -> None:
    described = served.get("/openapi.json")
    found = {
        (method.upper(), path) for path, methods in described["paths"].items() for method in methods
    }
    assert found == addresses_of(app_of(tmp_path).routes)  # type: ignore[attr-defined]


def test_answers_are_as_described(served: Served, ready: str) -> None:
    schemas = served.get("/openapi.json")["components"]["schemas"]
    assert set(served.get("/status")) == set(schemas["Status"]["properties"])
    assert set(served.get(f"/songs/{ready}")) == set(schemas["Song"]["properties"])
    assert set(served.get("/jobs")["jobs"][0]) == set(schemas["Job"]["properties"])
    words = "[00:01.00]one two\n[00:03.00]three"
    served.ask("PUT", f"/songs/{ready}/lyrics", json={"text": words, "align": "none"})
    assert set(served.get(f"/songs/{ready}/lyrics")) == set(schemas["Lyrics"]["properties"])
    state = served.get(f"/songs/{ready}")["lyrics"]
    assert set(state) == set(schemas["Words"]["properties"])
    served.ask("DELETE", f"/songs/{ready}/lyrics")


def test_an_upload_goes_on_where_it_broke_off(served: Served, clip: Path) -> None:
    data, rng = clip.read_bytes(), np.random.default_rng(SEED)
    upload = served.post("/uploads", name="clip.mp3", size=len(data))["id"]
    offset = 0
    while offset < len(data):
        head = served.ask("HEAD", f"/uploads/{upload}").headers
        assert (int(head["Upload-Offset"]), int(head["Upload-Length"])) == (offset, len(data))
        for wrong in {max(0, offset - 1), offset + 1} - {offset}:
            refused = served.send(upload, b"x", wrong)
            assert (refused.status_code, refused.json()["offset"]) == (409, offset)
        for nonsense in ("-1", "1e3", "", "x"):
            headers = {**BYTES, "Upload-Offset": nonsense}
            refused = served.ask("PATCH", f"/uploads/{upload}", data=b"x", headers=headers)
            assert refused.status_code == 400
        length = int(rng.integers(1, 40_000))
        answer = served.send(upload, data[offset : offset + length], offset)
        offset = answer.json()["offset"]
    song = answer.json()["song"]
    source = served.data / "songs" / song["id"] / "source.mp3"
    assert source.read_bytes() == data
    assert served.ask("HEAD", f"/uploads/{upload}").status_code == 404
    served.ask("DELETE", f"/songs/{song['id']}")


@contextlib.contextmanager
def sending(served: Served, upload: str, data: bytes, length: int) -> Iterator[None]:
    """Promise a whole file and send its beginning; the connection breaks off at the end."""
    with socket.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(
            f"PATCH /api/v1/uploads/{upload} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Karaoke: 1\r\n"
            "Content-Type: application/octet-stream\r\nUpload-Offset: 0\r\n"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
        )
        raw.sendall(data[:length])
        time.sleep(0.3)
        yield


def test_what_a_broken_connection_sent_is_kept(served: Served, clip: Path) -> None:
    data = clip.read_bytes()
    upload = served.post("/uploads", name="clip.mp3", size=len(data))["id"]
    with sending(served, upload, data, 5000):
        pass
    offset = served.wait(
        lambda: int(served.ask("HEAD", f"/uploads/{upload}").headers["Upload-Offset"]), 10
    )
    assert 0 < offset <= 5000
    song = served.send(upload, data[offset:], offset).json()["song"]
    assert (served.data / "songs" / song["id"] / "source.mp3").read_bytes() == data
    served.ask("DELETE", f"/songs/{song['id']}")


def test_two_cannot_send_one_file(served: Served, clip: Path) -> None:
    data = clip.read_bytes()
    upload = served.post("/uploads", name="clip.mp3", size=len(data))["id"]
    with sending(served, upload, data, 1000):
        assert served.send(upload, data, 0).status_code == 409
    served.wait(lambda: served.ask("DELETE", f"/uploads/{upload}").status_code == 204, 10)


NAMES = [
    "../../etc/passwd", "C:\\x\\y.mp3", "a\0b.mp3", "x" * 4000, "\u202egpj.mp3", "/", "..", ".mp3",
    "<img src=x onerror=alert(1)>.mp3", "🎤.mp3", "con", "\n\r\t", "\ud800.mp3", "a" * 300 + ".mp3",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_never_become_paths(served: Served, clip: Path, name: str) -> None:
    before = {path for path in served.data.parent.rglob("*") if served.data not in path.parents}
    answer = served.ask("POST", "/uploads", data=json.dumps({"name": name, "size": 1 << 16}),
                        headers={"Content-Type": "application/json"})  # fmt: skip
    if not name.strip():
        assert answer.status_code == 400
        return
    upload = answer.json()["id"]
    files = sorted(path.name for path in (served.data / "uploads").iterdir())
    assert all(len(file) == len("0123456789abcdef.part") for file in files)
    after = {path for path in served.data.parent.rglob("*") if served.data not in path.parents}
    assert after == before
    served.ask("DELETE", f"/uploads/{upload}")


def flac_that_says_ten_hours(clip: Path, folder: Path) -> bytes:
    """Write a FLAC whose head declares ten hours."""
    path = folder / "clip.flac"
    subprocess.run([find_ffmpeg(), "-v", "error", "-y", "-i", clip, path], check=True)
    data = bytearray(path.read_bytes())
    samples = 10 * 3600 * 44100
    place = data.index(b"fLaC") + 8 + 13
    data[place] = data[place] & 0xF0 | samples >> 32
    data[place + 1 : place + 5] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("kind", ["html", "list", "svg", "zeros", "long"])
def test_what_is_no_song_is_refused(served: Served, clip: Path, tmp_path: Path, kind: str) -> None:
    texts = {
        "html": b"<!doctype html><title>404</title>" * 20,
        "list": b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/x.mp3\nfile:///etc/passwd\n",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "zeros": bytes(10_000),
    }
    data = texts.get(kind) or flac_that_says_ten_hours(clip, tmp_path)
    upload = served.post("/uploads", name=f"{kind}.mp3", size=len(data))["id"]
    answer = served.send(upload, data, 0)
    assert answer.status_code == (400 if kind == "long" else 415), answer.text
    error = answer.json()["error"]
    assert str(served.data) not in answer.text
    assert ("60 minutes" if kind == "long" else f"{kind}.mp3") in error["message"]
    assert served.ask("HEAD", f"/uploads/{upload}").status_code == 404
    assert not (served.data / "uploads" / f"{upload}.part").exists()


def test_a_file_that_arrived_damaged_is_refused(served: Served, clip: Path) -> None:
    data = clip.read_bytes()
    upload = served.post("/uploads", name="clip.mp3", size=len(data), sha256="0" * 64)["id"]
    answer = served.send(upload, data, 0)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "checksum")


def test_too_much_is_refused_before_it_is_sent(tmp_path: Path, tiny_model: Path) -> None:
    limits = ("--max-upload", "1MB", "--max-data", "1.5MB", "--max-length", "0.5")
    with Served(tmp_path / "data", "-n", tiny_model, *limits) as served:
        for size, status in ((10**10, 413), (1_000_001, 413), (0, 400), (-1, 400), (1.5, 400)):
            answer = served.ask("POST", "/uploads", json={"name": "a.mp3", "size": size})
            assert answer.status_code == status, answer.text
        first = served.post("/uploads", name="a.mp3", size=900_000)["id"]
        answer = served.ask("POST", "/uploads", json={"name": "b.mp3", "size": 900_000})
        assert (answer.status_code, "--max-data" in answer.text) == (507, True)
        served.ask("DELETE", f"/uploads/{first}")
        upload = served.post("/uploads", name="a.mp3", size=1000)["id"]
        assert served.send(upload, bytes(1001), 0).status_code == 413
        assert int(served.ask("HEAD", f"/uploads/{upload}").headers["Upload-Offset"]) == 0


def test_a_body_without_end_is_cut(served: Served) -> None:
    upload = served.post("/uploads", name="a.mp3", size=400_000_000)["id"]

    def endless() -> Iterator[bytes]:
        for _ in range(400):
            yield bytes(1 << 18)

    try:
        answer = served.ask("PATCH", f"/uploads/{upload}", data=endless(),
                            headers={**BYTES, "Upload-Offset": "0"})  # fmt: skip
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # it was cut while it was sent
    assert (served.data / "uploads" / f"{upload}.part").stat().st_size <= 9 << 20
    served.ask("DELETE", f"/uploads/{upload}")


CROSS = [
    {"X-Karaoke": ""},
    {"Origin": "http://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Host": "evil.test"},
    {"Host": "127.0.0.1.evil.test:80"},
]


@pytest.mark.parametrize("headers", CROSS, ids=str)
def test_other_sites_change_nothing(served: Served, ready: str, headers: dict[str, str]) -> None:
    jobs = served.get("/jobs")
    body = json.dumps({"command": "analyse", "options": {}})
    headers = {"Content-Type": "application/json", **headers}
    answer = served.ask("POST", f"/songs/{ready}/jobs", data=body, headers=headers)
    assert answer.status_code in (403, 415, 421), answer.text
    assert "Access-Control-Allow-Origin" not in answer.headers
    if "Host" not in headers and "Content-Type" not in headers:
        assert served.ask("DELETE", f"/songs/{ready}", headers=headers).status_code == 403
    assert served.get("/jobs") == jobs


def addresses(served: Served) -> list[tuple[str, str]]:
    """List all methods and addresses that a service describes."""
    return [
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in served.get("/openapi.json")["paths"].items()
        for method in methods
    ]


def test_nothing_is_there_without_the_code(tmp_path: Path, tiny_model: Path) -> None:
    with Served(tmp_path / "data", "-n", tiny_model, "--host", "0.0.0.0") as served:
        assert len(served.code) == 7
        stranger = requests.Session()
        stranger.headers["X-Karaoke"] = "1"
        for method, path in addresses(served):
            filled = path.replace("{id}", "0" * 16).replace("{extension}", "wav")
            url = f"{served.page}api/v1{filled.replace('{name}', 'x')}"
            if path != "/pair":
                assert stranger.request(method, url, timeout=30).status_code == 401, path
        page = stranger.get(served.page, timeout=30)
        assert page.status_code in (200, 404)
        pair = f"{served.page}api/v1/pair"
        assert stranger.post(pair, json={"code": served.code.lower()}, timeout=30).ok
        assert stranger.get(f"{served.page}api/v1/status", timeout=30).ok
        cookie = next(iter(stranger.cookies))
        assert cookie.has_nonstandard_attr("HttpOnly")
        stranger.cookies.clear()
        codes = [stranger.post(pair, json={"code": f"ZZZZ-{n}Z"}, timeout=30).status_code
                 for n in range(12)]  # fmt: skip
        assert codes == [401] * 10 + [429] * 2
        # Not even the right one, now.
        assert stranger.post(pair, json={"code": served.code}, timeout=30).status_code == 429
        cookies, code = dict(served.http.cookies), served.code
    with Served(tmp_path / "data", "-n", tiny_model, "--host", "0.0.0.0") as served:
        # Phones that were let in stay so.
        assert served.code == code
        again = f"{served.page}api/v1/status"
        assert requests.get(again, cookies=cookies, timeout=30).status_code == 200
        assert requests.get(again, timeout=30).status_code == 401


def test_guests_only_look(tmp_path: Path, tiny_model: Path) -> None:
    with Served(tmp_path / "data", "-n", tiny_model, "--read-only") as served:
        assert served.get("/status")["read_only"]
        for method, path in addresses(served):
            if method not in ("GET", "HEAD") and path != "/pair":
                filled = path.replace("{id}", "0" * 16)
                answer = served.ask(method, filled)
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "read-only")


def raw_status(served: Served, method: str, address: str) -> int:
    """Ask for an address as it is, which other clients tidy up first."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    headers = {"X-Karaoke": "1", "Content-Type": "application/json", "Upload-Offset": "0"}
    connection.request(method, f"/api/v1{address}", body=b"{}", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_other_ids_find_nothing(served: Served, ready: str) -> None:
    rng = np.random.default_rng(SEED)
    pieces = ["..", "%2e%2e", "/", "%2f", "\\", "%5c", "%00", "%E2%80%AE", ready[:8], ready, "'",
              "source.mp3", '"', ";", "*", "%", "_", "0" * 16, ready.upper(), "%20", "etc/passwd",
              "."]  # fmt: skip
    for method, path in addresses(served):
        for _ in range(20 if "{id}" in path else 0):
            made = "".join(rng.choice(pieces, int(rng.integers(1, 5))))
            if made != ready:
                filled = path.replace("{id}", made).replace("{extension}", "wav")
                filled = filled.replace("{name}", made)
                status = raw_status(served, method, filled)
                assert status in (400, 404, 405), (method, filled, status)
    for name in ("../source.mp3", "..%2fsource.mp3", "%2e%2e/peaks.json", "/etc/passwd", ".x"):
        assert raw_status(served, "GET", f"/songs/{ready}/files/{name}") == 404
    assert served.get(f"/songs/{ready}")["id"] == ready


def test_ranges_are_slices(served: Served, ready: str) -> None:
    rng = np.random.default_rng(SEED)
    for path in ("player.opus", "player.flac", "peaks", "mix.wav?vocals=-12"):
        address = f"/songs/{ready}/{path}"
        answer = served.ask("GET", address)
        whole, size = answer.content, len(answer.content)
        assert answer.headers["Accept-Ranges"] == "bytes"
        for _ in range(10):
            first, last = sorted(map(int, rng.integers(0, size, 2)))
            part = served.ask("GET", address, headers={"Range": f"bytes={first}-{last}"})
            assert (part.status_code, part.content) == (206, whole[first : last + 1])
            assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        tail = served.ask("GET", address, headers={"Range": "bytes=-100"})
        assert (tail.status_code, tail.content) == (206, whole[-100:])
        rest = served.ask("GET", address, headers={"Range": f"bytes={size - 7}-"})
        assert (rest.status_code, rest.content) == (206, whole[-7:])
        beyond = served.ask("GET", address, headers={"Range": f"bytes={size}-"})
        assert beyond.status_code == 416
        two = served.ask("GET", address, headers={"Range": "bytes=0-9,20-29"})
        assert two.status_code == 206
        assert whole[:10] in two.content and whole[20:30] in two.content


def decoded(data: bytes, folder: Path, name: str) -> np.ndarray:
    """Decode a file."""
    path = folder / name
    path.write_bytes(data)
    return load_audio(path)[0]


@pytest.mark.parametrize("query", ["vocals=-12", "vocals=off", "vocals=0", "vocals=-6&key=2"])
def test_what_is_heard_is_what_the_command_makes(
    served: Served, ready: str, clip: Path, tmp_path: Path, tiny_model: Path, query: str
) -> None:
    wanted = dict(each.split("=") for each in query.split("&"))
    got = decoded(served.ask("GET", f"/songs/{ready}/mix.wav?{query}").content, tmp_path, "a.wav")
    arguments = ["--guide", wanted["vocals"], "--key", wanted.get("key", "0")]
    done = run_karaoke("make", clip, "--no-lyrics", "--to", "audio", "--format", "wav", "-n",
                       tiny_model, "-o", tmp_path / "made", *arguments)  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = load_audio(Path(done.stdout.strip()))[0]
    assert np.array_equal(got, made)


def test_the_band_alone_can_be_lowered(served: Served, ready: str, tmp_path: Path) -> None:
    def mix(query: str) -> np.ndarray:
        found = served.ask("GET", f"/songs/{ready}/mix.wav?{query}")
        assert found.status_code == 200, found.text
        return decoded(found.content, tmp_path, "mix.wav")

    both, low = mix("vocals=0&instrumental=0"), mix("vocals=0&instrumental=-20")
    voice = mix("vocals=0&instrumental=off")
    assert np.abs(low - (voice + 0.1 * (both - voice))).max() < 1e-4
    answer = served.ask("GET", f"/songs/{ready}/mix.wav?vocals=off&instrumental=off")
    assert answer.status_code == 400
    for bad in ("vocals=loud", "key=13", "tempo=9", "vocals=nan", "key=off", "vocals=1e9"):
        assert served.ask("GET", f"/songs/{ready}/mix.wav?{bad}").status_code == 400, bad


def test_the_player_has_both_stems_in_time(served: Served, ready: str, tmp_path: Path) -> None:
    heard = decoded(served.ask("GET", f"/songs/{ready}/player.flac").content, tmp_path, "p.flac")
    place = served.data / "songs" / ready / "stems"
    stems = [load_audio(place / f"{name}.wav")[0] for name in ("vocals", "instrumental")]
    assert heard.shape == (4, stems[0].shape[1])
    assert np.abs(heard - np.concatenate(stems)).max() < 1e-4


def test_the_player_moves_by_semitones(served: Served, tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    hertz, semitones = float(rng.uniform(200, 600)), int(rng.choice([-5, -2, 3, 7]))
    time = np.arange(5 * 44100) / 44100
    tone = 0.2 * np.sin(2 * np.pi * hertz * time)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], 1), 44100)
    song = served.add(tmp_path / "tone.wav")["id"]
    served.wait(lambda: served.get(f"/songs/{song}")["state"] == "ready")
    found = served.ask("GET", f"/songs/{song}/player.opus?key={semitones}").content
    heard = decoded(found, tmp_path, "moved.opus")
    assert heard.shape[0] == 4
    for pair in (heard[:2], heard[2:]):
        middle = pair.sum(0)[48000:-48000]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 21))
        cents = 1200 * np.log2(np.argmax(spectrum) * 48000 / (1 << 21) / hertz)
        assert abs(cents - 100 * semitones) < 5
    served.ask("DELETE", f"/songs/{song}")


def test_a_hundred_uploads_at_once(served: Served, clip: Path) -> None:
    content = clip.read_bytes()[:50_000]

    def send(number: int) -> str:
        headers = {"X-Karaoke": "1"}
        url = f"{served.page}api/v1/uploads"
        made = requests.post(url, json={"name": f"{number}.mp3", "size": 60_000}, headers=headers,
                             timeout=60).json()["id"]  # fmt: skip
        headers |= {**BYTES, "Upload-Offset": "0"}
        answer = requests.patch(f"{url}/{made}", data=content, headers=headers, timeout=60)
        assert answer.json()["offset"] == len(content)
        return str(made)

    with ThreadPoolExecutor(25) as pool:
        made = list(pool.map(send, range(100)))
    assert len(set(made)) == 100
    for upload in made:
        assert (served.data / "uploads" / f"{upload}.part").read_bytes() == content
        assert served.ask("DELETE", f"/uploads/{upload}").status_code == 204


def test_words_come_and_go(served: Served, ready: str) -> None:
    address = f"/songs/{ready}/lyrics"
    assert served.ask("GET", address).status_code == 404
    text = "[00:01.00]<00:01.00>Hel<00:01.20>lo <00:01.50>you\n[00:03.00]<00:03.00>two"
    answer = served.ask("PUT", address, json={"text": text})
    assert (answer.status_code, answer.json()["job"]) == (200, None)
    found = served.get(address)
    assert found["lines"][0]["start"] == 1.0
    for extension in ("lrc", "elrc", "srt", "ass", "txt"):
        file = served.ask("GET", f"{address}?format={extension}")
        assert "you" in file.text and "attachment" in file.headers["Content-Disposition"]
    again = served.ask("GET", f"{address}?format=elrc").content
    served.ask("PUT", f"{address}?align=none", data=again, headers=BYTES)
    assert served.get(address)["lines"] == found["lines"]
    for bad in (b"", b"\x00\x01\x02" * 100, b"[00:99:99]"):
        assert served.ask("PUT", address, data=bad, headers=BYTES).status_code in (200, 422)
    assert served.ask("PUT", address, json={"text": "a", "language": "xx-nope"}).status_code == 400
    with contextlib.suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        # It may be cut while it is sent.
        assert served.ask("PUT", address, data=bytes(3 << 20), headers=BYTES).status_code == 413
    assert served.ask("DELETE", address).status_code == 204
    assert served.ask("GET", address).status_code == 404


def test_words_without_times_are_aligned_without_splitting_again(
    served: Served, ready: str
) -> None:
    split = [job["id"] for job in served.get("/jobs")["jobs"] if job["command"] == "split"]
    address = f"/songs/{ready}/lyrics"
    answer = served.ask("PUT", address, json={"text": "The words light up\nalong the line"})
    assert answer.json()["job"]["command"] == "align"
    assert answer.json()["lyrics"]["state"] == "waiting"
    served.idle()
    state = served.get(f"/songs/{ready}")["lyrics"]
    assert (state["state"], state["timing"] in ("words", "syllables")) == ("ready", True)
    starts = [word["syllables"][0]["start"] for line in served.get(address)["lines"]
              for word in line["words"]]  # fmt: skip
    assert starts == sorted(starts)
    now = [job["id"] for job in served.get("/jobs")["jobs"] if job["command"] == "split"]
    assert now == split
    served.ask("DELETE", address)


def test_jobs_make_files(served: Served, ready: str) -> None:
    text = "[00:01.00]<00:01.00>Hello <00:01.50>you\n[00:03.00]<00:03.00>two"
    served.ask("PUT", f"/songs/{ready}/lyrics", json={"text": text})
    options = {"to": ["mp4", "lrc", "audio"], "size": "480p", "guide_db": -12}
    served.post(f"/songs/{ready}/jobs", command="make", options=options)
    served.post(f"/songs/{ready}/jobs", command="analyse", options={"write": ["midi"]})
    assert {job["state"] for job in served.idle()[:2]} == {"done"}
    files = served.get(f"/songs/{ready}")["files"]
    assert {file["kind"] for file in files} == {"mp4", "lrc", "m4a", "mid"}
    for file in files:
        got = served.ask("GET", f"/songs/{ready}/files/{file['name']}")
        assert len(got.content) == file["size"]
    with zipfile.ZipFile(io.BytesIO(served.ask("GET", f"/songs/{ready}/archive.zip").content)) as z:
        assert z.testzip() is None
        names = [Path(name).name for name in z.namelist()]
        assert set(names) >= {Path(file["name"]).name for file in files} | {"vocals.wav"}
    served.ask("DELETE", f"/songs/{ready}/lyrics")
    answer = served.ask(
        "POST", f"/songs/{ready}/jobs", json={"command": "make", "options": {"to": ["mp4"]}}
    )
    assert answer.status_code == 202
    failed = served.idle()[0]
    assert (failed["state"], failed["error"]["code"]) == ("failed", "lyrics")
    for command, options in (
        ("rm", {}), ("make", {}), ("make", {"to": ["exe"]}), ("make", {"to": ["mp4"], "key": 99}),
        ("make", {"to": ["mp4"], "background": "/etc/passwd"}), ("analyse", {"write": ["x"]}),
        ("make", {"to": ["mp4"], "guide_db": True}), ("split", {"x": 1}), ("make", []),
    ):  # fmt: skip
        body = {"command": command, "options": options}
        assert served.ask("POST", f"/songs/{ready}/jobs", json=body).status_code == 400, body


def events(
    served: Served, after: int | None, until: str, seconds: float = 60
) -> list[tuple[int, str, dict]]:
    """Listen until an event of a kind comes, and give all."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    found: list[tuple[int, str, dict]] = []
    with served.ask("GET", "/events", headers=headers, stream=True, timeout=seconds) as answer:
        number, kind = 0, ""
        for row in answer.iter_lines(decode_unicode=True, chunk_size=1):
            name, _, value = row.partition(": ")
            if name == "id":
                number = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                found.append((number, kind, json.loads(value)))
                if kind == until:
                    return found
    return found


def test_events_are_told_once_and_in_order(served: Served, clip: Path) -> None:
    last = served.get("/status")["last_event"]
    song = served.add(clip)["id"]
    served.idle()
    served.ask("DELETE", f"/songs/{song}")
    told = events(served, last, "gone")
    assert [number for number, _, _ in told] == list(range(last + 1, last + 1 + len(told)))
    states = [
        data["state"] for _, kind, data in told if kind == "job" and data["command"] == "split"
    ]
    assert states[0] == "running" and states[-1] == "done"
    middle = told[len(told) // 2][0]
    assert events(served, middle, "gone") == told[len(told) // 2 + 1 :]
    assert events(served, 10**9, "reset")[0][1] == "reset"


def test_jobs_are_cancelled_at_once(tmp_path: Path, tiny_model: Path, clip: Path) -> None:
    long = tmp_path / "long.mp3"
    subprocess.run([find_ffmpeg(), "-v", "error", "-stream_loop", "150", "-i", clip, "-c", "copy",
                    long], check=True)  # fmt: skip
    with Served(tmp_path / "data", "-n", tiny_model) as served:
        songs = [served.add(long)["id"], served.add(clip)["id"]]
        jobs = [served.get(f"/songs/{song}")["jobs"][0] for song in songs]
        served.wait(lambda: (served.get(f"/jobs/{jobs[0]}")["progress"] or 0) > 0)
        assert served.get(f"/jobs/{jobs[1]}")["place"] == 1
        for job in reversed(jobs):
            began = time.monotonic()
            assert served.ask("DELETE", f"/jobs/{job}").status_code == 204
            assert served.get(f"/jobs/{job}")["state"] == "cancelled"
            assert time.monotonic() - began < 1
        served.wait(lambda: served.get("/status")["running"] == 0, 5)
        found = served.get(f"/songs/{songs[0]}")
        assert (found["state"], found["error"]["code"]) == ("failed", "cancelled")
        # What is left is the song, and no part files.
        place = served.data / "songs" / songs[0]
        served.wait(lambda: {p.name for p in place.rglob("*") if p.is_file()} == {"source.mp3"}, 10)
        served.post(f"/songs/{songs[1]}/jobs", command="split")
        served.wait(lambda: served.get(f"/songs/{songs[1]}")["state"] == "ready")
        served.ask("DELETE", f"/songs/{songs[0]}")
        assert not place.exists()


def test_the_next_one_can_be_chosen(tmp_path: Path, tiny_model: Path, clip: Path) -> None:
    with Served(tmp_path / "data", "-n", tiny_model, "--max-queue", "3") as served:
        songs = [served.add(clip)["id"] for _ in range(3)]
        waiting = [job for job in served.get("/jobs")["jobs"] if job["state"] == "queued"]
        assert len(waiting) >= 2
        last = waiting[-1]["id"]
        assert served.post(f"/jobs/{last}/next")["place"] == 1
        served.idle()
        assert all(served.get(f"/songs/{song}")["state"] == "ready" for song in songs)


def test_a_kill_loses_nothing(tmp_path: Path, tiny_model: Path, clip: Path) -> None:
    rng, data = np.random.default_rng(SEED), clip.read_bytes()
    folder, songs, upload, sent = tmp_path / "data", [], "", 0
    for _ in range(5):
        served = Served(folder, "-n", tiny_model)
        if not upload:
            upload, sent = served.post("/uploads", name="clip.mp3", size=len(data))["id"], 0
        else:
            head = served.ask("HEAD", f"/uploads/{upload}").headers
            assert int(head["Upload-Offset"]) == sent
        songs.append(served.add(clip)["id"])
        part = int(rng.integers(1, len(data) // 8))
        sent = served.send(upload, data[sent : sent + part], sent).json()["offset"]
        time.sleep(float(rng.uniform(0, 1.5)))
        served.end(signal.SIGKILL)
    with Served(folder, "-n", tiny_model) as served:
        songs.append(served.send(upload, data[sent:], sent).json()["song"]["id"])
        jobs = served.idle()
        for song in songs:
            assert served.get(f"/songs/{song}")["state"] == "ready"
            mine = [job for job in jobs if job["song"] == song]
            assert sorted(job["command"] for job in mine) == ["analyse", "split"]
            assert all(job["state"] == "done" for job in mine)
        places = [folder / "songs" / song / "stems" / "vocals.wav" for song in songs]
        # Not the files, whose heads say when they were written.
        assert len({load_audio(path)[0].tobytes() for path in places}) == 1
        assert not [path for path in folder.rglob("*") if path.name.startswith(".karaoke-part")]
        assert not list((folder / "uploads").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order(
    tmp_path: Path, tiny_model: Path, clip: Path, number: signal.Signals
) -> None:
    with Served(tmp_path / "data", "-n", tiny_model) as served:
        served.add(clip)
        listening = served.ask("GET", "/events", stream=True)
        began = time.monotonic()
        done = served.end(number)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began < 4  # two seconds on a machine that is not busy
        assert "queue is kept" in done.stderr
        listening.close()
    with Served(tmp_path / "data", "-n", tiny_model) as served:
        assert {job["state"] for job in served.idle()} == {"done"}


def test_one_folder_and_one_port_each(tmp_path: Path, tiny_model: Path) -> None:
    with Served(tmp_path / "data", "-n", tiny_model) as served:
        other = run_karaoke("serve", "-p", served.port, "--data", tmp_path / "x", "-n", tiny_model)
        assert (other.returncode, "another --port" in other.stderr) == (73, True)
        other = run_karaoke("serve", "-p", 0, "--data", tmp_path / "data", "-n", tiny_model)
        assert (other.returncode, "another karaoke serve" in other.stderr) == (75, True)
    for options, code in (
        (("--code", "none", "--host", "0.0.0.0"), 2), (("--max-upload", "much"), 2),
        (("--library", tmp_path / "none"), 66), (("--host", "192.0.2.1"), 70),
        (("--code", "a"), 2), (("-n", "nothing"), 69),
    ):  # fmt: skip
        done = run_karaoke("serve", "-p", 0, "--data", tmp_path / "y", *options)
        assert done.returncode == code, (options, done.stderr)


def test_songs_of_a_library_are_picked_by_ids(tmp_path: Path, tiny_model: Path, clip: Path) -> None:
    music, outside = tmp_path / "music", tmp_path / "outside"
    (music / "a b").mkdir(parents=True)
    outside.mkdir()
    for path in (music / "one.mp3", music / "a b" / "two.mp3", outside / "secret.mp3"):
        path.write_bytes(clip.read_bytes())
    (music / "a b" / "two.lrc").write_text("[00:01.00]<00:01.00>two <00:02.00>words\n")
    (music / "link.mp3").symlink_to(outside / "secret.mp3")
    with Served(tmp_path / "data", "-n", tiny_model, "--library", music) as served:
        found = served.get("/library")["entries"]
        assert [entry["name"] for entry in found] == ["one.mp3", "two.mp3"]
        assert str(tmp_path) not in json.dumps(found)
        assert [e["name"] for e in served.get("/library?query=A%20B%20two")["entries"]] == [
            "two.mp3"
        ]
        song = served.post("/songs", library_id=found[1]["id"])
        assert served.post("/songs", library_id=found[1]["id"])["id"] == song["id"]
        served.idle()
        song = served.get(f"/songs/{song['id']}")
        assert (song["state"], song["lyrics"]["timing"]) == ("ready", "words")
        assert served.get("/library")["entries"][1]["song"] == song["id"]
        served.ask("DELETE", f"/songs/{song['id']}")
        assert (music / "a b" / "two.mp3").read_bytes() == clip.read_bytes()
        for wrong in ("0" * 16, "../x", 5, None):
            answer = served.ask("POST", "/songs", json={"library_id": wrong})
            assert answer.status_code == 404


def test_slow_requests_hold_nobody_up(served: Served) -> None:
    def opened(text: bytes) -> socket.socket:
        raw = socket.create_connection(("127.0.0.1", served.port))
        raw.sendall(text)
        return raw

    heads = [opened(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-") for _ in range(150)]
    silent = [opened(b"") for _ in range(50)]
    listeners = [
        opened(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") for _ in range(50)
    ]
    began = time.monotonic()
    assert served.get("/status")["version"]
    assert time.monotonic() - began < 2
    for raw in (*heads, *silent):
        raw.settimeout(15)
        assert b"408" in raw.recv(200)
        raw.close()
    for raw in listeners:
        raw.close()


def test_answers_come_while_a_song_is_split(served: Served, clip: Path) -> None:
    song = served.add(clip)["id"]
    stop, slowest = threading.Event(), [0.0]

    def ask() -> None:
        while not stop.is_set():
            began = time.monotonic()
            requests.get(f"{served.page}api/v1/status", timeout=30)
            slowest[0] = max(slowest[0], time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    served.wait(lambda: served.get(f"/songs/{song}")["state"] == "ready")
    stop.set()
    asking.join()
    assert slowest[0] < 5  # the benchmark has the figure; here the machine may be busy
    served.ask("DELETE", f"/songs/{song}")


def test_headers_protect_the_page(served: Served) -> None:
    for path in ("", "api/v1/status", "nothing"):
        headers = requests.get(f"{served.page}{path}", timeout=30).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    for path in ("static/../app.py", "static/%2e%2e/app.py", "../../etc/passwd", "static/"):
        assert requests.get(f"{served.page}{path}", timeout=30).status_code == 404


def test_a_full_disk_fails_one_job_and_the_queue_goes_on(
    tmp_path: Path, tiny_model: Path, clip: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", data]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be made here")
    try:
        with Served(data, "-n", tiny_model) as served:
            answer = served.ask("POST", "/uploads", json={"name": "a.mp3", "size": 100_000_000})
            assert (answer.status_code, "disk has" in answer.text) == (507, True)
            song = served.add(clip)["id"]
            served.idle()
            filler = data / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as file:
                while file.write(bytes(1 << 16)):
                    file.flush()
            answer = served.ask("POST", "/uploads", json={"name": "a.mp3", "size": 1})
            assert answer.status_code == 507
            os.truncate(filler, filler.stat().st_size - 1_500_000)
            job = served.post(f"/songs/{song}/jobs", command="make", options={"to": ["audio"]})
            served.idle()
            failed = served.get(f"/jobs/{job['id']}")
            assert (failed["state"], failed["error"]["code"]) == ("failed", "write")
            assert served.ask("GET", f"/songs/{song}/mix.wav?vocals=-3").status_code == 507
            filler.unlink()
            job = served.post(f"/songs/{song}/jobs", command="make", options={"to": ["audio"]})
            served.idle()
            assert served.get(f"/jobs/{job['id']}")["state"] == "done"
    finally:
        subprocess.run(["umount", data], capture_output=True, check=False)


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run_karaoke("serve", "-p", 0, "--data", tmp_path / "file" / "x", "-n", tiny_model)
    assert done.returncode in (73, 74), done.stderr
