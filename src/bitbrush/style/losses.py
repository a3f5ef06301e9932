"""The terms of the loss: named, weighted, and each relative to its own scale.

A term compares a picture's features with a target. Every distance is divided by the target's own
size, so one set of weights holds across layers, networks and picture sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .palette import Palette
from .statistics import TINY, Moments, channel_statistics
from .target import StyleTarget

IMAGE = "image"
"""The name under which terms find the picture itself among the features."""

PLAIN = 1e-2
"""A content whose variance is below this share of its mean square counts as having this share."""

BAND = 16
"""Rows of a map whose squared error is summed at a time."""

SMOOTH = 1e-6
"""Roughness of a style below which it counts as this rough."""


class Term(Protocol):
    """One part of the loss."""

    @property
    def name(self) -> str:
        """Such as style/stem; terms of one name are added up in what the user sees."""

    @property
    def tap(self) -> str:
        """The tap that it looks at, or "image"."""

    @property
    def weight(self) -> float:
        """Its factor in the loss."""

    @property
    def takes_moments(self) -> bool:
        """Whether the features' moments are all that it looks at."""

    def distance(self, features: Any, random: torch.Generator) -> Tensor:
        """The unweighted distance of the tap's features from the target, a scalar.

        Args:
            features: [1, C, H, W]; for a style's terms also their `Moments`.
        """


@dataclass(frozen=True)
class StyleTerm:
    """Distance between the statistics of a tap and those of a style."""

    tap: str
    weight: float
    target: StyleTarget

    @property
    def name(self) -> str:
        return f"style/{self.tap}"

    @property
    def takes_moments(self) -> bool:
        return self.target.takes_moments

    def distance(self, features: Tensor | Moments, random: torch.Generator) -> Tensor:
        return self.target.distance(features, random)


@dataclass(frozen=True)
class ColourTerm:
    """Distance between the colours of the picture itself and those of a style."""

    weight: float
    target: Palette
    tap: str = IMAGE
    name: str = "colour"
    takes_moments: bool = False

    def distance(self, features: Tensor, random: torch.Generator) -> Tensor:
        return self.target.distance(features, random)


@dataclass(frozen=True)
class ContentTerm:
    """Squared distance between the features of a tap, over the variance of the content's.

    Attributes:
        target: the content's features, [1, C, H, W].
        variance: that the distance is relative to, see `content_variance`.
    """

    tap: str
    weight: float
    target: Tensor
    variance: float
    takes_moments: bool = False

    @classmethod
    def of(cls, tap: str, weight: float, features: Tensor) -> ContentTerm:
        """The term whose target are these features."""
        return cls(tap, weight, features.float(), content_variance(channel_statistics(features)))

    @property
    def name(self) -> str:
        return f"content/{self.tap}"

    def distance(self, features: Tensor, random: torch.Generator) -> Tensor:
        error: Tensor = _MeanSquaredError.apply(features.float(), self.target)  # type: ignore[no-untyped-call]
        return error / self.variance

    def slope(self, features: Tensor) -> float:
        """The weighted distance's gradient to the features is this times (features - target)."""
        return 2 * self.weight / (self.variance * features.numel())


def content_variance(moments: Moments) -> float:
    """The variance of a content's features over the positions, averaged over the channels.

    Of a content without any drawing there is nothing to keep: see `PLAIN`.
    """
    variance = float(moments.matrix.diagonal().mean())
    square = variance + float(moments.mean.square().mean())
    return max(variance, PLAIN * square, TINY)


class _MeanSquaredError(torch.autograd.Function):
    """Of features and target, with a gradient in the features' memory layout.

    torch's own gives it in another where the channels lie together, and the network would have
    to copy it back.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(features, target)
        # Band by band: what lies between would be as large as the map.
        bands = zip(torch.split(features, BAND, 2), torch.split(target, BAND, 2), strict=True)
        squares = [(ours - theirs).square_().sum() for ours, theirs in bands]
        return torch.stack(squares).sum() / features.numel()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        features, target = ctx.saved_tensors
        return (features - target).mul_(gradients[0] * (2 / features.numel())), None


def roughness(image: Tensor) -> Tensor:
    """Squared total variation: the mean squared difference of neighbouring pixels, a scalar.

    Args:
        image: [1, C, H, W].
    """
    value: Tensor = _Roughness.apply(image)  # type: ignore[no-untyped-call]
    return value


class _Roughness(torch.autograd.Function):
    """With its gradient at once: autograd keeps and makes a dozen pictures on the way."""

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        total = image.new_zeros(())
        gradient = torch.zeros_like(image) if image.requires_grad else None
        for axis in (2, 3):
            size = image.shape[axis] - 1
            step = image.narrow(axis, 1, size) - image.narrow(axis, 0, size)
            total += step.square().mean()
            if gradient is not None:
                step *= 2 / max(step.numel(), 1)
                gradient.narrow(axis, 1, size).add_(step)
                gradient.narrow(axis, 0, size).sub_(step)
        ctx.gradient = gradient
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        found: Tensor = ctx.gradient
        return found * gradients[0]


@dataclass(frozen=True)
class SmoothnessTerm:
    """Roughness of the picture over that of the style."""

    weight: float
    reference: float
    tap: str = IMAGE
    name: str = "tv"
    takes_moments: bool = False

    def distance(self, features: Tensor, random: torch.Generator) -> Tensor:
        return roughness(features) / max(self.reference, SMOOTH)


def evaluate(
    terms: Sequence[Term], features: Mapping[str, Tensor | Moments], random: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """The loss, and what each name contributes to it.

    Args:
        features: maps by tap (for style terms alone, moments), the picture itself under "image".
        random: source of what a statistic draws.
    Returns:
        the weighted sum, a scalar to differentiate, and its parts by name.
    """
    total: Tensor | None = None
    parts: dict[str, Tensor] = {}
    for term in terms:
        value = term.weight * term.distance(features[term.tap], random)
        total = value if total is None else total + value
        parts[term.name] = parts.get(term.name, torch.zeros(())) + value.detach().cpu()
    if total is None:
        raise ValueError("a loss needs at least one term")
    return total, {name: float(value) for name, value in parts.items()}


def summed(parts: dict[str, float], more: Mapping[str, float]) -> None:
    """Adds what names contribute to what they have contributed already."""
    for name, value in more.items():
        parts[name] = parts.get(name, 0.0) + value


AnyTerm = TypeVar("AnyTerm", bound=Term)


def grouped(terms: Sequence[AnyTerm]) -> dict[str, list[AnyTerm]]:
    """The terms by the tap that they look at."""
    found: dict[str, list[AnyTerm]] = {}
    for term in terms:
        found.setdefault(term.tap, []).append(term)
    return found
