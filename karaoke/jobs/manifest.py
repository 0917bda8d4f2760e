"""Manifests: hidden JSON files beside the outputs that record which sets of stems are complete."""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from karaoke.jobs.planning import Job

#: Also increased when the same settings begin to give different stems. Format 1 had neither a
#: checksum of the weights nor ``earlier``.
FORMAT = 2


@dataclass(frozen=True)
class SplitSettings:
    """What stems depend on besides the song.

    Parameters
    ----------
    model
        Model as the user named it; ignored if the weights' SHA-256 is known.
    format, bit_depth, bitrate, overlap, quality, stream
        The options of ``karaoke split``.
    weights_sha256
        Checksum of the checkpoint.
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
        """Return the settings as they are written in a manifest."""
        return dict(vars(self))


def identify(source: Path) -> dict[str, Any]:
    """Identify a song by path, size and modification time, without reading its content."""
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
    """Make the manifest of files that are written but not published yet.

    Parameters
    ----------
    job
        Their plan.
    settings
        How they were made.
    sizes_bytes, checksums
        Size and SHA-256 of the files, by stem.
    source
        What :func:`identify` returned before the song was read.
    """
    return {
        "format": FORMAT,
        "source": source,
        "settings": settings.as_dict(),
        "outputs": {
            stem: {
                # Bytes that are not UTF-8 become escapes in JSON, and bytes again when read back.
                "path": os.path.relpath(job.outputs[stem], job.manifest.parent),
                "size_bytes": size,
                "sha256": checksums[stem],
            }
            for stem, size in sizes_bytes.items()
        },
    }


def with_earlier(facts: dict[str, Any], path: Path) -> dict[str, Any]:
    """Add to a manifest what the one that it replaces at ``path`` says about other files.

    That way, earlier stems in other formats or of other names stay known as karaoke's own.
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
    """Read a manifest's entries, one per set of stems written together, latest first.

    Damaged entries are left out.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        sets = [facts, *facts.pop("earlier", ())]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
    return [entry for entry in sets if is_sound(entry)]


def is_sound(entry: Any) -> bool:
    """Return whether an entry has the expected fields."""
    try:
        outputs = [(each["path"], each["size_bytes"]) for each in entry["outputs"].values()]
        has_all = {"format", "source", "settings"} <= entry.keys()
    except (KeyError, TypeError, AttributeError):
        return False
    typed = all(isinstance(path, str) and isinstance(size, int) for path, size in outputs)
    return has_all and typed and isinstance(entry["settings"], dict)


def is_complete(job: Job, settings: SplitSettings) -> bool:
    """Return whether a job is done: same song, same settings, all stems there in full size."""
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
    """Return whether a set of stems is what these settings would make."""
    # As a manifest holds them, where a tuple is a list.
    now = json.loads(json.dumps(settings.as_dict()))
    # What was no setting then was as it is by default.
    then = {one.name: one.default for one in fields(settings) if one.default is not MISSING}
    # The stream used to be called a track.
    then |= {{"track": "stream"}.get(key, key): value for key, value in entry["settings"].items()}
    if entry["format"] == 1:
        # It names the model but not its weights, and a file may contain others by now.
        del now["weights_sha256"], then["weights_sha256"]
        now["stream"] = now["stream"] or 1  # the first stream was the default
        return bool(then == now) and not os.path.isfile(settings.model)
    return entry["format"] == FORMAT and {**then, "model": ""} == {**now, "model": ""}


def is_whole(entry: dict[str, Any], job: Job, stem: str) -> bool:
    """Return whether a job's stem belongs to a set and still exists in full size."""
    written, path = entry["outputs"].get(stem), job.outputs[stem]
    try:
        return (
            written is not None
            and bool(written["path"] == os.path.relpath(path, job.manifest.parent))
            and bool(written["size_bytes"] == path.stat().st_size)
        )
    except OSError:
        return False
