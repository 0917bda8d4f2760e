"""Plot figures: how they spread over songs, and one song's spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from karaoke.audio import Block
from karaoke.errors import UsageError
from karaoke.evaluation.methods import Method
from karaoke.evaluation.metrics import si_sdr
from karaoke.evaluation.scoring import HOP_LENGTH, METRICS, N_FFT, STEMS, Figures
from karaoke.evaluation.songs import Reference
from karaoke.evaluation.summary import by_method, stems_of
from karaoke.files import written_whole

try:
    import librosa.display
    from matplotlib.figure import Figure as Picture
    from matplotlib.figure import SubFigure
except ImportError as error:
    raise UsageError(f"--plot: {error}", hint="Run pip install matplotlib.") from error

KINDS = (".png", ".pdf", ".svg")
#: Length of the part of a song whose spectrograms are shown.
EXCERPT_SECONDS = 20.0
COLUMNS = 6
EPSILON = 1e-9


def check_plot(path: Path) -> None:
    """Reject an unknown kind of picture.

    Raises
    ------
    UsageError
        The name does not end in one of ``KINDS``.
    """
    if path.suffix.lower() not in KINDS:
        raise UsageError(f'--plot "{path}"', hint=f"Its name must end in {', '.join(KINDS)}.")


def draw(path: Path, results: Sequence[Figures], method: Method, song: Reference) -> None:
    """Draw box plots of every metric, and the excerpt of a song with the most voice in it.

    Parameters
    ----------
    path
        File to write.
    results
        Figures of all songs.
    method
        The method whose estimate to show.
    song
        The song to show.

    Raises
    ------
    WriteError, PermissionDeniedError
        The file cannot be written.
    """
    stems = stems_of(results)
    rows = -(-len(METRICS) // COLUMNS)
    heights = [2.6 * rows] * len(stems) + [6.0]
    picture = Picture(figsize=(18, sum(heights)), layout="constrained")
    parts = picture.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    *boxes, spectrograms = parts[:, 0]
    for part, stem in zip(boxes, stems, strict=True):
        draw_boxes(part, results, stem)
    draw_spectrograms(spectrograms, method, voiced_excerpt(song))
    with written_whole(path) as part_file:
        picture.savefig(part_file, format=path.suffix[1:].lower(), dpi=100)


def draw_boxes(picture: SubFigure, results: Sequence[Figures], stem: str) -> None:
    """Draw a box per method, with quartiles over songs, for each metric of a stem."""
    picture.suptitle(stem)
    groups = by_method(results)
    axes = picture.subplots(-(-len(METRICS) // COLUMNS), COLUMNS, squeeze=False).flatten()
    for ax, (metric, heading) in zip(axes, METRICS.items(), strict=False):
        values = [
            [v for one in chosen if (v := one.stems.get(stem, {}).get(metric)) is not None]
            for chosen in groups.values()
        ]
        ax.boxplot(values, orientation="horizontal")
        ax.set_yticks(range(1, len(groups) + 1), list(groups), fontsize=7)
        ax.invert_yaxis()
        ax.set_title(f"{heading} (dB)" if metric.endswith("_db") else heading, fontsize=9)
        ax.grid(axis="x", alpha=0.3)
    for ax in axes[len(METRICS) :]:
        ax.set_axis_off()


def voiced_excerpt(song: Reference) -> Reference:
    """Cut out the part of a song with the most vocal energy."""
    length = min(round(EXCERPT_SECONDS * song.sample_rate), song.mixture.shape[1])
    energy = np.square(song.stems["vocals"], dtype=np.float64).sum(axis=0)
    total = np.concatenate([[0.0], np.cumsum(energy)])
    return song.excerpt(int(np.argmax(total[length:] - total[:-length])), length)


def draw_spectrograms(picture: SubFigure, method: Method, song: Reference) -> None:
    """Draw mixture, target, estimate and mask of the first stem that the method returns."""
    estimates = method.separate(song)
    stem = next(name for name in STEMS if name in estimates and name in song.stems)
    target, estimate = song.stems[stem], estimates[stem]
    gain = si_sdr(*(torch.from_numpy(np.ravel(audio)) for audio in (estimate, target)))
    picture.suptitle(f"{song.name}: {stem} by {method.name}, SI-SDR {float(gain):.1f} dB")
    shown = [magnitude(audio) for audio in (song.mixture, target, estimate)]
    loudest = max(float(shown[0].max()), EPSILON)
    axes = picture.subplots(1, 4, sharey=True)
    options: dict[str, Any] = {
        "sr": song.sample_rate,
        "hop_length": HOP_LENGTH,
        "x_axis": "time",
        "y_axis": "log",
    }
    for ax, name, image in zip(axes, ("mixture", "target", "estimate"), shown, strict=False):
        levels = librosa.amplitude_to_db(image, ref=loudest, top_db=80)
        drawn = librosa.display.specshow(levels, ax=ax, vmin=-80, vmax=0, **options)
        ax.set_title(name)
    picture.colorbar(drawn, ax=list(axes[:3]), format="%+.0f dB", shrink=0.8)
    mask = shown[2] / np.maximum(shown[0], EPSILON)
    drawn = librosa.display.specshow(
        mask.clip(0, 1), ax=axes[3], vmin=0, vmax=1, cmap="gray", **options
    )
    axes[3].set_title("mask (estimate / mixture)")
    picture.colorbar(drawn, ax=axes[3], shrink=0.8)


def magnitude(audio: Block) -> NDArray[np.float32]:
    """Return the magnitudes ``(F, T)``, averaged over channels."""
    spectrogram = librosa.stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH)
    mean: NDArray[np.float32] = np.abs(spectrogram).mean(axis=0)
    return mean
