"""Pickles of arrays are read; all others are refused, and run nothing."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from karaoke.errors import ForeignModelError, NoInputError
from karaoke.store.pickles import read_arrays

ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.count": np.array(7, dtype=np.int64),
    "wide": np.asfortranarray(np.random.default_rng(0).standard_normal((3, 4)).astype(">f8")),
}


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("zipped", [False, True])
def test_arrays_come_back(tmp_path: Path, protocol: int, zipped: bool) -> None:
    path = tmp_path / "weights"
    content = pickle.dumps(ARRAYS, protocol=protocol)
    # As numpy before version 2 named it.
    old = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights/data.pkl", old)
    else:
        path.write_bytes(old)
    found = read_arrays(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


class Code:
    """Runs something when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call


HOSTILE = {
    "a command": Code(os.system, "touch pwned"),
    "a builtin": Code(eval, "open('pwned', 'w')"),
    "in a dict": {"a": ARRAYS["wide"], "b": Code(os.system, "touch pwned")},
    "objects": {"a": np.array([{"b": 1}], dtype=object)},
    "a list": [ARRAYS["wide"]],
    "text": {"a": "text"},
    "numbers for names": {1: ARRAYS["wide"]},
    "another encoding": {"a": Code(__import__("_codecs").encode, "a" * 100, "zip")},
    "nothing": {},
    "a numpy function": {"a": Code(np.zeros, 10)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_all_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights"
    path.write_bytes(pickle.dumps(HOSTILE[name]))
    with pytest.raises(ForeignModelError):
        read_arrays(path)
    assert not (tmp_path / "pwned").exists()


def test_a_reference_to_elsewhere_is_refused(tmp_path: Path) -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return "storage" if isinstance(obj, np.ndarray) else None

    path = tmp_path / "weights"
    with path.open("wb") as file:
        Pickler(file).dump(ARRAYS)
    with pytest.raises(ForeignModelError, match="refers to what is not in it"):
        read_arrays(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NoInputError):
        read_arrays(tmp_path / "missing")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_an_error_of_ours(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(pickle.dumps(ARRAYS, protocol=2))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "weights"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_arrays(path)
    except ForeignModelError:
        return
    assert all(array.dtype.kind in "fiu" for array in found.values())


class Misleading:
    """Is pickled as float32, said to hold references to objects."""

    def __reduce__(self) -> Any:
        return np.dtype, ("f4", False, True), (3, "<", None, None, None, -1, -1, 63)


class Weights:
    """Is pickled as three numbers of a misleading kind."""

    def __reduce__(self) -> Any:
        empty, *_ = np.zeros(0).__reduce__()
        state = (1, (3,), Misleading(), False, np.float32([1, 2, 3]).tobytes())
        return empty, (np.ndarray, (0,), b"b"), state


def test_what_a_pickle_says_of_numpys_types_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(pickle.dumps({"weights": Weights()}, protocol=2))
    np.testing.assert_array_equal(read_arrays(path)["weights"], [1, 2, 3])
