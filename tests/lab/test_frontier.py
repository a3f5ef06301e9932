"""Frontiers, and what is said of two of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bitbrush.errors import InputError
from bitbrush.lab.frontier import Frontier, compared, overlap, ratio
from bitbrush.lab.judge import Distances


def power_law(factor: float, contents: list[float]) -> Frontier:
    return Frontier.of([Distances(factor / content, content) for content in contents])


def test_what_is_beaten_in_both_is_left_out() -> None:
    points = [Distances(0.2, 2.0), Distances(0.5, 1.0), Distances(0.6, 1.5), Distances(0.3, 2.0)]
    assert Frontier.of(points).points == (Distances(0.5, 1.0), Distances(0.2, 2.0))


def test_between_points_a_power_law_is_exact() -> None:
    frontier = power_law(0.4, [0.5, 2.0])
    assert frontier.reach == (0.5, 2.0)
    for content in (0.5, 0.9, 1.7, 2.0):
        assert frontier.style_at(content) == pytest.approx(0.4 / content)


def test_the_ratio_is_that_at_equal_content() -> None:
    one, other = power_law(0.3, [0.5, 1.0, 2.0]), power_law(0.4, [0.8, 3.0])
    assert overlap(one, other) == (0.8, 2.0)
    assert ratio(one, other) == pytest.approx(0.75)
    assert ratio(other, one) == pytest.approx(4 / 3)


def test_without_an_overlap_there_is_no_ratio() -> None:
    one, other = power_law(0.3, [0.5, 1.0]), power_law(0.3, [0.95, 2.0])
    assert overlap(one, other) is None
    with pytest.raises(InputError, match="more content weights"):
        ratio(one, other)


def test_the_mean_is_geometric_and_lies_in_its_interval() -> None:
    found = compared([0.5, 2.0, 1.0, 1.0])
    assert found.mean == pytest.approx(1.0)
    # Logarithms of 0, 0, ln 2 and -ln 2: a standard error of 0.283, 3.182 of which are 0.900.
    assert (found.low, found.high) == pytest.approx((math.exp(-0.9004), math.exp(0.9004)), rel=1e-3)
    same = compared([0.8] * 12)
    assert (same.low, same.mean, same.high) == pytest.approx((0.8, 0.8, 0.8))
    assert same.text(1) == "0.8 (0.8 to 0.8)" and compared([0.8]).text() == "0.80 (one pair)"


def test_an_interval_that_holds_a_value_is_on_neither_side_of_it() -> None:
    found = compared([1.2, 1.3, 1.4])
    assert found.is_above(1) is True and found.is_above(2) is False
    assert found.is_above(1.3) is None
    assert compared([3.0]).is_above(1) is None  # of one pair


@pytest.mark.parametrize("pairs", [2, 4, 12])
def test_nineteen_of_twenty_intervals_hold_the_truth(pairs: int) -> None:
    drawn = np.exp(np.random.default_rng(0).normal(0.1, 0.3, (1000, pairs)))
    held = sum(each.low <= math.exp(0.1) <= each.high for each in map(compared, drawn))
    assert 930 <= held <= 970
