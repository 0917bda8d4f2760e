"""Summarise figures of many songs: medians, means and differences, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from karaoke.evaluation.comparing import INAUDIBLE_DB, Difference, bootstrap, halves, mean_level
from karaoke.evaluation.methods import Method
from karaoke.evaluation.scoring import METRICS, PER_WINDOW, STEMS, Figure, Figures

LEAK = "leak_db"
#: Mean of the gains of vocals and instrumental, window by window.
BOTH = "both_gain_db"
GAINS = ("vocals_gain_db", "instrumental_gain_db", BOTH)
ALL = "all"


@dataclass(frozen=True)
class Average:
    """Median and mean of a figure over songs.

    Parameters
    ----------
    median, mean
        Over the songs that have the figure; None if there are none.
    songs
        Number of those songs.
    """

    median: Figure
    mean: Figure
    songs: int


def average(results: Sequence[Figures], stem: str, metric: str) -> Average:
    """Return the median and mean of a stem's figure over songs.

    Songs have equal weights, except in the mean of the NSDR, where they are weighted by length, as
    in the GNSDR of MIR-1K (see :class:`karaoke.evaluation.bsseval.Nsdr`).
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


def window_values(result: Figures, name: str) -> list[float]:
    """List one of a song's ``GAINS``, or its leaks, window by window."""
    if name == BOTH:
        pairs = zip(*(result.windows.get(one, []) for one in GAINS[:2]), strict=True)
        return [(vocals + instrumental) / 2 for vocals, instrumental in pairs]
    return result.windows.get(name, [])


def song_average(result: Figures, name: str) -> Average:
    """Return the mean and median over the windows of a song; leaks are averaged by power."""
    values = window_values(result, name)
    if not values:
        return Average(None, None, 0)
    mean = mean_level(values) if name == LEAK else statistics.fmean(values)
    median = statistics.median(values)
    return Average(max(median, INAUDIBLE_DB) if name == LEAK else median, mean, 1)


def over_songs(results: Sequence[Figures], name: str) -> Average:
    """Return the mean of songs' means and the median of their medians.

    So each song counts once, however many windows it has; songs without any are left out.
    """
    found = [song_average(result, name) for result in results]
    means = [one.mean for one in found if one.mean is not None]
    medians = [one.median for one in found if one.median is not None]
    if not means:
        return Average(None, None, 0)
    return Average(statistics.median(medians), statistics.fmean(means), len(means))


def groups_of(results: Sequence[Figures]) -> dict[str, list[Figures]]:
    """Return the figures of all songs that have windows with singing, and of each half of these."""
    sung = [result for result in results if window_count([result])]
    sorted_songs = halves(dict.fromkeys(result.song for result in sung))
    found = {ALL: sung}
    if len(sorted_songs) > 1:
        for half, songs in sorted_songs.items():
            found[half] = [result for result in sung if result.song in songs]
    return found


def octaves(results: Sequence[Figures], name: str) -> list[float]:
    """Return the mean over songs of ``kept`` or ``leaked``, for each octave that any song has."""
    rows: list[list[float]] = [getattr(result, name) for result in results]
    count = max(map(len, rows), default=0)
    return [statistics.fmean(row[i] for row in rows if len(row) > i) for i in range(count)]


def compare(
    results: Sequence[Figures], method: str, reference: str
) -> dict[str, dict[str, Difference]]:
    """Compare two methods on the windows that both were measured in.

    Returns
    -------
    dict
        How far the method is ahead in each of ``GAINS``, for all songs and for each half. Empty if
        either method does not return vocals and instrumental.
    """
    compared = {}
    for group, chosen in groups_of(results).items():
        ours, theirs = (
            {result.song: result for result in chosen if result.method == name}
            for name in (method, reference)
        )
        songs = [
            np.array([window_values(one, n) for n in GAINS]).T
            - np.array([window_values(theirs[song], n) for n in GAINS]).T
            for song, one in ours.items()
            if song in theirs
        ]
        if songs:
            compared[group] = dict(zip(GAINS, bootstrap(songs), strict=True))
    return compared


def window_medians(results: Sequence[Figures]) -> dict[str, Figure]:
    """Return medians over the windows of all songs; None where there are none."""
    medians: dict[str, Figure] = {}
    for name in (*PER_WINDOW, LEAK):
        values = [value for result in results for value in result.windows.get(name, [])]
        medians[name] = statistics.median(values) if values else None
    return medians


def window_count(results: Sequence[Figures]) -> int:
    """Count the windows with singing."""
    return sum(len(result.windows.get(PER_WINDOW[0], [])) for result in results)


def timed(results: Sequence[Figures]) -> set[str]:
    """Return the songs that all methods separated in one run, so that times are comparable."""
    runs: dict[str, set[str]] = {}
    for result in results:
        runs.setdefault(result.song, set()).add(result.run)
    return {song for song, found in runs.items() if len(found) == 1}


def real_time_factor(results: Sequence[Figures], songs: Container[str] | None = None) -> Figure:
    """Return the time that separation took, relative to the songs' durations.

    Parameters
    ----------
    results
        Figures of one method.
    songs
        Songs to count; by default, all.

    Returns
    -------
    float
        Seconds of work per second of song; None without songs.
    """
    counted = [result for result in results if songs is None or result.song in songs]
    seconds = sum(result.seconds for result in counted)
    return sum(result.elapsed_seconds for result in counted) / seconds if seconds else None


def stems_of(results: Sequence[Figures]) -> list[str]:
    """List the stems that were scored."""
    found = {stem for result in results for stem in result.stems}
    return [stem for stem in STEMS if stem in found]


def by_method(results: Sequence[Figures]) -> dict[str, list[Figures]]:
    """Group figures by method."""
    found: dict[str, list[Figures]] = {}
    for result in results:
        found.setdefault(result.method, []).append(result)
    return found


def summarise(results: Sequence[Figures], methods: Sequence[Method]) -> Iterator[dict[str, Any]]:
    """Yield a description of each method, what it costs and how good it is."""
    groups = by_method(results)
    songs = timed(results)
    for method in methods:
        chosen = groups.get(method.name, [])
        yield {
            "method": method.name,
            "parameters": method.parameters,
            "size_bytes": method.size_bytes,
            "peak_memory_bytes": method.peak_memory_bytes,
            "identity": method.identity,
            "real_time_factor": real_time_factor(chosen, songs),
            "stems": {
                stem: {metric: asdict(average(chosen, stem, metric)) for metric in METRICS}
                for stem in stems_of(chosen)
            },
            "windows": {"count": window_count(chosen), **window_medians(chosen)},
            "songs": {
                group: {name: asdict(over_songs(some, name)) for name in (*GAINS, LEAK)}
                for group, some in groups_of(chosen).items()
            },
            "kept": octaves(chosen, "kept"),
            "leaked": octaves(chosen, "leaked"),
            "ahead_of": {
                methods[0].name: {
                    group: {name: asdict(one) for name, one in found.items()}
                    for group, found in compare(results, method.name, methods[0].name).items()
                }
            }
            if method is not methods[0]
            else {},
        }


def to_json(facts: dict[str, Any], results: Sequence[Figures], methods: Sequence[Method]) -> str:
    """Return all figures as JSON: facts, ``summary`` by method, and ``songs``."""
    whole = {
        **facts,
        "summary": list(summarise(results, methods)),
        "songs": [asdict(result) for result in results],
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def to_csv(results: Sequence[Figures]) -> str:
    """Return the figures of stems as CSV, one row per song, method and stem; None is empty."""
    text = io.StringIO()
    columns = ["song", "method", "stem", "seconds", "elapsed_seconds", *METRICS]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for result in results:
        for stem in stems_of([result]):
            row = {name: getattr(result, name) for name in columns[:2] + columns[3:5]}
            writer.writerow({**row, "stem": stem, **result.stems[stem]})
    return text.getvalue()
