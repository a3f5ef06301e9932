"""The way back through a one-bit convolution: a transposed convolution with weights of -1 and +1.

The gradient is in float32, in bfloat16 (summed in float32), in 8-bit integers (see `winograd`), or
rounded at random to a few bits and convolved by popcounts, as activations are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input

from .amx import AmxFilters
from .backward import KERNEL, Backward
from .launch import convolve, round_map
from .notes import spoil
from .packing import Filters, PackedMap, blocks_of
from .precision import LOW_BITS, Precision, has_tiles
from .rounding import current_rounding_seed
from .sizes import BLOCK
from .winograd import FloatFilters, OctetFilters

WAYS: Mapping[str, type[Backward]] = {
    "float32": FloatFilters,
    "bf16": AmxFilters,
    "int8": OctetFilters,
}
"""What computes a gradient together with all around it, by precision."""

KEPT = 2
"""Sizes of maps for which weights are kept in the order that suits them."""


class TransposedFilters:
    """The filters of a convolution, seen from its output.

    The weights in the form that a precision wants are made when first used, and kept.

    Args:
        filters: of the convolution.
        stride: of the convolution.
    """

    def __init__(self, filters: Filters, stride: int) -> None:
        self.filters = filters
        self.stride = stride
        self._made: dict[Any, Any] = {}

    def in_one_pass(self, precision: Precision, border: Sequence[int]) -> Backward | None:
        """What computes a gradient together with all around it; None where nothing does.

        Args:
            border: rows before and after, columns before and after, that are added to the map.
        """
        if (self.filters.kernel, self.stride, *border) != (KERNEL, 1, *(KERNEL // 2,) * 4):
            return None
        kind = WAYS.get(precision)
        if kind is None or (precision == "bf16" and not has_tiles()):
            return None
        found: Backward = self._kept(kind, lambda: kind(self.filters))
        return found

    def __call__(
        self,
        gradient: Tensor,
        size: tuple[int, int],
        border: tuple[int, int, int, int],
        precision: Precision,
    ) -> Tensor:
        """The gradient with respect to the map that was convolved.

        Args:
            gradient: [N, O, H', W'] in channels_last; bfloat16 for "bf16", else float32.
            size: H and W of the map, without border.
            border: rows before and after, columns before and after, that were added to it.
            precision: any but "int8", which has no other way than in one pass.
        Returns:
            [N, C, H, W] in channels_last, in the gradient's dtype.
        """
        spoil()
        edge = self.filters.kernel - 1
        # Beyond a border wider than that are results that the map has no part in.
        narrow = max(border) <= edge
        if precision == "low-bit" and narrow:
            return self._low_bit(gradient, size, border)
        top, bottom, left, right = border
        if self.stride == 1 and top == bottom == left == right and narrow:
            return self._convolved(gradient, edge - top)
        weight = self._kept(gradient.dtype, lambda: self._weight(gradient.dtype, False))
        images = gradient.shape[0]
        padded = (size[0] + top + bottom, size[1] + left + right)
        shape = (images, self.filters.channels_in, *padded)
        whole: Tensor = conv2d_input(shape, weight, gradient, self.stride)  # type: ignore[no-untyped-call]
        inner = whole[:, :, top : top + size[0], left : left + size[1]]
        return inner.contiguous(memory_format=torch.channels_last)

    def _weight(self, dtype: torch.dtype, flipped: bool) -> Tensor:
        """[O, C, k, k], or flipped and transposed [C, O, k, k]."""
        signs = self.filters.signs(dtype)
        if flipped:
            signs = signs.flip(2, 3).transpose(0, 1)
        return signs.contiguous(memory_format=torch.channels_last)

    def _convolved(self, gradient: Tensor, border: int) -> Tensor:
        key = (gradient.dtype, *gradient.shape, border)
        weight = self._kept(
            key, lambda: _reordered(self._weight(gradient.dtype, True), gradient, border)
        )
        if weight.is_mkldnn:
            result: Tensor = torch.ops.mkldnn._convolution_pointwise(
                gradient, weight, None, [border] * 2, [1, 1], [1, 1], 1, "none", [], ""
            )
            return result
        return functional.conv2d(gradient, weight, padding=border)

    def _kept(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made for this key; the two last ones are kept."""
        made = self._made.get(key)
        if made is None:
            made = make()
            older = list(self._made.items())[-(KEPT - 1) :]
            self._made = {**dict(older), key: made}
        return made

    def _low_bit(
        self, gradient: Tensor, size: tuple[int, int], border: tuple[int, int, int, int]
    ) -> Tensor:
        """Sums of rounded gradients, by popcounts.

        A value v becomes an integer u with v = unit (u - 2^(k - 1)); cells between those of a
        strided convolution, and those beyond the border, hold the integer that stands for 0.
        """
        images, channels, height, width = gradient.shape
        filters, base, scale, offset = self._kept("popcount", self._popcount_form)
        largest = float(gradient.abs().max())
        result = gradient.new_empty(images, self.filters.channels_in, *size)
        result = result.contiguous(memory_format=torch.channels_last)
        if largest == 0:
            return result.zero_()
        steps = (1 << (LOW_BITS - 1)) - 1
        edge = self.filters.kernel - 1
        top, left = edge - border[0], edge - border[2]
        span = [(cells - 1) * self.stride + 1 for cells in (height, width)]
        rows, columns = size[0] + edge, size[1] + edge
        shape = (images, channels, span[0], span[1])
        around = (top, max(rows - top - span[0], 0), left, max(columns - left - span[1], 0))
        packed = PackedMap.empty(shape, around, planes=LOW_BITS)
        packed.words.zero_()
        packed.words[-1] = -1
        if channels % BLOCK:
            packed.words[-1, ..., -1] = (1 << channels % BLOCK) - 1
        # Every step has another largest value, and so other random numbers, without a state that
        # a resumed painting would have to restore.
        fresh = struct.unpack("<I", struct.pack("<f", largest))[0]
        seed = fresh ^ (current_rounding_seed() * 0x9E3779B1)
        round_map(gradient, packed, self.stride, steps / largest, seed)
        convolve(packed, filters, 1, base, scale * (largest / steps), offset, result)
        return result

    def _popcount_form(self) -> tuple[Filters, Tensor, Tensor, Tensor]:
        flipped = self.filters.signs().flip(2, 3).transpose(0, 1).contiguous()
        room = BLOCK * blocks_of(self.filters.channels_in)
        base = torch.zeros(room, dtype=torch.int32)
        terms = self.filters.channels_out * self.filters.kernel**2
        total = flipped.sum((1, 2, 3)).int()
        base[: len(total)] = ((1 << LOW_BITS) - 1) * terms - total
        return Filters.of(flipped), base, torch.full((room,), 0.5), torch.zeros(room)


def _reordered(weight: Tensor, gradient: Tensor, border: int) -> Tensor:
    """A weight in oneDNN's own order for a gradient of this size, where torch offers that.

    It saves half the time of a convolution whose weights are many and whose map is small.
    """
    try:
        plain = weight.contiguous().to_mkldnn()
        made: Tensor = torch._C._nn.mkldnn_reorder_conv2d_weight(  # type: ignore[call-arg]
            plain, [border] * 2, [1, 1], [1, 1], 1, list(gradient.shape)
        )
        return made
    except (AttributeError, RuntimeError):
        return weight
