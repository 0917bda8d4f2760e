"""Figures of many songs: medians and means, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from karaoke.audio import PartFile, publish_all
from karaoke.evaluation.methods import Method
from karaoke.evaluation.scoring import METRICS, PER_WINDOW, STEMS, Figure, Figures

LEAK = "leak_db"


@dataclass(frozen=True)
class Average:
    """A figure of many songs.

    Parameters
    ----------
    median, mean
        Over the songs that have it; None if none has.
    songs
        How many.
    """

    median: Figure
    mean: Figure
    songs: int


def average(results: Sequence[Figures], stem: str, metric: str) -> Average:
    """Give median and mean of a stem's figure over songs.

    Songs weigh the same, but in the mean of the NSDR, where they weigh as they are long: it is
    then the GNSDR of MIR-1K (see :class:`karaoke.bsseval.Nsdr`).
    """
    pairs = [
        (value, result.seconds if metric == "nsdr_db" else 1.0)
        for result in results
        if (value := result.stems.get(stem, {}).get(metric)) is not None
    ]
    if not pairs:
        return Average(None, None, 0)
    total = sum(weight for _, weight in pairs)
    mean = sum(value * weight for value, weight in pairs) / total
    return Average(statistics.median(value for value, _ in pairs), mean, len(pairs))


def window_medians(results: Sequence[Figures]) -> dict[str, Figure]:
    """Give medians over all windows of songs; None where there is no such window."""
    medians: dict[str, Figure] = {}
    for name in (*PER_WINDOW, LEAK):
        values = [value for result in results for value in result.windows.get(name, [])]
        medians[name] = statistics.median(values) if values else None
    return medians


def window_count(results: Sequence[Figures]) -> int:
    """Count the windows with singing."""
    return sum(len(result.windows.get(PER_WINDOW[0], [])) for result in results)


def real_time_factor(results: Sequence[Figures]) -> float:
    """Give the time that separation took as a share of the songs' durations."""
    seconds = sum(result.seconds for result in results)
    return sum(result.elapsed_seconds for result in results) / max(seconds, 1e-9)


def stems_of(results: Sequence[Figures]) -> list[str]:
    """List the stems that were scored."""
    found = {stem for result in results for stem in result.stems}
    return [stem for stem in STEMS if stem in found]


def by_method(results: Sequence[Figures]) -> dict[str, list[Figures]]:
    """Sort figures by method."""
    found: dict[str, list[Figures]] = {}
    for result in results:
        found.setdefault(result.method, []).append(result)
    return found


def summarise(results: Sequence[Figures], methods: Sequence[Method]) -> Iterator[dict[str, Any]]:
    """Yield for each method what it is, what it costs and how good it is."""
    groups = by_method(results)
    for method in methods:
        chosen = groups.get(method.name, [])
        yield {
            "method": method.name,
            "parameters": method.parameters,
            "size_bytes": method.size_bytes,
            "identity": method.identity,
            "real_time_factor": real_time_factor(chosen),
            "stems": {
                stem: {metric: asdict(average(chosen, stem, metric)) for metric in METRICS}
                for stem in stems_of(chosen)
            },
            "windows": {"count": window_count(chosen), **window_medians(chosen)},
        }


def to_json(facts: dict[str, Any], results: Sequence[Figures], methods: Sequence[Method]) -> str:
    """Give all figures as JSON: facts, ``summary`` by method, and ``songs``."""
    whole = {
        **facts,
        "summary": list(summarise(results, methods)),
        "songs": [asdict(result) for result in results],
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def to_csv(results: Sequence[Figures]) -> str:
    """Give the figures of stems as CSV, a row for each song, method and stem; None is empty."""
    text = io.StringIO()
    columns = ["song", "method", "stem", "seconds", "elapsed_seconds", *METRICS]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for result in results:
        for stem in stems_of([result]):
            row = {name: getattr(result, name) for name in columns[:2] + columns[3:5]}
            writer.writerow({**row, "stem": stem, **result.stems[stem]})
    return text.getvalue()


def publish(path: Path, text: str) -> None:
    """Write a file whole or not at all, replacing what is there.

    Raises
    ------
    WriteError, PermissionDeniedError, OutputExistsError
        It cannot be written.
    """
    with PartFile(path) as part:
        part.path.write_text(text, encoding="utf-8")
        publish_all([part])
