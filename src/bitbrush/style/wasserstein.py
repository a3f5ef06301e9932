"""The Wasserstein-2 distance of normal distributions: of a picture's features and a style's.

It is the least work by which one cloud of features can be moved onto the other. Squared differences
of covariances grow with the square of a variance, so the strongest few features settle them;
here all grow alike, and faint ones, such as fine strokes, count too.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..engine.blas import on_one_thread
from .statistics import TINY, Moments

KEPT = 0.99
"""Share of the style's variance whose directions are told apart, the strongest first. Of the others
only the variance in all is compared: they say little, and take a quarter of the time."""

FACTOR = 4.0
"""Of the distance. Features that are stronger by a small share d have a covariance that differs by
2 d, and so a squared difference of 4 d²; here it would be d². So content weighs the same."""

FLOOR = 0.03
"""Deviations below it, where the style's mean is 1, count as about this much: a picture that lacks
a direction wholly would have an endless gradient."""


class NormalTarget:
    """A style's features as a normal distribution.

    Args:
        mean: [C], and covariance [C, C], in units of the features' mean deviation in the style.
    """

    @on_one_thread()
    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        spectrum, directions = _eigenvectors(covariance)
        spectrum, directions = spectrum.flip(0).clamp(min=0), directions.flip(1)
        total = float(spectrum.sum())
        kept = int((spectrum.cumsum(0) < KEPT * total).sum()) + 1
        self.mean = mean
        self.basis = directions[:, :kept].contiguous()
        self.projection = self.basis @ self.basis.T
        self.deviations = spectrum[:kept].sqrt()
        self.variance = total
        self.rest = max(total - float(spectrum[:kept].sum()), 0.0)
        self.norm = (total + float(mean.square().sum()) + TINY) / FACTOR

    @on_one_thread()
    def with_gradients(self, mean: Tensor, covariance: Tensor) -> tuple[float, Tensor, Tensor]:
        """The squared distance of another distribution over this one's own size, times FACTOR,
        and its gradients to mean [C] and covariance [C, C].

        Source: Olkin and Pukelsheim 1982; as a style's loss Mroueh 2019. The gradient is
        1 - T, where T is the map that would move the one onto the other.
        """
        shift = mean - self.mean
        seen = covariance @ self.basis
        variance = float(covariance.diagonal().sum())
        rest = max(variance - float((seen * self.basis).sum()), TINY)
        if not math.isfinite(variance + rest):
            # A picture that ran away: whoever paints it notices by this.
            return math.nan, mean * math.nan, covariance * math.nan
        scales = self.deviations
        both = scales[:, None] * (self.basis.T @ seen) * scales
        spectrum, directions = _eigenvectors((both + both.T) / 2)
        roots = (spectrum.clamp(min=0) + FLOOR**2).sqrt()
        common = float(roots.sum()) + (rest * self.rest) ** 0.5
        distance = float(shift.square().sum()) + variance + self.variance - 2 * common
        # Along the kept directions that map, along the others a change of scale.
        ratio = (self.rest / rest) ** 0.5
        moved = (self.basis * scales) @ directions
        slope = self.projection * ratio - (moved / roots) @ moved.T
        slope.diagonal().add_(1 - ratio)
        return max(distance, 0.0) / self.norm, shift * (2 / self.norm), slope / self.norm


class Distance(torch.autograd.Function):
    """As a function of moments that torch can differentiate: `apply(mean, covariance, target)`."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, covariance: Tensor, target: NormalTarget) -> Tensor:
        distance, *ctx.gradients = target.with_gradients(mean, covariance)
        return mean.new_tensor(distance)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        of_mean, of_matrix = ctx.gradients
        return gradients[0] * of_mean, gradients[0] * of_matrix, None


def _eigenvectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [n], the least first, and eigenvectors [n, n] of a symmetric matrix [n, n].

    LAPACK's fast way may not converge in float32 where nearly all eigenvalues are 0, as with maps
    of hundreds of channels of which a picture wakes a few: it says so, or gives what is no number.
    In float64 it does.
    """
    try:
        spectrum, directions = torch.linalg.eigh(matrix)
    except RuntimeError:  # torch.linalg.LinAlgError is one
        spectrum = directions = matrix.new_full((), math.nan)
    if not (spectrum.isfinite().all() and directions.isfinite().all()):
        spectrum, directions = torch.linalg.eigh(matrix.double())
    return spectrum.to(matrix.dtype), directions.to(matrix.dtype)


def in_units(moments: Moments, unit: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of features that are measured in other units."""
    return moments.mean / unit, moments.matrix / unit**2
