"""Locks: held, waited for, gone with their holder, and not to be had."""

from __future__ import annotations

import errno
import multiprocessing
import os
import tempfile
import threading
from pathlib import Path

import pytest

from karaoke import files
from karaoke.errors import LockedError, PermissionDeniedError
from karaoke.files import BusyError, lock, locked


def test_one_holds_it_and_it_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with lock(path) as held:
        assert held and path.exists()
        with pytest.raises(BusyError), lock(path):
            pass
    assert not path.exists()
    with lock(path) as held:
        assert held


def test_a_file_that_was_left_behind_locks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.touch()
    with lock(path) as held:
        assert held


def test_whoever_waits_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    order: list[str] = []

    def wait() -> None:
        with lock(path, wait=True) as held:
            order.append(f"second {held}")

    with lock(path):
        other = threading.Thread(target=wait)
        other.start()
        other.join(0.3)
        order.append("first")
    other.join()
    assert order == ["first", "second True"]


def count_up(folder: Path, times: int) -> None:
    """Add to a number in a file, a read and a write at a time, under a lock."""
    for _ in range(times):
        with lock(folder / "a.lock", wait=True) as held:
            assert held
            number = int((folder / "number").read_text())
            (folder / "number").write_text(str(number + 1))


def test_many_processes_never_hold_it_together(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count_up, args=(tmp_path, 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "number").read_text() == "400"


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_file: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with lock(tmp_path / "a.lock") as held:
        assert not held
    with locked([tmp_path / "vocals.wav"]) as trouble, locked([tmp_path / "vocals.wav"]):
        assert "has no locks" in trouble


def test_no_room_for_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a file"))
    with locked([tmp_path / "vocals.wav"]) as trouble:
        assert "no lock could be made" in trouble


def test_the_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    with pytest.raises(PermissionDeniedError, match="another user"), locked([tmp_path / "x"]):
        pass


def test_locks_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    paths = [tmp_path / "vocals.wav", tmp_path / "instrumental.wav"]
    with locked(paths) as trouble:
        assert not trouble
        with pytest.raises(LockedError, match="another karaoke"), locked(paths[1:]):
            pass
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
