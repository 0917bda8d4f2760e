"""Separate songs whose true stems are known, as MP3 files, and measure what comes out."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from karaoke import baselines
from karaoke.audio import Block, load_audio, save_audio
from karaoke.errors import NoInputError
from karaoke.metrics import Shares, is_rest, is_singing, sdr, si_sdr_gain, windows
from karaoke.separation import Separator

WINDOW_SECONDS = 10.0
#: Figures in dB that a song has one of for each window with singing.
PER_WINDOW = ("vocals_gain_db", "instrumental_gain_db", "vocals_sdr_db", "instrumental_sdr_db")


@dataclass(frozen=True)
class Song:
    """A song to separate and the truth about it; all ``(C, N)`` float32 at one rate in Hz."""

    name: str
    mixture: Block
    vocals: Block
    instrumental: Block
    sample_rate: int


@dataclass(frozen=True)
class SongFigures:
    """What a method did to one song.

    Parameters
    ----------
    method, song
        Their names.
    vocals_gain_db, instrumental_gain_db
        SI-SDR above that of the mixture, for each window with singing.
    vocals_sdr_db, instrumental_sdr_db
        SDR, for each window with singing.
    leak_db
        Level of the vocals estimate relative to the mixture, for each window without.
    kept, leaked
        Shares of the true vocals and of the music in the vocals estimate, for each octave band of
        ``OCTAVES_HZ``, over all windows with singing.
    null_dbfs
        Peak of ``vocals + instrumental - mixture``.
    """

    method: str
    song: str
    vocals_gain_db: list[float]
    instrumental_gain_db: list[float]
    vocals_sdr_db: list[float]
    instrumental_sdr_db: list[float]
    leak_db: list[float]
    kept: list[float]
    leaked: list[float]
    null_dbfs: float


#: Gives vocals and instrumental of a song.
Method = Callable[[Song], tuple[Block, Block]]


def to_db(ratio: float) -> float:
    """Turn an amplitude ratio into decibels, -200 at the least."""
    return float(20 * np.log10(max(ratio, 1e-10)))


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


def find_songs(folder: Path) -> list[str]:
    """List the folders that hold vocals.

    Raises
    ------
    NoInputError
        There are none.
    """
    songs = sorted({path.parent.name for path in folder.glob("*/vocals.*")})
    if not songs:
        raise NoInputError(f'"{folder}": no song with a vocals stem', hint="See --help.")
    return songs


def load_stems(folder: Path) -> tuple[Block, int]:
    """Read a song's vocals and the sum of its other stems, so that all together peak at 0.9.

    Returns
    -------
    tuple
        float32 ``(2, channels, samples)`` and the sample rate in Hz.

    Raises
    ------
    NoInputError
        Vocals or everything else are missing.
    """
    vocals_path = find_stem(folder, "vocals")
    names = {path.stem for path in folder.glob("*.*")} - {"vocals", "mixture"}
    others = sorted(names & {"accompaniment", "instrumental"})[:1] or sorted(
        names & {"drums", "bass", "other"}
    )
    if not others:
        find_stem(folder, "accompaniment")
    vocals, rate = load_audio(vocals_path)
    parts = [load_audio(find_stem(folder, name))[0] for name in others]
    length = min(part.shape[1] for part in (vocals, *parts))
    accompaniment = np.sum([part[:, :length] for part in parts], axis=0)
    stems = np.stack([vocals[:, :length], accompaniment])
    stems *= 0.9 / np.abs(stems.sum(axis=0)).max()
    return stems, rate


def as_mp3(mixture: Block, sample_rate: int) -> Block:
    """Give a song the sound that it has as an MP3."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mp3"
        save_audio(path, mixture, sample_rate)
        return load_audio(path)[0]


def load_song(folder: Path) -> Song:
    """Read the stems of a song and mix them to an MP3."""
    stems, rate = load_stems(folder)
    mixture = as_mp3(stems.sum(axis=0), rate)[:, : stems.shape[-1]]
    return Song(folder.name, mixture, stems[0], stems[1], rate)


def by_model(separator: Separator) -> Method:
    """Separate with a model."""

    def separate(song: Song) -> tuple[Block, Block]:
        stems = separator.separate(song.mixture, song.sample_rate)
        return stems["vocals"], stems["instrumental"]

    return separate


def by_hand(estimate: Callable[[Song], Block]) -> Method:
    """Separate with a function that gives the vocals; the rest is the instrumental."""

    def separate(song: Song) -> tuple[Block, Block]:
        vocals = estimate(song)
        return vocals, song.mixture - vocals

    return separate


#: What a model is compared with.
BASELINES: dict[str, Method] = {
    "mixture": lambda song: (song.mixture, song.mixture),
    "centre": by_hand(lambda song: baselines.centre(song.mixture, song.sample_rate)),
    "REPET-SIM": by_hand(lambda song: baselines.repet_sim(song.mixture, song.sample_rate)),
    "ideal ratio mask": by_hand(
        lambda song: baselines.ideal_ratio_mask(song.mixture, song.vocals, song.instrumental)
    ),
}


def evaluate(song: Song, method: Method, name: str) -> SongFigures:
    """Separate a song and compare with the truth, window by window."""
    vocals, instrumental = method(song)
    null = np.abs(vocals + instrumental - song.mixture).max()
    figures = SongFigures(name, song.name, [], [], [], [], [], [], [], to_db(float(null)))
    target, other, mixture, estimate, rest = (
        torch.from_numpy(np.ascontiguousarray(a))
        for a in (song.vocals, song.instrumental, song.mixture, vocals, instrumental)
    )
    shares = Shares(song.sample_rate)
    for w in windows(target.shape[1], round(WINDOW_SECONDS * song.sample_rate)):
        if is_singing(target, w):
            values = (
                si_sdr_gain(estimate[:, w], target[:, w], mixture[:, w]),
                si_sdr_gain(rest[:, w], other[:, w], mixture[:, w]),
                flat_sdr(estimate[:, w], target[:, w]),
                flat_sdr(rest[:, w], other[:, w]),
            )
            for field, value in zip(PER_WINDOW, values, strict=True):
                getattr(figures, field).append(value)
            shares.add(estimate[:, w], target[:, w], other[:, w])
        elif is_rest(target, w):
            level = mixture[:, w].square().mean().sqrt()
            leak = estimate[:, w].square().mean().sqrt()
            figures.leak_db.append(to_db(float(leak / level.clamp_min(1e-9))))
    for kept, leaked in shares.results():
        figures.kept.append(kept)
        figures.leaked.append(leaked)
    return figures


def flat_sdr(estimate: Tensor, target: Tensor) -> float:
    """SDR over all channels as one signal, in dB."""
    return float(sdr(estimate.flatten(), target.flatten()))


def evaluate_songs(
    folder: Path, songs: Sequence[str], methods: dict[str, Method]
) -> Iterator[SongFigures]:
    """Evaluate every method on every song, one song in memory at a time."""
    for name in songs:
        song = load_song(folder / name)
        for method, separate in methods.items():
            yield evaluate(song, separate, method)


def summarise(results: Sequence[SongFigures]) -> Iterator[tuple[str, str, int, list[float | None]]]:
    """Give medians per song and method, then over all windows of a method.

    Yields
    ------
    tuple
        Method, song, number of windows with singing, and the medians of ``PER_WINDOW`` and of
        ``leak_db``; None where there is no such window.
    """

    def medians(chosen: Sequence[SongFigures]) -> list[float | None]:
        rows = []
        for field in (*PER_WINDOW, "leak_db"):
            values = [value for result in chosen for value in getattr(result, field)]
            rows.append(statistics.median(values) if values else None)
        return rows

    for result in results:
        yield result.method, result.song, len(result.vocals_gain_db), medians([result])
    for method in dict.fromkeys(result.method for result in results):
        chosen = [result for result in results if result.method == method]
        count = sum(len(result.vocals_gain_db) for result in chosen)
        yield method, "all windows", count, medians(chosen)
