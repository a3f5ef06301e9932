"""As many paintings of a pair as it takes for two networks to be comparable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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

    Where they do not, the one that keeps less of the content gets a larger weight, and the other a
    smaller one.

    Args:
        weights: in ascending order.
    """
    found = {name: {weight: paint(name, weight) for weight in weights} for name in (one, other)}
    for _ in range(MORE):
        first, second = (Frontier.of(list(found[name].values())) for name in (one, other))
        if overlap(first, second) is not None:
            break
        # A larger content distance is less content kept.
        loose, tight = (one, other) if first.reach[0] > second.reach[0] else (other, one)
        more, less = max(found[loose]) * STEP, min(found[tight]) / STEP
        found[loose][more] = paint(loose, more)
        found[tight][less] = paint(tight, less)
    return found
