"""Plan what to split and where it goes: find songs and name outputs before any work."""

from __future__ import annotations

import codecs
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

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

#: Files with moving pictures, by their names.
FILMS = frozenset(
    """
    .3g2 .3gp .asf .avi .divx .f4v .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogm .ogv
    .rm .rmvb .ts .vob .webm .wmv .wtv
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
#: Files taken from a folder; a file named by itself may have any extension, or none.
EXTENSIONS = FILMS | frozenset(
    """
    .8svx .aac .ac3 .aif .aifc .aiff .amr .ape .au .bwf .caf .dsf .dts .eac3 .flac .m4a .m4b .mka
    .mp2 .mp3 .mpc .oga .ogg .opus .qoa .ra .rf64 .snd .spx .tak .tta .voc .w64 .wav .wave .wma .wv
    """.split()  # noqa: SIM905 (a table, not a sentence)
)
#: First bytes of lists in UTF-16 and UTF-32; the latter first, since its mark begins like UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: In bytes; no system allows longer paths, and lines of a file that is not a list are longer.
LONGEST_PATH = 4096
#: Most names listed in one sentence.
MOST_NAMED = 3


@dataclass(frozen=True)
class Job:
    """A song, its output files and their manifest.

    Parameters
    ----------
    source
        The song's file.
    outputs
        Output files by stem.
    manifest
        Manifest, beside the outputs.
    named
        What the user called the song if that is not the path of ``source``.
    error
        Why it cannot be done, if the names alone show that.
    """

    source: Path
    outputs: dict[str, Path]
    manifest: Path
    named: str = ""
    error: KaraokeError | None = None

    def from_anywhere(self) -> Job:
        """Return the same job for a process whose current folder is another."""
        outputs = {name: path.absolute() for name, path in self.outputs.items()}
        source, manifest = self.source.absolute(), self.manifest.absolute()
        return replace(self, source=source, outputs=outputs, manifest=manifest)

    @property
    def label(self) -> str:
        """What to call the song in reports."""
        return self.named or printable(self.source)


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as valid Unicode; bytes that are not UTF-8 become replacement characters."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def list_entries(data: bytes, called: str = "the list") -> list[str]:
    """Read a list of songs, separated by NUL if there is any, or else one per line.

    Names are bytes, as on the disk; lists in UTF-16 or UTF-32, as written by Windows, are decoded.

    Parameters
    ----------
    data
        Content of the list.
    called
        Name of the list, for errors.

    Raises
    ------
    UsageError
        It names the current folder or its parent, which no list of songs does on purpose, or it
        is not a list.
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
                f'"{called}": not a list of songs', hint="Write one name per line, in UTF-8."
            )
    return names


def _split_list(data: bytes) -> list[str]:
    """Decode a list and split it into its entries, including empty ones."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").replace("\0", "\n").splitlines()
    if encoding := _unmarked_utf16(data):
        return data.decode(encoding, errors="replace").splitlines()
    data = data.removeprefix(codecs.BOM_UTF8)
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(name) for name in names]


def _unmarked_utf16(data: bytes) -> str:
    """Return the encoding of a UTF-16 list without a byte order mark; empty for other lists.

    There, every other byte of ASCII text is NUL; NULs that separate names are never so close.
    """
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = data[first::2].count(0), data[1 - first :: 2].count(0)
        breaks = "\n".encode(encoding) in data
        if breaks and len(data) % 2 == 0 and others == 0 and 3 * zeros > len(data) // 2:
            return encoding
    return ""


def find_songs(inputs: Sequence[Path | str], *, recursive: bool = False) -> list[Song]:
    """List the songs among files and folders, in the order given.

    Folders contribute files with a sound or video extension, sorted by name, except hidden files
    and files written by karaoke. A song that is named twice is taken once.

    Parameters
    ----------
    inputs
        Files and folders. Files are not opened yet.
    recursive
        Whether to search subfolders too.

    Raises
    ------
    NoInputError, PermissionDeniedError
        A folder contains no songs, or may not be read.
    """
    songs: dict[str, Song] = {}
    for named in inputs:
        path = Path(named)
        if os.path.isdir(path):  # Path.is_dir raises if a name is too long
            found = list(_songs_in(path, recursive))
            if not found:
                hint = "" if recursive else "Add --recursive to search its subfolders."
                raise NoInputError(f'"{path}": no songs in this folder', hint=hint)
        else:
            found = [Song(path, named=address_of(os.fspath(named)))]
        for song in found:
            songs.setdefault(os.path.realpath(song.path), song)
    return list(songs.values())


def address_of(named: str) -> str:
    """Return what a user named if it is a URL and not a file, else an empty string.

    As a path, a URL has lost one of its two slashes.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\]", named)
    if scheme is None or os.path.exists(named):
        return ""
    if "://" in named:
        return named
    slashes = "///" if scheme[1].lower() == "file" else "//"
    return f"{scheme[1]}:{slashes}{named[scheme.end() :]}"


def _songs_in(folder: Path, recursive: bool) -> Iterator[Song]:
    """Walk a folder, sorted by name."""

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
    # A stem's manifest may be in a parent folder that contains the other stems too.
    for above in Path(os.path.abspath(folder)).parents:
        with suppress(OSError):
            names = [name for name in os.listdir(above) if _is_manifest(name)]
            ours.update(path for name in names for path in _written(above / name))
    for top, files in there:
        for name in files:
            known = os.path.splitext(name)[1].lower() in EXTENSIONS
            if known and not name.startswith(".") and os.path.realpath(top / name) not in ours:
                yield Song(top / name, top.relative_to(folder), from_folder=True)


def _is_manifest(name: str) -> bool:
    """Return whether a file name is that of a manifest."""
    return name.startswith(".") and name.endswith(MANIFEST_SUFFIX)


def _written(path: Path) -> Iterator[str]:
    """Yield the files that a manifest lists; none if it is damaged."""
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
    more: Callable[[Song], Mapping[str, str | PurePath]] = lambda song: {},
    elsewhere: Sequence[Song] = (),
) -> list[Job]:
    """Plan all outputs before any work.

    Songs that would write the same files, on whatever file system, each get a job with an error.
    ``more`` returns what a song becomes besides: by its name, the extension of a file that is
    otherwise called as that of the first stem, or a path beside that. Songs that other machines
    work on, ``elsewhere``, get no job, but must not write the same files either.

    Raises
    ------
    UsageError
        The template cannot name files.
    """
    template = template.replace("{track}", "{title}")  # its former name
    check_template(template, stems)
    name = Path(model).stem
    laid_out: list[tuple[dict[str, Path], Path]] = []
    owners: dict[str, list[int]] = {}
    everything = [*songs, *elsewhere]
    for number, song in enumerate(everything):
        paths = {stem: name_output(template, song, stem, extension, name) for stem in stems}
        beside = paths[stems[0]].parent
        for output, other in more(song).items():
            if isinstance(other, str):
                paths[output] = name_output(template, song, stems[0], other, name)
            else:
                paths[output] = beside / other
        outputs = {output: folder / path for output, path in paths.items()}
        manifest = folder / name_manifest(template, song, extension, name)
        if number < len(songs):
            laid_out.append((outputs, manifest))
        for path in (*outputs.values(), manifest):
            owners.setdefault(_as_compared(path), []).append(number)
    sources = {os.path.realpath(song.path) for song in everything}
    jobs = []
    for number, song in enumerate(songs):
        outputs, manifest = laid_out[number]
        files = [*outputs.values(), manifest]
        others = [everything[n] for n in sorted(_rivals(files, owners) - {number})]
        error = _refusal(song, files, others, sources)
        jobs.append(Job(song.path, outputs, manifest, song.named, error))
    return jobs


def _as_compared(path: Path) -> str:
    """Return a path as compared by file systems that ignore case and Unicode composition."""
    return unicodedata.normalize("NFC", os.fspath(path)).casefold()


def _rivals(paths: Sequence[Path], owners: Mapping[str, Sequence[int]]) -> set[int]:
    """List the songs that would write one of these files, or a file in place of a parent folder."""
    places = {place for path in paths for place in (path, *path.parents)}
    return {number for place in places for number in owners.get(_as_compared(place), ())}


def _refusal(
    song: Song, paths: Sequence[Path], others: Sequence[Song], sources: Set[str]
) -> KaraokeError | None:
    """Find what is wrong with a song's files from their names alone."""
    if song.named and song.named != "-":
        return address_error(song)
    for path in paths[:-1]:
        if os.path.realpath(path) in sources:
            return OutputExistsError(
                f'"{path}": is one of the songs', hint="Choose another folder with --out."
            )
    if len(set(map(_as_compared, paths))) < len(paths):
        return UsageError(
            f'"{song.path}": several of its files would have one name',
            hint="Put {ext} into --name.",
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
    """Make the error for a song that was named by its URL."""
    return NoInputError(
        f'"{song.named}": URLs are not supported', hint="Save the song to a file first."
    )


def _way_out(song: Song, others: Sequence[Song]) -> str:
    """Suggest how to keep songs apart."""
    for variable, value in (("{folder}", "folder"), ("{source_ext}", "extension")):
        ours, *theirs = (_as_compared(Path(getattr(each, value))) for each in (song, *others))
        if ours not in theirs:
            return f"Put {variable} into --name to keep them apart."
    return "Rename one, or give it another --out."
