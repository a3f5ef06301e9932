"""Style distance at equal content distance: the number that two networks are compared by.

Which network keeps more of the content is a matter of the content weight. So each paints a pair
with several, which gives a frontier: the style distance that it reaches for each content distance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .judge import Distances

POINTS = 5
"""Content distances, spread over the overlap of two frontiers, that they are compared at."""

LEVEL = 0.95
"""How often an interval holds the mean over all pairs there could be."""

WIDE = 1.15
"""Highest over lowest content distance of an overlap that says something."""


@dataclass(frozen=True)
class Frontier:
    """Style distance against content distance.

    Attributes:
        points: in order of content distance, each with less style distance than those before.
    """

    points: tuple[Distances, ...]

    @classmethod
    def of(cls, found: Sequence[Distances]) -> Frontier:
        """Of paintings with several content weights; what another beats in both is left out."""
        points: list[Distances] = []
        for each in sorted(found, key=lambda point: (point.content, point.style)):
            if not points or each.style < points[-1].style:
                points.append(each)
        return cls(tuple(points))

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest content distance."""
        return self.points[0].content, self.points[-1].content

    def style_at(self, content: float) -> float:
        """Style distance at a content distance within reach; a power law between two points."""
        contents, styles = np.log([(point.content, point.style) for point in self.points]).T
        return math.exp(np.interp(math.log(content), contents, styles))


def overlap(one: Frontier, other: Frontier) -> tuple[float, float] | None:
    """Content distances that both reach, lowest and highest; None if they are next to none."""
    low = max(one.reach[0], other.reach[0])
    high = min(one.reach[1], other.reach[1])
    return (low, high) if high >= WIDE * low else None


def ratio(one: Frontier, other: Frontier) -> float:
    """Mean over POINTS content distances of the one's style distance over the other's.

    Raises:
        InputError: they do not overlap; paint with more content weights.
    """
    both = overlap(one, other)
    if both is None:
        raise InputError("two frontiers do not overlap; paint with more content weights")
    places = np.geomspace(*both, POINTS)
    # The ends may lie beyond a frontier by a rounding error.
    places = np.clip(places, *both)
    return float(np.mean([one.style_at(place) / other.style_at(place) for place in places]))


@dataclass(frozen=True)
class Comparison:
    """Ratios over pairs.

    Attributes:
        mean: their geometric mean.
        low, high: its 95 % interval over pairs; from 0 to infinity with one of them.
        pairs: how many there were.
    """

    mean: float
    low: float
    high: float
    pairs: int

    def is_above(self, value: float) -> bool | None:
        """Whether it lies above a value with its whole interval.

        Returns:
            None if that holds the value.
        """
        if self.low <= value <= self.high:
            return None
        return self.low > value

    def text(self, digits: int = 2) -> str:
        """The mean with its interval, which a single pair has none of."""
        mean, low, high = (f"{each:.{digits}f}" for each in (self.mean, self.low, self.high))
        return f"{mean} (one pair)" if self.pairs == 1 else f"{mean} ({low} to {high})"


def compared(ratios: Sequence[float]) -> Comparison:
    """The geometric mean of ratios, one for each pair, and how sure it is.

    The interval takes their logarithms for normal and the pairs for independent. Those that share
    a picture are not quite, so that it is rather too narrow; pairs made one to one share none.

    Source: Student 1908.
    """
    from scipy.stats import t

    logs = np.log(np.asarray(ratios, dtype=float))
    mean, count = float(logs.mean()), len(logs)
    if count == 1:
        return Comparison(math.exp(mean), 0.0, math.inf, 1)
    spread = float(logs.std(ddof=1)) / math.sqrt(count)
    half = float(t.ppf((1 + LEVEL) / 2, count - 1)) * spread
    return Comparison(math.exp(mean), math.exp(mean - half), math.exp(mean + half), count)
