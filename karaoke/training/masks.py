"""Ideal masks, and losses and figures that compare masks with them.

All take complex spectrograms: of mixtures ``(B, C, F, T)``, of targets ``(B, S, C, F, T)``; masks
are real, ``(B, S, C, F, T)``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from karaoke.errors import UsageError
from karaoke.evaluation import metrics
from karaoke.separation.networks.masking import MaskingNetwork


def require_masks(network: nn.Module) -> MaskingNetwork:
    """Return a network, or raise UsageError if it has no masks."""
    if not isinstance(network, MaskingNetwork):
        raise UsageError(
            f"{type(network).__name__} has no masks",
            hint="Choose losses of waveforms, and no mask_figures.",
        )
    return network


def ideal_ratio_mask(mixture: Tensor, targets: Tensor) -> Tensor:
    """Compute ``target / (max(target, mixture) + 1e-9)``, of magnitudes; in [0, 1]."""
    magnitudes = targets.abs()
    return magnitudes / (torch.maximum(magnitudes, mixture.abs()[:, None]) + 1e-9)


def ideal_binary_mask(mixture: Tensor, targets: Tensor) -> Tensor:
    """Mark the bins in which a target is louder than everything else together: zeros and ones."""
    return metrics.binary_mask(targets, mixture[:, None] - targets).float()


def magnitude_l1(masks: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error of the masked magnitudes."""
    return functional.l1_loss(masks * mixture.abs()[:, None], targets.abs())


def magnitude_mse(masks: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of the masked magnitudes."""
    return functional.mse_loss(masks * mixture.abs()[:, None], targets.abs())


def ratio_mask_mse(masks: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """Mean squared distance from the ideal ratio mask; all bins count equally, loud or not."""
    return functional.mse_loss(masks, ideal_ratio_mask(mixture, targets))


def binary_mask_bce(masks: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy against the ideal binary mask: each bin is a decision."""
    return functional.binary_cross_entropy(masks, ideal_binary_mask(mixture, targets))


MASK_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    loss.__name__: loss for loss in (magnitude_l1, magnitude_mse, ratio_mask_mse, binary_mask_bce)
}


def mask_accuracy(masks: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """Share of bins in which masks, above 0.5 or not, agree with ideal ones: ``(B, S)``."""
    return metrics.mask_accuracy(*_decisions(masks, mixture, targets))


def mask_dice(masks: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """Dice coefficient of masks above 0.5 and ideal ones: ``(B, S)``; 1 if both are empty."""
    return metrics.dice(*_decisions(masks, mixture, targets)).nan_to_num(1.0)


def _decisions(masks: Tensor, mixture: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bins that masks keep and those that ideal ones keep: bool ``(B, S, N)``."""
    ideal = metrics.binary_mask(targets, mixture[:, None] - targets)
    return (masks > 0.5).flatten(2), ideal.flatten(2)


MASK_FIGURES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "accuracy": mask_accuracy,
    "dice": mask_dice,
}
