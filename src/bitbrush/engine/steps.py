"""What a frozen network on the CPU consists of: functions that keep what their way back needs."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .launch import channels_last


class Step(Protocol):
    """A function of a map."""

    def run(self, x: Tensor, learning: bool) -> tuple[Tensor, Any]:
        """The result, in memory of its own, and what `back` wants.

        Args:
            x: float32 [N, C, H, W], in channels_last unless it is a picture.
            learning: whether `back` will be called.
        """

    def back(self, kept: Any, gradient: Tensor, onto: Tensor | None = None) -> Tensor:
        """The gradient with respect to x, from that with respect to the result.

        Args:
            gradient: as the result, in channels_last.
            onto: as x; added, and overwritten with the sum.
        """


class StepModule(nn.Module):
    """A step as a module of its own, for networks that torch takes the gradient through."""

    def run(self, x: Tensor, learning: bool) -> tuple[Tensor, Any]:
        raise NotImplementedError

    def back(self, kept: Any, gradient: Tensor, onto: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; returns a map in channels_last."""
        result: Tensor = _Stepped.apply(x, self)  # type: ignore[no-untyped-call]
        return result


class _Stepped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Step) -> Tensor:
        result, ctx.kept = step.run(x, ctx.needs_input_grad[0])
        ctx.step = step
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.step.back(ctx.kept, channels_last(gradients[0])), None


class Sequence(StepModule):
    """Steps, one after the other."""

    def __init__(self, steps: list[StepModule]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def run(self, x: Tensor, learning: bool) -> tuple[Tensor, Any]:
        everything = []
        for step in self.steps:
            x, kept = step.run(x, learning)  # type: ignore[operator]
            everything.append(kept)
        return x, everything

    def back(self, kept: Any, gradient: Tensor, onto: Tensor | None = None) -> Tensor:
        for index in range(len(self.steps) - 1, -1, -1):
            step: Any = self.steps[index]
            gradient = step.back(kept[index], gradient, onto if index == 0 else None)
        return gradient
