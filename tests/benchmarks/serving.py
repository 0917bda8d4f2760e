"""``karaoke serve`` under kills and under load.

``python -m tests.benchmarks.serving kills [--times 50]`` kills it at random instants with uploads
and jobs under way, and looks at what became of them. ``load`` has phones listen and songs arrive
while one is split, and prints how long ``/status`` took and how much memory the service held.
``abuse`` holds a thousand connections open, and asks for thousands of ids that nobody has.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import multiprocessing
import random
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import requests

from karaoke.audio import load_audio
from tests.serving import Served

SONG = Path(__file__).parents[1] / "data" / "song.mp3"


def kills(options: argparse.Namespace, folder: Path) -> bool:
    """Kill it over and over; return whether all was well at the end."""
    rng = random.Random(options.seed)
    content, model = SONG.read_bytes(), ["-n", options.model] if options.model else []
    uploads: dict[str, int] = {}
    songs: list[str] = []
    lost = 0
    for turn in range(options.times):
        served = Served(folder, *model)
        try:
            for upload, sent in list(uploads.items()):
                head = served.ask("HEAD", f"/uploads/{upload}")
                at = int(head.headers.get("Upload-Offset", -1))
                if head.status_code == 404 and upload in [s["id"] for s in listed(served)]:
                    songs.append(upload)  # its last part arrived, and the answer did not
                    del uploads[upload]
                    continue
                lost += at < sent
                uploads[upload] = at
            while len(uploads) < 5 and len(songs) + len(uploads) < options.songs:
                made = served.post("/uploads", name=f"{turn}.mp3", size=len(content))
                uploads[made["id"]] = 0
            until = time.monotonic() + rng.uniform(0, options.longest)
            killer = threading.Timer(max(0.0, until - time.monotonic()), served.kill)
            killer.start()
            while uploads and time.monotonic() < until:
                upload = rng.choice(list(uploads))
                at = uploads[upload]
                answer = served.send(upload, content[at : at + rng.randint(1, 200_000)], at).json()
                uploads[upload] = answer["offset"]
                if answer["song"]:
                    songs.append(upload)
                    del uploads[upload]
                time.sleep(0.05)
            killer.join()
        except (requests.RequestException, ValueError):
            pass  # it was killed in the middle of an answer
        served.end(signal.SIGKILL)
    with Served(folder, *model) as served:
        for upload in list(uploads):
            head = served.ask("HEAD", f"/uploads/{upload}")
            if head.status_code == 200:
                at = int(head.headers["Upload-Offset"])
                lost += at < uploads[upload]
                assert served.send(upload, content[at:], at).status_code == 200
            songs.append(upload)
        jobs = served.idle(3600)
        states = {song["id"]: song["state"] for song in listed(served)}
    done = [(job["song"], job["command"]) for job in jobs if job["state"] == "done"]
    stems = [folder / "songs" / song / "stems" / "vocals.wav" for song in songs]
    sounds = {load_audio(path)[0].tobytes() for path in stems}
    parts = [path for path in folder.rglob(".karaoke-*") if "part" in path.name]
    good = all(states.get(song) == "ready" for song in songs)
    once = all(done.count((song, command)) == 1 for song in songs
               for command in ("split", "analyse"))  # fmt: skip
    print(f"kills {options.times}, songs {len(songs)}, all ready {good}, each job once {once},"
          f" acknowledged bytes lost {lost}, different stems {len(sounds) - 1}, part files"
          f" {len(parts)}, uploads left {len(list((folder / 'uploads').iterdir()))}")  # fmt: skip
    return good and once and not lost and len(sounds) == 1 and not parts


def listed(served: Served) -> list[dict[str, str]]:
    """List all songs."""
    found: list[dict[str, str]] = served.get("/songs?limit=200")["songs"]
    return found


def crowd(page: str, song: str, size: int, stop: Any, heard: Any) -> None:
    """Be 30 phones that listen and follow what happens, and 5 that send songs."""
    content, api = SONG.read_bytes(), f"{page}api/v1"

    def listen(seed: int) -> None:
        rng, session = random.Random(seed), requests.Session()
        while not stop.is_set():
            # As much as is heard in the pause.
            first = rng.randrange(size)
            headers = {"Range": f"bytes={first}-{first + 200_000}"}
            answer = session.get(f"{api}/songs/{song}/player.opus", headers=headers, timeout=60)
            with heard.get_lock():
                heard.value += len(answer.content)
            stop.wait(rng.uniform(3, 5))

    def follow() -> None:
        with requests.get(f"{api}/events", stream=True, timeout=60) as answer:
            for _ in answer.iter_lines():
                if stop.is_set():
                    return

    def send() -> None:
        session = requests.Session()
        session.headers["X-Karaoke"] = "1"
        while not stop.is_set():
            wanted = {"name": "a.mp3", "size": len(content)}
            upload = session.post(f"{api}/uploads", json=wanted, timeout=60).json()["id"]
            for at in range(0, len(content), 100_000):
                headers = {"Upload-Offset": str(at), "Content-Type": "application/octet-stream"}
                part = content[at : at + 100_000]
                session.patch(f"{api}/uploads/{upload}", data=part, headers=headers, timeout=60)
                stop.wait(0.2)

    threads = [threading.Thread(target=listen, args=[n], daemon=True) for n in range(30)]
    threads += [threading.Thread(target=follow, daemon=True) for _ in range(30)]
    threads += [threading.Thread(target=send, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    stop.wait()
    time.sleep(1)


def load(options: argparse.Namespace, folder: Path) -> bool:
    """Have phones listen and songs arrive while one is split."""
    model = ["-n", options.model] if options.model else []
    with Served(folder, *model) as served:
        statm, page = Path(f"/proc/{served.pid}/statm"), resource.getpagesize()

        def resident() -> int:
            return page * int(statm.read_text().split()[1])

        song = served.add(SONG)["id"]
        served.idle()
        size = int(served.ask("HEAD", f"/songs/{song}/player.opus").headers["Content-Length"])
        idle_bytes = most = resident()
        # In a process of its own, so that what asks for the times is not held up by it.
        stop, heard = multiprocessing.Event(), multiprocessing.Value("q", 0)
        others = multiprocessing.Process(target=crowd, args=(served.page, song, size, stop, heard))
        others.start()
        session, times = requests.Session(), []
        until = time.monotonic() + options.seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            session.get(f"{served.page}api/v1/status", timeout=60)
            times.append(1000 * (time.perf_counter() - began))
            most = max(most, resident())
            time.sleep(0.05)
        stop.set()
        others.join()
        waiting = served.get("/status")
        middle, slow, slowest = np.percentile(times, [50, 95, 100])
        print(f"/status: median {middle:.0f} ms, 95 % {slow:.0f} ms, slowest {slowest:.0f} ms of"
              f" {len(times)}; memory {idle_bytes / 1e6:.0f} MB after the first song, at most"
              f" {most / 1e6:.0f} MB; {heard.value / 1e6:.0f} MB listened to; songs"
              f" {waiting['songs']}, queued {waiting['queued']}, running"
              f" {waiting['running']}")  # fmt: skip
        return bool(slow < 100)


def abuse(options: argparse.Namespace, folder: Path) -> bool:
    """Hold hundreds of connections open, and ask for thousands of things that nobody has."""
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    model, rng = ["-n", options.model] if options.model else [], random.Random(options.seed)
    with Served(folder, *model) as served:
        head = f"Host: 127.0.0.1:{served.port}\r\nX-Karaoke: 1\r\n"
        body = "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        texts = [f"GET /api/v1/status HTTP/1.1\r\n{head}"] * 500
        texts += [f"POST /api/v1/uploads HTTP/1.1\r\n{head}{body}"] * 500
        texts += [f"GET /api/v1/events HTTP/1.1\r\n{head}\r\n"] * 200
        held = []
        for text in texts:
            held.append(socket.create_connection(("127.0.0.1", served.port)))
            held[-1].sendall(text.encode())
        times = []
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for one in held[500:1000]:
                with contextlib.suppress(OSError):
                    one.sendall(b" ")
            began = time.perf_counter()
            for address in ("", "static/app.js", "api/v1/status"):
                assert requests.get(f"{served.page}{address}", timeout=30).ok
            times.append(time.perf_counter() - began)
            time.sleep(1)
        closed = [0, 0]
        for number, one in enumerate(held[:1000]):
            one.settimeout(0.01)
            with contextlib.suppress(OSError):
                closed[number // 500] += one.recv(100)[:12].endswith(b"408")
        for one in held:
            one.close()
        print(
            f"500 heads, 500 bodies and 200 listeners held open: page, script and status took"
            f" {max(times):.2f} s at most; refused as too slow {closed[0]} and {closed[1]}"
        )
        tried, odd = 0, []
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        pieces = [
            "..",
            "%2e%2e",
            "/",
            "%2f",
            "%5c",
            "%00",
            "%E2%80%AE",
            "0" * 16,
            "f" * 16,
            "'",
            "source.mp3",
            '"',
            ";",
            "*",
            "%",
            "%25",
            "_",
            "%20",
            "etc/passwd",
            ".",
        ]
        described = served.get("/openapi.json")["paths"]
        for path in (one for one in described if "{id}" in one):
            for method in described[path]:
                for _ in range(2000):
                    made = "".join(rng.choices(pieces, k=rng.randint(1, 4)))
                    filled = path.replace("{id}", made).replace("{extension}", "wav")
                    headers = {
                        "X-Karaoke": "1",
                        "Content-Type": "application/json",
                        "Upload-Offset": "0",
                    }
                    connection.request(
                        method.upper(), filled.replace("{name}", made), b"{}", headers
                    )
                    answer = connection.getresponse()
                    answer.read()
                    tried += 1
                    if answer.status not in (400, 404, 405):
                        odd.append((method, filled, answer.status))
        print(f"ids {tried}, answers other than 400, 404 and 405: {len(odd)} {odd[:3]}")
        return max(times) < 1 and not odd


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "load", "abuse"])
    parser.add_argument("--model", help="a model that is not the default")
    parser.add_argument("--times", type=int, default=50, help="kills")
    parser.add_argument("--songs", type=int, default=20, help="songs that arrive meanwhile")
    parser.add_argument("--longest", type=float, default=4.0, help="seconds between two kills")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return (
            0
            if {"kills": kills, "load": load, "abuse": abuse}[options.what](options, Path(folder))
            else 1
        )


if __name__ == "__main__":
    sys.exit(main())
