"""What is to be split and where it goes: songs are found and outputs named before any work."""

from __future__ import annotations

import codecs
import json
import os
import string
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from karaoke.errors import NoInputError, OutputExistsError, PermissionDeniedError, UsageError

#: What is taken from a folder; a file that is named itself may have any extension, or none.
EXTENSIONS = frozenset(
    """
    .aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .dts .eac3 .flac .m4a .m4b .mka .mp2 .mp3 .mpc
    .oga .ogg .opus .ra .snd .tta .w64 .wav .wave .wma .wv
    .3gp .asf .avi .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
DEFAULT_TEMPLATE = "{parent}/{track}/{stem}.{ext}"
VARIABLES = ("parent", "track", "stem", "ext", "model")
#: Bytes in a file's name that every common file system takes.
LONGEST_NAME = 255
MANIFEST_SUFFIX = ".karaoke.json"


@dataclass(frozen=True)
class Song:
    """A file to split.

    Parameters
    ----------
    path
        Of the file.
    parent
        Its folder within the folder that the user named; empty for a file that was named itself.
    """

    path: Path
    parent: PurePath = field(default_factory=PurePath)

    @property
    def track(self) -> str:
        """Its name without the extension."""
        # "..mp3" has the stem ".", which is no name for a folder.
        return self.path.stem if self.path.stem.strip(".") else self.path.name


@dataclass(frozen=True)
class Job:
    """A song, the files that it becomes by stem, and the manifest that says so afterwards."""

    source: Path
    outputs: dict[str, Path]
    manifest: Path


def printable(path: str | os.PathLike[str]) -> str:
    """Give a path as text that every encoding holds; bytes that are no UTF-8 are marked."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def read_list(data: bytes) -> list[Path]:
    """Read names of songs, separated by NUL if there is any, or else one a line."""
    data = data.removeprefix(codecs.BOM_UTF8)  # Windows' editors write it
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [Path(os.fsdecode(name)) for name in names if name.strip()]


def find_songs(inputs: Sequence[Path], *, recursive: bool = False) -> list[Song]:
    """List the songs among files and folders, in the order in which they are named.

    Folders give what looks like sound or video by its extension, in the order of names, without
    hidden files and without what karaoke wrote itself. A song that is named twice is taken once.

    Parameters
    ----------
    inputs
        Files and folders. Files are not looked at yet.
    recursive
        Whether to go into the folders of folders.

    Raises
    ------
    NoInputError, PermissionDeniedError
        There is no song in a folder, or it may not be read.
    """
    songs: dict[str, Song] = {}
    for path in inputs:
        if os.path.isdir(path):  # Path.is_dir raises where a name is too long
            found = list(_songs_in(path, recursive))
            if not found:
                hint = "" if recursive else "Add --recursive to look into its folders."
                raise NoInputError(f'"{path}": no songs in this folder', hint=hint)
        else:
            found = [Song(path)]
        for song in found:
            songs.setdefault(os.path.realpath(song.path), song)
    return list(songs.values())


def _songs_in(folder: Path, recursive: bool) -> Iterator[Song]:
    """Walk a folder in the order of names."""

    def refuse(error: OSError) -> None:
        raise PermissionDeniedError(
            f'"{error.filename}": may not be read', hint="Check its permissions."
        ) from error

    for top, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        ours = {name for file in files for name in _written(Path(top, file))}
        for name in sorted(files):
            known = os.path.splitext(name)[1].lower() in EXTENSIONS
            if known and not name.startswith(".") and os.path.realpath(Path(top, name)) not in ours:
                yield Song(Path(top, name), PurePath(top).relative_to(folder))
        # The stems of a folder's songs lie below it; they are no songs of their own.
        folders[:] = [f for f in folders if not _holds_outputs(Path(top, f))]


def _holds_outputs(folder: Path) -> bool:
    """Tell whether everything that sounds in a folder was written by karaoke."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    ours = {name for file in names for name in _written(folder / file)}
    sounds = {
        os.path.realpath(folder / n) for n in names if os.path.splitext(n)[1].lower() in EXTENSIONS
    }
    inner = any((folder / name).is_dir() for name in names)
    return bool(sounds) and not inner and sounds <= ours


def _written(path: Path) -> Iterator[str]:
    """Yield the files that a manifest lists; nothing if the path is none."""
    if not path.name.endswith(MANIFEST_SUFFIX):
        return
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))["outputs"]
        for entry in outputs.values():
            yield os.path.realpath(path.parent / os.fsdecode(entry["path"].encode()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return


def check_template(template: str, stems: Sequence[str]) -> None:
    """Refuse a template that cannot name the stems of a song.

    Raises
    ------
    UsageError
        It has unknown variables, leads out of the output folder, or names two stems alike.
    """
    try:
        used = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise UsageError(f"--name {template}: {error}", hint="Write {{ for a brace.") from error
    unknown = used - set(VARIABLES)
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in VARIABLES)
        raise UsageError(f"--name: unknown {{{min(unknown)}}}", hint=f"Variables: {known}.")
    if len(stems) > 1 and "stem" not in used:
        raise UsageError("--name: all stems would have one name", hint="Add {stem}.")
    if "track" not in used and "parent" not in used:
        raise UsageError("--name: all songs would have one name", hint="Add {track}.")
    if template.startswith("/") or ".." in template.split("/") or template.endswith("/"):
        raise UsageError(f"--name {template}: must name a file below the output folder")


def fit_name(name: str, track: str) -> str:
    """Shorten the track within a file name until the name is one that file systems take."""
    while len(os.fsencode(name)) > LONGEST_NAME and track:
        name = name.replace(track, track[:-1])
        track = track[:-1]
    return name


def name_output(template: str, song: Song, stem: str, extension: str, model: str) -> PurePath:
    """Fill a template in; the result is relative to the output folder."""
    parts: list[str] = []
    for part in template.split("/"):
        if part == "{parent}":
            parts.extend(song.parent.parts)
            continue
        parent = "-".join(song.parent.parts)
        values = {"track": song.track, "stem": stem, "ext": extension, "model": model}
        parts.append(fit_name(part.format(parent=parent, **values), song.track))
    return PurePath(*parts)


def plan(
    songs: Sequence[Song],
    folder: Path,
    stems: Sequence[str],
    extension: str,
    *,
    template: str = DEFAULT_TEMPLATE,
    model: str = "",
) -> list[Job]:
    """Lay out all outputs before any work.

    Raises
    ------
    UsageError
        The template cannot name them.
    OutputExistsError
        Two songs would write the same files, on some file system or other, or a song would be
        written over.
    """
    check_template(template, stems)
    jobs: list[Job] = []
    taken: dict[str, Path] = {}
    sources = {os.path.realpath(song.path) for song in songs}
    for song in songs:
        outputs = {
            stem: folder / name_output(template, song, stem, extension, Path(model).stem)
            for stem in stems
        }
        for path in outputs.values():
            # As file systems compare names that do not care about case or composition.
            key = unicodedata.normalize("NFC", os.fspath(path)).casefold()
            if taken.setdefault(key, song.path) != song.path:
                raise OutputExistsError(
                    f'"{taken[key]}" and "{song.path}" would write the same files',
                    hint="Use another --name or --out for one of them.",
                )
            if os.path.realpath(path) in sources:
                raise OutputExistsError(
                    f'"{path}": is one of the songs', hint="Choose another folder with --out."
                )
        first = next(iter(outputs.values()))
        name = fit_name(f".{song.track}{MANIFEST_SUFFIX}", song.track)
        jobs.append(Job(song.path, outputs, first.parent / name))
    return jobs
