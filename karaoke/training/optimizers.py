"""Optimizers by name: those of torch, and Muon with AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, optim


def trained_weights(network: nn.Module) -> list[nn.Parameter]:
    """List the weights that are not held."""
    return [weight for weight in network.parameters() if weight.requires_grad]


class Muon(optim.Muon):
    """torch's Muon, with an iteration that a processor is fast at.

    torch iterates in bfloat16, which suits GPUs; a processor without it takes many times as long as
    in float32, and one that has it twice as long, the matrices being small. Everything else is
    torch's, its state too. Learning rates are scaled to match AdamW's.
    """

    def __init__(self, weights: list[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(weights, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the weights."""
        if any(w.device.type != "cpu" for group in self.param_groups for w in group["params"]):
            return super().step(closure)  # type: ignore[no-untyped-call]
        assert closure is None, "nobody here gives one"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)
        return None

    def _move(self, weight: Tensor, group: dict[str, Any]) -> None:
        """Move one matrix, as torch does but for the precision."""
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
    """Make all singular values of a matrix about one, by Newton and Schulz's iteration.

    With ``X`` scaled to a norm of one, ``A = X X^T`` and coefficients ``a, b, c``, a step is
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
