"""Credit everyone whose recordings are trained on: ``karaoke workshop credits CORPUS...``.

Prints the Markdown table at the end of a model card.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from karaoke.evaluation.corpora import read_table

#: Columns of a manifest that are needed for credits.
COLUMNS = ("role", "split", "seconds", "licence", "attribution", "source")


def credit_table(roots: Sequence[Path]) -> str:
    """Make a table of what corpora contain for training, with one row per source.

    Parameters
    ----------
    roots
        Folders with a ``manifest.tsv`` that has all of :data:`COLUMNS`.

    Returns
    -------
    str
        A Markdown table.
    """
    sources: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in (row for root in roots for row in read_table(root, COLUMNS)):
        if row["split"] == "train":
            kind = "songs" if row["role"].startswith("song-") else row["role"]
            sources.setdefault((kind, row["source"]), []).append(row)
    lines = ["| used as | source | minutes | by | licence |", "|---|---|---|---|---|"]
    for (kind, source), rows in sorted(sources.items()):
        minutes = sum(float(row["seconds"]) for row in rows) / 60
        by, license = (
            "; ".join(dict.fromkeys(row[column].replace("|", "/") for row in rows))
            for column in ("attribution", "licence")
        )
        lines.append(f"| {kind} | {source} | {minutes:.1f} | {by} | {license} |")
    return "\n".join(lines)
