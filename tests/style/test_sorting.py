"""Sorted rows and their gradients are torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitbrush.style.sorting import sorted_rows


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40))
def test_values_are_torch_s(values: list[float]) -> None:
    x = torch.tensor([values, values[::-1]])
    assert torch.equal(sorted_rows(x), x.sort(1).values)
    leaf = x.clone().requires_grad_(True)
    assert torch.equal(sorted_rows(leaf), x.sort(1).values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_go_where_values_came_from(dtype: torch.dtype) -> None:
    x = torch.randn(3, 200, generator=torch.Generator().manual_seed(0)).to(dtype)
    weights = torch.arange(600.0).view(3, 200).to(dtype)
    found = []
    for sort in (sorted_rows, lambda rows: rows.sort(1).values):
        leaf = x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad((sort(leaf) * weights).sum(), leaf)
        found.append(gradient)
    assert torch.equal(*found)


def test_rows_that_are_columns_elsewhere() -> None:
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).T.requires_grad_(True)
    assert torch.equal(sorted_rows(x), x.sort(1).values)
