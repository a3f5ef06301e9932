"""Where values go to be distributed as others, against sorting both."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from bitbrush.style.transport import BINS, goals_of


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def by_sorting(ours: Tensor, theirs: Tensor) -> Tensor:
    order = ours.argsort(1)
    goals = functional.interpolate(
        theirs.sort(1).values[None], ours.shape[1], mode="linear", align_corners=True
    )[0]
    return torch.empty_like(ours).scatter_(1, order, goals)


@pytest.mark.parametrize(("ours", "theirs"), [(20_000, 20_000), (20_000, 3_000), (3_000, 20_000)])
def test_values_go_where_sorting_both_has_them_go(
    ours: int, theirs: int, random: torch.Generator
) -> None:
    mine = 0.2 + 0.3 * torch.randn(4, ours, generator=random)
    others = torch.rand(4, theirs, generator=random).square()
    expected, found = by_sorting(mine, others), goals_of(mine, others)
    assert (found - expected).square().mean() < 1e-3 * (mine - expected).square().mean()


def test_what_is_the_same_in_another_order_stays_within_its_bin(
    random: torch.Generator,
) -> None:
    values = torch.randn(3, 5_000, generator=random)
    width = float(values.max() - values.min()) / BINS
    assert (goals_of(values, values.flip(1)) - values).abs().max() < width


def test_values_that_are_one_share_what_they_would_be_spread_over(random: torch.Generator) -> None:
    mine = torch.rand(1, 8_000, generator=random)
    mine[:, :4_000] = -1.0
    theirs = torch.rand(1, 8_000, generator=random)
    # The lower half of theirs has a mean of a quarter.
    assert goals_of(mine, theirs)[0, :4_000] == pytest.approx(0.25, abs=0.02)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30),
)
def test_means_become_equal_and_order_is_kept(mine: list[float], others: list[float]) -> None:
    ours, theirs = torch.tensor([mine]), torch.tensor([others])
    moved = goals_of(ours, theirs)[0]
    both = torch.cat([ours, theirs], 1)
    width = float(both.max() - both.min()) / BINS
    # Far from 0 neighbouring floats lie further apart than a bin is wide.
    rounding = 2 * torch.finfo(torch.float32).eps * float(both.abs().max()) + 1e-6
    assert float(moved.mean()) == pytest.approx(float(theirs.mean()), abs=1.01 * width + rounding)
    ordered = moved[ours[0].argsort()]
    assert bool((ordered.diff() >= -1.01 * width - rounding).all())


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_says_so(wrong: float) -> None:
    ours = torch.tensor([[0.0, wrong, 1.0]])
    assert bool(goals_of(ours, torch.rand(1, 5)).isnan().all())
