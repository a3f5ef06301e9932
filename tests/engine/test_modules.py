"""Packed layers against the float ones, fed the same: sums exactly, gradients to their precision.

Smooth factors are kept as floats where the gradient is in float32, else as bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bitbrush.engine.freeze import _quantized, affine_of, packed
from bitbrush.engine.modules import Affine, PackedConv2d, PackedGated, PackedLinear, PackedResidual
from bitbrush.engine.ways import why_not
from bitbrush.layers import Padding, QuantConv2d, QuantLinear
from bitbrush.networks import quicknet
from bitbrush.networks.resnet_bmxnet import PopcountConv2d
from bitbrush.quantizers import (
    ESTIMATORS,
    DoReFa,
    DoReFaWeights,
    Estimator,
    MagnitudeAwareSign,
    Quantizer,
    Sign,
    Ternary,
    XnorScale,
    image_estimator,
)

Values = Callable[[tuple[int, ...], int], Tensor]
Relative = Callable[[Tensor, Tensor], float]

TOLERANCE = {"float32": 1e-5, "bf16": 1e-2}
relaxed = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
counts = st.sampled_from([1, 3, 16, 48, 63, 64, 65, 96, 130])


@dataclass(frozen=True)
class Shape:
    """A layer and a map that it fits on."""

    images: int
    channels_in: int
    channels_out: int
    height: int
    width: int
    kernel: int
    stride: int
    padding: Padding
    pad_value: float
    seed: int

    def layer(self, inputs: Quantizer | None = None, weights: Quantizer | None = None, **more: Any):
        torch.manual_seed(self.seed)
        layer = QuantConv2d(
            self.channels_in,
            self.channels_out,
            self.kernel,
            self.stride,
            self.padding,
            input_quantizer=inputs or Sign(),
            kernel_quantizer=weights or Sign(),
            pad_value=self.pad_value,
            **more,
        )
        nn.init.normal_(layer.weight)
        with torch.no_grad():
            layer.weight[0, 0, 0, 0] = 0.0
        return layer

    @property
    def input(self) -> tuple[int, int, int, int]:
        return self.images, self.channels_in, self.height, self.width


@st.composite
def shapes(draw: st.DrawFn, pad_values: tuple[float, ...] = (-1.0, 0.0, 1.0)) -> Shape:
    kernel = draw(st.sampled_from([1, 3, 5]))
    return Shape(
        images=draw(st.integers(1, 2)),
        channels_in=draw(counts),
        channels_out=draw(counts),
        height=draw(st.integers(kernel, 13)),
        width=draw(st.integers(kernel, 13)),
        kernel=kernel,
        stride=draw(st.sampled_from([1, 2])),
        padding=draw(st.sampled_from(["same", "valid", 0, kernel // 2, 2])),
        pad_value=draw(st.sampled_from(pad_values)),
        seed=draw(st.integers(0, 10**6)),
    )


def both(
    plain: Callable[[Tensor], Tensor],
    frozen: Callable[[Tensor], Tensor],
    x: Tensor,
    estimator: Estimator | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Results and input gradients of the two, for the same gradient of the result."""
    found = []
    for function in (plain, frozen):
        leaf = x.clone().requires_grad_(True)
        with image_estimator(estimator):
            result = function(leaf)
            random = torch.Generator().manual_seed(7)
            upstream = torch.randn(result.shape, generator=random)
            (gradient,) = torch.autograd.grad(result, leaf, upstream)
        found += [result.detach(), gradient]
    return found[0], found[2], found[1], found[3]


@relaxed
@given(shapes())
def test_sums_of_signs_are_exact(special_values: Values, relative: Relative, shape: Shape) -> None:
    layer = shape.layer()
    x = special_values(shape.input, shape.seed)
    wanted, found, gradient, own = both(layer, packed(layer, "float32"), x)
    assert found.shape == wanted.shape
    assert torch.equal(found, wanted.round())
    assert relative(own, gradient) < 1e-5


@relaxed
@given(shapes(pad_values=(0.0, 1.0)), st.integers(1, 3))
def test_sums_of_levels_are_exact(
    special_values: Values, relative: Relative, shape: Shape, bits: int
) -> None:
    layer = shape.layer(DoReFa(bits))
    x = special_values(shape.input, shape.seed)
    wanted, found, gradient, own = both(layer, packed(layer, "float32"), x)
    levels = 2**bits - 1
    assert torch.equal((found * levels).round(), (wanted * levels).round())
    assert relative(found, wanted) < 1e-5
    assert relative(own, gradient) < 1e-5


@relaxed
@given(
    shapes(),
    st.sampled_from(
        [MagnitudeAwareSign(), MagnitudeAwareSign(None, per_filter=False), XnorScale()]
    ),
    st.booleans(),
)
def test_scales_of_filters(
    special_values: Values, relative: Relative, shape: Shape, weights: Quantizer, bias: bool
) -> None:
    layer = shape.layer(None, weights, bias=bias)
    if bias:
        nn.init.normal_(layer.bias)
    x = special_values(shape.input, shape.seed)
    wanted, found, gradient, own = both(layer, packed(layer, "float32"), x)
    assert relative(found, wanted) < 1e-5
    assert relative(own, gradient) < 1e-5


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("width", [0.5, 1.0, 1.25])
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("bits", [0, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_every_estimator(
    special_values: Values,
    relative: Relative,
    precision: str,
    width: float,
    name: str,
    bits: int,
    stride: int,
) -> None:
    shape = Shape(1, 70, 66, 11, 9, 3, stride, "same", 1.0, 3)
    layer = shape.layer(DoReFa(bits) if bits else Sign())
    x = special_values(shape.input, 5)
    estimator = Estimator(name, width)
    wanted, found, gradient, own = both(layer, packed(layer, precision), x, estimator)
    assert torch.allclose(found, wanted, atol=1e-4)
    assert relative(own, gradient) < TOLERANCE[precision]


def test_the_layer_s_own_estimator_counts_where_no_other_is_asked_for(
    special_values: Values, relative: Relative
) -> None:
    shape = Shape(1, 64, 64, 6, 6, 3, 1, 1, 1.0, 1)
    layer = shape.layer(Sign(Estimator("approx", 1.5)))
    x = special_values(shape.input, 1)
    _, _, gradient, own = both(layer, packed(layer, "float32"), x)
    _, _, other, _ = both(layer, packed(layer, "float32"), x, Estimator("ste"))
    assert relative(own, gradient) < 1e-5 < relative(other, gradient)


@relaxed
@given(counts, counts, st.sampled_from([1, 3]), st.sampled_from([1, 2]), st.integers(1, 9))
def test_popcounts(
    special_values: Values,
    relative: Relative,
    into: int,
    out: int,
    kernel: int,
    stride: int,
    side: int,
) -> None:
    torch.manual_seed(into)
    layer = PopcountConv2d(into, out, kernel, stride)
    x = special_values((1, into, side, side + 1), out)
    wanted, found, gradient, own = both(layer, packed(layer, "float32"), x)
    assert torch.equal(found, wanted)
    assert relative(own, gradient) < 1e-5


@relaxed
@given(counts, counts, st.integers(1, 3), st.sampled_from([0, 1, 2]), st.booleans())
def test_fully_connected(
    special_values: Values,
    relative: Relative,
    into: int,
    out: int,
    rows: int,
    bits: int,
    bias: bool,
) -> None:
    torch.manual_seed(out)
    layer = QuantLinear(
        into,
        out,
        input_quantizer=DoReFa(bits) if bits else Sign(),
        kernel_quantizer=MagnitudeAwareSign(None, per_filter=False),
        bias=bias,
    )
    if bias:
        nn.init.normal_(layer.bias)
    x = special_values((rows, into), into)
    frozen = packed(layer, "float32")
    assert isinstance(frozen, PackedLinear)
    wanted, found, gradient, own = both(layer, frozen, x)
    assert relative(found, wanted) < 1e-5
    assert relative(own, gradient) < 1e-5


def settled_norm(channels: int, seed: int) -> nn.BatchNorm2d:
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(channels)
    norm.running_mean.normal_(0, 2)
    norm.running_var.uniform_(0.5, 3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm.eval()


@relaxed
@given(shapes(pad_values=(-1.0, 1.0)), st.booleans())
def test_relu_norm_and_residual_in_one_pass(
    special_values: Values, relative: Relative, shape: Shape, added: bool
) -> None:
    layer, norm = shape.layer(), settled_norm(shape.channels_out, shape.seed)
    one_pass = _quantized(layer, "float32", affine_of(norm), rectified=True)
    x = special_values(shape.input, shape.seed)
    before = special_values(tuple(layer(x).shape), shape.seed + 1) if added else None

    def plain(x: Tensor) -> Tensor:
        y = norm(functional.relu(layer(x)))
        return y if before is None else y + before

    wanted, found, gradient, own = both(plain, lambda x: one_pass(x, before), x)
    assert relative(found, wanted) < 1e-5
    assert relative(own, gradient) < 1e-5


@pytest.mark.parametrize("rectified", [False, True])
def test_the_gradient_of_what_is_added(special_values: Values, rectified: bool) -> None:
    shape = Shape(1, 64, 48, 5, 5, 3, 1, 1, 1.0, 1)
    layer = packed(shape.layer(), "float32")
    assert isinstance(layer, PackedConv2d)
    layer.rectified = rectified
    before = special_values((1, 48, 5, 5), 2).requires_grad_(True)
    result = layer(special_values(shape.input, 1).requires_grad_(True), before)
    (gradient,) = torch.autograd.grad(result.sum(), before)
    assert torch.equal(gradient, torch.ones_like(gradient))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_blocks_with_and_without_a_gate(
    special_values: Values, relative: Relative, gated: bool, stride: int
) -> None:
    torch.manual_seed(3)
    block = quicknet.ConvBlock(64, 96, stride, gated).eval()
    block.norm = settled_norm(96, 4)
    x = special_values((1, 64, 8, 8), 3)
    frozen = packed(block, "float32")
    assert isinstance(frozen, PackedGated)
    wanted, found, gradient, own = both(block, frozen, x)
    assert relative(found, wanted) < 1e-5
    assert relative(own, gradient) < 1e-5


@pytest.mark.parametrize("gated", [False, True])
def test_a_residual_block_alone(special_values: Values, relative: Relative, gated: bool) -> None:
    torch.manual_seed(3)
    block = quicknet.Residual(64, gated).eval()
    block.block.norm = settled_norm(64, 4)
    frozen = packed(block, "float32")
    assert isinstance(frozen, PackedResidual) or gated
    if frozen is None:
        return
    x = special_values((1, 64, 8, 7), 3)
    kept = x.clone()
    wanted, found, gradient, own = both(block, frozen, x)
    assert relative(found, wanted) < 1e-5
    assert relative(own, gradient) < 1e-5
    frozen(x)
    assert torch.equal(x, kept), "somebody else may need the input"


def test_a_norm_becomes_scale_and_offset(special_values: Values, relative: Relative) -> None:
    norm = settled_norm(10, 1)
    frozen = packed(norm, "float32")
    assert isinstance(frozen, Affine)
    wanted, found, gradient, own = both(norm, frozen, special_values((2, 10, 3, 4), 1))
    assert relative(found, wanted) < 1e-5 and relative(own, gradient) < 1e-5


def test_what_cannot_be_packed_is_said() -> None:
    shape = Shape(1, 4, 4, 5, 5, 3, 1, 1, 1.0, 1)
    assert why_not(shape.layer()) is None
    assert why_not(shape.layer(Sign(), DoReFaWeights(2))) == "its weights are not one-bit"
    assert why_not(shape.layer(Sign(), Ternary())) == "its weights are not one-bit"
    bare = QuantConv2d(4, 4, 3, kernel_quantizer=Sign())
    assert why_not(bare) == "its input is not quantized to bit planes"
    assert packed(bare, "float32") is None


def test_a_border_that_is_no_level_is_not_packed(
    special_values: Values, relative: Relative
) -> None:
    """Bit planes hold levels from 0 to 1, and no border of -1."""
    shape = Shape(1, 64, 8, 5, 5, 3, 1, 1, -1.0, 1)
    layer = shape.layer(DoReFa(2))
    frozen = packed(layer, "float32") or layer
    x = special_values(shape.input, 1)
    assert relative(frozen(x), layer(x)) < 1e-5
