"""BSSEval, the field's standard measure, as ``museval`` computes it, in a quarter of the time.

An estimate is explained by the true stems through filters of 512 taps, found by least squares:
what its own stem explains is target and spatial distortion, what the others add is interference,
and what nothing explains is artifacts.

References
----------
E. Vincent, R. Gribonval and C. Fevotte, "Performance measurement in blind audio source
separation", IEEE Trans. Audio, Speech and Language Processing 14(4), 2006 (the measures).
A. Liutkus, F.-R. Stoter and N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018
(version 4: one set of filters for the whole song).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

#: Taps of the filters whose effect counts as mere distortion.
FILTER_LENGTH = 512
#: Samples of a signal that are transformed at a time; memory does not grow with the song.
BLOCK_LENGTH = 1 << 16
FRAMES_AT_ONCE = 8
#: Loads the diagonal, 90 dB below each channel. Stems that were lossy once have empty bands, where
#: least squares has no solution: ``museval``, which loads by 2e-16, fits filters to rounding errors
#: there, so that its SIR and SAR (not SDR) are off by 10 dB and more. Where there is something in
#: all bands, if only 16-bit noise, the two agree to 0.001 dB.
LOADING = 1e-9
#: Ratios in dB are clipped here, since JSON cannot hold the infinity of perfection.
LIMIT_DB = 200.0


def ratio_db(signal: Tensor, error: Tensor) -> Tensor:
    """Return the ratio of two energies in dB, within the limit; NaN where both are zero."""
    return (10 * (signal / error).log10()).clamp(-LIMIT_DB, LIMIT_DB)


def correlate(one: Tensor, two: Tensor, reach: int = FILTER_LENGTH) -> Tensor:
    """Correlate all pairs of channels of ``(A, N)`` and ``(B, N)``.

    Returns
    -------
    Tensor
        ``(A, B, 2 reach - 1)`` float64: ``sum_n one[n] two[n + k]`` for lags k from
        ``1 - reach`` to ``reach - 1``.
    """
    length = one.shape[-1]
    padded = torch.nn.functional.pad(two, (reach - 1, reach - 1))
    step = BLOCK_LENGTH - 2 * reach
    total: Tensor | float = 0.0
    for start in range(0, length, step):
        first = torch.fft.rfft(one[:, start : start + step].double(), BLOCK_LENGTH)
        second = torch.fft.rfft(
            padded[:, start : start + step + 2 * (reach - 1)].double(), BLOCK_LENGTH
        )
        total = total + first.conj()[:, None] * second  # (A, B, F)
    assert isinstance(total, Tensor)
    correlations: Tensor = torch.fft.irfft(total, BLOCK_LENGTH)[..., : 2 * reach - 1]
    return correlations


class Projection:
    """Least squares onto a set of channels and their delays.

    Parameters
    ----------
    channels
        ``(A, N)``.
    """

    def __init__(self, channels: Tensor) -> None:
        self.channels = channels
        self.count = len(channels)
        taps = torch.arange(FILTER_LENGTH)
        lags = taps[:, None] - taps + FILTER_LENGTH - 1
        gram = correlate(channels, channels)[..., lags]  # (A, A, taps, taps)
        size = self.count * FILTER_LENGTH
        self.gram = gram.transpose(1, 2).reshape(size, size)
        loaded = self.gram.clone()
        diagonal = loaded.diagonal()
        # A silent channel has only zeros there; any number gives it a filter of zeros.
        diagonal.add_(torch.where(diagonal > 0, LOADING * diagonal, 1.0))
        self._factor = torch.linalg.cholesky(loaded)

    def products(self, estimate: Tensor) -> Tensor:
        """Multiply ``(C, N)`` with all delays of the channels: ``(A * taps, C)``."""
        found = correlate(self.channels, estimate)[..., FILTER_LENGTH - 1 :]  # (A, C, taps)
        return found.transpose(1, 2).reshape(-1, len(estimate))

    def filters(self, products: Tensor) -> Tensor:
        """Solve for the filters ``(A * taps, C)``."""
        return torch.cholesky_solve(products, self._factor)


class BssEval:
    """BSSEval v4 of a song: SDR, ISR, SIR and SAR over adjacent frames of a second.

    With the true stem s padded, the projections ``P_own`` onto it and ``P_all`` onto all stems,
    of an estimate e: ``SDR = |s|^2 / |e - s|^2``, ``ISR = |s|^2 / |P_own - s|^2``,
    ``SIR = |P_own|^2 / |P_all - P_own|^2``, ``SAR = |P_all|^2 / |e - P_all|^2``.

    Parameters
    ----------
    references
        True stems ``(J, C, N)``.
    sample_rate
        In Hz.
    """

    names = ("sdr_db", "isr_db", "sir_db", "sar_db")

    def __init__(self, references: Tensor, sample_rate: int) -> None:
        self.references = references
        self.frame_length = min(sample_rate, references.shape[-1])
        self._all = Projection(references.flatten(0, 1))
        self._own = [Projection(reference) for reference in references]

    def frames(self, estimates: Tensor) -> Tensor:
        """Measure estimates of all the stems.

        Parameters
        ----------
        estimates
            ``(J, C, N)``, in the order of the references.

        Returns
        -------
        Tensor
            ``(J, 4, T)`` in dB, in the order of ``names``; NaN in frames where a true stem or an
            estimate is silent. The rest after the last whole frame is not measured.
        """
        found = torch.stack(
            [self._of_stem(stem, estimate) for stem, estimate in enumerate(estimates)]
        )
        sounds = [
            self.references[..., w].any(-1).any(-1) & estimates[..., w].any(-1).any(-1)
            for w in self._windows()
        ]  # (J) each
        silent = ~torch.stack(sounds).all(-1)
        return found.masked_fill(silent, torch.nan)

    def _windows(self) -> Iterator[slice]:
        """Yield the frames."""
        for start in range(0, self.references.shape[-1] - self.frame_length + 1, self.frame_length):
            yield slice(start, start + self.frame_length)

    def _of_stem(self, stem: int, estimate: Tensor) -> Tensor:
        """Measure the estimate ``(C, N)`` of a stem: ``(4, T)``."""
        length = self.frame_length + FILTER_LENGTH - 1
        n_fft = length + -length % 1024  # a power of two times a small number is fast
        spectra = [
            self._filter_spectra(projection, estimate, n_fft)
            for projection in (self._own[stem], self._all)
        ]
        frames = list(self._windows())
        rows = []
        for first in range(0, len(frames), FRAMES_AT_ONCE):
            chosen = frames[first : first + FRAMES_AT_ONCE]
            truth = torch.stack([self.references[..., w] for w in chosen]).double()  # (T, J, C, N)
            transformed = torch.fft.rfft(truth, n_fft)
            own, everything = (
                torch.fft.irfft((source[:, :, None] * spectrum).sum(1), n_fft)[..., :length]
                for source, spectrum in (
                    (transformed[:, stem], spectra[0]),
                    (transformed.flatten(1, 2), spectra[1]),
                )
            )  # (T, C, length)
            padding = (0, FILTER_LENGTH - 1)
            target = torch.nn.functional.pad(truth[:, stem], padding)
            guess = torch.stack([estimate[:, w] for w in chosen]).double()
            guess = torch.nn.functional.pad(guess, padding)
            pairs = (
                (target, guess - target),
                (target, own - target),
                (own, everything - own),
                (everything, guess - everything),
            )
            energies = ([part.square().sum((1, 2)) for part in pair] for pair in pairs)
            rows.append(torch.stack([ratio_db(*pair) for pair in energies]))
        return torch.cat(rows, dim=1)

    @staticmethod
    def _filter_spectra(projection: Projection, estimate: Tensor, n_fft: int) -> Tensor:
        """Return the transformed filters that explain an estimate: ``(A, C, F)``."""
        filters = projection.filters(projection.products(estimate))
        filters = filters.reshape(projection.count, FILTER_LENGTH, -1).transpose(1, 2)
        spectra: Tensor = torch.fft.rfft(filters, n_fft)
        return spectra


class FilteredSdr:
    """SDR of BSSEval v3 for a mono source, over the whole signal.

    With P the projection of an estimate e onto 512 delays of the target:
    ``10 log10(|P|^2 / |e - P|^2)``. Any filtered version of the target counts as the target.

    Parameters
    ----------
    target
        ``(N)``.

    References
    ----------
    ``bss_eval_sources`` of Vincent et al. 2006 and of ``mir_eval``.
    """

    def __init__(self, target: Tensor) -> None:
        self._silent = not target.any()
        self._projection = Projection(target[None])

    def __call__(self, estimate: Tensor) -> Tensor:
        """Measure an estimate ``(N)``, in dB; NaN if it or the target is silent."""
        if self._silent:
            return torch.tensor(torch.nan, dtype=torch.float64)
        products = self._projection.products(estimate[None])
        filters = self._projection.filters(products)
        explained = (filters * (self._projection.gram @ filters)).sum()
        crossed = (filters * products).sum()
        error = estimate.double().square().sum() - 2 * crossed + explained
        return ratio_db(explained, error.clamp_min(0))


class Nsdr:
    """Normalised SDR: how far an estimate is above the mixture itself.

    ``FilteredSdr(target)(estimate) - FilteredSdr(target)(mixture)``, the mean over channels in
    which none of the three is silent. The mean over songs, weighted by their lengths, is MIR-1K's
    global NSDR (GNSDR).

    Parameters
    ----------
    target, mixture
        ``(C, N)``.

    References
    ----------
    C.-L. Hsu and J.-S. R. Jang, "On the improvement of singing voice separation for monaural
    recordings using the MIR-1K dataset", IEEE Trans. Audio, Speech and Language Processing 18(2),
    2010.
    """

    def __init__(self, target: Tensor, mixture: Tensor) -> None:
        self._measures = [FilteredSdr(channel) for channel in target]
        self._of_mixture = self._channels(mixture)

    def _channels(self, signal: Tensor) -> Tensor:
        """Measure all channels: ``(C)``."""
        pairs = zip(self._measures, signal, strict=True)
        return torch.stack([measure(channel) for measure, channel in pairs])

    def __call__(self, estimate: Tensor) -> float:
        """Measure an estimate ``(C, N)``, in dB; NaN if no channel is left."""
        return float((self._channels(estimate) - self._of_mixture).nanmean())
