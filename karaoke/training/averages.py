"""Averages of a network's weights over the steps of a run, which are what is validated and kept."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Steps that an average needs to forget the first weights, which are not worth remembering.
YOUNG = 20


class Averages:
    """Exponential averages at one or more horizons.

    Parameters
    ----------
    network
        Whose weights, and statistics of norms, are averaged.
    decays
        What a step leaves of each average, in [0, 1): 0.998 remembers 500 steps.

    Attributes
    ----------
    networks
        One a horizon, in the order of ``decays``.
    """

    def __init__(self, network: nn.Module, decays: Sequence[float]) -> None:
        self.decays = tuple(decays)
        self.networks = [copy.deepcopy(network).requires_grad_(False) for _ in self.decays]

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take the weights after a step, counted from 1, into the averages."""
        for average, decay in zip(self.networks, self.decays, strict=True):
            # Early averages follow quickly.
            share = 1 - min(decay, step / (step + YOUNG))
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), share)
            # The statistics of norms belong to the weights that they come from.
            for averaged, now in zip(average.buffers(), network.buffers(), strict=True):
                if averaged.is_floating_point():
                    averaged.lerp_(now, share)
                else:
                    averaged.copy_(now)

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Give all that is needed to go on."""
        return [average.state_dict() for average in self.networks]

    def load_state_dict(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Go on from what :meth:`state_dict` gave; a horizon that is new starts as the first one.

        Raises
        ------
        RuntimeError
            They are averages of another network.
        """
        for index, average in enumerate(self.networks):
            average.load_state_dict(states[index if index < len(states) else 0])
