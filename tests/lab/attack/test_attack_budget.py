"""Budgets are kept exactly by the picture that would be saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.images import read_image, write_image
from bitbrush.lab.attack.budget import (
    L2,
    LEVELS,
    NEAR,
    Content,
    ContentDistance,
    Linf,
    eight_bit,
    l2_distance,
    make_budget,
    parse_epsilon,
)
from bitbrush.lab.judge import Case, Judge


def levels(picture: Tensor) -> Tensor:
    """A picture's whole levels; fails where they are none."""
    found = (picture * LEVELS).round()
    assert torch.equal(found / LEVELS, picture) and found.min() >= 0 and found.max() <= LEVELS
    return found


def pair(seed: int, spread: float, height: int = 5, width: int = 7) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    clean = eight_bit(torch.rand(1, 3, height, width, generator=random) * 1.2 - 0.1)
    return clean, clean + spread * torch.randn(clean.shape, generator=random)


@pytest.mark.parametrize(
    ("text", "value"), [("8/255", 8 / 255), ("0.03", 0.03), (" 2 ", 2.0), ("1e-2", 0.01)]
)
def test_epsilon_is_a_number_or_a_fraction(text: str, value: float) -> None:
    assert parse_epsilon(text) == value


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1/0", "inf", "nan", "1/2/3", "8/", "/255"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--epsilon is a positive number such as 8/255"):
        parse_epsilon(text)


@given(st.integers(0, 999), st.floats(0, 2), st.floats(1 / 255, 1))
def test_linf_is_kept_in_whole_levels(seed: int, spread: float, epsilon: float) -> None:
    clean, picture = pair(seed, spread)
    inside, saved = Linf(clean, epsilon).project(picture)
    assert float((inside - clean).abs().max()) <= epsilon + 1e-6
    assert int((levels(saved) - levels(clean)).abs().max()) <= epsilon * LEVELS + 1e-6
    assert Linf(clean, epsilon).used(saved) <= epsilon + 1e-9


@given(st.integers(0, 999), st.floats(0, 1), st.integers(1, 40))
def test_linf_projects_to_the_nearest(seed: int, spread: float, whole: int) -> None:
    clean, picture = pair(seed, spread)
    _, saved = Linf(clean, whole / 255).project(picture)
    before = levels(clean)
    wanted = (picture.clamp(0, 1) * LEVELS).round()
    assert torch.equal(levels(saved), wanted.clamp(before - whole, before + whole))


@given(st.integers(0, 999), st.floats(0, 2), st.floats(1 / 255, 5))
def test_l2_is_kept_after_rounding(seed: int, spread: float, epsilon: float) -> None:
    clean, picture = pair(seed, spread)
    inside, saved = L2(clean, epsilon).project(picture)
    assert float((inside - clean).norm()) <= epsilon * (1 + 1e-5)
    levels(saved)
    assert l2_distance(saved, clean) <= epsilon


@given(st.integers(0, 99))
def test_l2_is_nearly_used_up_where_it_binds(seed: int) -> None:
    clean, picture = pair(seed, 0.5, 40, 40)
    budget = L2(clean, 2.0)
    assert budget.used(picture.clamp(0, 1)) > 2
    assert 1.8 < budget.used(budget.project(picture)[1]) <= 2


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_inside_stays_as_it_is(norm: str) -> None:
    clean, _ = pair(0, 0)
    picture = eight_bit(clean + 2 / 255)
    inside, saved = make_budget(norm, 1.0, clean).project(picture)
    assert torch.allclose(inside, picture, atol=1e-6) and torch.equal(saved, picture)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_budget_below_one_level_allows_nothing_and_is_refused(norm: str) -> None:
    with pytest.raises(InputError, match="below 1/255"):
        make_budget(norm, 0.003, pair(0, 0)[0])


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'linf'"):
        make_budget("lin", 1, pair(0, 0)[0])


def test_directions_have_the_lengths_of_their_norms() -> None:
    clean, gradient = pair(1, 1)
    assert Linf(clean, 0.1).direction(gradient).abs().unique().tolist() == [1.0]
    assert float(L2(clean, 0.1).direction(gradient).norm()) == pytest.approx(1, abs=1e-5)
    nothing = torch.zeros_like(clean)
    for budget in (Linf(clean, 0.1), L2(clean, 0.1)):
        assert not budget.direction(nothing).any()
        direction = budget.direction(gradient)
        assert budget.used(budget.border(direction) * direction + clean) == pytest.approx(
            0.1, abs=1 / LEVELS
        )


@pytest.mark.parametrize("epsilon", [0.0005, 0.002, 0.008])
def test_content_distance_is_kept(judge: Judge, clean: Tensor, epsilon: float) -> None:
    budget = Content(clean, epsilon, judge)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    outside = clean + 0.5 * noise
    assert budget.used(outside.clamp(0, 1)) > epsilon
    _, saved = budget.project(outside)
    levels(saved)
    assert 0.5 * epsilon < budget.used(saved) <= epsilon


@pytest.mark.parametrize("epsilon", [0.0003, 0.002, 0.01])
def test_random_changes_are_taken_to_the_border_of_a_content_distance(
    judge: Judge, clean: Tensor, epsilon: float
) -> None:
    budget = Content(clean, epsilon, judge)
    direction = budget.direction(
        torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    )
    there = eight_bit(clean + budget.border(direction) * direction)
    assert budget.used(there) == pytest.approx(epsilon, rel=NEAR)


def test_a_content_distance_that_nothing_has_ends_the_search(judge: Judge, clean: Tensor) -> None:
    budget = Content(clean, 1e6, judge)
    assert budget.border(torch.ones_like(clean)) == 1
    assert budget.border(torch.zeros_like(clean)) == budget.reach


def test_content_distance_is_the_judges(judge: Judge, clean: Tensor) -> None:
    other = eight_bit(clean.flip(-1))
    expected = Case(judge, clean, clean.flip(-2), 60, 80).distances(other).content
    assert ContentDistance(judge, clean)(other) == pytest.approx(expected, rel=1e-5)
    assert ContentDistance(judge, clean)(clean) == 0


def test_a_saved_picture_is_read_as_it_was(tmp_path: Path) -> None:
    _, picture = pair(5, 1)
    write_image(eight_bit(picture), tmp_path / "saved.png", {"bitbrush": "test"})
    assert torch.equal(read_image(tmp_path / "saved.png").rgb, eight_bit(picture))
