"""One convolution at a time: on packed bits against torch's in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..engine.backward import Surroundings
from ..engine.launch import convolve, pack_map
from ..engine.modules import PackedConv2d
from ..engine.packing import PackedMap
from ..engine.precision import Precision
from ..quantizers import Estimator
from .timing import Advance, Contestant, Ratio, Times, geometric_mean, interleaved, looped

SHAPES = ((64, 56), (128, 28), (256, 14), (512, 7))
"""Channels, and height and width, of a ResNet-18 at 224 px."""

LARGER = ((64, 128), (128, 64), (256, 32), (512, 16))
"""The same of quicknet-v1 at 512 px."""

KERNEL = 3
BORDER = (KERNEL // 2,) * 4
TARGET = 10.0
GRADIENTS: tuple[Precision, ...] = ("float32", "bf16", "int8", "low-bit")

PACKED, PACK, TORCH, TORCH_LAST = "packed", "sign and pack", "torch", "torch channels_last"


@dataclass(frozen=True)
class Shape:
    """A 3x3 convolution of as many channels as filters, on a square map."""

    channels: int
    side: int

    @property
    def macs(self) -> int:
        return self.channels**2 * KERNEL**2 * self.side**2

    def __str__(self) -> str:
        return f"{self.channels} × {self.side}²"


def contestants(shape: Shape) -> dict[str, Contestant]:
    """What is timed for one shape: forward, sign-and-pack alone, and the gradient to the input.

    Raises:
        AssertionError: packed and float convolutions do not agree.
    """
    random = torch.Generator().manual_seed(0)
    size = (1, shape.channels, shape.side, shape.side)
    x = _last(torch.randn(size, generator=random))
    weight = torch.randn(shape.channels, shape.channels, KERNEL, KERNEL, generator=random)
    works: dict[str, Callable[[], object]] = _packed(x, weight)
    works |= _torch(x, torch.where(weight >= 0, 1.0, -1.0))
    expected = functional.conv2d(
        functional.pad(torch.where(x >= 0, 1.0, -1.0), BORDER, value=1.0),
        torch.where(weight >= 0, 1.0, -1.0),
    )
    got = works[PACKED]()
    assert isinstance(got, Tensor) and torch.equal(got, expected), f"{shape}: wrong sums"
    return {name: looped(work) for name, work in works.items()}


def _packed(x: Tensor, weight: Tensor) -> dict[str, Callable[[], object]]:
    channels = weight.shape[0]
    layers = {
        precision: PackedConv2d(
            weight,
            torch.ones(channels),
            torch.zeros(channels),
            stride=1,
            padding="same",
            pad_value=1.0,
            estimator=Estimator(),
            precision=precision,
        )
        for precision in GRADIENTS
    }
    layer = layers["float32"]
    packed = PackedMap.empty(tuple(x.shape), BORDER, layer.pad_value)  # type: ignore[arg-type]
    result = torch.empty_like(x)

    def forward() -> Tensor:
        convolve(packed, layer.filters, 1, layer.base, layer.sum_scale, layer.offset, result)
        return result

    def gradient(precision: Precision) -> Callable[[], object]:
        layer = layers[precision]
        way = layer.transposed.in_one_pass(precision, BORDER)
        if way is not None:
            into, around = torch.empty_like(x), Surroundings(layer.slope)
            return lambda: way.add_gradient(x, into, around)
        arrived = x.bfloat16() if precision == "bf16" else x
        return lambda: layer.transposed(arrived, x.shape[2:], BORDER, precision)  # type: ignore[arg-type]

    works: dict[str, Callable[[], object]] = {
        PACK: lambda: pack_map(x, packed),
        PACKED: forward,
    }
    pack_map(x, packed)
    return works | {f"gradient {precision}": gradient(precision) for precision in GRADIENTS}


def _torch(x: Tensor, weight: Tensor) -> dict[str, Callable[[], object]]:
    plain = x.contiguous()
    last = _last(weight)
    return {
        TORCH: lambda: functional.conv2d(plain, weight, padding=1),
        TORCH_LAST: lambda: functional.conv2d(x, last, padding=1),
    }


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def bench_kernels(
    repetitions: int,
    shapes: tuple[tuple[int, int], ...] = SHAPES + LARGER,
    peer: Callable[[Shape], Mapping[str, Contestant]] | None = None,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Times every shape.

    Args:
        shapes: channels and side of each.
        peer: gives what others do for a shape; "LCE …" is a sign, a packed convolution and an
            affine map in one.
        advance: told of progress.
    Returns:
        JSON-ready: for each shape seconds and GMAC/s of each contestant, and ratios against the
        faster of torch's two memory layouts.
    """
    cases = []
    for index, (channels, side) in enumerate(shapes):
        shape = Shape(channels, side)
        others = peer(shape) if peer is not None else {}

        def report(share: float, note: str, index: int = index, shape: Shape = shape) -> None:
            if advance is not None:
                advance((index + share) / len(shapes), f"{shape} {note}")

        with torch.no_grad():
            times = interleaved({**contestants(shape), **others}, repetitions, report)
        cases.append(_case(shape, times))
    named = [case for case in cases if (case["channels"], case["side"]) in SHAPES]
    mean = geometric_mean(case["ratio"] for case in named) if named else None
    ratios = [
        Ratio(f"packed 3×3 convolution, {case['shape']}", FASTER_TORCH, "time", case["ratio"])
        for case in cases
    ]
    if mean is not None and len(named) == len(SHAPES):
        what = f"packed 3×3 convolution, geometric mean of the first {len(SHAPES)} shapes"
        ratios.append(Ratio(what, FASTER_TORCH, "time", mean, TARGET))
    return {"cases": cases, "ratios": [ratio.as_json() for ratio in ratios]}


FASTER_TORCH = "torch's float32 conv2d, the faster of NCHW and channels_last"


def _case(shape: Shape, times: Mapping[str, Times]) -> dict[str, Any]:
    baseline = min(times[TORCH].median, times[TORCH_LAST].median)
    return {
        "shape": str(shape),
        "channels": shape.channels,
        "side": shape.side,
        "macs": shape.macs,
        "seconds": {name: each.as_json() for name, each in times.items()},
        "gmacs": {
            name: shape.macs / each.median / 1e9 for name, each in times.items() if name != PACK
        },
        "ratio": baseline / times[PACKED].median,
        "ratio_with_packing": baseline / (times[PACKED].median + times[PACK].median),
    }
