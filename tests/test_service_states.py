"""Any sequence of requests leaves a service as a model of it says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.serving import Served

NOBODY = "0" * 16
TITLES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40)


class Requests(RuleBasedStateMachine):
    """What one who uses the interface may do."""

    served: ClassVar[Served]
    content: ClassVar[bytes]

    uploads = Bundle("uploads")

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, int] = {}
        self.titles: dict[str, str] = {}
        self.words: dict[str, list[str]] = {}

    def teardown(self) -> None:
        for upload in self.sent:
            self.served.ask("DELETE", f"/uploads/{upload}")
        for song in self.titles:
            self.served.ask("DELETE", f"/songs/{song}")

    @rule(target=uploads, name=TITLES)
    def begin(self, name: str) -> str:
        body = {"name": f"x{name}.wav", "size": len(self.content)}
        answer = self.served.ask("POST", "/uploads", json=body)
        assert answer.status_code == 201, answer.text
        upload = str(answer.json()["id"])
        self.sent[upload] = 0
        return upload

    @rule(upload=uploads, length=st.integers(1, 30_000))
    def send(self, upload: str, length: int) -> None:
        offset = self.sent.get(upload)
        part = self.content[offset or 0 :][:length]
        answer = self.served.send(upload, part, offset or 0)
        if offset is None:
            assert answer.status_code == 404
            return
        assert answer.status_code == 200, answer.text
        assert answer.json()["offset"] == offset + len(part)
        self.sent[upload] += len(part)
        if self.sent[upload] == len(self.content):
            song = answer.json()["song"]
            assert song["id"] == upload
            del self.sent[upload]
            self.titles[upload] = song["title"]
        else:
            assert answer.json()["song"] is None

    @rule(upload=uploads)
    def send_the_rest(self, upload: str) -> None:
        self.send(upload, len(self.content))

    @rule(upload=uploads, wrong=st.integers(1, 1000))
    def send_elsewhere(self, upload: str, wrong: int) -> None:
        if upload in self.sent:
            answer = self.served.send(upload, b"x", self.sent[upload] + wrong)
            assert (answer.status_code, answer.json()["offset"]) == (409, self.sent[upload])

    @rule(upload=consumes(uploads))
    def drop(self, upload: str) -> None:
        there = upload in self.sent
        self.sent.pop(upload, None)
        status = self.served.ask("DELETE", f"/uploads/{upload}").status_code
        assert status == (204 if there else 404)

    @rule(song=uploads, title=TITLES)
    def rename(self, song: str, title: str) -> None:
        answer = self.served.ask("PATCH", f"/songs/{song}", json={"title": title})
        assert answer.status_code == (200 if song in self.titles else 404)
        if song in self.titles:
            self.titles[song] = title

    @rule(song=uploads, lines=st.lists(st.sampled_from(["la la", "do re mi", "oh"]), min_size=1,
                                       max_size=4))  # fmt: skip
    def write_words(self, song: str, lines: list[str]) -> None:
        text = "\n".join(f"[00:0{n}.00]{line}" for n, line in enumerate(lines))
        body = {"text": text, "align": "none"}
        answer = self.served.ask("PUT", f"/songs/{song}/lyrics", json=body)
        assert answer.status_code == (200 if song in self.titles else 404), answer.text
        if song in self.titles:
            self.words[song] = lines

    @rule(song=uploads)
    def forget_words(self, song: str) -> None:
        status = self.served.ask("DELETE", f"/songs/{song}/lyrics").status_code
        assert status == (204 if song in self.titles else 404)
        self.words.pop(song, None)

    @rule(song=uploads)
    def read_words(self, song: str) -> None:
        answer = self.served.ask("GET", f"/songs/{song}/lyrics")
        assert answer.status_code == (200 if song in self.words else 404)
        if song in self.words:
            assert answer.json()["text"].splitlines() == self.words[song]

    @rule(song=consumes(uploads))
    def delete(self, song: str) -> None:
        if song in self.sent:
            self.drop(song)
            return
        status = self.served.ask("DELETE", f"/songs/{song}").status_code
        assert status == (204 if song in self.titles else 404)
        self.titles.pop(song, None)
        self.words.pop(song, None)
        assert not (self.served.data / "songs" / song / "source.wav").exists()

    @rule(song=uploads, command=st.sampled_from(["split", "analyse", "align"]))
    def order_and_cancel(self, song: str, command: str) -> None:
        answer = self.served.ask("POST", f"/songs/{song}/jobs", json={"command": command})
        known = song in self.titles
        # Not split, and cancelled before: there is nothing to analyse.
        assert answer.status_code in ((202, 409) if known else (404,)), answer.text
        if answer.status_code == 202:
            job = answer.json()["id"]
            assert self.served.ask("DELETE", f"/jobs/{job}").status_code == 204
            assert self.served.get(f"/jobs/{job}")["state"] in ("cancelled", "done", "failed")

    @invariant()
    def songs_are_those_of_the_model(self) -> None:
        listed = self.served.get("/songs?limit=200")["songs"]
        assert {song["id"]: song["title"] for song in listed} == self.titles

    @invariant()
    def uploads_are_those_of_the_model(self) -> None:
        for upload, offset in self.sent.items():
            head = self.served.ask("HEAD", f"/uploads/{upload}").headers
            assert int(head["Upload-Offset"]) == offset

    @invariant()
    def what_nobody_has_is_not_there(self) -> None:
        assert self.served.ask("GET", f"/songs/{NOBODY}").status_code == 404


def test_requests_in_any_order(tiny_model: Path) -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        soundfile.write(path, 0.1 * rng.standard_normal((22050, 2)).clip(-4, 4), 44100)
        Requests.content = path.read_bytes()
        with Served(Path(folder) / "data", "-n", tiny_model) as served:
            Requests.served = served
            state_machine: Any = Requests
            state_machine.TestCase.settings = settings(
                max_examples=15, stateful_step_count=20, deadline=None,
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            state_machine.TestCase("runTest").runTest()
            assert served.get("/status")["songs"] == 0
