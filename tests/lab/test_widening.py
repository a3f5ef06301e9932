"""Content weights are added until two frontiers overlap, and no longer."""

from __future__ import annotations

from bitbrush.lab.frontier import Frontier, overlap
from bitbrush.lab.judge import Distances
from bitbrush.lab.widening import WEIGHTS, wider

Painted = dict[float, Distances]


def painted(factor: float, weights: tuple[float, ...] = WEIGHTS) -> Painted:
    contents = [factor / weight**0.3 for weight in weights]
    return {
        weight: Distances(1 / content, content)
        for weight, content in zip(weights, contents, strict=True)
    }


def test_what_overlaps_needs_no_more() -> None:
    assert wider(painted(1.0), painted(1.2)) is None


def test_the_loose_one_gets_more_weight_and_the_tight_one_less() -> None:
    assert wider(painted(1.0), painted(4.0)) == (min(WEIGHTS) / 3, max(WEIGHTS) * 3)
    assert wider(painted(4.0), painted(1.0)) == (max(WEIGHTS) * 3, min(WEIGHTS) / 3)


def test_they_meet_step_by_step() -> None:
    one, other = painted(1.0), painted(8.0)
    rounds = 0
    while (more := wider(one, other)) is not None:
        one |= painted(1.0, (more[0],))
        other |= painted(8.0, (more[1],))
        rounds += 1
    assert rounds > 1
    assert overlap(*(Frontier.of(list(each.values())) for each in (one, other))) is not None
