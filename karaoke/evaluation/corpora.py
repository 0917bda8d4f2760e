"""A corpus's ``manifest.tsv``: which recordings there are, and what each is used for."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from karaoke.errors import CorpusError, NoInputError

#: Columns that a manifest must have.
COLUMNS = ("path", "role", "group", "split")
#: Columns that it may have: the recording's highest frequency, whether its voice moves in pitch by
#: itself (both are measured where empty), and whether a model estimated it.
TRAIT_COLUMNS = ("band_hz", "moves_in_pitch", "mark")
#: Columns of corpora that are made from others.
MADE_COLUMNS = (*COLUMNS, "seconds", "channels", "licence", "attribution", "source", "note", "mark")
#: Roles of recordings that are not stems of a song; mixtures are for other programs.
ROLES = ("vocals", "speech", "accompaniment", "mixture")
SONG_ROLE = re.compile(r"song-\S.*")


def read_table(root: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a corpus's ``manifest.tsv``, whatever they hold.

    Raises
    ------
    NoInputError
        There is no manifest.
    CorpusError
        The manifest cannot be read, or lacks a column.
    """
    manifest = root / "manifest.tsv"
    if not manifest.is_file():
        raise NoInputError(f'"{manifest}": no such file', hint="Name a folder with a manifest.")
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
            found, rows = reader.fieldnames or (), list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusError(f'"{manifest}": cannot be read ({error})') from error
    if missing := [column for column in columns if column not in found]:
        raise CorpusError(
            f'"{manifest}": has no column {", ".join(missing)}',
            hint=f"Its first line must name {', '.join(columns)}, separated by tabs.",
        )
    return rows


def read_manifest(root: Path) -> list[dict[str, str]]:
    """Read and check the rows of a corpus's ``manifest.tsv``.

    Raises
    ------
    NoInputError
        There is no manifest.
    CorpusError
        The manifest cannot be read, lacks a column, or has an invalid row.
    """
    rows = read_table(root, COLUMNS)
    for number, row in enumerate(rows, 2):
        check_row(row, f'"{root / "manifest.tsv"}", line {number}')
    return rows


def write_manifest(root: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write the ``manifest.tsv`` of a corpus that is made from others.

    Parameters
    ----------
    root
        Folder of the corpus.
    rows
        Values by column. Missing ones of :data:`MADE_COLUMNS` become empty; others are left out.
    """
    lines = ["\t".join(MADE_COLUMNS)]
    lines += ["\t".join(row.get(column, "") for column in MADE_COLUMNS) for row in rows]
    (root / "manifest.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def is_trained_on(row: Mapping[str, str]) -> bool:
    """Return whether a row's recording is used for training mixtures."""
    return row["split"] == "train" and row["role"] != "mixture"


def check_row(row: dict[str, str], place: str) -> None:
    """Check a row of a manifest; ``place`` names it in errors.

    Raises
    ------
    CorpusError
        A column has an invalid value.
    """
    path = PurePath(row["path"])
    problem = None
    if not row["path"] or path.is_absolute() or ".." in path.parts or "\0" in row["path"]:
        problem = ("path", "a path below the folder of the manifest")
    elif row["role"] not in ROLES and not SONG_ROLE.fullmatch(row["role"]):
        problem = ("role", f"{', '.join(ROLES)}, or song- and the name of a stem")
    elif not row["group"]:
        problem = ("group", "the name of a singer, a band or a song")
    elif row["split"] not in ("train", "validation"):
        problem = ("split", "train or validation")
    elif not is_band(row.get("band_hz", "")):
        problem = ("band_hz", "the highest frequency in Hz that the recording holds, or nothing")
    elif row.get("moves_in_pitch", "") not in ("", "yes", "no"):
        problem = ("moves_in_pitch", "yes, no or nothing")
    elif row.get("mark", "") not in ("", "estimated"):
        problem = ("mark", "estimated, where a model separated it, or nothing")
    if problem is not None:
        column, wanted = problem
        raise CorpusError(f'{place}: {column} is "{row[column]}"', hint=f"Write {wanted}.")


def is_band(text: str) -> bool:
    """Return whether a text is empty or a possible highest frequency of a recording, in Hz."""
    try:
        return not text or 100 <= float(text) <= 1e6
    except ValueError:
        return False
