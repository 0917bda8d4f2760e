"""Tables of what ``karaoke evaluate`` measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from karaoke.evaluation.methods import Method
    from karaoke.evaluation.scoring import Figures

#: Digits after the point; the others are in dB and have two.
DIGITS = {"mask_accuracy": 3, "dice": 3}


def tables(results: Sequence[Figures], methods: Sequence[Method]) -> Iterator[Table]:
    """Yield all of them, the most telling last."""
    from karaoke.evaluation.summary import stems_of

    for stem in stems_of(results):
        yield stem_table(results, stem)
    if any(result.windows for result in results):
        yield window_table(results)
        yield share_table(results)
    yield summary_table(results, methods)


def cell(value: float | None, metric: str = "") -> str:
    """Format a figure."""
    if value is None:
        return "-"
    if metric == "magnitude_mse":
        return f"{value:.1e}"
    return f"{value:.{DIGITS.get(metric, 2)}f}"


def stem_table(results: Sequence[Figures], stem: str) -> Table:
    """Lay out the figures of a stem, song by song, then medians and means."""
    from karaoke.evaluation.scoring import METRICS
    from karaoke.evaluation.summary import average, by_method

    shown = Table("method", "song", *METRICS.values(), title=f"{stem}: dB, MSE, shares")
    for method, chosen in by_method(results).items():
        for result in chosen:
            figures = result.stems.get(stem, {})
            cells = [cell(figures.get(metric), metric) for metric in METRICS]
            shown.add_row(method, result.song, *cells)
        if len(chosen) == 1:
            shown.add_section()
            continue
        averages = {metric: average(chosen, stem, metric) for metric in METRICS}
        for kind in ("median", "mean"):
            cells = [cell(getattr(averages[metric], kind), metric) for metric in METRICS]
            shown.add_row(method, f"[b]{kind}", *cells, end_section=kind == "mean")
    shown.caption = "SDR, ISR, SIR, SAR: BSSEval v4, median over 1 s; mean of NSDR: GNSDR"
    return shown


def window_table(results: Sequence[Figures]) -> Table:
    """Lay out medians over windows of 10 s."""
    from karaoke.evaluation.summary import by_method, window_count, window_medians

    names = ("vocals gain", "instr. gain", "vocals SDR", "instr. SDR", "leak")
    shown = Table("method", "song", "windows", *names, title="windows of 10 s with singing: dB")
    for method, chosen in by_method(results).items():
        for song, group in [*((one.song, [one]) for one in chosen), ("[b]all windows", chosen)]:
            medians = map(cell, window_medians(group).values())
            count = str(window_count(group))
            shown.add_row(method, song, count, *medians, end_section=group is chosen)
    shown.caption = "gain: SI-SDR above the mixture's; leak: vocals' level where nobody sings"
    return shown


def share_table(results: Sequence[Figures]) -> Table:
    """Lay out kept and leaked shares per octave."""
    from karaoke.metrics import OCTAVES_HZ

    bands = [f"{low}+" for low in OCTAVES_HZ[:-1]]
    shown = Table("method", "song", *bands, title="kept / leaked, by octave from ... Hz")
    for result in results:
        pairs = zip(result.kept, result.leaked, strict=True)
        cells = [f"{kept:.2f} / {leaked:.2f}" for kept, leaked in pairs]
        shown.add_row(result.method, result.song, *cells)
    return shown


def summary_table(results: Sequence[Figures], methods: Sequence[Method]) -> Table:
    """Lay out what methods cost beside what they are worth."""
    from karaoke.evaluation.summary import (
        average,
        by_method,
        real_time_factor,
        stems_of,
        window_medians,
    )

    stems = stems_of(results)
    scored = [(stem, metric) for stem in stems for metric in ("sdr_db", "song_sdr_db")]
    columns = [f"{short(stem)} {name}" for stem in stems for name in ("SDR", "song SDR")]
    shown = Table("method", "parameters", "MB", "x real time", *columns, title="medians: dB")
    if windowed := any(result.windows for result in results):
        for name in ("vocals gain", "instr. gain", "leak"):
            shown.add_column(name)
    groups = by_method(results)
    for method in methods:
        chosen = groups[method.name]
        figures = [average(chosen, stem, metric).median for stem, metric in scored]
        if windowed:
            medians = window_medians(chosen)
            names = ("vocals_gain_db", "instrumental_gain_db", "leak_db")
            figures += [medians[name] for name in names]
        shown.add_row(
            method.name,
            "-" if method.parameters is None else f"{method.parameters:,}",
            "-" if method.size_bytes is None else f"{method.size_bytes / 1e6:.1f}",
            f"{real_time_factor(chosen):.3f}",
            *map(cell, figures),
        )
    shown.caption = "x real time: seconds of work per second of song"
    return shown


def short(stem: str) -> str:
    """Give a stem's name for a narrow column."""
    return "instr." if stem == "instrumental" else stem
