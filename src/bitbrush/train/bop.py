"""Bop, an optimiser for weights that are bits (Helwegen et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import InputError


class Bop(Optimizer):
    """Flips a weight when the moving average of its gradient has its sign and is large enough.

    m <- m + gamma (g - m), from 0, and then w <- -w where w m > threshold: a gradient of the
    weight's own sign asks it to shrink, and a bit can only do so by flipping. There are no latent
    weights, so start from weights of -1 and +1, and leave all others to another optimiser.

    Args:
        params: parameters, or groups of them, that hold -1 and +1 only.
        threshold: tau, at least 0; higher flips fewer.
        gamma: in (0, 1]; higher forgets sooner. Often decayed during training.
    Raises:
        InputError: a threshold or gamma outside its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        threshold: float = 1e-8,
        gamma: float = 1e-4,
    ) -> None:
        if not (threshold >= 0 and math.isfinite(threshold)):
            raise InputError(f"Bop's threshold must be 0 or a positive number, not {threshold}")
        if not 0 < gamma <= 1:
            raise InputError(f"Bop's gamma must lie in (0, 1], not {gamma}")
        super().__init__(params, {"threshold": threshold, "gamma": gamma})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every weight that has a gradient; returns what the closure gave."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["average"] = torch.zeros_like(weight)
                average: Tensor = state["average"]
                average.add_(weight.grad - average, alpha=group["gamma"])
                weight.copy_(torch.where(weight * average > group["threshold"], -weight, weight))
        return loss
