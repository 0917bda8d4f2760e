"""Optimizers by name: torch's, and Muon with AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, optim


def trained_weights(network: nn.Module) -> list[nn.Parameter]:
    """List the weights that are trained."""
    return [weight for weight in network.parameters() if weight.requires_grad]


class Muon(optim.Muon):
    """torch's Muon, with an iteration that is fast on CPUs.

    torch iterates in bfloat16, which suits GPUs. With matrices this small, a CPU that has bfloat16
    takes twice as long as in float32, and one that lacks it many times as long. Everything else,
    including the state, is torch's. Learning rates are scaled to match AdamW's.
    """

    def __init__(self, weights: list[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(weights, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update the weights."""
        if any(w.device.type != "cpu" for group in self.param_groups for w in group["params"]):
            return super().step(closure)  # type: ignore[no-untyped-call]
        assert closure is None, "no caller passes one"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)
        return None

    def _move(self, weight: Tensor, group: dict[str, Any]) -> None:
        """Update one matrix as torch does, except for the precision."""
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average, momentum = state["momentum_buffer"], group["momentum"]
        average.lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(average, momentum) if group["nesterov"] else average
        direction = orthogonalise(
            ahead, group["ns_coefficients"], steps=group["ns_steps"], epsilon=group["eps"]
        )
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(direction, alpha=group["lr"] * 0.2 * math.sqrt(max(weight.shape)))


def orthogonalise(
    matrix: Tensor, coefficients: tuple[float, float, float], *, steps: int, epsilon: float
) -> Tensor:
    """Bring all singular values of a matrix close to one by the Newton-Schulz iteration.

    With ``X`` scaled to norm one, ``A = X X^T`` and coefficients ``a, b, c``, a step is
    ``X <- a X + (b A + c A A) X``.
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / found.norm().clamp(min=epsilon)
    for _ in range(steps):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if tall else found


class MuonWithAdamW:
    """Muon for the matrices of linear and recurrent layers, AdamW for all other weights.

    Muon makes each matrix's step orthogonal, so that directions that rarely show in the gradient
    are learned as fast as others. Its steps are scaled to the size of AdamW's, so both take the
    same learning rates.

    Parameters
    ----------
    network
        The network to train.
    lr, weight_decay
        For both optimizers.

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
            Muon(
                [weight for weight in trained if weight in matrices],
                lr=lr,
                weight_decay=weight_decay,
            ),
            optim.AdamW(
                [weight for weight in trained if weight not in matrices],
                lr=lr,
                weight_decay=weight_decay,
            ),
        ]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both optimizers."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self) -> None:
        """Reset the gradients."""
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        """Update the weights."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both optimizers."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def of_torch(kind: Callable[..., optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """Make one of torch's optimizers take a network."""

    def make(network: nn.Module, *, lr: float, weight_decay: float) -> optim.Optimizer:
        return kind(trained_weights(network), lr=lr, weight_decay=weight_decay)

    return make


#: AdamW decays the weights directly; Adam adds the decay to the gradients, and so adapts it too.
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer | MuonWithAdamW]] = {
    "adamw": of_torch(optim.AdamW),
    "adam": of_torch(optim.Adam),
    "muon": MuonWithAdamW,
}
