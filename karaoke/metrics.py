"""How good an estimate is, in decibels; every function reduces the last axis of its tensors."""

from __future__ import annotations

from torch import Tensor

#: Keeps silent signals from dividing by zero; 100 dB below a signal of full scale.
EPSILON = 1e-10


def sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Compute the signal-to-distortion ratio of whole signals, as in the MDX challenge.

    ``10 log10(sum target^2 / sum (target - estimate)^2)``; a change of level counts as distortion.

    Parameters
    ----------
    estimate, target
        ``(..., N)``. Flatten the channels of a stereo signal into N to score them as one.

    Returns
    -------
    Tensor
        dB, ``(...)``.

    References
    ----------
    Y. Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing 1, 2022.
    """
    error = (target - estimate).square().sum(-1)
    return 10 * ((target.square().sum(-1) + EPSILON) / (error + EPSILON)).log10()


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio.

    The target is scaled to explain as much of the estimate as it can; no mean is removed.

    Parameters
    ----------
    estimate, target
        ``(..., N)``.

    Returns
    -------
    Tensor
        dB, ``(...)``.

    References
    ----------
    J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019 (arXiv 1811.02508).
    """
    scale = ((estimate * target).sum(-1, keepdim=True) + EPSILON) / (
        target.square().sum(-1, keepdim=True) + EPSILON
    )
    return sdr(estimate, scale * target)
