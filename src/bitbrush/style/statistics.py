"""Statistics of a feature map over the picture, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .transport import goals_of

PROJECTIONS = 64
"""Directions that the sliced Wasserstein distance draws at each step."""

TINY = 1e-8

FLAT = 1e-2
"""A standard deviation below this share of the root mean square counts as this share: a style
of one colour would otherwise be divided by nothing."""

NARROW = 16
"""Channels from which on there are kernels of our own: they work on 16 at a time."""

VALUES = 2**18
"""Values that are centred at a time: a megabyte, which stays in the cache of a core, and no copy of
a whole map is made."""


@dataclass(frozen=True)
class Moments:
    """First and second moments of a feature map.

    Attributes:
        mean: [C].
        matrix: covariance [C, C].
        count: positions that they were taken over.
    """

    mean: Tensor
    matrix: Tensor
    count: int


def channel_statistics(features: Tensor) -> Moments:
    """Mean and covariance of the channels over the picture.

    Args:
        features: [1, C, H, W], any real dtype; computed in float32. Any memory layout: none is
            copied as a whole, and the gradient has the same.
    Returns:
        mean [C] and covariance [C, C], in the features' own units.
    Raises:
        InputError: H x W is below 2.
    Source: Gatys et al. 2016, eq. 4, but centred, because the large means of one-bit layers
        would swamp everything else in an uncentred product.
    """
    count = features.shape[-2] * features.shape[-1]
    if count < 2:
        raise InputError("statistics need a feature map of at least two positions")
    mean, matrix = _Covariance.apply(features)  # type: ignore[no-untyped-call]
    return Moments(mean, matrix, count)


def merged(parts: Sequence[Moments]) -> Moments:
    """The moments of a map from those of the parts that it was cut into.

    Source: Chan, Golub and LeVeque 1983, eq. 2.1; nothing is uncentred, so nothing cancels.
    """
    count = sum(part.count for part in parts)
    mean = torch.stack([part.mean * (part.count / count) for part in parts]).sum(0)
    matrix = torch.zeros_like(parts[0].matrix)
    for part in parts:
        apart = part.mean - mean
        matrix += (part.matrix + torch.outer(apart, apart)) * (part.count / count)
    return Moments(mean, matrix, count)


class _Covariance(torch.autograd.Function):
    """Mean [C] and covariance [C, C] of a map [1, C, H, W].

    The way back needs the map alone, which the network keeps anyway: no centred copy is kept.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, matrix = _moments_of(features)
        ctx.save_for_backward(features, mean, matrix)
        return mean, matrix

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        features, mean, matrix = ctx.saved_tensors
        count = features.shape[-2] * features.shape[-1]
        result = torch.empty_like(features)
        of_mean, of_matrix = gradients
        of_matrix = (of_matrix + of_matrix.T) / 2
        write_gradient(result, features, Moments(mean, matrix, count), of_mean, of_matrix)
        return result


def _moments_of(features: Tensor) -> tuple[Tensor, Tensor]:
    if _has_kernels(features):
        from ..engine.moments import channel_moments

        return channel_moments(features)
    channels, height, width = features.shape[1:]
    mean = features.mean((0, 2, 3), dtype=torch.float32)
    matrix = mean.new_zeros(channels, channels)
    for part in _bands(features):
        centred = _flat(part) - mean[:, None]
        matrix.addmm_(centred, centred.T)
    matrix /= height * width
    return mean, matrix


def _has_kernels(features: Tensor) -> bool:
    """Whether our own kernels are for such a map: they take less than half of torch's time.

    Its channels lie together, as in channels_last and what is cut out of such maps.
    """
    channels = features.shape[1]
    return (
        features.device.type == "cpu"
        and features.dtype == torch.float32
        and features.stride(1) == 1
        and features.stride(3) == channels >= NARROW
        and _numba_is_there()
    )


@cache
def _numba_is_there() -> bool:
    return find_spec("numba") is not None


def _is_whole(features: Tensor) -> bool:
    return features.is_contiguous(memory_format=torch.channels_last)


def write_gradient(
    result: Tensor,
    features: Tensor,
    moments: Moments,
    of_mean: Tensor,
    of_matrix: Tensor,
    slope: float = 0.0,
    half: bool = False,
) -> None:
    """The gradient to a map, or a part of it, from those to the mean and covariance of the whole.

    Args:
        result: written to, of the same shape and best of the same memory layout as the features;
            it may be the features themselves.
        features: [1, C, H, W].
        moments: of the whole map.
        of_mean, of_matrix: gradients [C] and [C, C], the latter symmetric.
        slope: so many times the features are added.
        half: whether bfloat16 will do, where there are kernels for it.
    """
    share = 1 / moments.count
    constant = torch.addmv(of_mean, of_matrix, moments.mean, beta=share, alpha=-2 * share)
    both = of_matrix * (2 * share)
    if slope:
        both.diagonal().add_(slope)
    if _has_kernels(features) and _is_whole(features) and _is_whole(result):
        from ..engine.products import Matrix

        Matrix.symmetric(both, constant, half).apply(features, result)
        return
    for target, part in zip(_bands(result), _bands(features), strict=True):
        flat, place = _flat(part), target.flatten(1)
        itself = part.data_ptr() == target.data_ptr()
        if itself or place.data_ptr() != target.data_ptr() or place.dtype != flat.dtype:
            target.copy_(torch.addmm(constant[:, None], both, flat).view_as(target))
        elif flat.stride(0) == 1:
            # As a product of positions with channels, where a position's channels lie together.
            torch.addmm(constant[None], flat.T, both, out=place.T)
        else:
            torch.addmm(constant[:, None], both, flat, out=place)


def _bands(features: Tensor) -> Sequence[Tensor]:
    """A map [1, C, H, W] in bands of rows [C, h, W] of about `VALUES` values, as views."""
    _, channels, _, width = features.shape
    return torch.split(features[0], max(VALUES // (channels * width), 1), 1)


def _flat(band: Tensor) -> Tensor:
    """[C, h, W] as float [C, h W]; where a position's channels lie together, they still do."""
    if band.stride(0) == 1:
        return band.permute(1, 2, 0).reshape(-1, band.shape[0]).T.float()
    return band.flatten(1).float()


def gram_matrix(moments: Moments) -> Tensor:
    """Uncentred products of the channels, averaged over the picture: [C, C] (Gatys et al. 2016)."""
    return moments.matrix + torch.outer(moments.mean, moments.mean)


def sliced_difference(
    ours: Tensor, theirs: Tensor, directions: int, random: torch.Generator
) -> Tensor:
    """The mean squared difference of two distributions along random directions, a scalar.

    Args:
        ours: N points [C, N].
        theirs: M points [C, M].
        directions: how many are drawn.
    Source: sliced Wasserstein distance, Heitz et al. 2021.
    """
    axes = torch.randn(directions, len(ours), generator=random).to(ours.device)
    axes = functional.normalize(axes, dim=1)
    mine = axes @ ours
    return (mine - goals_of(mine, axes @ theirs)).square().mean()
