"""Tables of what ``karaoke evaluate`` measured, no wider than the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from karaoke.evaluation.methods import Method
    from karaoke.evaluation.scoring import Figures

#: Decimals of figures; all others are in dB and have two.
DIGITS = {"mask_accuracy": 3, "dice": 3, "real_time_factor": 3}
#: Width of a column beyond its text: a line, and a space on each side.
MARGIN = 3
#: A table is split rather than leave names less width than this.
SHORT = 12
#: Headings of figures in tables.
GAIN_HEADINGS = {
    "vocals_gain_db": "vocals gain",
    "instrumental_gain_db": "instr. gain",
    "both_gain_db": "both",
    "leak_db": "leak",
}


@dataclass
class Sheet:
    """Figures in rows, before they are laid out.

    Parameters
    ----------
    title, caption
        Text above and below.
    names
        Headings of the columns that say what a row is about.
    columns
        Headings of the figures.
    rows
        Names, figures, and whether to draw a line below.
    """

    title: str
    names: tuple[str, ...]
    columns: Sequence[str]
    caption: str = ""
    rows: list[tuple[tuple[str, ...], Sequence[str], bool]] = field(default_factory=list)

    def add(self, names: tuple[str, ...], cells: Sequence[str], *, last: bool = False) -> None:
        """Add a row, with a line below if it is the last of a group."""
        self.rows.append((names, cells, last))

    def tables(self, width: int) -> Iterator[Table]:
        """Yield as many tables as it takes for none to be too wide.

        Each repeats the names, which wrap if they are long; figures are never cut.
        """
        sizes = [
            max(len(heading), *(len(cells[index]) for _, cells, _ in self.rows), 0) + MARGIN
            for index, heading in enumerate(self.columns)
        ]
        # If all figures fit beside short names, names get the rest of the width; else half of it.
        most = (width - 1 - sum(sizes)) // len(self.names) - MARGIN
        if most < SHORT:
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
            # Not as markup, as a song may be called [b].
            shown.add_row(*map(Text, names), *(cells[i] for i in chosen), end_section=last)
        return shown


def tables(
    results: Sequence[Figures], methods: Sequence[Method], width: int = 80, *, details: bool = False
) -> Iterator[Table]:
    """Yield all tables for a terminal of ``width`` columns, the most telling last.

    Figures of stems and shares per octave are averages over songs; with ``details``, they are also
    given for each song.
    """
    from karaoke.evaluation.summary import by_method, stems_of

    sheets = [stem_sheet(results, stem, details=details) for stem in stems_of(results)]
    windowed = any(result.windows for result in results)
    if windowed:
        groups = by_method(results)
        sheets += share_sheets(groups, details=details)
        sheets += [window_sheet(method, chosen) for method, chosen in groups.items()]
    sheets += [sdr_sheet(results, methods), cost_sheet(results, methods)]
    if windowed:
        sheets += [*compare_sheets(results, methods), gain_sheet(results, methods)]
    for sheet in sheets:
        yield from sheet.tables(width)


def cell(value: float | None, metric: str = "") -> str:
    """Format a figure."""
    if value is None:
        return "-"
    if metric == "magnitude_mse":
        return f"{value:.1e}"
    return f"{value:.{DIGITS.get(metric, 2)}f}"


def pair(mean: float | None, median: float | None) -> str:
    """Format a mean and a median."""
    return "-" if mean is None else f"{mean:.2f} ({cell(median)})"


def stem_sheet(results: Sequence[Figures], stem: str, *, details: bool) -> Sheet:
    """Collect the figures of a stem: for each song if wanted, then medians and means."""
    from karaoke.evaluation.scoring import METRICS
    from karaoke.evaluation.summary import average, by_method

    shown = Sheet(
        f"{stem}: dB, MSE, shares",
        ("method", "song"),
        list(METRICS.values()),
        "SDR, ISR, SIR, SAR: BSSEval v4, median over 1 s windows; mean of NSDR: GNSDR",
    )
    for method, chosen in by_method(results).items():
        for result in chosen if details or len(chosen) == 1 else ():
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


def window_sheet(method: str, results: Sequence[Figures]) -> Sheet:
    """Collect what a method gains and leaks in each song, half by half, then over songs."""
    from karaoke.evaluation.summary import ALL, groups_of, over_songs, window_count

    shown = Sheet(
        f"{method}: dB, mean (median) over 10 s windows",
        ("song",),
        ("n", "vocals gain", "instr. gain", "leak"),
        "n: windows with singing; gain: SI-SDR above the mixture's; leak: level of the vocals where"
        " nobody sings, as mean power; each song counts once",
    )

    def add(name: str, some: Sequence[Figures], *, last: bool = False) -> None:
        averages = [
            over_songs(some, metric) for metric in GAIN_HEADINGS if metric != "both_gain_db"
        ]
        cells = [str(window_count(some)), *(pair(one.mean, one.median) for one in averages)]
        shown.add((name,), cells, last=last)

    groups = groups_of(results)
    for group, some in groups.items():
        if group != ALL or len(groups) == 1:
            for result in some:
                add(result.song.rpartition("/")[2], [result])
        if group != ALL:
            add(f"= to {group}", some, last=True)
    add("= all songs", groups[ALL])
    return shown


def share_sheets(groups: dict[str, list[Figures]], *, details: bool) -> Iterator[Sheet]:
    """Collect kept and leaked shares per octave; songs of a low rate have fewer octaves."""
    from karaoke.evaluation.metrics import OCTAVES_HZ
    from karaoke.evaluation.summary import octaves

    bands = [f"{low}+" for low in OCTAVES_HZ]
    for name, what in (("kept", "voice kept"), ("leaked", "music leaked")):
        shown = Sheet(
            f"share of the {what}, by octave from ... Hz: mean over songs",
            ("method", "song") if details else ("method",),
            bands,
        )
        for method, results in groups.items():
            rows = [((method, "= mean"), octaves(results, name))]
            if details:
                rows[:0] = [((method, one.song), getattr(one, name)) for one in results]
            for names, values in rows:
                cells = [f"{value:.2f}" for value in values]
                cells += ["-"] * (len(bands) - len(cells))
                shown.add(names[: len(shown.names)], cells, last=details and names[1] == "= mean")
        yield shown


def compare_sheets(results: Sequence[Figures], methods: Sequence[Method]) -> Iterator[Sheet]:
    """Collect how far methods are ahead of the first, with intervals."""
    from karaoke.evaluation.summary import ALL, BOTH, compare

    for method in methods[1:]:
        groups = compare(results, method.name, methods[0].name)
        if not groups:
            continue
        shown = Sheet(
            f"{method.name} less {methods[0].name}: dB",
            ("songs", "gain"),
            ("difference", "95 % from", "to", "ahead in"),
            "means over songs; interval: bootstrap over songs and their windows, wider if songs are"
            " few; if it contains 0, the difference may be chance",
        )
        for group, found in groups.items():
            for name, one in found.items():
                songs = f"all {one.songs}" if group == ALL else f"{one.songs} to {group}"
                ends = ["-" if end is None else f"{end:+.2f}" for end in (one.low, one.high)]
                cells = [f"{one.mean:+.2f}", *ends, f"{one.ahead} of {one.songs}"]
                shown.add((songs, GAIN_HEADINGS[name]), cells, last=name == BOTH)
        yield shown


def gain_sheet(results: Sequence[Figures], methods: Sequence[Method]) -> Sheet:
    """Collect what methods gain and leak over all songs, side by side."""
    from karaoke.evaluation.summary import by_method, over_songs

    shown = Sheet(
        "over songs, each counted once: dB, mean of means (median of medians)",
        ("method",),
        list(GAIN_HEADINGS.values()),
    )
    groups = by_method(results)
    for method in methods:
        averages = [over_songs(groups.get(method.name, []), name) for name in GAIN_HEADINGS]
        cells = [pair(one.mean, one.median) for one in averages]
        shown.add((method.name,), cells)
    return shown


def sdr_sheet(results: Sequence[Figures], methods: Sequence[Method]) -> Sheet:
    """Collect the SDR of methods side by side."""
    from karaoke.evaluation.summary import average, by_method, stems_of

    stems = stems_of(results)
    scored = [(stem, metric) for stem in stems for metric in ("sdr_db", "song_sdr_db")]
    columns = [f"{short(stem)} {name}" for stem in stems for name in ("SDR", "song SDR")]
    shown = Sheet("medians over songs: dB", ("method",), columns)
    groups = by_method(results)
    for method in methods:
        chosen = groups.get(method.name, [])
        cells = [cell(average(chosen, stem, metric).median) for stem, metric in scored]
        shown.add((method.name,), cells)
    return shown


def cost_sheet(results: Sequence[Figures], methods: Sequence[Method]) -> Sheet:
    """Collect what methods cost."""
    from karaoke.evaluation.summary import by_method, real_time_factor, timed

    measured = any(method.peak_memory_bytes for method in methods)
    columns = ["parameters", "file MB", "x real time", *(["peak MB"] if measured else [])]
    songs, count = timed(results), len({result.song for result in results})
    caption = "x real time: seconds of work per second of song"
    if len(songs) < count:
        caption += f", of the {len(songs)} of {count} songs that all methods did in one run"
    if measured:
        caption += "; peak: memory of a process that separates one minute"
    shown = Sheet("costs", ("method",), columns, caption)
    groups = by_method(results)
    for method in methods:
        cells = [
            "-" if method.parameters is None else f"{method.parameters:,}",
            megabytes(method.size_bytes, 1),
            cell(real_time_factor(groups.get(method.name, []), songs), "real_time_factor"),
        ]
        shown.add((method.name,), [*cells, *([megabytes(method.peak_memory_bytes, 0)] * measured)])
    return shown


def megabytes(size: int | None, digits: int) -> str:
    """Format a size in bytes."""
    return "-" if size is None else f"{size / 1e6:.{digits}f}"


def short(stem: str) -> str:
    """Return a stem's name for a narrow column."""
    return "instr." if stem == "instrumental" else stem
