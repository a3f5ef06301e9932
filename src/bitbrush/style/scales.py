"""From coarse to fine: the sizes a picture is painted at, and the steps each gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """One size of the picture, in pixels, and the optimiser steps spent on it."""

    height: int
    width: int
    steps: int


def fitted(height: int, width: int, long_edge: int) -> tuple[int, int]:
    """Height and width with this long edge exactly, the aspect kept as nearly as pixels allow."""
    longest = max(height, width)
    return max(round(height * long_edge / longest), 1), max(round(width * long_edge / longest), 1)


def plan_scales(
    height: int,
    width: int,
    size: int,
    min_size: int,
    steps: int,
    smallest: int,
    fits: Callable[[int], bool] = lambda edge: True,
) -> list[Scale]:
    """The scales of a painting, coarse to fine, each twice the one before.

    Steps fall linearly towards the finer scales (4 : 3 : 2 for three of them), because coarse
    ones settle the composition and cost little.

    Args:
        height, width: of the content picture.
        size: long edge of the last scale.
        min_size: long edges below it are left out, unless it is the last.
        steps: in all; each scale gets at least one.
        smallest: scales whose short edge falls below it are left out, but for the last.
        fits: whether there can be a scale of that long edge, for other reasons; not asked of the
            last.
    """
    edges = [size]
    while (edge := round(edges[0] / 2)) and edges[0] / 2 >= min_size:
        if min(fitted(height, width, edge)) < smallest or not fits(edge):
            break
        edges.insert(0, edge)
    edges = edges[-steps:]
    weights = list(range(len(edges) + 1, 1, -1))
    scales = []
    left, weight_left = steps, sum(weights)
    for index, (edge, weight) in enumerate(zip(edges, weights, strict=True)):
        after = len(edges) - index - 1
        share = min(max(round(left * weight / weight_left), 1), left - after)
        scales.append(Scale(*fitted(height, width, edge), share))
        left -= share
        weight_left -= weight
    return scales
