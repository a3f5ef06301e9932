"""A set of settings that a search paints with, and what its paintings are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import geometric_mean, mean
from typing import TYPE_CHECKING, Any

from ..rows import Row

if TYPE_CHECKING:
    from optuna.trial import Trial

PAIRS = 2
"""Pairs that a proposal is painted on, the same for all."""

WANTED = 1.2
"""Content distance of the paintings that are searched for, unless another is asked for. A little
less than quickbrush's with a content weight of 0.2 at 256 px, where a photograph is clearly itself
yet."""

FALL = 1.2
"""By what power of the content distance the style distance falls along a frontier. Measured as 0.9
to 1.6, 1.17 in the median, over eight pairs painted by quickbrush at 256 px."""

PULL = 1.0
"""What the squared logarithm of a content distance over the one wanted costs."""

GRAIN = 0.05
"""How much a proposal's artefacts count, in logarithms, beside its distances."""

FIGURES = 3
"""That a proposal is told by, all to be small: style distance, content distance, artefacts."""

FAILED = (1e3, 1e3, 1e3)
"""Figures of a proposal that could not be painted."""

WORST = 2.0
"""The highest cost, so that failures do not hide the differences between the others."""

Figures = tuple[float, float, float]


@dataclass
class Proposal:
    """One set of settings, painted on one pair after another.

    Attributes:
        trial: of Optuna's, which the settings were drawn with.
        wanted: content distance that costs are of.
        rows: of its paintings so far.
    """

    trial: Trial
    settings: Mapping[str, Any]
    wanted: float
    rows: list[Row] = field(default_factory=list)

    @property
    def costs(self) -> list[float]:
        """Of each painting so far."""
        return [cost(row, self.wanted) for row in self.rows]

    @property
    def cost(self) -> float:
        """Of all of them; the best proposal has the lowest."""
        return mean(self.costs)

    @property
    def is_complete(self) -> bool:
        """Whether it was painted on every pair of the search."""
        return len(self.rows) >= PAIRS


def cost(row: Row, wanted: float) -> float:
    """What a painting costs: the logarithm of its style distance at the content distance wanted.

    That is guessed by how frontiers fall, and the guess is the worse, and costs the more, the
    further away the painting is. A little is added for artefacts.
    """
    style, content, artefacts = figures([row])
    off = math.log(content / wanted)
    return min(
        math.log(style) + FALL * off + PULL * off**2 + GRAIN * math.log(artefacts),
        WORST,
    )


def figures(rows: Sequence[Row]) -> Figures:
    """Style distance, content distance and artefacts of a proposal."""
    judged = [row for row in rows if row.distances is not None]
    if len(judged) < len(rows) or not rows:
        return FAILED
    distances = [row.distances for row in judged if row.distances is not None]
    artefacts = [
        max(row.grid_against_style or 1.0, 1.0) * max(row.found.get("noise") or 1.0, 1.0)
        for row in judged
    ]
    return (
        geometric_mean([max(each.style, 1e-6) for each in distances]),
        geometric_mean([max(each.content, 1e-6) for each in distances]),
        geometric_mean(artefacts),
    )
