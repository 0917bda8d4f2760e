"""Recordings to train on: folders in several layouts, decoded once to a cache of samples."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from karaoke.errors import (
    CorpusError,
    KaraokeError,
    NoInputError,
    ToolMissingError,
)
from karaoke.evaluation.corpora import is_trained_on, read_manifest
from karaoke.files import sweep
from karaoke.training.traits import (
    ESTIMATED_BAND_HZ,
    FULL_BAND_HZ,
    UNKNOWN,
    Traits,
    caching,
    is_voice,
    measure_to_cache,
    read_traits,
)

SAMPLE_RATE = 44100
#: Extensions of the files that are used where there is no manifest.
EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif")
#: Folders in layouts without a manifest, and the splits that they stand for.
SPLITS = {"train": "train", "test": "validation", "validation": "validation"}


@dataclass(frozen=True)
class Recording:
    """One file of a corpus: a row of its ``manifest.tsv``, its decoded samples and their traits.

    Parameters
    ----------
    path, role, group, split
        As in the row.
    samples
        int16 ``(channels, N)`` at 44.1 kHz.
    traits
        As measured or as stated in the row; unknown unless the recording is trained on.
    estimated
        Whether a model separated it from a mixture.
    """

    path: str
    role: str
    group: str
    split: str
    samples: NDArray[np.int16]
    traits: Traits = UNKNOWN
    estimated: bool = False

    @property
    def known_hz(self) -> float:
        """Frequency in Hz up to which to learn from it.

        Music may lack treble, but voices that do would teach the network that all voices do.
        """
        band_hz = self.traits.band_hz if is_voice(self.role) else FULL_BAND_HZ
        return min(band_hz, ESTIMATED_BAND_HZ) if self.estimated else band_hz

    @property
    def length(self) -> int:
        """Samples per channel at 44.1 kHz."""
        return int(self.samples.shape[1])

    def read(self, start: int, length: int) -> NDArray[np.float32]:
        """Read float32 ``(channels, length)``, starting over at the end of the recording."""
        if start + length <= self.length:
            block = self.samples[:, start : start + length]
        else:
            block = self.samples.take(range(start, start + length), axis=1, mode="wrap")
        return block.astype(np.float32) / 32768.0


def resample(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Resample ``(samples, channels)`` to 44.1 kHz."""
    if sample_rate == SAMPLE_RATE:
        return audio
    resampled: NDArray[np.float32] = soxr.resample(audio, sample_rate, SAMPLE_RATE)
    return resampled


def decode(source: Path) -> NDArray[np.float32]:
    """Decode a recording as ``karaoke split`` does, to ``(samples, channels)`` at 44.1 kHz.

    On a bare training machine, which has no ffmpeg, libsndfile reads what it can.

    Raises
    ------
    CorpusError
        The file cannot be read, or is empty.
    """
    try:
        try:
            from karaoke.audio import load_audio

            blocks, sample_rate = load_audio(source)
            audio = blocks.T
        except (ImportError, ToolMissingError):
            audio, sample_rate = soundfile.read(source, dtype="float32", always_2d=True)
            audio = np.nan_to_num(audio, posinf=0.0, neginf=0.0)
        audio = resample(audio, sample_rate)
    # libsndfile's errors are RuntimeErrors.
    except (KaraokeError, OSError, RuntimeError, ValueError) as error:
        reason = error.message if isinstance(error, KaraokeError) else str(error)
        raise CorpusError(f'"{source}": cannot be read ({reason})') from error
    if not len(audio):
        raise CorpusError(f'"{source}": is empty')
    return audio


def decode_to_cache(source: Path, target: Path) -> str:
    """Decode a file to int16 ``(channels, samples)`` at 44.1 kHz, unless it is in the cache.

    Returns
    -------
    str
        Why the file cannot be decoded; empty if it can.

    Raises
    ------
    KaraokeError
        As for :func:`karaoke.training.traits.caching`.
    """
    try:
        if target.stat().st_mtime >= source.stat().st_mtime:
            np.load(target, mmap_mode="r")
            return ""
    except (OSError, ValueError, EOFError):
        with suppress(OSError):  # which writing will report
            target.unlink(missing_ok=True)  # what is not an array is not worth keeping
    try:
        audio = decode(source)
    except CorpusError as error:
        return error.message
    with caching(target) as part:
        np.save(part, np.round(audio.T.clip(-1, 1) * 32767).astype(np.int16))
    return ""


def prepare(source: Path, target: Path, row: Mapping[str, str]) -> str:
    """Do as :func:`decode_to_cache`, and measure the traits of a recording that is trained on."""
    problem = decode_to_cache(source, target)
    if not problem and is_trained_on(row):
        measure_to_cache(source, target, row["role"])
    return problem


def open_recording(target: Path, row: Mapping[str, str]) -> Recording:
    """Open a recording that :func:`prepare` has decoded."""
    traits = read_traits(target, row["role"]) if is_trained_on(row) else None
    return Recording(
        path=row["path"],
        role=row["role"],
        group=row["group"],
        split=row["split"],
        samples=np.load(target, mmap_mode="r"),
        traits=(traits or UNKNOWN).stated(row),
        estimated=row.get("mark") == "estimated",
    )


def find_rows(root: Path) -> list[dict[str, str]]:
    """List the recordings of a corpus in any of three layouts, as rows of a manifest.

    Either there is a ``manifest.tsv``; or each song is a folder with ``vocals.wav`` and other
    stems, as in MUSDB18-HQ; or the folders ``vocals/``, ``speech/`` and ``accompaniment/`` contain
    any files. The last two may lie in ``train/``, ``validation/`` and ``test/``; otherwise, all
    recordings are trained on.

    Raises
    ------
    NoInputError
        The folder has none of these layouts.
    CorpusError
        As for :func:`read_manifest`.
    """
    if (root / "manifest.tsv").is_file():
        return read_manifest(root)
    rows = []
    for top in [root, *(root / name for name in SPLITS)]:
        split = SPLITS.get(top.name, "train") if top != root else "train"
        for path, role, group in _loose_files(top):
            row = {"path": str(path.relative_to(root)), "role": role, "group": group}
            rows.append({**row, "split": split})
    if not rows:
        raise NoInputError(
            f'"{root}": neither a manifest.tsv nor songs with a vocals stem nor folders '
            "vocals and accompaniment",
            hint="See karaoke train --help for the layouts.",
        )
    return rows


def _loose_files(top: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield path, role and group of each recording in a folder without a manifest."""
    folders = sorted(path for path in top.glob("*") if path.is_dir())
    for folder in folders:
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS)
        if folder.name in ("vocals", "speech", "accompaniment"):
            for path in files:
                # A subfolder is a singer or an album; without one, each file is a group.
                inner = path.parent.relative_to(folder)
                yield path, folder.name, path.stem if inner == Path() else str(inner)
        elif folder.name not in SPLITS and any(path.stem == "vocals" for path in files):
            for path in files:
                if path.stem != "mixture":
                    yield path, f"song-{path.stem}", folder.name


def cache_folder(cache: Path, root: Path) -> Path:
    """Return the part of a cache for one corpus; corpora of the same name do not share one."""
    whole = root.resolve()
    return cache / f"{whole.name}-{zlib.crc32(str(whole).encode()):08x}"


def wanted_rows(
    roots: Sequence[Path], without_licenses: Sequence[str]
) -> list[tuple[Path, dict[str, str]]]:
    """List the rows of corpora, each with its folder, except those of some licenses.

    Raises
    ------
    NoInputError, CorpusError
        As for :func:`load_corpus`.
    """
    kept = [
        (root, row)
        for root in roots
        for row in find_rows(root)
        if not any(word.lower() in row.get("licence", "").lower() for word in without_licenses)
    ]
    if not any(row["split"] == "train" for _, row in kept):
        raise NoInputError("no recording to train on", hint="Check the folders and licenses.")
    for root, row in kept:
        if not (root / row["path"]).is_file():
            raise NoInputError(
                f'"{root / row["path"]}": no such file',
                hint=f'It is a path in "{root / "manifest.tsv"}".',
            )
    return kept


def load_corpus(
    roots: Sequence[Path],
    cache: Path,
    *,
    workers: int = 2,
    without_licenses: Sequence[str] = (),
    warn: Callable[[str], None] = warnings.warn,
) -> list[Recording]:
    """Open all recordings of corpora, and decode those that are not in the cache.

    Parameters
    ----------
    roots
        Folders in one of the layouts of :func:`find_rows`.
    cache
        Folder for the decoded samples, about 10 MB per minute of stereo, and their traits.
    workers
        Number of processes that decode.
    without_licenses
        Leave out recordings whose license contains one of these, ignoring case.
    warn
        Called with the reason for each recording that is left out.

    Raises
    ------
    NoInputError
        A folder is not a corpus, a recording is missing, or all are left out.
    CorpusError
        A manifest is damaged, or no recording to train on can be read.
    WriteError, OutputExistsError, PermissionDeniedError
        As for :func:`karaoke.training.traits.caching`.
    """
    kept = wanted_rows(roots, without_licenses)
    sources = [root / row["path"] for root, row in kept]
    targets = [cache_folder(cache, root) / f"{row['path']}.npy" for root, row in kept]
    for folder in {target.parent for target in targets}:
        sweep(folder)
    with ProcessPoolExecutor(workers) as pool:
        problems = list(pool.map(prepare, sources, targets, [row for _, row in kept]))
    for problem in filter(None, problems):
        warn(f"{problem}; it is left out")
    recordings = [
        open_recording(target, row)
        for (_, row), target, problem in zip(kept, targets, problems, strict=True)
        if not problem
    ]
    if not any(recording.split == "train" for recording in recordings):
        raise CorpusError(
            f"none of {len(problems)} recordings can be used ({next(filter(None, problems))})",
            hint="Train on files that karaoke split takes.",
        )
    return recordings
