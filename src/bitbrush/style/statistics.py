"""What of a feature map is style: statistics over the picture, and distances between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError

PROJECTIONS = 64
"""Directions that the sliced Wasserstein distance draws at each step."""

TINY = 1e-8

FLAT = 1e-2
"""A standard deviation below this share of the root mean square counts as this share: a style
of one colour would otherwise be divided by nothing."""

COLUMNS = 2**14
"""Positions that are centred at a time, so that no copy of a whole map is made."""


@dataclass(frozen=True)
class Moments:
    """First and second moments of a feature map: mean [C] and a matrix [C, C]."""

    mean: Tensor
    matrix: Tensor


def channel_statistics(features: Tensor) -> Moments:
    """Mean and covariance of the channels over the picture.

    Args:
        features: [1, C, H, W], any real dtype; computed in float32.
    Returns:
        mean [C] and covariance [C, C], in the features' own units.
    Raises:
        InputError: H x W is below 2.
    Source: Gatys et al. 2016, eq. 4, but centred, because the large means of one-bit layers
        would swamp everything else in an uncentred product.
    """
    mean, matrix = _Covariance.apply(_flat(features))  # type: ignore[no-untyped-call]
    return Moments(mean, matrix)


class _Covariance(torch.autograd.Function):
    """Mean [C] and covariance [C, C] of a map [C, N].

    The way back needs the map alone, which the network keeps anyway: no centred copy is kept.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> tuple[Tensor, Tensor]:
        mean = flat.mean(1)
        matrix = flat.new_zeros(len(flat), len(flat))
        for part in torch.split(flat, COLUMNS, 1):
            centred = part - mean[:, None]
            matrix.addmm_(centred, centred.T)
        ctx.save_for_backward(flat, mean)
        return mean, matrix / flat.shape[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        flat, mean = ctx.saved_tensors
        of_mean, of_matrix = gradients
        both = (of_matrix + of_matrix.T) / flat.shape[1]
        return torch.addmm((of_mean / flat.shape[1] - both @ mean)[:, None], both, flat)


def gram_matrix(features: Tensor) -> Tensor:
    """Uncentred products of the channels, averaged over the picture: [C, C] (Gatys et al. 2016).

    Args:
        features: [1, C, H, W], any real dtype; computed in float32.
    """
    flat = _flat(features)
    return flat @ flat.T / flat.shape[1]


def _flat(features: Tensor) -> Tensor:
    flat = features[0].flatten(1).float()
    if flat.shape[1] < 2:
        raise InputError("statistics need a feature map of at least two positions")
    return flat


def sliced_difference(
    ours: Tensor, theirs: Tensor, directions: int, random: torch.Generator
) -> Tensor:
    """The mean squared difference of two distributions along random directions, a scalar.

    Args:
        ours: N points [C, N].
        theirs: M points [C, M]; their quantiles are interpolated where M is not N.
        directions: how many are drawn.
    Source: sliced Wasserstein distance, Heitz et al. 2021.
    """
    axes = torch.randn(directions, len(ours), generator=random).to(ours.device)
    axes = functional.normalize(axes, dim=1)
    sorted_ours = (axes @ ours).sort(1).values
    quantiles = (axes @ theirs).sort(1).values[None]
    if quantiles.shape[2] != ours.shape[1]:
        quantiles = functional.interpolate(
            quantiles, ours.shape[1], mode="linear", align_corners=True
        )
    return (sorted_ours - quantiles[0]).square().mean()


class StyleTarget:
    """The style of one feature map, and how far another map is from it.

    Distances are relative: 0 when the statistics agree, about 1 when nothing does, whatever the
    scale of the features. Features count in units of their mean standard deviation in the style,
    so that means and covariances weigh alike in every layer.

    Args:
        features: of the style picture, [1, C, H, W].
        statistic: "covariance" (mean and covariance), "gram", "mean" (mean and standard deviation
            of each channel alone), or "sliced-wasserstein" (whole distributions along random
            directions; Heitz et al. 2021).
    """

    def __init__(self, features: Tensor, statistic: str = "covariance") -> None:
        features = features.detach().float()
        self.statistic = statistic
        variance, square = float(features.var((2, 3)).mean()), float(features.square().mean())
        self.scale = math.sqrt(max(variance, FLAT**2 * square, TINY))
        if statistic == "sliced-wasserstein":
            self.features = _flat(features)
            self.norm = square / self.scale**2 + TINY
        else:
            self.vector = self._vector(features)
            self.norm = float(self.vector.square().sum()) + TINY

    def _vector(self, features: Tensor) -> Tensor:
        if self.statistic == "gram":
            return gram_matrix(features).flatten() / self.scale**2
        if self.statistic == "mean":
            flat = _flat(features)
            deviation = (flat.var(1) / self.scale**2 + TINY).sqrt()
            return torch.cat([flat.mean(1) / self.scale, deviation])
        moments = channel_statistics(features)
        return torch.cat([moments.mean / self.scale, moments.matrix.flatten() / self.scale**2])

    def distance(self, features: Tensor, random: torch.Generator) -> Tensor:
        """The relative squared distance of a map [1, C, H', W'] to this style, a scalar.

        Args:
            random: draws the directions of the sliced Wasserstein distance.
        """
        if self.statistic == "sliced-wasserstein":
            flat = _flat(features)
            difference = sliced_difference(flat, self.features, PROJECTIONS, random)
            return difference / self.scale**2 / self.norm
        return (self._vector(features) - self.vector).square().sum() / self.norm
