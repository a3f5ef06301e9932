"""Keeping the colours of the content."""

from __future__ import annotations

import torch
from torch import Tensor

from .statistics import channel_statistics

# Rec. 601 luma and colour differences, each row a weight of R, G, B.
_YCC = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
RIDGE = 1e-5
"""Added to each colour's variance, so that a grey picture has an invertible covariance."""


def with_colours_of(picture: Tensor, colours: Tensor) -> Tensor:
    """The luminance of one picture with the colour differences of another (luminance transfer).

    Args:
        picture, colours: RGB [1, 3, H, W] in [0, 1], the same size.
    Returns:
        RGB in [0, 1]; colours that would leave the range are clamped.
    Source: Gatys et al. 2016, Preserving Color in Neural Artistic Style Transfer, section 4.
    """
    to_ycc = _YCC.to(picture)
    ycc = torch.einsum("dc,nchw->ndhw", to_ycc, colours).clone()
    ycc[:, 0] = torch.einsum("c,nchw->nhw", to_ycc[0], picture)
    return torch.einsum("cd,ndhw->nchw", torch.linalg.inv(to_ycc), ycc).clamp(0, 1)


def recoloured(picture: Tensor, reference: Tensor) -> Tensor:
    """The picture under the linear map that gives it the reference's colour mean and covariance.

    Args:
        picture: RGB [1, 3, H, W] in [0, 1].
        reference: RGB [1, 3, H', W'] in [0, 1].
    Returns:
        RGB in [0, 1], the picture's size.
    Source: Gatys et al. 2016, Preserving Color in Neural Artistic Style Transfer, section 3, with
        symmetric square roots of the covariances.
    """
    ours, theirs = channel_statistics(picture), channel_statistics(reference)
    change = _root(theirs.matrix, 0.5) @ _root(ours.matrix, -0.5)
    centred = picture - ours.mean.view(1, 3, 1, 1)
    mapped = torch.einsum("dc,nchw->ndhw", change.to(picture), centred)
    return (mapped + theirs.mean.view(1, 3, 1, 1).to(picture)).clamp(0, 1)


def _root(covariance: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance + RIDGE * torch.eye(3).to(covariance))
    root: Tensor = vectors @ torch.diag(values.clamp(min=RIDGE).pow(power)) @ vectors.T
    return root
