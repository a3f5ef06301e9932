"""The style of a feature map, as something to be near to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .statistics import (
    FLAT,
    PROJECTIONS,
    TINY,
    Moments,
    channel_statistics,
    gram_matrix,
    sliced_difference,
)
from .wasserstein import Distance, NormalTarget, in_units


class StyleTarget:
    """The style of one feature map, and how far another map is from it.

    Distances are relative: 0 when the statistics agree, about 1 when nothing does, whatever the
    scale of the features. Features count in units of their mean standard deviation in the style,
    so that means and covariances weigh alike in every layer.

    Args:
        style: of the style picture, features [1, C, H, W], or their moments where these suffice.
        statistic: "wasserstein" (mean and covariance, as normal distributions), "covariance" (their
            squared differences), "gram", "mean" (mean and standard deviation of each channel
            alone), or "sliced-wasserstein" (whole distributions along random directions; Heitz et
            al. 2021), for which moments do not suffice.
    """

    def __init__(self, style: Tensor | Moments, statistic: str = "covariance") -> None:
        moments = _moments(style.detach() if isinstance(style, Tensor) else style)
        self.statistic = statistic
        variance = float(moments.matrix.diagonal().mean())
        square = variance + float(moments.mean.square().mean())
        self.scale = math.sqrt(max(variance, FLAT**2 * square, TINY))
        if statistic == "sliced-wasserstein":
            self.features = _points(style)
            self.norm = square / self.scale**2 + TINY
        elif statistic == "wasserstein":
            self.normal = NormalTarget(*in_units(moments, self.scale))
        else:
            self.first, self.second = self._parts(moments)
            self.norm = self._square(self.first, self.second) + TINY

    @property
    def takes_moments(self) -> bool:
        """Whether a picture's moments suffice for its distance."""
        return self.statistic != "sliced-wasserstein"

    def _parts(self, moments: Moments) -> tuple[Tensor, Tensor]:
        """What is compared: something in the features' units, and something in their square."""
        if self.statistic == "gram":
            return torch.zeros_like(moments.mean), gram_matrix(moments)
        if self.statistic == "mean":
            variance = moments.matrix.diagonal()
            # In the features' units too, but of the matrix.
            return moments.mean, self.scale * (variance + TINY * self.scale**2).sqrt()
        return moments.mean, moments.matrix

    def _square(self, first: Tensor, second: Tensor) -> float:
        """The squared length of both together, where the features' deviation in the style is 1."""
        one, other = torch.linalg.vector_norm(first), torch.linalg.vector_norm(second)
        return float(one) ** 2 / self.scale**2 + float(other) ** 2 / self.scale**4

    def distance(self, picture: Tensor | Moments, random: torch.Generator | None) -> Tensor:
        """The relative squared distance of a picture to this style, a scalar.

        Args:
            picture: its features [1, C, H', W'], or their moments where these suffice.
            random: draws the directions of the sliced Wasserstein distance, and nothing else.
        """
        if self.statistic == "sliced-wasserstein":
            assert random is not None
            ours = _points(picture)
            difference = sliced_difference(ours, self.features, PROJECTIONS, random)
            return difference / self.scale**2 / self.norm
        if self.statistic == "wasserstein":
            distance: Tensor = Distance.apply(  # type: ignore[no-untyped-call]
                *in_units(_moments(picture), self.scale), self.normal
            )
            return distance
        first, second = self._parts(_moments(picture))
        square = (first - self.first).square().sum() / self.scale**2
        return (square + (second - self.second).square().sum() / self.scale**4) / self.norm

    def with_gradients(self, moments: Moments, weight: float) -> tuple[float, Tensor, Tensor]:
        """A picture's distance, and `weight` times its gradients to mean [C] and matrix [C, C].

        The same as `distance` and what torch's graph makes of it, which for the usual statistic
        takes longer than the kernels that it is for.
        """
        if self.statistic == "wasserstein":
            found = self.normal.with_gradients(*in_units(moments, self.scale))
            factors = weight / self.scale, weight / self.scale**2
            return found[0], found[1].mul_(factors[0]), found[2].mul_(factors[1])
        if self.statistic == "covariance":
            mean, matrix = moments.mean - self.first, moments.matrix - self.second
            distance = self._square(mean, matrix) / self.norm
            factor = 2 * weight / (self.norm * self.scale**2)
            return distance, mean.mul_(factor), matrix.mul_(factor / self.scale**2)
        leaves = [value.detach().requires_grad_(True) for value in (moments.mean, moments.matrix)]
        with torch.enable_grad():
            value = self.distance(Moments(leaves[0], leaves[1], moments.count), None)
            of_mean, of_matrix = torch.autograd.grad(weight * value, leaves)
        return value.item(), of_mean, of_matrix


def _moments(picture: Tensor | Moments) -> Moments:
    return channel_statistics(picture) if isinstance(picture, Tensor) else picture


def _points(picture: Tensor | Moments) -> Tensor:
    if isinstance(picture, Moments):
        raise ValueError("the sliced Wasserstein distance needs the features themselves")
    return picture[0].flatten(1).float()
