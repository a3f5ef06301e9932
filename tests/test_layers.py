"""Padding, pools and quantized layers against TensorFlow and larq (tools/goldens/layers.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from bitbrush.errors import InputError
from bitbrush.layers import (
    BlurPool2d,
    Conv2d,
    Padding,
    Pool2d,
    QuantConv2d,
    QuantLinear,
    border_of,
    pad,
    same_padding,
)
from bitbrush.quantizers import Estimator, MagnitudeAwareSign, Sign, XnorScale

with np.load(Path(__file__).parent / "golden" / "layers.npz") as file:
    GOLDEN = {key: torch.from_numpy(file[key]) for key in file.files}
CASES = {
    kind: [tuple(int(number) for number in key.split("_")[1:]) for key in GOLDEN if kind in key]
    for kind in ("max_", "average_", "conv_", "quant_")
}


def recorded(key: str) -> Tensor:
    return GOLDEN[key].permute(0, 3, 1, 2)


def kernel(window: int) -> Tensor:
    return GOLDEN[f"kernel_{window}"].permute(3, 2, 0, 1)


@given(st.integers(1, 300), st.integers(1, 12), st.integers(1, 5))
def test_same_padding_gives_ceil_of_size_over_stride(size: int, window: int, stride: int) -> None:
    before, after = same_padding(size, window, stride)
    assert 0 <= before <= after <= before + 1
    outputs = (size + before + after - window) // stride + 1
    assert outputs == -(-size // stride)
    if before + after:
        # No cell more than needed.
        assert (size + before + after - window) % stride == 0


@pytest.mark.parametrize("case", CASES["conv_"])
def test_convolution_equals_tensorflows(case: tuple[int, int, int]) -> None:
    size, window, stride = case
    conv = Conv2d(2, 2, window, stride)
    conv.weight.data = kernel(window)
    expected = recorded("conv_{}_{}_{}".format(*case))
    torch.testing.assert_close(conv(recorded(f"map_{size}")), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("case", CASES["max_"])
def test_pools_equal_tensorflows(kind: str, case: tuple[int, int, int]) -> None:
    size, window, stride = case
    pooled = Pool2d(window, stride, "same", kind)(recorded(f"map_{size}"))  # type: ignore[arg-type]
    torch.testing.assert_close(pooled, recorded("{}_{}_{}_{}".format(kind, *case)))


@given(
    st.tuples(st.integers(3, 12), st.integers(3, 12)),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from(["same", "valid", "ceil", 1, 2]),
)
def test_maxima_and_their_gradient_know_no_border(
    size: tuple[int, int], window: int, stride: int, padding: Padding | Literal["ceil"]
) -> None:
    # Against a border filled by hand, below anything that the map holds.
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pool = Pool2d(window, stride, padding)
    if padding == "ceil":
        expected = functional.max_pool2d(x, window, stride, ceil_mode=True)
    else:
        sides = [border_of(length, padding, window, stride) for length in size]
        filled = functional.pad(x, (*sides[1], *sides[0]), value=-9.0)
        expected = functional.max_pool2d(filled, window, stride)
    found = pool(x)
    assert torch.equal(found, torch.where(expected == -9, -torch.inf, expected))
    weights = torch.rand(found.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        torch.autograd.grad((found.clamp(min=-9) * weights).sum(), x),
        torch.autograd.grad((expected * weights).sum(), x),
    )


@pytest.mark.parametrize("padding", ["same", "ceil", 1])
def test_average_of_a_constant_is_the_constant(padding: str | int) -> None:
    x = torch.full((1, 2, 7, 8), 3.0)
    torch.testing.assert_close(
        Pool2d(3, 2, padding, "average")(x),  # type: ignore[arg-type]
        torch.full((1, 2, 4, 4) if padding != "ceil" else (1, 2, 3, 4), 3.0),
    )


@pytest.mark.parametrize("case", CASES["quant_"])
def test_quantized_convolution_equals_larqs(case: tuple[int, int, int]) -> None:
    size, stride, value = case
    conv = QuantConv2d(
        2, 2, 3, stride, input_quantizer=Sign(), kernel_quantizer=Sign(), pad_value=value
    )
    conv.weight.data = kernel(3)
    found = conv(recorded(f"map_{size}"))
    assert torch.equal(found, recorded("quant_{}_{}_{}".format(*case)))


def test_pad_values_come_after_quantization() -> None:
    x = torch.full((1, 1, 1, 1), -5.0)
    sums = []
    for value in (-1, 0, 1):
        conv = QuantConv2d(1, 1, 3, input_quantizer=Sign(), pad_value=value)
        conv.weight.data.fill_(1.0)
        sums.append(conv(x).item())
    assert sums == [-9, -1, 7]


def test_pad_of_nothing_returns_the_map_itself() -> None:
    x = torch.ones(1, 1, 4, 4)
    assert pad(x, "valid", 3, 1) is x
    assert pad(x, "same", 1, 1) is x


def test_wrong_settings_are_rejected() -> None:
    with pytest.raises(InputError, match="pad_value"):
        QuantConv2d(1, 1, 3, pad_value=0.5)
    with pytest.raises(InputError, match="'max' or 'average'"):
        Pool2d(2, 2, kind="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("quantizer", [Sign(), MagnitudeAwareSign(), XnorScale()])
@pytest.mark.parametrize("layer", ["conv", "linear"])
def test_settling_changes_no_output_and_can_be_repeated(
    quantizer: Sign | MagnitudeAwareSign | XnorScale, layer: str
) -> None:
    torch.manual_seed(0)
    options = {"input_quantizer": Sign(), "kernel_quantizer": quantizer}
    module = QuantConv2d(4, 5, 3, **options) if layer == "conv" else QuantLinear(4, 5, **options)
    x = torch.randn(2, 4, 6, 6) if layer == "conv" else torch.randn(2, 4)
    before, latent = module(x).detach(), module.weight.detach().clone()
    module.settle()
    once = module.weight.clone()
    assert not torch.equal(once, latent)
    assert not module.weight.requires_grad
    torch.testing.assert_close(module(x), before)
    module.settle()
    assert torch.equal(module.weight, once)


def test_constrain_clips_the_latent_weight() -> None:
    conv = QuantConv2d(1, 1, 3, kernel_quantizer=Sign(Estimator("ste", 1.25)), clip=1.25)
    free = QuantConv2d(1, 1, 3, kernel_quantizer=Sign())
    for layer in (conv, free):
        layer.weight.data.copy_(torch.linspace(-4, 4, 9).view(1, 1, 3, 3))
        layer.constrain()
    assert conv.weight.abs().max() == 1.25
    assert conv.weight.flatten()[4:6].tolist() == [0, 1]
    assert free.weight.abs().max() == 4


def test_blur_keeps_a_constant_and_halves_the_map() -> None:
    x = torch.full((1, 3, 5, 6), 2.0)
    assert torch.equal(BlurPool2d(3, "replicate")(x), torch.full((1, 3, 3, 3), 2.0))
    zeros = BlurPool2d(3)(x)
    assert zeros.shape == (1, 3, 3, 3)
    assert float(zeros[0, 0, 1, 1]) == 2.0
    assert float(zeros[0, 0, 0, 0]) == pytest.approx(2.0 * (3 / 4) ** 2)
