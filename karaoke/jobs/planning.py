"""What is to be split and where it goes: songs are found and outputs named before any work."""

from __future__ import annotations

import codecs
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from karaoke.errors import (
    KaraokeError,
    NoInputError,
    OutputExistsError,
    PermissionDeniedError,
    UsageError,
)
from karaoke.jobs.naming import (
    DEFAULT_TEMPLATE,
    LONGEST_NAME,
    MANIFEST_SUFFIX,
    Song,
    check_template,
    name_manifest,
    name_output,
    too_long,
)

#: What is taken from a folder; a file that is named itself may have any extension, or none.
EXTENSIONS = frozenset(
    """
    .8svx .aac .ac3 .aif .aifc .aiff .amr .ape .au .bwf .caf .dsf .dts .eac3 .flac .m4a .m4b .mka
    .mp2 .mp3 .mpc .oga .ogg .opus .qoa .ra .rf64 .snd .spx .tak .tta .voc .w64 .wav .wave .wma .wv
    .3g2 .3gp .asf .avi .divx .f4v .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogm .ogv
    .rm .rmvb .ts .vob .webm .wmv .wtv
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
#: What lists in other encodings than UTF-8 begin with; UTF-32 first, since UTF-16's mark begins it.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: In bytes; no system takes a longer one, and what is no list has longer lines.
LONGEST_PATH = 4096
#: Names told of in one sentence.
MOST_NAMED = 3


@dataclass(frozen=True)
class Job:
    """A song, the files that it becomes by stem, and the manifest that says so afterwards.

    Parameters
    ----------
    source
        The file.
    outputs
        By stem.
    manifest
        Beside them.
    named
        What the user called the song, where that is not the path of ``source``.
    error
        Why it cannot be done, if that is known from the names alone.
    """

    source: Path
    outputs: dict[str, Path]
    manifest: Path
    named: str = ""
    error: KaraokeError | None = None

    @property
    def label(self) -> str:
        """What to call the song in reports."""
        return self.named or printable(self.source)


def printable(path: str | os.PathLike[str]) -> str:
    """Give a path as text that every encoding holds; bytes that are no UTF-8 are marked."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def read_list(data: bytes, called: str = "the list") -> list[Path]:
    """Read names of songs as paths; see :func:`list_entries`."""
    return [Path(name) for name in list_entries(data, called)]


def list_entries(data: bytes, called: str = "the list") -> list[str]:
    """Read names of songs, separated by NUL if there is any, or else one a line.

    Names are bytes, as on the disk; a list in UTF-16 or UTF-32, as Windows writes it, is decoded.

    Parameters
    ----------
    data
        Content of the list.
    called
        Its name, for errors.

    Raises
    ------
    UsageError
        It names the current folder or the one above, which no list of songs does on purpose, or
        is something else than a list.
    """
    names = [name for name in _split_list(data) if name.strip()]
    for name in names:
        if name.strip() in (".", ".."):
            raise UsageError(
                f'"{called}": its entry "{name.strip()}" is a folder, not a song',
                hint="List the songs in it, or name it on the command line.",
            )
        if len(name) > LONGEST_PATH:
            raise UsageError(
                f'"{called}": not a list of songs', hint="Write one name a line, in UTF-8."
            )
    return names


def _split_list(data: bytes) -> list[str]:
    """Decode a list and split it into its entries, empty ones among them."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").replace("\0", "\n").splitlines()
    if encoding := _unmarked_utf16(data):
        return data.decode(encoding, errors="replace").splitlines()
    data = data.removeprefix(codecs.BOM_UTF8)
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(name) for name in names]


def _unmarked_utf16(data: bytes) -> str:
    """Name the encoding of a list in UTF-16 without a mark, or nothing.

    In its lines every other byte of what is ASCII is NUL; between names no two NULs are so near.
    """
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = data[first::2].count(0), data[1 - first :: 2].count(0)
        breaks = "\n".encode(encoding) in data
        if breaks and len(data) % 2 == 0 and others == 0 and 3 * zeros > len(data) // 2:
            return encoding
    return ""


def find_songs(inputs: Sequence[Path | str], *, recursive: bool = False) -> list[Song]:
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
    for named in inputs:
        path = Path(named)
        if os.path.isdir(path):  # Path.is_dir raises where a name is too long
            found = list(_songs_in(path, recursive))
            if not found:
                hint = "" if recursive else "Add --recursive to look into its folders."
                raise NoInputError(f'"{path}": no songs in this folder', hint=hint)
        else:
            found = [Song(path, named=address_of(os.fspath(named)))]
        for song in found:
            songs.setdefault(os.path.realpath(song.path), song)
    return list(songs.values())


def address_of(named: str) -> str:
    """Give what a user named if it is an address and no file, or else nothing.

    As a path, it has one slash where it had two.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\]", named)
    if scheme is None or os.path.exists(named):
        return ""
    if "://" in named:
        return named
    slashes = "///" if scheme[1].lower() == "file" else "//"
    return f"{scheme[1]}:{slashes}{named[scheme.end() :]}"


def _songs_in(folder: Path, recursive: bool) -> Iterator[Song]:
    """Walk a folder in the order of names."""

    def refuse(error: OSError) -> None:
        raise PermissionDeniedError(
            f'"{error.filename}": may not be read', hint="Check its permissions."
        ) from error

    there: list[tuple[Path, list[str]]] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        there.append((Path(place), sorted(files)))
    manifests = [top / name for top, files in there for name in files if _is_manifest(name)]
    ours = {path for manifest in manifests for path in _written(manifest)}
    # A stem's manifest may lie above it, in the folder that holds the others too.
    for above in Path(os.path.abspath(folder)).parents:
        with suppress(OSError):
            names = [name for name in os.listdir(above) if _is_manifest(name)]
            ours.update(path for name in names for path in _written(above / name))
    for top, files in there:
        for name in files:
            known = os.path.splitext(name)[1].lower() in EXTENSIONS
            if known and not name.startswith(".") and os.path.realpath(top / name) not in ours:
                yield Song(top / name, top.relative_to(folder))


def _is_manifest(name: str) -> bool:
    """Tell a manifest by its name."""
    return name.startswith(".") and name.endswith(MANIFEST_SUFFIX)


def _written(path: Path) -> Iterator[str]:
    """Yield the files that a manifest lists; nothing if it is damaged."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        for written in (facts, *facts.get("earlier", ())):
            for entry in written["outputs"].values():
                yield os.path.realpath(path.parent / entry["path"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return


def plan(
    songs: Sequence[Song],
    folder: Path,
    stems: Sequence[str],
    extension: str,
    *,
    template: str = DEFAULT_TEMPLATE,
    model: str = "",
    more: Callable[[Song], Mapping[str, str]] = lambda song: {},
) -> list[Job]:
    """Lay out all outputs before any work.

    A song whose files would be another's as well, on some file system or other, gets a job with an
    error, and so does the other. What a song becomes besides, by the extension of a file that is
    called as its first stem is, is what ``more`` tells: a name for each extension.

    Raises
    ------
    UsageError
        The template cannot name files.
    """
    check_template(template, stems)
    name = Path(model).stem
    laid_out: list[list[Path]] = []
    owners: dict[str, set[int]] = {}
    for number, song in enumerate(songs):
        wanted = [(stem, extension) for stem in stems]
        wanted += [(stems[0], other) for other in more(song).values()]
        paths = [name_output(template, song, stem, kind, name) for stem, kind in wanted]
        paths.append(name_manifest(template, song, extension, name))
        laid_out.append([folder / path for path in paths])
        for path in laid_out[-1]:
            owners.setdefault(_as_compared(path), set()).add(number)
    sources = {os.path.realpath(song.path) for song in songs}
    jobs = []
    for number, (song, files) in enumerate(zip(songs, laid_out, strict=True)):
        others = [songs[n] for n in sorted(_rivals(files, owners) - {number})]
        error = _refusal(song, files, others, sources)
        *outputs, manifest = files
        by_stem = dict(zip((*stems, *more(song)), outputs, strict=True))
        jobs.append(Job(song.path, by_stem, manifest, song.named, error))
    return jobs


def _as_compared(path: Path) -> str:
    """Give a path as file systems compare it that do not care about case or composition."""
    return unicodedata.normalize("NFC", os.fspath(path)).casefold()


def _rivals(paths: Sequence[Path], owners: Mapping[str, set[int]]) -> set[int]:
    """List the songs that would write one of these files, or a file where its folder has to be."""
    places = {place for path in paths for place in (path, *path.parents)}
    return {number for place in places for number in owners.get(_as_compared(place), ())}


def _refusal(
    song: Song, paths: Sequence[Path], others: Sequence[Song], sources: Set[str]
) -> KaraokeError | None:
    """Find what is wrong with a song's files before any of them is looked at."""
    if song.named and song.named != "-":
        return address_error(song)
    for path in paths[:-1]:
        if os.path.realpath(path) in sources:
            return OutputExistsError(
                f'"{path}": is one of the songs', hint="Choose another folder with --out."
            )
    if any(map(too_long, paths)):
        return UsageError(
            f'"{song.path}": its files would have names of more than {LONGEST_NAME} bytes',
            hint="Choose another --name.",
        )
    if not others:
        return None
    named = [f'"{other.path}"' for other in others[:MOST_NAMED]]
    if len(others) > MOST_NAMED:
        named.append(f"{len(others) - MOST_NAMED} more")
    listed = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
    return OutputExistsError(
        f'"{song.path}": would write the same files as {listed}', hint=_way_out(song, others)
    )


def address_error(song: Song) -> NoInputError:
    """Say that a song was named by its address."""
    return NoInputError(
        f'"{song.named}": addresses are not read', hint="Save the song to a file first."
    )


def _way_out(song: Song, others: Sequence[Song]) -> str:
    """Say how to keep songs apart."""
    for variable, value in (("{folder}", "folder"), ("{source_ext}", "extension")):
        ours, *theirs = (_as_compared(Path(getattr(each, value))) for each in (song, *others))
        if ours not in theirs:
            return f"Put {variable} into --name to keep them apart."
    return "Rename one, or give it another --out."
