"""Content weights are added until two frontiers overlap, and no longer."""

from __future__ import annotations

from bitbrush.lab.frontier import Frontier, overlap
from bitbrush.lab.judge import Distances
from bitbrush.lab.widening import MORE, WEIGHTS, frontiers


def painter(factors: dict[str, float], calls: list[tuple[str, float]]):
    def paint(name: str, weight: float) -> Distances:
        calls.append((name, weight))
        content = factors[name] / weight**0.3
        return Distances(1 / content, content)

    return paint


def test_what_overlaps_is_painted_once() -> None:
    calls: list[tuple[str, float]] = []
    found = frontiers(painter({"one": 1.0, "other": 1.2}, calls), "one", "other")
    assert calls == [(name, weight) for name in ("one", "other") for weight in WEIGHTS]
    assert set(found["one"]) == set(WEIGHTS)


def test_the_loose_one_gets_more_weight_and_the_tight_one_less() -> None:
    calls: list[tuple[str, float]] = []
    found = frontiers(painter({"one": 1.0, "other": 3.5}, calls), "one", "other")
    assert max(found["other"]) > max(WEIGHTS) and min(found["other"]) == min(WEIGHTS)
    assert min(found["one"]) < min(WEIGHTS) and max(found["one"]) == max(WEIGHTS)
    assert overlap(*(Frontier.of(list(each.values())) for each in found.values())) is not None


def test_there_is_an_end_to_it() -> None:
    calls: list[tuple[str, float]] = []
    frontiers(painter({"one": 1.0, "other": 1e9}, calls), "one", "other")
    assert len(calls) == 2 * (len(WEIGHTS) + MORE)
