"""All that there is of a song as one file, written while it is sent."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any

from karaoke.service.places import Place

BLOCK = 1 << 20


class Outlet:
    """A file that cannot be rewound, whose bytes are taken as they come."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._position = 0

    def write(self, data: Any) -> int:
        """Take bytes."""
        self._waiting.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        """Tell how many there were."""
        return self._position

    def flush(self) -> None:
        """Do nothing: they are not kept."""

    def take(self) -> bytes:
        """Give what came since the last time."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def archive(place: Place, label: str) -> Iterator[bytes]:
    """Yield a zip of what was made of a song, and its stems, in a folder of its name."""
    stems = {f"stems/{path.name}": path for path in sorted(place.stems.glob("*.wav"))}
    outlet = Outlet()
    # Sound and films are packed already.
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as file:  # type: ignore[call-overload]
        for name, path in {**place.files(), **stems}.items():
            info = zipfile.ZipInfo.from_file(path, f"{label}/{name}")
            with path.open("rb") as source, file.open(info, "w", force_zip64=True) as entry:
                while data := source.read(BLOCK):
                    entry.write(data)
                    yield outlet.take()
    yield outlet.take()
