"""What of a feature map is style: statistics over the picture, and distances between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError

PROJECTIONS = 64
"""Directions that the sliced Wasserstein distance draws at each step."""

TINY = 1e-8


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
    flat = _flat(features)
    mean = flat.mean(1)
    centred = flat - mean[:, None]
    return Moments(mean, centred @ centred.T / flat.shape[1])


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


class StyleTarget:
    """The style of one feature map, and how far another map is from it.

    Distances are relative: 0 when the statistics agree, about 1 when nothing does, whatever the
    scale of the features. Features are divided by their mean standard deviation in the style
    first, so that means and covariances weigh alike in every layer.

    Args:
        features: of the style picture, [1, C, H, W].
        statistic: "covariance" (mean and covariance), "gram", "mean" (mean and standard deviation
            of each channel alone), or "sliced-wasserstein" (whole distributions along random
            directions; Heitz et al. 2021).
    """

    def __init__(self, features: Tensor, statistic: str = "covariance") -> None:
        features = features.detach().float()
        self.statistic = statistic
        self.scale = float(features.var((2, 3)).mean().sqrt().clamp(min=TINY))
        scaled = features / self.scale
        if statistic == "sliced-wasserstein":
            self.features = _flat(scaled)
            self.norm = float(self.features.square().mean()) + TINY
        else:
            self.vector = self._vector(scaled)
            self.norm = float(self.vector.square().sum()) + TINY

    def _vector(self, scaled: Tensor) -> Tensor:
        if self.statistic == "gram":
            return gram_matrix(scaled).flatten()
        if self.statistic == "mean":
            flat = _flat(scaled)
            return torch.cat([flat.mean(1), (flat.var(1) + TINY).sqrt()])
        moments = channel_statistics(scaled)
        return torch.cat([moments.mean, moments.matrix.flatten()])

    def distance(self, features: Tensor, random: torch.Generator) -> Tensor:
        """The relative squared distance of a map [1, C, H', W'] to this style, a scalar.

        Args:
            random: draws the directions of the sliced Wasserstein distance.
        """
        scaled = features.float() / self.scale
        if self.statistic == "sliced-wasserstein":
            return self._sliced(_flat(scaled), random) / self.norm
        return (self._vector(scaled) - self.vector).square().sum() / self.norm

    def _sliced(self, flat: Tensor, random: torch.Generator) -> Tensor:
        directions = torch.randn(PROJECTIONS, flat.shape[0], generator=random).to(flat.device)
        directions = functional.normalize(directions, dim=1)
        ours = (directions @ flat).sort(1).values
        theirs = (directions @ self.features).sort(1).values
        if theirs.shape[1] != ours.shape[1]:
            theirs = functional.interpolate(
                theirs[None], ours.shape[1], mode="linear", align_corners=True
            )[0]
        return (ours - theirs).square().mean()
