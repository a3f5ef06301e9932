"""The colours of a style: how often each occurs, pixel by pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .statistics import FLAT, TINY, sliced_difference

DIRECTIONS = 8
"""Directions in RGB along which distributions are compared, drawn at each step."""

POSITIONS = 2**16
"""A picture of more pixels is averaged down to about so many, which keeps comparing cheap."""


class Palette:
    """The distribution of a style's colours, and how far another picture's is from it.

    Mean and covariance of the colours leave too much open: a picture may have both right and yet
    be full of tints that the style does not have. Projections compare whole distributions
    (`sliced_difference`).

    Args:
        picture: the style, RGB [1, 3, H, W].
    """

    def __init__(self, picture: Tensor) -> None:
        self.colours = _colours(picture.detach().float())
        variance = float(self.colours.var(1).mean())
        square = float(self.colours.square().mean())
        self.norm = max(variance, FLAT**2 * square, TINY)

    def distance(self, picture: Tensor, random: torch.Generator) -> Tensor:
        """The mean squared difference of projections over the style's variance, a scalar.

        Args:
            picture: RGB [1, 3, H', W'].
            random: draws the directions.
        """
        colours = _colours(picture.float())
        return sliced_difference(colours, self.colours, DIRECTIONS, random) / self.norm


def _colours(picture: Tensor) -> Tensor:
    cell = math.ceil(math.sqrt(picture.shape[-2] * picture.shape[-1] / POSITIONS))
    if cell > 1:
        picture = functional.avg_pool2d(picture, cell)
    return picture[0].flatten(1)
