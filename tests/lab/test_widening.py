"""Content weights are added until two frontiers overlap, and no longer."""

from __future__ import annotations

from bitbrush.lab.frontier import Frontier, overlap
from bitbrush.lab.judge import Distances
from bitbrush.lab.widening import MORE, WEIGHTS, frontiers, wider

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


def painter(factors: dict[str, float], calls: list[tuple[str, float]]):
    def paint(name: str, weight: float) -> Distances:
        calls.append((name, weight))
        return painted(factors[name], (weight,))[weight]

    return paint


def test_what_overlaps_is_painted_once() -> None:
    calls: list[tuple[str, float]] = []
    found = frontiers(painter({"one": 1.0, "other": 1.2}, calls), "one", "other")
    assert calls == [(name, weight) for name in ("one", "other") for weight in WEIGHTS]
    assert set(found["one"]) == set(WEIGHTS)


def test_both_are_painted_until_they_overlap() -> None:
    calls: list[tuple[str, float]] = []
    found = frontiers(painter({"one": 1.0, "other": 3.5}, calls), "one", "other")
    assert max(found["other"]) > max(WEIGHTS) and min(found["other"]) == min(WEIGHTS)
    assert min(found["one"]) < min(WEIGHTS) and max(found["one"]) == max(WEIGHTS)
    assert overlap(*(Frontier.of(list(each.values())) for each in found.values())) is not None


def test_there_is_an_end_to_it() -> None:
    calls: list[tuple[str, float]] = []
    frontiers(painter({"one": 1.0, "other": 1e9}, calls), "one", "other")
    assert len(calls) == 2 * (len(WEIGHTS) + MORE)
