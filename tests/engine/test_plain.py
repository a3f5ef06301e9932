"""The same layers in plain torch, as GPUs run them, against the kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bitbrush.engine.freeze import _quantized, freeze
from bitbrush.engine.modules import PackedConv2d
from bitbrush.engine.plain import PlainConvolution
from bitbrush.layers import QuantConv2d
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.quantizers import DoReFa, Estimator, Sign

Values = Callable[[tuple[int, ...], int], Tensor]
Relative = Callable[[Tensor, Tensor], float]


def make_layer(
    bits: int, stride: int, padding: int | str, pad_value: float, rectified: bool, precision: str
) -> PackedConv2d:
    torch.manual_seed(stride)
    layer = QuantConv2d(
        70,
        66,
        3,
        stride,
        padding,
        input_quantizer=DoReFa(bits) if bits else Sign(),
        kernel_quantizer=Sign(),
        pad_value=pad_value,
    )
    after = (torch.rand(66).double() + 0.5, torch.randn(66).double())
    return _quantized(layer, precision, after, rectified)


def plainly(layer: PackedConv2d, x: Tensor, before: Tensor | None, estimator: Estimator) -> Tensor:
    """What the layer computes on a device without kernels."""
    border, _, _ = layer.geometry(*x.shape[-2:])
    out = layer.filters.channels_out
    return PlainConvolution.apply(
        x,
        layer.levels,
        layer.filters.signs().to(x.device),
        layer.scale[:out].to(x.device),
        layer.offset[:out].to(x.device),
        before,
        layer.rectified,
        (border, layer.pad_value, layer.stride),
        estimator,
        layer.precision,
    )


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", ["ste", "approx"])
@pytest.mark.parametrize(
    "bits,stride,padding,pad_value,rectified,added",
    [
        (0, 1, 1, 1.0, True, True),
        (0, 2, "same", -1.0, False, False),
        (0, 1, "same", 0.0, False, True),
        (2, 2, "same", 0.0, False, False),
        (2, 1, "valid", 0.0, False, False),
    ],
)
def test_plain_torch_gives_what_the_kernels_give(
    special_values: Values,
    relative: Relative,
    bits: int,
    stride: int,
    padding: int | str,
    pad_value: float,
    rectified: bool,
    added: bool,
    name: str,
    precision: str,
) -> None:
    layer = make_layer(bits, stride, padding, pad_value, rectified, precision)
    layer.estimator = Estimator(name)
    x = special_values((2, 70, 9, 8), 3)
    before = special_values(tuple(layer(x).shape), 4) if added else None
    found = []
    for function in (layer, lambda x, before: plainly(layer, x, before, layer.estimator)):
        leaf = x.clone().requires_grad_(True)
        result = function(leaf, before)
        upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
        (gradient,) = torch.autograd.grad(result, leaf, upstream)
        found.append((result.detach(), gradient))
    assert relative(found[0][0], found[1][0]) < 1e-5
    assert relative(found[0][1], found[1][1]) < (1e-5 if precision == "float32" else 1e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_network_on_a_gpu(relative: Relative, precision: str) -> None:
    torch.manual_seed(0)
    network = QuickBrush(stem=32, widths=(64, 64), blocks=(2, 1)).settle()
    image = torch.rand(1, 3, 32, 48)
    found = []
    for device in ("cpu", "cuda"):
        frozen = freeze(network, precision).to(device)
        leaf = image.to(device).requires_grad_(True)
        taps = frozen(leaf, ["stem", "stage1.block1"])
        loss = sum(value.float().square().mean() for value in taps.values())
        (gradient,) = torch.autograd.grad(loss, leaf)
        found.append((taps["stage1.block1"].detach().cpu(), gradient.cpu()))
    # A sign at the edge may fall either way, and changes whole units of a few places.
    assert relative(found[1][0], found[0][0]) < 0.05
    assert relative(found[1][1], found[0][1]) < 0.1
