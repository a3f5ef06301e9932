"""Content weights that two contestants paint a pair with, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .frontier import Frontier, overlap
from .judge import Distances

WEIGHTS = (0.02, 0.06, 0.2, 0.6)
"""Content weights that every frontier begins with."""

STEP = 3.0
"""From one content weight to the next."""

MORE = 4
"""Times that both frontiers may be widened by a weight each."""

Paint = Callable[[str, float], Distances]
"""Paints with the contestant of a name and a content weight, and judges it."""


def frontiers(
    paint: Paint, one: str, other: str, weights: Sequence[float] = WEIGHTS
) -> dict[str, dict[float, Distances]]:
    """Paintings by two contestants, by content weight, whose frontiers overlap if they can.

    Args:
        weights: that both begin with.
    """
    found = {name: {weight: paint(name, weight) for weight in weights} for name in (one, other)}
    for _ in range(MORE):
        more = wider(found[one], found[other])
        if more is None:
            break
        for name, weight in zip((one, other), more, strict=True):
            found[name][weight] = paint(name, weight)
    return found


def wider(
    one: Mapping[float, Distances], other: Mapping[float, Distances]
) -> tuple[float, float] | None:
    """Content weights for one and for the other to be painted with next.

    The one that keeps less of the content gets a larger weight, and the other a smaller one.

    Args:
        one, other: what was found of each contestant's paintings of the pair, by content weight;
            at least one painting each.
    Returns:
        None if their frontiers overlap, so that nothing more need be painted.
    """
    first, second = (Frontier.of(list(each.values())) for each in (one, other))
    if overlap(first, second) is not None:
        return None
    # A larger content distance is less content kept.
    if first.reach[0] > second.reach[0]:
        return max(one) * STEP, min(other) / STEP
    return min(one) / STEP, max(other) * STEP
