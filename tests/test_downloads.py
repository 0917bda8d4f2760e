"""Downloads: every fault of a server has its error, leaves nothing accepted, and heals."""

from __future__ import annotations

import hashlib
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from karaoke.errors import (
    ChecksumError,
    KaraokeError,
    NetworkError,
    PermissionDeniedError,
    UnavailableError,
    WriteError,
)
from karaoke.store import downloads
from karaoke.store.catalogue import Download
from karaoke.store.downloads import fetch
from tests.loopback import Loopback, serving

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Serve a file, past any proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "PATIENCE_SECONDS", 0.5)
    with serving({"/w.pth": CONTENT, "/mirror/w.pth": CONTENT}) as running:
        yield running


@pytest.fixture
def file(server: Loopback) -> Download:
    """Describe it."""
    return Download("vocals", (server.url("/w.pth"),), SHA256, len(CONTENT))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Give a place for it."""
    return tmp_path / "vocals.pth"


def test_a_file_comes_whole_and_is_not_fetched_twice(
    server: Loopback, file: Download, target: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(file, target, progress=lambda have, size: seen.append((have, size)))
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    fetch(file, target)
    assert len(server.log) == 1
    assert os.listdir(target.parent) == ["vocals.pth"]


@pytest.mark.parametrize(
    ("faults", "error", "code"),
    [
        (["404"], UnavailableError, 69),
        (["403"], UnavailableError, 69),
        (["500"], NetworkError, 75),
        (["503"], NetworkError, 75),
        (["429"], NetworkError, 75),
        (["page"], UnavailableError, 69),
        (["undeclared page"], UnavailableError, 69),
        (["truncated"], NetworkError, 75),
        (["stall"], NetworkError, 75),
        (["corrupt", "corrupt"], ChecksumError, 76),
        (["short", "short"], ChecksumError, 76),
        (["endless", "endless"], ChecksumError, 76),
        (["truncated", "corrupt", "corrupt"], NetworkError, 75),
    ],
)
def test_faults_have_their_codes_and_heal(
    server: Loopback,
    file: Download,
    target: Path,
    faults: list[str],
    error: type[KaraokeError],
    code: int,
) -> None:
    server.faults.extend(faults)
    with pytest.raises(error) as caught:
        fetch(file, target)
    assert caught.value.exit_code == code
    assert caught.value.hint
    assert not target.exists()
    server.faults.clear()
    fetch(file, target)
    assert target.read_bytes() == CONTENT
    assert os.listdir(target.parent) == ["vocals.pth"]


@pytest.mark.parametrize("fault", ["corrupt", "short", "endless"])
def test_a_wrong_file_is_fetched_once_more(
    server: Loopback, file: Download, target: Path, fault: str
) -> None:
    server.faults.append(fault)
    fetch(file, target)
    assert target.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.log] == ["", ""]


def test_a_broken_connection_goes_on_where_it_broke(
    server: Loopback, file: Download, target: Path
) -> None:
    server.faults.append("truncated")
    with pytest.raises(NetworkError, match="broke"):
        fetch(file, target)
    kept = target.with_name("vocals.pth.part").read_bytes()
    assert kept == CONTENT[: len(kept)]
    assert len(kept) > len(CONTENT) // 2 - downloads.BLOCK
    fetch(file, target)
    assert [wanted for _, wanted in server.log] == ["", f"bytes={len(kept)}-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["no ranges", "416", "wrong range"])
@pytest.mark.parametrize("kept", [CONTENT[:1000], b"another file" * 100])
def test_servers_that_will_not_go_on_begin_anew(
    server: Loopback, file: Download, target: Path, fault: str, kept: bytes
) -> None:
    target.with_name("vocals.pth.part").write_bytes(kept)
    server.faults.append(fault)
    fetch(file, target)
    assert target.read_bytes() == CONTENT
    assert server.log[0][1] == f"bytes={len(kept)}-"


@pytest.mark.parametrize("known_size", [len(CONTENT), None])
@pytest.mark.parametrize("kept", [CONTENT[:-1] + b"x", CONTENT + b"more", CONTENT, b"x" * 1000])
def test_any_part_file_heals(
    server: Loopback, file: Download, target: Path, kept: bytes, known_size: int | None
) -> None:
    target.with_name("vocals.pth.part").write_bytes(kept)
    fetch(replace(file, size_bytes=known_size), target)
    assert target.read_bytes() == CONTENT
    assert not server.log if kept == CONTENT else server.log


def test_a_damaged_file_is_replaced(server: Loopback, file: Download, target: Path) -> None:
    target.write_bytes(CONTENT[:-1])
    fetch(file, target)
    assert target.read_bytes() == CONTENT


def test_first_digits_of_a_checksum_are_compared(
    server: Loopback, file: Download, target: Path
) -> None:
    fetch(replace(file, sha256=SHA256[:8], size_bytes=None), target)
    target.unlink()
    wrong = f"{int(SHA256[:8], 16) ^ 1:08x}"
    with pytest.raises(ChecksumError, match=wrong):
        fetch(replace(file, sha256=wrong, size_bytes=None), target)
    assert os.listdir(target.parent) == []


def test_a_file_of_unknown_size_cannot_fill_the_disk(
    server: Loopback, file: Download, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MOST_BYTES", 1000)
    largest = 0

    def watch(have: int, size: int | None) -> None:
        nonlocal largest
        largest = max(largest, have)

    with pytest.raises(ChecksumError):
        fetch(replace(file, sha256="0" * 64, size_bytes=None), target, progress=watch)
    assert largest < len(CONTENT)


def test_mirrors_go_on_with_what_came(server: Loopback, file: Download, target: Path) -> None:
    mirrored = replace(file, urls=(*file.urls, server.url("/mirror/w.pth")))
    server.faults.extend(["truncated"])
    fetch(mirrored, target)
    assert [path for path, _ in server.log] == ["/w.pth", "/mirror/w.pth"]
    assert server.log[1][1].startswith("bytes=")
    target.unlink()
    server.faults.extend(["500", "404"])
    with pytest.raises(NetworkError, match="500"):  # which may pass, so it is told of
        fetch(mirrored, target)


def test_nobody_answers(file: Download, target: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}/w.pth"
        with pytest.raises(NetworkError, match="no connection"):
            fetch(replace(file, urls=(address,)), target)
    for address in ("gopher://127.0.0.1/w.pth", "no address", "http://"):
        with pytest.raises(UnavailableError, match="Correct the URL"):
            fetch(replace(file, urls=(address,)), target)


def test_offline_is_kept(
    server: Loopback, file: Download, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KARAOKE_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="KARAOKE_OFFLINE"):
        fetch(file, target)
    assert not server.log
    monkeypatch.setenv("KARAOKE_OFFLINE", "0")
    fetch(file, target)
    monkeypatch.setenv("KARAOKE_OFFLINE", "1")
    fetch(file, target)  # what is here needs no network


def test_proxies_of_the_environment_are_used(
    server: Loopback, file: Download, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url(""))
    address = "http://weights.invalid/w.pth"
    server.files[address] = CONTENT  # a proxy is asked for whole addresses
    fetch(replace(file, urls=(address,)), target)
    assert server.log == [(address, "")]
    target.unlink()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{bound.getsockname()[1]}")
        with pytest.raises(NetworkError, match="proxy"):
            fetch(replace(file, urls=(address,)), target)


def test_what_cannot_be_written(server: Loopback, file: Download, tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        fetch(file, tmp_path / "nowhere" / "vocals.pth")
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("root writes everywhere")
    with pytest.raises(PermissionDeniedError):
        fetch(file, folder / "vocals.pth")
