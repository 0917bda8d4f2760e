"""Tables of what ``karaoke evaluate`` measured, as wide as the terminal and no wider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from karaoke.evaluation.methods import Method
    from karaoke.evaluation.scoring import Figures

#: Digits after the point; the others are in dB and have two.
DIGITS = {"mask_accuracy": 3, "dice": 3}
#: What a column takes besides its text: a line and a space on each side.
MARGIN = 3


@dataclass
class Sheet:
    """Figures in rows, before they are laid out.

    Parameters
    ----------
    title, caption
        Above and below.
    names
        Headings of the columns that say what a row is about.
    columns
        Headings of the figures.
    rows
        Names, figures, and whether a line is drawn below.
    """

    title: str
    names: tuple[str, ...]
    columns: Sequence[str]
    caption: str = ""
    rows: list[tuple[tuple[str, ...], Sequence[str], bool]] = field(default_factory=list)

    def add(self, names: tuple[str, ...], cells: Sequence[str], *, last: bool = False) -> None:
        """Add a row; after the last one of a group comes a line."""
        self.rows.append((names, cells, last))

    def tables(self, width: int) -> Iterator[Table]:
        """Lay out as many tables beneath each other as it takes for none to be too wide.

        Each repeats the names, which wrap where they are long; a figure is never cut.
        """
        sizes = [
            max(len(heading), *(len(cells[index]) for _, cells, _ in self.rows), 0) + MARGIN
            for index, heading in enumerate(self.columns)
        ]
        # At least half of the width is for figures.
        most = max(8, (width // 2 - 1) // len(self.names) - MARGIN)
        widths = [
            min(most, max(len(text) for text in (heading, *(row[0][index] for row in self.rows))))
            for index, heading in enumerate(self.names)
        ]
        left = width - 1 - sum(size + MARGIN for size in widths)
        chosen: list[int] = []
        for index, size in enumerate(sizes):
            if chosen and sum(sizes[one] for one in chosen) + size > left:
                yield self._table(chosen, widths)
                chosen = []
            chosen.append(index)
        yield self._table(chosen, widths, caption=self.caption)

    def _table(self, chosen: Sequence[int], widths: Sequence[int], caption: str = "") -> Table:
        """Lay out some of the columns."""
        shown = Table(title=self.title, caption=caption or None)
        for heading, width in zip(self.names, widths, strict=True):
            shown.add_column(heading, overflow="fold", width=width)
        for index in chosen:
            shown.add_column(self.columns[index], no_wrap=True, justify="right")
        for names, cells, last in self.rows:
            # Not as markup: a song may be called [b].
            shown.add_row(*map(Text, names), *(cells[i] for i in chosen), end_section=last)
        return shown


def tables(
    results: Sequence[Figures], methods: Sequence[Method], width: int = 80
) -> Iterator[Table]:
    """Yield all of them for a terminal of so many columns, the most telling last."""
    from karaoke.evaluation.summary import stems_of

    sheets = [stem_sheet(results, stem) for stem in stems_of(results)]
    if any(result.windows for result in results):
        sheets += [window_sheet(results), share_sheet(results)]
    for sheet in [*sheets, summary_sheet(results, methods)]:
        yield from sheet.tables(width)


def cell(value: float | None, metric: str = "") -> str:
    """Format a figure."""
    if value is None:
        return "-"
    if metric == "magnitude_mse":
        return f"{value:.1e}"
    return f"{value:.{DIGITS.get(metric, 2)}f}"


def stem_sheet(results: Sequence[Figures], stem: str) -> Sheet:
    """Collect the figures of a stem, song by song, then medians and means."""
    from karaoke.evaluation.scoring import METRICS
    from karaoke.evaluation.summary import average, by_method

    shown = Sheet(
        f"{stem}: dB, MSE, shares",
        ("method", "song"),
        list(METRICS.values()),
        "SDR, ISR, SIR, SAR: BSSEval v4, median over 1 s; mean of NSDR: GNSDR",
    )
    for method, chosen in by_method(results).items():
        for result in chosen:
            figures = result.stems.get(stem, {})
            cells = [cell(figures.get(metric), metric) for metric in METRICS]
            shown.add((method, result.song), cells, last=len(chosen) == 1)
        if len(chosen) == 1:
            continue
        averages = {metric: average(chosen, stem, metric) for metric in METRICS}
        for kind in ("median", "mean"):
            cells = [cell(getattr(averages[metric], kind), metric) for metric in METRICS]
            shown.add((method, f"= {kind}"), cells, last=kind == "mean")
    return shown


def window_sheet(results: Sequence[Figures]) -> Sheet:
    """Collect medians over windows of 10 s."""
    from karaoke.evaluation.summary import by_method, window_count, window_medians

    shown = Sheet(
        "windows of 10 s with singing: dB",
        ("method", "song"),
        ("windows", "vocals gain", "instr. gain", "vocals SDR", "instr. SDR", "leak"),
        "gain: SI-SDR above the mixture's; leak: vocals' level where nobody sings",
    )
    for method, chosen in by_method(results).items():
        for song, group in [*((one.song, [one]) for one in chosen), ("= all windows", chosen)]:
            cells = [str(window_count(group)), *map(cell, window_medians(group).values())]
            shown.add((method, song), cells, last=group is chosen)
    return shown


def share_sheet(results: Sequence[Figures]) -> Sheet:
    """Collect kept and leaked shares per octave, of which songs of a low rate have fewer."""
    from karaoke.metrics import OCTAVES_HZ

    bands = [f"{low}+" for low in OCTAVES_HZ]
    shown = Sheet("kept / leaked, by octave from ... Hz", ("method", "song"), bands)
    for result in results:
        pairs = zip(result.kept, result.leaked, strict=True)
        cells = [f"{kept:.2f} / {leaked:.2f}" for kept, leaked in pairs]
        shown.add((result.method, result.song), cells + ["-"] * (len(bands) - len(cells)))
    return shown


def summary_sheet(results: Sequence[Figures], methods: Sequence[Method]) -> Sheet:
    """Collect what methods cost beside what they are worth."""
    from karaoke.evaluation.summary import (
        average,
        by_method,
        real_time_factor,
        stems_of,
        window_medians,
    )

    stems = stems_of(results)
    scored = [(stem, metric) for stem in stems for metric in ("sdr_db", "song_sdr_db")]
    columns = ["parameters", "MB", "x real time"]
    columns += [f"{short(stem)} {name}" for stem in stems for name in ("SDR", "song SDR")]
    if windowed := any(result.windows for result in results):
        columns += ["vocals gain", "instr. gain", "leak"]
    caption = "x real time: seconds of work per second of song"
    shown = Sheet("medians: dB", ("method",), columns, caption)
    groups = by_method(results)
    for method in methods:
        chosen = groups.get(method.name, [])
        figures = [average(chosen, stem, metric).median for stem, metric in scored]
        if windowed:
            medians = window_medians(chosen)
            names = ("vocals_gain_db", "instrumental_gain_db", "leak_db")
            figures += [medians[name] for name in names]
        costs = [
            "-" if method.parameters is None else f"{method.parameters:,}",
            "-" if method.size_bytes is None else f"{method.size_bytes / 1e6:.1f}",
            f"{real_time_factor(chosen):.3f}",
        ]
        shown.add((method.name,), [*costs, *map(cell, figures)])
    return shown


def short(stem: str) -> str:
    """Give a stem's name for a narrow column."""
    return "instr." if stem == "instrumental" else stem
