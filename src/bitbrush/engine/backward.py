"""The way back through a one-bit 3x3 convolution of stride 1 in one pass over memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .factors import Factor
from .launch import address
from .packing import Filters
from .sizes import EVERYWHERE

KERNEL = 3
"""Side of the convolutions that this is for; their stride and their border are 1."""


@dataclass(frozen=True)
class Surroundings:
    """What precedes and follows the convolution of a gradient.

    Attributes:
        scale: float32 [64 blocks of O], of the gradient that comes.
        passed: int64 [N H W, blocks of O], where that counts; None: everywhere.
        factor, factors: how factors of what goes on are kept, and where; None: 1 everywhere.
        running, tap: float32 [N, C, H, W] in channels_last, added; None counts as 0.
    """

    scale: Tensor
    passed: Tensor | None = None
    factor: Factor | None = None
    factors: Tensor | None = None
    running: Tensor | None = None
    tap: Tensor | None = None


class Backward(ABC):
    """The filters of a convolution, seen from its output.

    Attributes:
        channels_in, channels_out: C and O of the convolution.
    """

    def __init__(self, filters: Filters) -> None:
        self.channels_in, self.channels_out = filters.channels_in, filters.channels_out

    @abstractmethod
    def add_gradient(self, gradient: Tensor, result: Tensor, around: Surroundings) -> None:
        """result = running + factors (convolution of scale gradient, where passed) + tap.

        Args:
            gradient: float32 [N, O, H, W] in channels_last.
            result: the same with C channels, written; neither gradient nor running.
        """

    @staticmethod
    def kernel(filters: Filters, dtype: torch.dtype = torch.float32) -> Tensor:
        """[C, O, 3, 3]: turned by half a circle, inputs and outputs in each other's place."""
        return filters.signs(dtype).flip(2, 3).transpose(0, 1)

    def arguments(self, gradient: Tensor, result: Tensor, around: Surroundings) -> dict[str, float]:
        """The fields that kernels know these by."""
        factor = around.factor if around.factors is not None else None
        return {
            "height": gradient.shape[2],
            "width": gradient.shape[3],
            "channels": self.channels_out,
            "filters": self.channels_in,
            "gradient": address(gradient),
            "passed": address(around.passed),
            "scale": address(around.scale),
            "factor_mode": EVERYWHERE if factor is None else factor.mode,
            "factors": address(around.factors),
            "unit_real": 1.0 if factor is None else factor.unit,
            "zero_real": 0.0 if factor is None else factor.zero,
            "running": address(around.running),
            "tap": address(around.tap),
            "result": address(result),
        }
