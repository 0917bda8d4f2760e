"""Optimizers by name: those of torch, and Muon with AdamW."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn, optim


def trained_weights(network: nn.Module) -> list[nn.Parameter]:
    """List the weights that are not held."""
    return [weight for weight in network.parameters() if weight.requires_grad]


class MuonWithAdamW:
    """Muon for the matrices of linear and recurrent layers, AdamW for all other weights.

    Muon makes each matrix's step orthogonal, so that directions that the gradient hardly shows are
    learned as fast as those that it shows all the time; scaled to be as large as AdamW's steps, it
    takes AdamW's learning rates.

    Parameters
    ----------
    network
        To train.
    lr, weight_decay
        Of both.

    References
    ----------
    K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024;
    J. Liu et al., "Muon is Scalable for LLM Training", 2025 (arXiv 2502.16982).
    """

    def __init__(self, network: nn.Module, *, lr: float, weight_decay: float) -> None:
        matrices = {
            weight
            for module in network.modules()
            if isinstance(module, nn.Linear | nn.RNNBase)
            for weight in module.parameters(recurse=False)
            if weight.ndim == 2
        }
        trained = trained_weights(network)
        self.parts: list[optim.Optimizer] = [
            optim.Muon(
                [weight for weight in trained if weight in matrices],
                lr=lr,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            optim.AdamW(
                [weight for weight in trained if weight not in matrices],
                lr=lr,
                weight_decay=weight_decay,
            ),
        ]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of both."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        """Move the weights."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Give all that is needed to go on."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def of_torch(kind: Callable[..., optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """Let an optimizer of torch take a network."""

    def make(network: nn.Module, *, lr: float, weight_decay: float) -> optim.Optimizer:
        return kind(trained_weights(network), lr=lr, weight_decay=weight_decay)

    return make


#: AdamW decays the weights themselves; Adam adds the decay to the gradients, and so adapts it too.
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer | MuonWithAdamW]] = {
    "adamw": of_torch(optim.AdamW),
    "adam": of_torch(optim.Adam),
    "muon": MuonWithAdamW,
}
