"""Gradients of weights in 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from bitbrush.engine import octets
from bitbrush.engine.octets import LEVELS, sign_grid, weight_gradient
from bitbrush.quantizers import sign


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


def true_gradient(x: Tensor, gradient: Tensor, border: int) -> Tensor:
    seen = functional.pad(sign(x).double(), (1, 1, 1, 1), value=border)
    weight = torch.zeros(gradient.shape[1], x.shape[1], 3, 3, dtype=torch.float64)
    weight.requires_grad_(True)
    functional.conv2d(seen, weight).backward(gradient.double())
    assert weight.grad is not None
    return weight.grad


@given(
    st.integers(1, 3),
    st.integers(1, 130),
    st.integers(1, 130),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([-1, 0, 1]),
)
def test_gradients_of_whole_levels_are_exact(
    images: int, channels: int, filters: int, height: int, width: int, border: int
) -> None:
    torch.manual_seed(images + channels)
    x = drawn(images, channels, height, width)
    # Of four times a whole number quarters are whole, too.
    most = LEVELS // 4
    levels = 4 * torch.randint(-most, most + 1, (images, filters, height, width)).float()
    levels[0, :, 0, 0] = LEVELS
    # Powers of two, so that a level is a level again after it was divided by the unit.
    unit = 2.0 ** torch.randint(-20, 20, (filters, 1, 1))
    gradient = (levels * unit).contiguous(memory_format=torch.channels_last)
    found = weight_gradient(gradient, sign_grid(x, border), channels, seed=3)
    assert torch.equal(found.double(), true_gradient(x, gradient, border))


def test_the_mean_over_many_seeds_is_the_true_gradient() -> None:
    torch.manual_seed(0)
    x, gradient = drawn(2, 64, 5, 6), drawn(2, 70, 5, 6)
    gradient[:, 3] = 0
    signs = sign_grid(x, 0)
    found = torch.stack([weight_gradient(gradient, signs, 64, seed) for seed in range(1000)])
    true = true_gradient(x, gradient, 0)
    error = (found.double().mean(0) - true).abs()
    allowed = found.std(0) / len(found) ** 0.5
    # Of 40,000 values a few are further away than four standard errors.
    assert (error > 4 * allowed + 1e-4).double().mean() < 2e-4
    assert (error > 6 * allowed + 1e-4).sum() == 0
    assert not found[:, 3].any()
    assert (found[0] - true).norm() < 0.03 * true.norm()


def test_a_seed_tells_the_rounding_on_any_number_of_threads() -> None:
    torch.manual_seed(1)
    x, gradient = drawn(3, 40, 7, 5), drawn(3, 65, 7, 5)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 7):
            torch.set_num_threads(threads)
            found.append(weight_gradient(gradient, sign_grid(x, 1), 40, seed=2**31 + 5))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    assert not torch.equal(found[0], weight_gradient(gradient, sign_grid(x, 1), 40, seed=6))


@pytest.mark.parametrize("there", [True, False])
def test_with_and_without_products_of_integers(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    torch.manual_seed(2)
    x, gradient = drawn(2, 64, 6, 6), drawn(2, 64, 6, 6)
    expected = weight_gradient(gradient, sign_grid(x, 0), 64, seed=1)
    has: Callable[[], bool] = lambda: there  # noqa: E731
    monkeypatch.setattr(octets, "has_octet_products", has)
    assert torch.equal(weight_gradient(gradient, sign_grid(x, 0), 64, seed=1), expected)
