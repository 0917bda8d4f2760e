"""Data sets of songs with true stems, recognised by their folder layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from karaoke.errors import NoInputError, UsageError
from karaoke.evaluation.corpora import read_manifest

#: Stems that the instrumental is the sum of, where it has no file of its own.
PARTS = ("drums", "bass", "other")
WHOLE = ("accompaniment", "instrumental")
#: Audio streams of a MUSDB18 file, from 1.
STREAMS = ("mixture", "drums", "bass", "other", "vocals")
SUBSETS = ("train", "test", "validation", "all")
#: Subsets to measure by default: the first of these that a data set has.
HELD_OUT = ("test", "validation")


@dataclass(frozen=True)
class Source:
    """Where a signal is: a file, its audio stream from 1, and the channel, if only one."""

    path: Path
    stream: int = 1
    channel: int | None = None


@dataclass(frozen=True)
class Piece:
    """A song of a data set, before it is read.

    Parameters
    ----------
    name
        Unique in the data set; prefixed with the subset, if there is one.
    stems
        By name; ``instrumental`` only if it has a file of its own.
    mixture
        None to sum up the stems.
    made
        Whether the mixture is made here, since the data set lacks one.
    problem
        Why the song cannot be measured, if that is known already.
    """

    name: str
    stems: dict[str, Source]
    mixture: Source | None = None
    made: bool = False
    problem: str = ""

    @property
    def subset(self) -> str:
        """``train``, ``test``, ``validation``, or nothing."""
        return self.name.rpartition("/")[0]

    def check(self) -> None:
        """Reject a piece that has a problem.

        Raises
        ------
        NoInputError
            The piece has a problem.
        """
        if self.problem:
            raise NoInputError(
                self.problem,
                hint="Expected accompaniment.*, or drums.*, bass.* and other.*, beside vocals.*.",
            )

    def fingerprint(self) -> str:
        """Identify the files by their names and sizes, without reading them.

        Raises
        ------
        NoInputError
            A file is missing, or the piece has a problem.
        """
        self.check()
        sources = [*self.stems.values(), *([self.mixture] if self.mixture else [])]
        paths = sorted({source.path for source in sources})
        try:
            facts = [(path.name, path.stat().st_size) for path in paths]
        except OSError as error:
            raise NoInputError(
                f'"{error.filename}": no such file', hint="Is the data set complete?"
            ) from error
        return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Layout:
    """A folder layout of data sets.

    Parameters
    ----------
    name
        Of the data set.
    pattern
        Files to recognise it by, for people to read.
    where
        Where to get it.
    find
        Lists the pieces in a folder; none if the layout is another.
    """

    name: str
    pattern: str
    where: str
    find: Callable[[Path], list[Piece]]


def find_musdb18(root: Path) -> list[Piece]:
    """List files with one audio stream for the mixture and one for each stem."""
    return [
        Piece(
            f"{subset}/{path.name.removesuffix('.stem.mp4')}",
            {stem: Source(path, stream) for stream, stem in enumerate(STREAMS, 1) if stream > 1},
            Source(path),
        )
        for subset in ("train", "test")
        for path in sorted((root / subset).glob("*.stem.mp4"))
    ]


def find_dsd100(root: Path) -> list[Piece]:
    """List mixtures whose stems are in another folder."""
    return [
        Piece(
            f"{subset}/{mixture.parent.name}",
            {
                stem: Source(root / "Sources" / folder / mixture.parent.name / f"{stem}.wav")
                for stem in ("vocals", *PARTS)
            },
            Source(mixture),
        )
        for subset, folder in (("train", "Dev"), ("test", "Test"))
        for mixture in sorted((root / "Mixtures" / folder).glob("*/mixture.wav"))
    ]


def find_mir1k(root: Path) -> list[Piece]:
    """List files with the music on the left and the voice on the right; the mixture is the sum."""
    return [
        Piece(
            path.stem, {"vocals": Source(path, channel=1), "instrumental": Source(path, channel=0)}
        )
        for path in sorted((root / "Wavfile").glob("*.wav"))
    ]


def find_musdb18_hq(root: Path) -> list[Piece]:
    """List folders of stems, within subsets."""
    return [
        song_folder(path.parent, f"{subset}/{path.parent.name}")
        for subset in ("train", "test")
        for path in sorted((root / subset).glob("*/vocals.*"))
    ]


def find_corpus(root: Path) -> list[Piece]:
    """List the songs with vocals in the manifest of a training corpus.

    Raises
    ------
    CorpusError
        The manifest cannot be read.
    """
    if not (root / "manifest.tsv").is_file():
        return []
    songs: dict[str, dict[str, list[Path]]] = {}
    for row in read_manifest(root):
        kind, _, stem = row["role"].partition("-")
        if kind == "song":
            parts = songs.setdefault(f"{row['split']}/{row['group']}", {})
            parts.setdefault("instrumental" if stem in WHOLE else stem, []).append(
                root / row["path"]
            )
    return [manifest_song(name, songs[name]) for name in songs if "vocals" in songs[name]]


def manifest_song(name: str, parts: dict[str, list[Path]]) -> Piece:
    """List the stems of a song in a manifest; unless each is one file, it has a problem."""
    known = {stem: parts[stem] for stem in ("vocals", "instrumental", *PARTS) if stem in parts}
    stems = {stem: Source(paths[0]) for stem, paths in known.items()}
    problem = ""
    if len(stems) == 1:
        problem = f'"{name}": the manifest has no accompaniment for it'
    elif others := sorted(parts.keys() - known.keys()):
        problem = f'"{name}": the manifest has unknown stems for it, {", ".join(others)}'
    elif any(len(paths) > 1 for paths in known.values()):
        problem = f'"{name}": the manifest has several files for one of its stems'
    return Piece(name, stems, made=True, problem=problem)


def find_folders(root: Path) -> list[Piece]:
    """List folders of stems."""
    return [song_folder(path.parent, path.parent.name) for path in sorted(root.glob("*/vocals.*"))]


def song_folder(folder: Path, name: str) -> Piece:
    """List the stems in a folder, in any format; without accompaniment it has a problem."""
    found = {path.stem: Source(path) for path in sorted(folder.glob("*.*"), reverse=True)}
    stems = {stem: found[stem] for stem in ("vocals", *PARTS) if stem in found}
    for stem in WHOLE:
        if stem in found:
            stems["instrumental"] = found[stem]
    problem = f'"{folder}": holds no accompaniment' if len(stems) == 1 else ""
    return Piece(name, stems, found.get("mixture"), "mixture" not in found, problem)


LAYOUTS = (
    Layout("MUSDB18", "train|test/*.stem.mp4", "https://zenodo.org/records/1117372", find_musdb18),
    Layout(
        "DSD100",
        "Mixtures|Sources/Dev|Test/SONG/*.wav",
        "https://sigsep.github.io/datasets/dsd100.html",
        find_dsd100,
    ),
    Layout("MIR-1K", "Wavfile/*.wav", "https://zenodo.org/records/3532216", find_mir1k),
    Layout(
        "MUSDB18-HQ",
        "train|test/SONG/*.wav",
        "https://zenodo.org/records/3338373",
        find_musdb18_hq,
    ),
    Layout(
        "corpus",
        "manifest.tsv",
        "as for karaoke train; by default, the songs that it does not train on",
        find_corpus,
    ),
    Layout(
        "songs",
        "SONG/{mixture,vocals,accompaniment|drums,bass,other}.*",
        "any songs whose stems you have; mixture.* may be missing",
        find_folders,
    ),
)


def find_pieces(
    root: Path, songs: Sequence[str] = (), subset: str | None = None
) -> tuple[str, list[Piece]]:
    """Find the songs of a data set of any known layout.

    Parameters
    ----------
    root
        Folder of the data set.
    songs
        Names of the songs to find, with or without their subset; empty for all.
    subset
        ``train``, ``test``, ``validation`` or ``all``; by default, ``test`` or else ``validation``
        if the data set has it and no song is named.

    Returns
    -------
    tuple
        Name of the layout, and the pieces.

    Raises
    ------
    NoInputError
        There is no such folder, data set, subset or song.
    CorpusError
        The manifest of a corpus cannot be read.
    UsageError
        There is no such kind of subset.
    """
    if subset not in (None, *SUBSETS):
        raise UsageError(f"--subset {subset}", hint=f"Choose {', '.join(SUBSETS)}.")
    known = "; ".join(f"{one.name}: {one.pattern} ({one.where})" for one in LAYOUTS)
    if not root.is_dir():
        raise NoInputError(f'"{root}": no such folder', hint=f"Known data sets: {known}.")
    for layout in LAYOUTS:
        pieces = layout.find(root)
        if pieces:
            return layout.name, choose(root, pieces, songs, subset)
    raise NoInputError(f'"{root}": not a known data set', hint=f"Known: {known}.")


def choose(
    root: Path, pieces: list[Piece], songs: Sequence[str], subset: str | None
) -> list[Piece]:
    """Choose pieces by subset and name, in the order of the names."""
    subsets = {piece.subset for piece in pieces}
    if subset is None:
        held_out = [name for name in HELD_OUT if name in subsets]
        subset = held_out[0] if held_out and not songs else "all"
    if subset != "all":
        pieces = [piece for piece in pieces if piece.subset == subset]
        if not pieces:
            raise NoInputError(f'"{root}": has no subset {subset}', hint="Try --subset all.")
    if not songs:
        return pieces
    found = []
    for song in songs:
        matching = [piece for piece in pieces if song in (piece.name, piece.name.split("/")[-1])]
        if not matching:
            some = ", ".join(piece.name for piece in pieces[:3])
            raise NoInputError(
                f'"{root}": has no song "{song}" with vocals', hint=f"It has {some}, ..."
            )
        found += matching
    return list({piece.name: piece for piece in found}.values())
