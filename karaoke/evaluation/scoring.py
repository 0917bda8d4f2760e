"""Compare estimates with the truth: figures of a song, and of its windows with and without voice.

Ratios to a silent stem are undefined: an undefined figure is None, and is left out of medians and
means. No figure is NaN or infinite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from karaoke.audio import Block
from karaoke.evaluation import metrics
from karaoke.evaluation.bsseval import BssEval, Nsdr
from karaoke.evaluation.datasets import PARTS
from karaoke.evaluation.metrics import (
    Shares,
    has_music,
    is_rest,
    is_singing,
    leak_db,
    sdr,
    si_sdr_gain,
    windows,
)
from karaoke.evaluation.songs import Reference
from karaoke.separation.spectral import Stft

WINDOW_SECONDS = 10.0
#: Figures in dB of each window with singing.
PER_WINDOW = ("vocals_gain_db", "instrumental_gain_db", "vocals_sdr_db", "instrumental_sdr_db")
#: In the order of display.
STEMS = ("vocals", "instrumental", *PARTS)
#: Figures of a stem by name, with their headings in tables.
METRICS = {
    "sdr_db": "SDR",
    "isr_db": "ISR",
    "sir_db": "SIR",
    "sar_db": "SAR",
    "song_sdr_db": "song SDR",
    "si_sdr_db": "SI-SDR",
    "si_snr_db": "SI-SNR",
    "nsdr_db": "NSDR",
    "magnitude_mse": "MSE",
    "mask_accuracy": "accuracy",
    "dice": "Dice",
}
#: Masks and magnitudes are compared in spectrograms of this size, of so many samples at a time.
N_FFT, HOP_LENGTH = 2048, 512
PIECE_LENGTH = 1 << 20
#: Magnitude of a full-scale sine in them: half the sum of the window.
FULL_SCALE = N_FFT / 4
#: Bins of the mixture below this, 100 dB below full scale, have no mask: above its band, an MP3 has
#: nothing to separate.
AUDIBLE = 1e-5

Figure = float | None


@dataclass
class Figures:
    """How well a method separated one song.

    Parameters
    ----------
    method, song
        Their names.
    seconds, elapsed_seconds
        Duration of the song, and how long its separation took.
    device
        Where it ran.
    stems
        For each stem that was scored, the figures of ``METRICS``; None where undefined.
    windows
        For each of ``PER_WINDOW``, a figure per window with singing to music, the same windows for
        all methods; for ``leak_db``, the level of the vocals relative to the mixture per audible
        window without singing.
    kept, leaked
        Shares of the true vocals and of the music in the vocals estimate, over all windows with
        singing, for each octave band of ``OCTAVES_HZ`` that the song has.
    null_dbfs
        Peak of ``vocals + instrumental - mixture``.
    run
        The run that timed it: only times from one run are comparable.
    """

    method: str
    song: str
    seconds: float
    elapsed_seconds: float = 0.0
    device: str = ""
    stems: dict[str, dict[str, Figure]] = field(default_factory=dict)
    windows: dict[str, list[float]] = field(default_factory=dict)
    kept: list[float] = field(default_factory=list)
    leaked: list[float] = field(default_factory=list)
    null_dbfs: Figure = None
    run: str = ""


def to_db(ratio: float) -> float:
    """Convert an amplitude ratio to decibels, at least -200."""
    return float(20 * np.log10(max(ratio, 1e-10)))


def defined(value: float | Tensor) -> Figure:
    """Return a figure, or None for NaN or infinity."""
    return float(value) if math.isfinite(value) else None


def tensor(audio: Block) -> Tensor:
    """Convert an array to a tensor."""
    return torch.from_numpy(np.ascontiguousarray(audio))


def pieces(*signals: Tensor) -> Iterator[list[Tensor]]:
    """Yield the spectrograms ``(C, F, T)`` of signals ``(C, N)``, a few seconds at a time."""
    transform = Stft(N_FFT, HOP_LENGTH)
    for start in range(0, signals[0].shape[-1], PIECE_LENGTH):
        yield [transform(signal[:, start : start + PIECE_LENGTH]) for signal in signals]


class Scorer:
    """Compare estimates of one song, by any number of methods, with the truth.

    BSSEval measures vocals and instrumental against each other, whatever else is known, so that
    models of two and of four stems are comparable; drums, bass and other against all four.

    Parameters
    ----------
    song
        The truth.
    """

    def __init__(self, song: Reference) -> None:
        self.song = song
        self.mixture = tensor(song.mixture)
        self.truth = {name: tensor(stem) for name, stem in song.stems.items()}
        self._nsdr: dict[str, Nsdr] = {}
        self._ideals: dict[str, tuple[Tensor, Tensor]] = {}

    @cached_property
    def _pair(self) -> BssEval:
        """The measure of vocals and instrumental."""
        return self._bsseval(("vocals", "instrumental"))

    @cached_property
    def _parts(self) -> BssEval:
        """The measure of vocals, drums, bass and other."""
        return self._bsseval(("vocals", *PARTS))

    def _bsseval(self, names: tuple[str, ...]) -> BssEval:
        """Build the measure of some stems."""
        references = torch.stack([self.truth[name] for name in names])
        return BssEval(references, self.song.sample_rate)

    def score(self, method: str, estimates: dict[str, Block]) -> Figures:
        """Measure how well a method separated the song.

        Parameters
        ----------
        method
            Name of the method.
        estimates
            ``(C, N)`` by name; stems that the data set lacks are ignored.
        """
        known = {name: tensor(estimates[name]) for name in self.truth if name in estimates}
        figures = Figures(method, self.song.name, self.song.seconds)
        frames = self._frames(known)
        for name, estimate in known.items():
            figures.stems[name] = {**frames.get(name, {}), **self._whole(name, estimate)}
        if "vocals" in known and "instrumental" in known:
            self._score_windows(figures, known["vocals"], known["instrumental"])
            null = (known["vocals"] + known["instrumental"] - self.mixture).abs().max()
            figures.null_dbfs = to_db(float(null))
        return figures

    def _frames(self, estimates: dict[str, Tensor]) -> dict[str, dict[str, Figure]]:
        """Return medians of BSSEval over frames, for all stems that it can measure."""
        found: dict[str, dict[str, Figure]] = {}
        pair = ("vocals", "instrumental")
        for names in (pair, ("vocals", *PARTS)):
            if not all(name in estimates for name in names):
                continue
            measure = self._pair if names == pair else self._parts
            frames = measure.frames(torch.stack([estimates[name] for name in names]))
            for name, median in zip(names, frames.nanquantile(0.5, dim=-1), strict=True):
                row = zip(BssEval.names, map(defined, median.tolist()), strict=True)
                found.setdefault(name, dict(row))
        return found

    def _whole(self, name: str, estimate: Tensor) -> dict[str, Figure]:
        """Measure the whole song, with channels as one signal except for the NSDR."""
        target = self.truth[name]
        found: dict[str, Figure] = dict.fromkeys(list(METRICS)[len(BssEval.names) :])
        if not target.any():
            return found
        flat = estimate.flatten(), target.flatten()
        found["song_sdr_db"] = float(metrics.sdr(*flat))
        found["si_sdr_db"] = float(metrics.si_sdr(*flat))
        found["si_snr_db"] = float(metrics.si_snr(*flat))
        if name not in self._nsdr:
            self._nsdr[name] = Nsdr(target, self.mixture)
        found["nsdr_db"] = defined(self._nsdr[name](estimate))
        found.update(self._spectral(name, estimate))
        return found

    def _ideal(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the bins that have a mask, and a stem's ideal mask; computed once for all methods.

        Returns
        -------
        tuple
            bool ``(C, F, T)``, and the mask as a flat row of those bins.
        """
        if name not in self._ideals:
            whole = self.truth["vocals"] + self.truth["instrumental"]
            heard, masks = [], []
            for mixture, truth, rest in pieces(self.mixture, self.truth[name], whole):
                heard.append(mixture.abs() > FULL_SCALE * AUDIBLE)
                masks.append(metrics.binary_mask(truth, rest - truth)[heard[-1]])
            self._ideals[name] = torch.cat(heard, dim=-1), torch.cat(masks)
        return self._ideals[name]

    def _spectral(self, name: str, estimate: Tensor) -> dict[str, Figure]:
        """Measure magnitudes and masks, piece by piece; only the masks are kept."""
        heard, ideal = self._ideal(name)
        masks: list[Tensor] = []
        error, count, frame = 0.0, 0, 0
        for mixture, truth, guess in pieces(self.mixture, self.truth[name], estimate):
            error += float(metrics.magnitude_mse(guess, truth, FULL_SCALE)) * guess.numel()
            count += guess.numel()
            here = heard[..., frame : frame + guess.shape[-1]]
            masks.append(metrics.binary_mask(guess, mixture - guess)[here])
            frame += guess.shape[-1]
        mask = torch.cat(masks)
        return {
            "magnitude_mse": error / count,
            "mask_accuracy": defined(metrics.mask_accuracy(mask, ideal)),
            "dice": defined(metrics.dice(mask, ideal)),
        }

    def _score_windows(self, figures: Figures, estimate: Tensor, rest: Tensor) -> None:
        """Measure window by window: separation where somebody sings, leaks where nobody does."""
        target, other, mixture = self.truth["vocals"], self.truth["instrumental"], self.mixture
        found: dict[str, list[float]] = {name: [] for name in (*PER_WINDOW, "leak_db")}
        shares = Shares(self.song.sample_rate)
        for w in windows(target.shape[1], round(WINDOW_SECONDS * self.song.sample_rate)):
            if is_singing(target, w) and has_music(target[:, w], other[:, w]):
                values = (
                    si_sdr_gain(estimate[:, w], target[:, w], mixture[:, w]),
                    si_sdr_gain(rest[:, w], other[:, w], mixture[:, w]),
                    float(sdr(estimate[:, w].flatten(), target[:, w].flatten())),
                    float(sdr(rest[:, w].flatten(), other[:, w].flatten())),
                )
                for name, value in zip(PER_WINDOW, values, strict=True):
                    found[name].append(value)
                shares.add(estimate[:, w], target[:, w], other[:, w])
            elif is_rest(target, w):
                leak = leak_db(estimate[:, w], mixture[:, w])
                if leak is not None:
                    found["leak_db"].append(leak)
        figures.windows = found
        if found[PER_WINDOW[0]]:
            for kept, leaked in shares.results():
                figures.kept.append(kept)
                figures.leaked.append(leaked)
