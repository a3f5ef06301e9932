"""The plan of scales, for any size and any number of steps."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bitbrush.style.scales import Scale, fitted, plan_scales

SIDES = st.integers(32, 8000)


@given(SIDES, SIDES, st.integers(1, 4096), st.integers(1, 600), st.integers(1, 900))
def test_plan_properties(height: int, width: int, size: int, min_size: int, steps: int) -> None:
    plan = plan_scales(height, width, size, min_size, steps, smallest=16)
    edges = [max(scale.height, scale.width) for scale in plan]
    assert sum(scale.steps for scale in plan) == steps
    assert all(scale.steps >= 1 for scale in plan)
    assert edges[-1] == size
    assert all(
        fine in (2 * coarse - 1, 2 * coarse, 2 * coarse + 1) for coarse, fine in pairwise(edges)
    )
    assert all(fine > coarse for coarse, fine in pairwise(edges))
    assert all(
        edge >= min_size and min(s.height, s.width) >= 16
        for edge, s in zip(edges[:-1], plan, strict=False)
    )
    for scale in plan:
        longer = (scale.height >= scale.width) == (height >= width) or scale.height == scale.width
        assert longer


@given(SIDES, SIDES, st.integers(1, 16384))
def test_fitted_keeps_the_aspect_to_half_a_pixel(height: int, width: int, edge: int) -> None:
    ours = fitted(height, width, edge)
    assert max(ours) == edge
    exact = min(height, width) * edge / max(height, width)
    assert min(ours) == 1 or abs(min(ours) - exact) <= 0.5


def test_default_proportions_hold_for_any_number_of_steps() -> None:
    plan = plan_scales(300, 400, 512, 128, 450, 32)
    assert plan == [Scale(96, 128, 200), Scale(192, 256, 150), Scale(384, 512, 100)]
    assert [s.steps for s in plan_scales(300, 400, 512, 128, 9, 32)] == [4, 3, 2]


def test_fewer_steps_than_scales_leave_out_the_coarsest() -> None:
    plan = plan_scales(300, 400, 512, 128, 2, 32)
    assert [(s.width, s.steps) for s in plan] == [(256, 1), (512, 1)]


def test_scales_that_something_else_does_not_fit_are_left_out() -> None:
    plan = plan_scales(300, 400, 512, 64, 40, 32, lambda edge: edge >= 256)
    assert [s.width for s in plan] == [256, 512]
