"""The whole state of a painting under way, as tensors and plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class State:
    """Where a painting stands, enough to continue to the same picture bit for bit.

    Attributes:
        scale: index of the scale being painted.
        done: steps done in this scale.
        total: steps done in all.
        losses: the loss after each step so far.
        values: plain values (JSON) of the scale under way.
        tensors: its tensors by name.
    """

    scale: int
    done: int
    total: int
    losses: tuple[float, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


def flatten(tree: Any, prefix: str, tensors: dict[str, Tensor]) -> Any:
    """A tree of dicts, lists, numbers and tensors as plain values; tensors go into `tensors`.

    A tensor is replaced by {"tensor": its name}. `unflatten` is the inverse.
    """
    if isinstance(tree, Tensor):
        tensors[prefix] = tree.detach().clone()
        return {"tensor": prefix}
    if isinstance(tree, dict):
        # JSON has no integer keys, which optimisers use.
        return {"items": [[key, flatten(v, f"{prefix}.{key}", tensors)] for key, v in tree.items()]}
    if isinstance(tree, (list, tuple)):
        return [flatten(value, f"{prefix}.{i}", tensors) for i, value in enumerate(tree)]
    return tree


def unflatten(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree that `flatten` took apart; tuples come back as lists."""
    if isinstance(plain, list):
        return [unflatten(value, tensors) for value in plain]
    if isinstance(plain, dict) and "tensor" in plain:
        return tensors[plain["tensor"]]
    if isinstance(plain, dict):
        return {key: unflatten(value, tensors) for key, value in plain["items"]}
    return plain


class Average:
    """The running average of pictures, corrected for its start (as in Adam).

    Args:
        decay: weight of the past at each update; 0 keeps the last picture only.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weight = 0.0
        self.sum: Tensor | None = None

    @torch.no_grad()
    def update(self, picture: Tensor, times: int = 1) -> None:
        """Takes in a picture [1, 3, H, W], as if it had been seen so many times."""
        kept = self.decay**times
        if self.sum is None:
            self.sum = torch.zeros_like(picture)
        self.sum.mul_(kept).add_(picture, alpha=1 - kept)
        self.weight = kept * self.weight + 1 - kept

    def value(self) -> Tensor:
        """The average so far, clamped to [0, 1]; a new tensor."""
        if self.sum is None:
            raise ValueError("nothing to average yet")
        return (self.sum / self.weight).clamp(0, 1)
