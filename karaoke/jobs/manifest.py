"""What was written, beside it: a hidden JSON file that says when a set of stems is complete."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from karaoke.jobs.planning import Job

#: Raised, too, when stems of the same settings begin to sound otherwise. 1 had no checksum of the
#: weights, and nothing under ``earlier``.
FORMAT = 2


@dataclass(frozen=True)
class SplitSettings:
    """What stems depend on besides the song; another makes other stems.

    Parameters
    ----------
    model
        As the user named it; of no matter where the weights' SHA-256 is known.
    format, bit_depth, bitrate, overlap, quality, stream
        As the options of ``karaoke split``.
    weights_sha256
        Of the checkpoint.
    """

    model: str
    format: str
    bit_depth: int
    bitrate: str
    overlap: float | None = None
    quality: str = "default"
    stream: int | None = None
    weights_sha256: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give it as it stands in a manifest."""
        return dict(vars(self))


def identify(source: Path) -> dict[str, Any]:
    """Name a song by path, size and time of its last change; its content is not read."""
    status = source.stat()
    return {
        "path": os.path.abspath(source),
        "size_bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
    }


def make_manifest(
    job: Job,
    settings: SplitSettings,
    sizes_bytes: dict[str, int],
    checksums: dict[str, str],
    source: dict[str, Any],
) -> dict[str, Any]:
    """Make a manifest of files that are written but not published yet.

    Parameters
    ----------
    job
        Their plan.
    settings
        How they were made.
    sizes_bytes, checksums
        Of the files, by stem.
    source
        From :func:`identify`, before the song was read.
    """
    return {
        "format": FORMAT,
        "source": source,
        "settings": settings.as_dict(),
        "outputs": {
            stem: {
                # Bytes that are no UTF-8 become escapes in JSON, and bytes again when it is read.
                "path": os.path.relpath(job.outputs[stem], job.manifest.parent),
                "size_bytes": size,
                "sha256": checksums[stem],
            }
            for stem, size in sizes_bytes.items()
        },
    }


def with_earlier(facts: dict[str, Any], path: Path) -> dict[str, Any]:
    """Add to a manifest, which is to replace the one at ``path``, what that one says of others.

    The stems of other formats, or others of the model's stems, stay known as written by karaoke.
    """
    replaced = {entry["path"] for entry in facts["outputs"].values()}
    kept = []
    for earlier in read_sets(path):
        outputs = {
            stem: entry
            for stem, entry in earlier["outputs"].items()
            if entry["path"] not in replaced and (path.parent / entry["path"]).is_file()
        }
        if outputs:
            kept.append({**earlier, "outputs": outputs})
    return {**facts, "earlier": kept} if kept else facts


def read_sets(path: Path) -> list[dict[str, Any]]:
    """Read what a manifest says of each set of stems that was written together, the last first.

    What is damaged is left out.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        sets = [facts, *facts.pop("earlier", ())]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
    return [entry for entry in sets if is_sound(entry)]


def is_sound(entry: Any) -> bool:
    """Tell whether an entry has what is asked of it."""
    try:
        outputs = [(each["path"], each["size_bytes"]) for each in entry["outputs"].values()]
        has_all = {"format", "source", "settings"} <= entry.keys()
    except (KeyError, TypeError, AttributeError):
        return False
    typed = all(isinstance(path, str) and isinstance(size, int) for path, size in outputs)
    return has_all and typed and isinstance(entry["settings"], dict)


def is_complete(job: Job, settings: SplitSettings) -> bool:
    """Tell whether a job was done: same song, same settings, all stems there at their sizes."""
    try:
        source = identify(job.source)
    except OSError:
        return False
    return any(
        entry["source"] == source
        and made_with(entry, settings)
        and all(is_whole(entry, job, stem) for stem in job.outputs)
        for entry in read_sets(job.manifest)
    )


def made_with(entry: dict[str, Any], settings: SplitSettings) -> bool:
    """Tell whether a set of stems sounds as these settings would make it."""
    now = settings.as_dict()
    # Of old, the stream was called a track.
    then = {{"track": "stream"}.get(key, key): value for key, value in entry["settings"].items()}
    if entry["format"] == 1:
        # It says which model but not which weights, and a file may hold others by now.
        del now["weights_sha256"]
        now["stream"] = now["stream"] or 1  # the first stream was the default
        return bool(then == now) and not os.path.isfile(settings.model)
    return entry["format"] == FORMAT and {**then, "model": ""} == {**now, "model": ""}


def is_whole(entry: dict[str, Any], job: Job, stem: str) -> bool:
    """Tell whether a stem of a job belongs to a set and is there."""
    written, path = entry["outputs"].get(stem), job.outputs[stem]
    try:
        return (
            written is not None
            and bool(written["path"] == os.path.relpath(path, job.manifest.parent))
            and bool(written["size_bytes"] == path.stat().st_size)
        )
    except OSError:
        return False
