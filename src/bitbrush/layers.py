"""Layers with quantized inputs and kernels, and TensorFlow's 'same' padding."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import InputError
from .quantizers import Quantizer

Padding = Literal["same", "valid"] | int


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Cells to add (before, after) one axis so that ceil(size / stride) outputs come of it.

    TensorFlow's rule: an odd cell goes after, so the split depends on the size and has to be
    computed at run time.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


Border = tuple[int, int, int, int]
"""Cells above, below, left and right of a map."""


def border_of(size: int, padding: Padding, kernel: int, stride: int) -> tuple[int, int]:
    """Cells that a padding adds (before, after) an axis of so many cells."""
    if padding == "same":
        return same_padding(size, kernel, stride)
    return (0, 0) if padding == "valid" else (padding, padding)


def pad(x: Tensor, padding: Padding, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """x [N, C, H, W] with the borders that the padding asks for, filled with value."""
    rows, columns = (border_of(size, padding, kernel, stride) for size in x.shape[-2:])
    return bordered(x, (*rows, *columns), value)


def bordered(x: Tensor, border: Border, value: float) -> Tensor:
    """x [N, C, H, W] with that border, filled with value; x itself where there is none."""
    if not any(border):
        return x
    result: Tensor = _Bordered.apply(x, border, value)  # type: ignore[no-untyped-call]
    return result


class _Bordered(torch.autograd.Function):
    """A map with a border. torch's own fills all of it first, and copies the gradient out of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, border: Border, value: float) -> Tensor:
        top, bottom, left, right = border
        *around, height, width = x.shape
        shape = (*around, top + height + bottom, left + width + right)
        last = x.is_contiguous(memory_format=torch.channels_last)
        form = torch.channels_last if last else torch.contiguous_format
        result = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=form)
        ctx.inside = (..., slice(top, top + height), slice(left, left + width))
        result[ctx.inside].copy_(x)
        for axis, before, after in ((-2, top, bottom), (-1, left, right)):
            result.narrow(axis, 0, before).fill_(value)
            result.narrow(axis, shape[axis] - after, after).fill_(value)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.inside], None, None


class Conv2d(nn.Conv2d):
    """A float convolution with square kernel whose padding may be 'same'; no bias by default."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        padding: Padding = "same",
        *,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups, bias=bias)
        self.border = padding

    def forward(self, x: Tensor) -> Tensor:
        padded = pad(x, self.border, self.kernel_size[0], self.stride[0])
        return functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


PoolKind = Literal["max", "average"]


class Pool2d(nn.Module):
    """Maximum or average over windows; padded cells never count.

    Args:
        padding: "same", "valid", cells on each side, or "ceil": cells after, so that a last
            partial window counts too (torch's ceil_mode).
    """

    def __init__(
        self,
        kernel: int,
        stride: int,
        padding: Padding | Literal["ceil"] = "valid",
        kind: PoolKind = "max",
    ) -> None:
        super().__init__()
        if kind not in ("max", "average"):
            raise InputError(f"pooling is 'max' or 'average', not {kind!r}")
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (self._border(size) for size in x.shape[-2:])
        border = (top, bottom, left, right)
        if self.kind == "max":
            own = self._as_torch(x, border)
            if own is not None:
                padding, ceil = own
                return functional.max_pool2d(x, self.kernel, self.stride, padding, ceil_mode=ceil)
            return functional.max_pool2d(bordered(x, border, -torch.inf), self.kernel, self.stride)
        padded = bordered(x, border, 0.0)
        mean = functional.avg_pool2d(padded, self.kernel, self.stride)
        if padded is x:
            return mean
        share = bordered(torch.ones_like(x[:1, :1]), border, 0.0)
        return mean / functional.avg_pool2d(share, self.kernel, self.stride)

    def _border(self, size: int) -> tuple[int, int]:
        if self.padding == "ceil":
            after = -(size - self.kernel) % self.stride
            # A window of nothing but border is none.
            return 0, after if after < self.kernel else 0
        return border_of(size, self.padding, self.kernel, self.stride)

    def _as_torch(self, x: Tensor, border: Border) -> tuple[tuple[int, int], bool] | None:
        """The padding and ceil_mode by which torch's own pooling has the same windows, or None.

        That needs no copy of the map, and the gradient comes back in one piece; torch's batch norm
        takes many times as long for a piece of a larger one.
        """
        top, bottom, left, right = border
        if max(top, left) > self.kernel // 2:
            return None
        height, width = x.shape[-2] - self.kernel, x.shape[-1] - self.kernel
        last = ((height + top + bottom) // self.stride, (width + left + right) // self.stride)
        spans = (height + 2 * top, width + 2 * left)
        if last == tuple(span // self.stride for span in spans):
            return (top, left), False
        if last == tuple(-(-span // self.stride) for span in spans):
            return (top, left), True
        return None

    def extra_repr(self) -> str:
        return f"{self.kind}, kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


class BlurPool2d(nn.Module):
    """Halves a map with the fixed kernel [1 2 1] x [1 2 1] / 16 at stride 2 (Zhang 2019).

    Args:
        channels: C.
        mode: how the one border cell on each side is filled: "zeros" or "replicate".
    """

    kernel: Tensor

    def __init__(self, channels: int, mode: Literal["zeros", "replicate"] = "zeros") -> None:
        super().__init__()
        self.channels = channels
        self.mode = mode
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(row, row).expand(channels, 1, 3, 3).contiguous()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; returns [N, C, ceil(H / 2), ceil(W / 2)]."""
        if self.mode == "replicate":
            x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        border = 0 if self.mode == "replicate" else 1
        return functional.conv2d(x, self.kernel, stride=2, padding=border, groups=self.channels)


class _Quantized(nn.Module):
    """What quantized layers share: a latent weight and how it and the input are quantized."""

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        input_quantizer: Quantizer | None,
        kernel_quantizer: Quantizer | None,
        clip: float | None,
    ) -> None:
        super().__init__()
        self.input_quantizer = input_quantizer
        self.kernel_quantizer = kernel_quantizer
        self.clip = clip
        self.settled = False

    def kernel(self) -> Tensor:
        """The weight as the layer uses it: quantized, unless it was settled."""
        if self.settled or self.kernel_quantizer is None:
            return self.weight
        quantized: Tensor = self.kernel_quantizer(self.weight)
        return quantized

    @torch.no_grad()
    def settle(self) -> None:
        """Replaces the latent weight by its quantized value, for good, and freezes it.

        Every kernel quantizer is idempotent on what it gives, so nothing else changes; a forward
        pass then no longer quantizes the weights.
        """
        self.weight.copy_(self.kernel())
        self.weight.requires_grad_(False)
        self.settled = True

    @torch.no_grad()
    def constrain(self) -> None:
        """Clips the latent weight to [-clip, clip]; to be called after each optimiser step."""
        if self.clip is not None:
            self.weight.clamp_(-self.clip, self.clip)


class QuantConv2d(_Quantized):
    """A convolution with square kernel, whose input and weights may be quantized.

    Order of work as in larq: quantize the input, pad with `pad_value`, convolve with the
    quantized kernel.

    Args:
        padding: "same" (TensorFlow's), "valid", or cells on each side.
        dilation: cells from one of the kernel's to the next.
        pad_value: -1, 0 or +1; set after quantization, so 0 stays a true 0.
        clip: bound of the latent weight, applied by `constrain`; None leaves it free.
    Raises:
        InputError: another pad value.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        padding: Padding = "same",
        *,
        dilation: int = 1,
        input_quantizer: Quantizer | None = None,
        kernel_quantizer: Quantizer | None = None,
        pad_value: float = 0.0,
        clip: float | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__(input_quantizer, kernel_quantizer, clip)
        if pad_value not in (-1, 0, 1):
            raise InputError(f"pad_value must be -1, 0 or 1, not {pad_value}")
        self.channels_in = channels_in
        self.channels_out = channels_out
        self.kernel_size = kernel
        self.stride = stride
        self.padding: Padding = padding
        self.dilation = dilation
        self.pad_value = float(pad_value)
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if bias else None
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C_in, H, W], real-valued; returns [N, C_out, H', W']."""
        if self.input_quantizer is not None:
            x = self.input_quantizer(x)
        reach = (self.kernel_size - 1) * self.dilation + 1
        x = pad(x, self.padding, reach, self.stride, self.pad_value)
        return functional.conv2d(x, self.kernel(), self.bias, self.stride, dilation=self.dilation)

    def extra_repr(self) -> str:
        return (
            f"{self.channels_in}, {self.channels_out}, kernel={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"pad_value={self.pad_value:g}"
        )


class QuantLinear(_Quantized):
    """A fully connected layer, whose input and weights may be quantized.

    Args:
        clip: bound of the latent weight, applied by `constrain`; None leaves it free.
    """

    def __init__(
        self,
        features_in: int,
        features_out: int,
        *,
        input_quantizer: Quantizer | None = None,
        kernel_quantizer: Quantizer | None = None,
        clip: float | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__(input_quantizer, kernel_quantizer, clip)
        self.weight = nn.Parameter(torch.empty(features_out, features_in))
        self.bias = nn.Parameter(torch.zeros(features_out)) if bias else None
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, features_in], real-valued; returns [N, features_out]."""
        if self.input_quantizer is not None:
            x = self.input_quantizer(x)
        return functional.linear(x, self.kernel(), self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}"


QUANTIZED_LAYERS = (QuantConv2d, QuantLinear)
"""The layers that have a latent weight, for isinstance."""
