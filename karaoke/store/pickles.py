"""Read pickles of numpy arrays without calling anything but what arrays are made of."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karaoke.errors import ForeignModelError, NoInputError

#: Largest pickle that is read; Spleeter's have 59 MB.
MOST_BYTES = 1_000_000_000
SAFE = "Only files with nothing but arrays are read; convert it to one where it came from."


def encode(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, with the only codec that pickles of arrays need."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"an encoding of {encoding!r}")
    return text.encode(encoding)


class Kind:
    """Stands in for ``numpy.dtype``, which believes what a damaged pickle says of its memory."""

    def __init__(self, code: str, _align: Any = False, _copy: Any = True) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.hasobject or self.dtype.names or self.dtype.subdtype:
            raise pickle.UnpicklingError(f"values of the kind {code!r:.50}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take over the order of bytes; there is nothing else that plain numbers have."""
        self.dtype = self.dtype.newbyteorder(state[1])


class Array:
    """Stands in for an array while a pickle fills it."""

    array: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Make the array of its version, shape, kind, order and bytes."""
        _, shape, kind, by_columns, content = state
        values = np.frombuffer(content, kind.dtype).astype(kind.dtype.newbyteorder("="))
        if any(size < 0 for size in shape):
            raise pickle.UnpicklingError(f"an array of shape {shape!r:.50}")
        self.array = values.reshape(shape, order="F" if by_columns else "C")


#: What pickles may refer to, by module and name; numpy has moved one of them.
ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): Kind,
    ("_codecs", "encode"): encode,
}
RECONSTRUCT = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


def reconstruct(kind: Any, shape: tuple[int, ...], _code: bytes) -> Array:
    """Make what a pickle fills, whatever the pickle asks for."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("not a plain array")
    return Array()


class ArrayUnpickler(pickle.Unpickler):
    """Refuses every name except those that arrays are made of."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up an admitted name."""
        if (module, name) in RECONSTRUCT:
            return reconstruct
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it wants {module}.{name}")
        return ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to other data."""
        raise pickle.UnpicklingError("it refers to what is not in it")


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read a pickled dict of arrays, plain or as ``data.pkl`` in a ZIP, without running code.

    Returns
    -------
    dict
        Numeric arrays by name.

    Raises
    ------
    NoInputError
        There is no such file.
    ForeignModelError
        It is not such a file, is damaged, or refers to anything but arrays.
    """
    try:
        content = ArrayUnpickler(io.BytesIO(_read_pickle(path))).load()
    except OSError as error:
        raise NoInputError(f'"{path}": {error.strerror or error}') from error
    # What a damaged or hostile pickle raises has no common class.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ForeignModelError(f'"{path}": not read ({reason})', hint=SAFE) from error
    if not isinstance(content, dict) or not content:
        raise ForeignModelError(f'"{path}": not a dict of arrays', hint=SAFE)
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in content.items():
        array = value.array if isinstance(value, Array) else None
        if not isinstance(name, str) or array is None:
            raise ForeignModelError(f'"{path}": {name!r:.50} is not an array', hint=SAFE)
        if array.dtype.kind not in "fiu":
            raise ForeignModelError(f'"{path}": {name!r:.50} is not numeric', hint=SAFE)
        arrays[name] = array
    return arrays


def _read_pickle(path: Path) -> bytes:
    """Read a file's pickle, plain or in a ZIP; bounded, whatever the ZIP declares."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            file.seek(0)
            content = file.read(MOST_BYTES + 1)
        else:
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                (name,) = [n for n in archive.namelist() if n.rsplit("/", 1)[-1] == "data.pkl"]
                with archive.open(name) as member:
                    content = member.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise pickle.UnpicklingError(f"it has more than {MOST_BYTES:,} bytes")
    return content
