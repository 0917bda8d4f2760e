"""What was written, beside it: a hidden JSON file that says when a set of stems is complete."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from karaoke.planning import Job, printable

FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """What stems depend on besides the song; another makes other stems."""

    model: str
    format: str
    bit_depth: int
    bitrate: str
    overlap: float | None = None
    quality: str = "default"
    track: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as it stands in a manifest."""
        return dict(vars(self))


def checksum(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def identify(source: Path) -> dict[str, Any]:
    """Name a song by path, size and time of its last change; its content is not read."""
    status = source.stat()
    return {
        "path": printable(os.path.abspath(source)),
        "size_bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
    }


def describe(
    job: Job, settings: Settings, files: dict[str, Path], source: dict[str, Any]
) -> dict[str, Any]:
    """Make a manifest of files that are written but not published yet.

    Parameters
    ----------
    job
        Their plan.
    settings
        How they were made.
    files
        Where the contents lie for now, by stem.
    source
        From :func:`identify`, before the song was read.
    """
    return {
        "format": FORMAT,
        "source": source,
        "settings": settings.as_dict(),
        "outputs": {
            stem: {
                "path": printable(os.path.relpath(job.outputs[stem], job.manifest.parent)),
                "size_bytes": path.stat().st_size,
                "sha256": checksum(path),
            }
            for stem, path in files.items()
        },
    }


def is_complete(job: Job, settings: Settings) -> bool:
    """Tell whether a job was done: same song, same settings, all stems there at their sizes."""
    try:
        facts = json.loads(job.manifest.read_text(encoding="utf-8"))
        outputs = facts["outputs"]
        same = facts["format"] == FORMAT and facts["settings"] == settings.as_dict()
        whole = all(
            outputs[stem]["path"] == printable(os.path.relpath(path, job.manifest.parent))
            and outputs[stem]["size_bytes"] == path.stat().st_size
            for stem, path in job.outputs.items()
        )
        return same and whole and facts["source"] == identify(job.source)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
