"""Estimate stems of finished songs: ``karaoke workshop estimate CORPUS FOLDER``.

Recordings of the role ``mixture`` have voices but no stems. One or more models separate each, and
their estimates are averaged. The plausible parts become a corpus of their own, whose manifest marks
the stems as estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from karaoke.errors import NoInputError
from karaoke.evaluation.corpora import read_manifest, write_manifest
from karaoke.evaluation.metrics import level_db, sdr, windows
from karaoke.separation.separator import Separator
from karaoke.store.loading import load_model
from karaoke.training.corpus import SAMPLE_RATE, decode
from karaoke.training.mixtures.augment import Audio
from karaoke.training.mixtures.data import to_stereo
from karaoke.training.spectra import as_tensor

#: Length of the windows that are kept or dropped as a whole.
WINDOW_SECONDS = 3.0
#: Shorter stretches are dropped; mixtures for training are not much shorter.
SHORTEST_SECONDS = 6.0
#: Cross-fade between kept stretches.
FADE_SECONDS = 0.05
#: Usual level of the vocals relative to the mixture while somebody sings.
PLAUSIBLE_LEVEL_DB = (-16.0, -0.5)
#: Smallest SDR of the vocals after they are separated again: what a model does not recognise as a
#: voice on its own is not one.
LEAST_RETURNED_DB = 8.0


@dataclass(frozen=True)
class Judgement:
    """How plausible the estimate is in one window.

    Parameters
    ----------
    level_db
        Level of the vocals relative to the mixture.
    returned_db
        Signal-to-distortion ratio of the vocals after they were separated again.
    """

    level_db: float
    returned_db: float

    @property
    def plausible(self) -> bool:
        """Whether the window is worth learning from."""
        low, high = PLAUSIBLE_LEVEL_DB
        return low <= self.level_db <= high and self.returned_db >= LEAST_RETURNED_DB


def estimate_vocals(
    teachers: Sequence[Separator], weights: Sequence[float], mixture: Audio
) -> Audio:
    """Average the teachers' estimates of the vocals of ``(2, N)`` at 44.1 kHz."""
    total = np.zeros_like(mixture)
    for teacher, weight in zip(teachers, weights, strict=True):
        total += np.float32(weight) * teacher.separate(mixture, SAMPLE_RATE)["vocals"]
    return total / np.float32(sum(weights))


def judge(mixture: Audio, vocals: Audio, again: Audio) -> Iterator[tuple[slice, Judgement]]:
    """Judge an estimate ``(2, N)`` window by window, given the estimate from itself."""
    for window in windows(mixture.shape[1], round(WINDOW_SECONDS * SAMPLE_RATE)):
        heard, voice, back = (as_tensor(a[:, window]) for a in (mixture, vocals, again))
        ratio = sdr(back.flatten(), voice.flatten())
        yield window, Judgement(level_db(voice, heard), float(ratio))


def stretches(judged: Sequence[tuple[slice, Judgement]]) -> list[slice]:
    """Join plausible windows, and keep the stretches that are long enough."""
    found: list[slice] = []
    for window, judgement in judged:
        if not judgement.plausible:
            continue
        if found and found[-1].stop == window.start:
            found[-1] = slice(found[-1].start, window.stop)
        else:
            found.append(window)
    return [s for s in found if s.stop - s.start >= SHORTEST_SECONDS * SAMPLE_RATE]


def join(audio: Audio, kept: Sequence[slice]) -> Audio:
    """Join stretches of ``(2, N)`` with cross-fades."""
    fade = round(FADE_SECONDS * SAMPLE_RATE)
    ramp: NDArray[np.float32] = np.linspace(0, 1, fade, dtype=np.float32)
    joined = audio[:, kept[0]].copy()
    for stretch in kept[1:]:
        after = audio[:, stretch].copy()
        after[:, :fade] = after[:, :fade] * ramp + joined[:, -fade:] * (1 - ramp)
        joined = np.concatenate([joined[:, :-fade], after], axis=1)
    return joined


def write_song(
    row: dict[str, str], mixture: Audio, vocals: Audio, kept: Sequence[slice], root: Path
) -> list[dict[str, str]]:
    """Write both stems of the kept parts of a song; return their rows of the manifest."""
    name = Path(row["path"]).stem
    mixture, vocals = join(mixture, kept), join(vocals, kept)
    # Loud songs exceed full scale when decoded; a common gain keeps the sum of the stems.
    gain = 1 / max(1.0, *(float(np.abs(a).max()) for a in (mixture, vocals, mixture - vocals)))
    rows = []
    for stem, audio in (("vocals", vocals), ("accompaniment", mixture - vocals)):
        path = root / "estimated" / name / f"{stem}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, (audio * np.float32(gain)).T, SAMPLE_RATE, subtype="PCM_16")
        rows.append(
            {
                **row,
                "path": path.relative_to(root).as_posix(),
                "role": f"song-{stem}",
                # The stems of a song belong together.
                "group": f"estimated-{name}",
                "seconds": f"{audio.shape[1] / SAMPLE_RATE:.1f}",
                "channels": "2",
                "note": "stems estimated by a model",
                "mark": "estimated",
            }
        )
    return rows


def write_corpus(
    corpus: Path, root: Path, *, models: Sequence[str], weights: Sequence[float]
) -> tuple[float, float]:
    """Write estimated stems of a corpus's finished songs, and their ``manifest.tsv``.

    Parameters
    ----------
    corpus
        A folder with a manifest; its recordings of the role ``mixture`` are separated.
    root
        Folder to write to.
    models
        Names or paths of the teachers.
    weights
        Weights of their estimates in the mean.

    Returns
    -------
    tuple
        Numbers of seconds that were separated and kept.

    Raises
    ------
    NoInputError
        The corpus has no finished songs.
    ModelError
        A model is not here.
    """
    songs = [r for r in read_manifest(corpus) if (r["role"], r["split"]) == ("mixture", "train")]
    if not songs:
        raise NoInputError(
            f'"{corpus}": no mixtures to train on', hint="Give recordings the role mixture."
        )
    teachers = [load_model(model) for model in models]
    rows: list[dict[str, str]] = []
    seconds = 0.0
    for row in songs:
        mixture = np.ascontiguousarray(to_stereo(decode(corpus / row["path"]).T))
        vocals = estimate_vocals(teachers, weights, mixture)
        judged = list(judge(mixture, vocals, estimate_vocals(teachers, weights, vocals)))
        kept = stretches(judged)
        seconds += mixture.shape[1] / SAMPLE_RATE
        if kept:
            rows += write_song(row, mixture, vocals, kept, root)
        print(report_line(row["path"], judged, kept), flush=True)
    root.mkdir(parents=True, exist_ok=True)
    write_manifest(root, rows)
    return seconds, sum(float(row["seconds"]) for row in rows) / 2


def report_line(path: str, judged: Sequence[tuple[slice, Judgement]], kept: Sequence[slice]) -> str:
    """Describe how much of a song is kept, and how good its estimate is."""
    seconds = sum(s.stop - s.start for s in kept) / SAMPLE_RATE
    level_db, returned_db = np.median([(j.level_db, j.returned_db) for _, j in judged], axis=0)
    return (
        f"{path}: {seconds:.0f} of {len(judged) * WINDOW_SECONDS:.0f} s, vocals at "
        f"{level_db:.1f} dB, {returned_db:.1f} dB of them come back"
    )
