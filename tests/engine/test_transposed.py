"""The way back through a one-bit convolution; low-bit gradients are right on average."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bitbrush.engine.packing import Filters
from bitbrush.engine.rounding import rounding_seed
from bitbrush.engine.transposed import TransposedFilters

Relative = Callable[[Tensor, Tensor], float]

SEEDS = 1000


def case(stride: int, kernel: int = 3, border: int = 1, size: int = 5, out: int = 70):
    """A transposed convolution, its gradient and geometry, and the true result in float64."""
    torch.manual_seed(stride + kernel)
    weight = torch.randn(out, 10, kernel, kernel)
    signs = torch.where(weight < 0, -1.0, 1.0).double().requires_grad_(False)
    x = torch.zeros(1, 10, size, size + 1, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.conv2d(x, signs, stride=stride, padding=border)
    gradient = torch.randn(y.shape)
    (true,) = torch.autograd.grad(y, x, gradient.double())
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    way = TransposedFilters(Filters.of(weight), stride)
    return way, gradient, (size, size + 1), (border,) * 4, true


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel,border", [(3, 1), (3, 0), (5, 2), (1, 0), (3, 2), (3, 4)])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_every_geometry(
    relative: Relative, stride: int, kernel: int, border: int, precision: str
) -> None:
    way, gradient, size, borders, true = case(stride, kernel, border)
    if precision == "bf16":
        gradient = gradient.bfloat16()
    found = way(gradient, size, borders, precision)
    assert found.shape == true.shape
    assert relative(found, true) < (1e-5 if precision == "float32" else 1e-2)


@pytest.mark.parametrize(
    "stride,kernel,border", [(1, 3, 1), (2, 3, 1), (1, 1, 0), (2, 5, 2), (2, 1, 0), (1, 3, 4)]
)
def test_low_bit_gradients_are_right_on_average(stride: int, kernel: int, border: int) -> None:
    """Within four standard errors of the mean of independent roundings, everywhere."""
    way, gradient, size, borders, true = case(stride, kernel, border)
    total, squares = torch.zeros_like(true), torch.zeros_like(true)
    for seed in range(SEEDS):
        with rounding_seed(seed):
            found = way(gradient, size, borders, "low-bit").double()
        total += found - true
        squares += (found - true).square()
    mean = total / SEEDS
    error = ((squares / SEEDS - mean.square()).clamp(min=0) / SEEDS).sqrt()
    # Several hundred values are looked at; four standard errors are exceeded once in 16,000.
    floor = 1e-5 * float(true.abs().max())
    assert bool((mean.abs() <= 4 * error + floor).all()), float((mean.abs() / error).max())
    if (kernel, border) != (3, 4):
        assert float(error.max()) > 0


def test_low_bit_noise_is_that_of_rounding(relative: Relative) -> None:
    """Uniform rounding to steps of largest / 15 has a variance of at most step^2 / 4 a value."""
    way, gradient, size, borders, true = case(1)
    found = way(gradient, size, borders, "low-bit").double()
    step = float(gradient.abs().max()) / 15
    terms = gradient.shape[1] * 9
    assert float((found - true).std()) < step / 2 * terms**0.5
    assert relative(found, true) > 1e-4


@pytest.mark.parametrize("stride", [1, 2])
def test_low_bit_gradients_repeat(stride: int) -> None:
    way, gradient, size, borders, _ = case(stride)
    found = [way(gradient, size, borders, "low-bit") for _ in range(2)]
    assert torch.equal(*found)
    with rounding_seed(5):
        other = way(gradient, size, borders, "low-bit")
    assert not torch.equal(found[0], other)
    assert torch.equal(way(gradient, size, borders, "low-bit"), found[0])


def test_no_gradient_stays_none() -> None:
    way, gradient, size, borders, true = case(1)
    found = way(torch.zeros_like(gradient), size, borders, "low-bit")
    assert found.shape == true.shape and not found.any()


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_make_no_difference_to_rounding(threads: int) -> None:
    way, gradient, size, borders, _ = case(1, size=17)
    before = torch.get_num_threads()
    alone = way(gradient, size, borders, "low-bit")
    torch.set_num_threads(threads)
    try:
        assert torch.equal(way(gradient, size, borders, "low-bit"), alone)
    finally:
        torch.set_num_threads(before)
