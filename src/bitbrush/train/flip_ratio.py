"""How many bits a training changes at each step."""

from __future__ import annotations

import torch
from torch import Tensor


class FlipRatio:
    """The mean, over steps, of the share of values that differ from the step before.

    Values are compared as int8, so give it quantized weights, not latent ones. A ratio that does
    not fall is the sign of a learning rate that is too high for bits.
    """

    def __init__(self) -> None:
        self._previous: Tensor | None = None
        self._total = 0.0
        self._steps = 0

    def update(self, values: Tensor) -> None:
        """Compares with the values of the call before, if there was one.

        Args:
            values: of the same shape at each call, whole numbers within int8.
        """
        current = values.detach().to(torch.int8)
        if self._previous is not None:
            self._total += float((current != self._previous).double().mean())
            self._steps += 1
        self._previous = current

    @property
    def value(self) -> float:
        """The mean in [0, 1]; 0 before the second call."""
        return self._total / self._steps if self._steps else 0.0
