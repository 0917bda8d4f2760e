"""Averages of a network's weights over steps; these are validated and shipped."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Number of steps after which an average has forgotten the initial weights.
YOUNG = 20


class Averages:
    """Exponential averages over one or more horizons.

    Parameters
    ----------
    network
        The network whose weights and norm statistics are averaged.
    decays
        Share of each average that remains after a step, in [0, 1): 0.998 remembers 500 steps.

    Attributes
    ----------
    networks
        One per horizon, in the order of ``decays``.
    """

    def __init__(self, network: nn.Module, decays: Sequence[float]) -> None:
        self.decays = tuple(decays)
        self.networks = [copy.deepcopy(network).requires_grad_(False) for _ in self.decays]

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Add the weights after a step, counted from 1, to the averages."""
        for average, decay in zip(self.networks, self.decays, strict=True):
            # Early on, averages follow quickly.
            share = 1 - min(decay, step / (step + YOUNG))
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), share)
            # The statistics of norms belong to these weights.
            for averaged, now in zip(average.buffers(), network.buffers(), strict=True):
                if averaged.is_floating_point():
                    averaged.lerp_(now, share)
                else:
                    averaged.copy_(now)

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Return the state of all averages."""
        return [average.state_dict() for average in self.networks]

    def load_state_dict(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Restore states; a new horizon starts like the first one.

        Raises
        ------
        RuntimeError
            The averages are those of another network.
        """
        for index, average in enumerate(self.networks):
            average.load_state_dict(states[index if index < len(states) else 0])
