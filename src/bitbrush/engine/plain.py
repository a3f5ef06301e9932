"""The same layers in plain torch, for devices that the kernels do not run on.

Sums are exact: signs and levels are small integers, multiplied in float32 (or TF32, which holds
them too) and added up in float32. bfloat16 is used for gradients only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input

from ..quantizers import Estimator
from .precision import Precision


class PlainConvolution(torch.autograd.Function):
    """before + scale activation(convolution of quantized x) + offset.

    Kept for the gradient: the factors of the quantizer, and where the relu lets through.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        levels: int,
        signs: Tensor,
        scale: Tensor,
        offset: Tensor,
        before: Tensor | None,
        rectified: bool,
        geometry: tuple[tuple[int, int, int, int], float, int],
        estimator: Estimator,
        precision: Precision,
    ) -> Tensor:
        """Args:
        x: float32 [N, C, H, W].
        levels: 0 for signs, else of integers round(levels clip(x, 0, 1)).
        signs: float32 [O, C, k, k].
        scale, offset: float32 [O], of the integer sums.
        before: [N, O, H', W'] or None.
        geometry: border (rows before and after, columns before and after), its value, stride.
        """
        (top, bottom, left, right), value, stride = geometry
        quantized = (x.clamp(0, 1) * levels).round() if levels else torch.where(x < 0, -1.0, 1.0)
        seen = functional.pad(quantized, (left, right, top, bottom), value=value)
        sums = functional.conv2d(seen, signs, stride=stride)
        ctx.passed = sums > 0 if rectified else None
        factor = estimator.factor(2 * x - 1 if levels else x)
        ctx.factor = factor if precision == "float32" else factor.to(torch.bfloat16)
        ctx.saved = (signs, scale, geometry, x.shape, before is not None, levels, precision)
        if rectified:
            sums = sums.clamp(min=0)
        result = sums * scale[:, None, None] + offset[:, None, None]
        return result if before is None else result + before

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        signs, scale, geometry, shape, added, levels, precision = ctx.saved
        (top, bottom, left, right), _, stride = geometry
        (gradient,) = gradients
        scaled = gradient * (scale * max(levels, 1))[:, None, None]
        if ctx.passed is not None:
            scaled = scaled * ctx.passed
        half = torch.float32 if precision == "float32" else torch.bfloat16
        images, channels, height, width = shape
        padded = (images, channels, height + top + bottom, width + left + right)
        whole = conv2d_input(padded, signs.to(half), scaled.to(half), stride)  # type: ignore[no-untyped-call]
        inner = whole[:, :, top : top + height, left : left + width].float()
        before = gradient if added else None
        return (inner * ctx.factor, None, None, None, None, before, *(None,) * 4)
