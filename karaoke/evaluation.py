"""Separate songs whose true stems are known, as MP3 files, and measure what comes out.

``python -m karaoke.evaluation FOLDER SONG... --model NAME`` reads
``FOLDER/SONG/{vocals,accompaniment}.*`` and prints a table, and JSON with ``--json FILE``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from karaoke.audio import Block, load_audio, save_audio
from karaoke.catalogue import DEFAULT_MODEL
from karaoke.errors import NoInputError
from karaoke.metrics import is_rest, is_singing, si_sdr_gain, windows
from karaoke.separation import Separator, load_model

WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class SongFigures:
    """What separation did to one song.

    Parameters
    ----------
    song
        Its name.
    vocals_gain_db, instrumental_gain_db
        SI-SDR above that of the mixture, for each window with singing.
    leak_db
        Level of the vocals estimate relative to the mixture, for each window without.
    null_dbfs
        Peak of ``vocals + instrumental - mixture``.
    """

    song: str
    vocals_gain_db: list[float]
    instrumental_gain_db: list[float]
    leak_db: list[float]
    null_dbfs: float


def to_db(ratio: float) -> float:
    """Turn an amplitude ratio into decibels, -200 at the least."""
    return 20 * math.log10(max(ratio, 1e-10))


def find_stem(folder: Path, stem: str) -> Path:
    """Find a stem's file, whatever its format.

    Raises
    ------
    NoInputError
        There is none.
    """
    for path in sorted(folder.glob(f"{stem}.*")):
        return path
    raise NoInputError(f'"{folder}": holds no {stem}', hint="Expected SONG/vocals.* and so on.")


def load_stems(folder: Path) -> tuple[Block, int]:
    """Read a song's vocals and accompaniment, scaled so that their sum peaks at 0.9.

    Returns
    -------
    tuple
        float32 ``(2, channels, samples)`` and the sample rate in Hz.
    """
    vocals, rate = load_audio(find_stem(folder, "vocals"))
    accompaniment, _ = load_audio(find_stem(folder, "accompaniment"))
    length = min(vocals.shape[1], accompaniment.shape[1])
    stems = np.stack([vocals[:, :length], accompaniment[:, :length]])
    stems *= 0.9 / np.abs(stems.sum(axis=0)).max()
    return stems, rate


def as_mp3(mixture: Block, sample_rate: int) -> Block:
    """Give a song the sound that it has as an MP3."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mp3"
        save_audio(path, mixture, sample_rate)
        return load_audio(path)[0]


def evaluate_song(folder: Path, separator: Separator) -> SongFigures:
    """Mix the stems of a song to an MP3, separate that, and compare window by window."""
    stems, rate = load_stems(folder)
    length = stems.shape[-1]
    mixture = as_mp3(stems.sum(axis=0), rate)[:, :length]
    estimates = separator.separate(mixture, rate)
    null = np.abs(estimates["vocals"] + estimates["instrumental"] - mixture).max()
    target, other, song, estimate, rest = (
        torch.from_numpy(np.ascontiguousarray(a))
        for a in (*stems, mixture, estimates["vocals"], estimates["instrumental"])
    )
    figures = SongFigures(folder.name, [], [], [], to_db(float(null)))
    for w in windows(length, round(WINDOW_SECONDS * rate)):
        if is_singing(target, w):
            figures.vocals_gain_db.append(si_sdr_gain(estimate[:, w], target[:, w], song[:, w]))
            gain = si_sdr_gain(rest[:, w], other[:, w], song[:, w])
            figures.instrumental_gain_db.append(gain)
        elif is_rest(target, w):
            level = song[:, w].square().mean().sqrt()
            leak = estimate[:, w].square().mean().sqrt()
            figures.leak_db.append(to_db(float(leak / level.clamp_min(1e-9))))
    return figures


def table(results: list[SongFigures]) -> Table:
    """Lay out medians per song and over all windows."""
    columns = ("song", "windows", "vocals gain dB", "instrumental gain dB", "leak dB", "null dBFS")
    shown = Table(*columns)
    everything = SongFigures(
        "all windows",
        [gain for result in results for gain in result.vocals_gain_db],
        [gain for result in results for gain in result.instrumental_gain_db],
        [leak for result in results for leak in result.leak_db],
        max(result.null_dbfs for result in results),
    )
    for result in (*results, everything):
        medians = [
            f"{statistics.median(values):.2f}" if values else "-"
            for values in (result.vocals_gain_db, result.instrumental_gain_db, result.leak_db)
        ]
        count = str(len(result.vocals_gain_db))
        shown.add_row(result.song, count, *medians, f"{result.null_dbfs:.0f}")
    return shown


def main() -> None:
    """Parse the command line, evaluate, print."""
    parser = argparse.ArgumentParser(prog="python -m karaoke.evaluation", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("songs", nargs="+")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--overlap", type=float)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    separator = load_model(arguments.model, overlap=arguments.overlap)
    results = [evaluate_song(arguments.folder / song, separator) for song in arguments.songs]
    Console().print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1))


if __name__ == "__main__":
    main()
