"""Pack corpora into slices: ``karaoke workshop pack CORPUS... OUT``.

This is for training on a machine without a network, to which only a limited amount can be sent at
a time. Each slice is a tar file; unpacked into one folder, they form one corpus.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from karaoke.evaluation.corpora import TRAIT_COLUMNS
from karaoke.training.corpus import cache_folder, find_rows
from karaoke.training.traits import traits_path

MEGABYTE = 1_000_000
#: Columns of the packed manifest; others, such as credits, are left out.
COLUMNS = ("path", "role", "group", "split", "licence", *TRAIT_COLUMNS)


def plan_slices(
    files: Sequence[tuple[Path, str]], slice_bytes: int
) -> Iterator[list[tuple[Path, str]]]:
    """Fill slices in order; a file that is larger than a slice gets its own."""
    current: list[tuple[Path, str]] = []
    used = 0
    for source, name in files:
        size = source.stat().st_size + 1024  # a header and padding
        if current and used + size > slice_bytes:
            yield current
            current, used = [], 0
        current.append((source, name))
        used += size
    if current:
        yield current


def pack(
    roots: Sequence[Path], out: Path, *, slice_bytes: int, cache: Path | None = None
) -> list[Path]:
    """Write the slices of corpora, and return their paths.

    Parameters
    ----------
    roots
        Folders in one of the layouts of :func:`karaoke.training.corpus.find_rows`. Each becomes a
        numbered folder, so that names do not clash.
    out
        Folder for ``corpus-00.tar`` and so on. The first also contains the manifest.
    slice_bytes
        Approximate size of a slice.
    cache
        A cache of :func:`karaoke.training.corpus.load_corpus`, whose traits are included so that
        they need not be measured again.

    Raises
    ------
    NoInputError
        A folder is not a corpus.
    """
    out.mkdir(parents=True, exist_ok=True)
    files: list[tuple[Path, str]] = []
    lines = ["\t".join(COLUMNS)]
    for index, root in enumerate(roots):
        for row in find_rows(root):
            name = f"{index}/{row['path']}"
            files.append((root / row["path"], name))
            if cache is not None:
                traits = traits_path(cache_folder(cache, root) / row["path"])
                if traits.is_file():
                    files.append((traits, str(traits_path(Path(name)))))
            lines.append("\t".join([name, *(row.get(column, "") for column in COLUMNS[1:])]))
    manifest = ("\n".join(lines) + "\n").encode()
    paths = []
    for index, part in enumerate(plan_slices(files, slice_bytes - len(manifest) - 2048)):
        path = out / f"corpus-{index:02}.tar"
        with tarfile.open(path, "w") as archive:
            if index == 0:
                entry = tarfile.TarInfo("manifest.tsv")
                entry.size = len(manifest)
                archive.addfile(entry, io.BytesIO(manifest))
            for source, name in part:
                archive.add(source, name, recursive=False)
        paths.append(path)
    return paths
