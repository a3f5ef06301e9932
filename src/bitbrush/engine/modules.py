"""Layers that take the place of quantized ones in a frozen network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import Padding, same_padding
from ..quantizers import Estimator, current_image_estimator
from .backward import Surroundings
from .buffers import empty
from .chain import Chain, Rectified, ResidualChain, fill_exact
from .factors import factor_of
from .launch import add_residual, convolve, empty_map, in_tiles, pack_map, pass_gradient
from .packing import Filters, PackedMap, blocks_of, padded
from .plain import PlainConvolution
from .precision import Precision, without_octets
from .sizes import BLOCK
from .transposed import TransposedFilters


class PackedConv2d(nn.Module):
    """A convolution of one-bit weights with one-bit or few-bit inputs, on packed bits.

    Gives scale x the integer sum + offset, of the relu of the sum where `rectified`.

    Attributes:
        levels: 0 where the input's sign is taken; else the input is round(levels clip(x, 0, 1)).
        how: what runs, for people to read.
    """

    scale: Tensor
    slope: Tensor
    offset: Tensor

    def __init__(
        self,
        signs: Tensor,
        scale: Tensor,
        offset: Tensor,
        *,
        stride: int,
        padding: Padding,
        pad_value: float,
        estimator: Estimator,
        precision: Precision,
        planes: int = 1,
        levels: int = 0,
        rectified: bool = False,
    ) -> None:
        """Args:
        signs: weight [O, C, k, k], of which the signs count.
        scale, offset: [O], of the integer sum of signs times signs (or levels).
        estimator: the gradient of the quantizer, unless `image_estimator` sets another.
        planes: bits of the input.
        """
        super().__init__()
        self.filters = Filters.of(signs)
        if in_tiles(self.filters, stride, planes):
            # Made now, while there is memory, and not in the midst of the first step.
            assert self.filters.tiles is not None
        self.stride = stride
        self.padding: Padding = padding
        self.pad_value = pad_value
        self.estimator = estimator
        self.precision = precision
        self.planes, self.levels = planes, levels
        self.rectified = rectified
        self.register_buffer("scale", padded(scale.detach().float()), persistent=False)
        self.register_buffer("offset", padded(offset.detach().float()), persistent=False)
        # The gradient is that of the value, not of the level, which is `levels` times as much.
        slope = self.scale * max(levels, 1)
        self.register_buffer("slope", slope, persistent=False)
        self.transposed = TransposedFilters(self.filters, stride)
        self.base, self.sum_scale = self._sums()
        self.border_sums = self._border_sums()
        self._on_device: dict[torch.device, Tensor] = {}

    def _sums(self) -> tuple[Tensor, Tensor]:
        """base and scale that make integers of counted bits.

        One plane: products - 2 x differing. Several: a bit b counts 0 or 1, so that its sum is
        (products - 2 x differing + the filter's own sum) / 2.
        """
        room = BLOCK * blocks_of(self.filters.channels_out)
        base = torch.full((room,), self.filters.terms, dtype=torch.int32)
        if not self.levels:
            return base, self.scale
        total = self.filters.signs(torch.float32).sum((1, 2, 3)).int()
        base[: len(total)] = ((1 << self.planes) - 1) * (self.filters.terms + total)
        return base, self.scale / 2

    def _border_sums(self) -> Tensor | None:
        """The sum of each cell's weights, for a border of 0, which no bit can stand for."""
        if self.pad_value != 0 or self.levels or self.padding == "valid":
            return None
        kernel, out = self.filters.kernel, self.filters.channels_out
        sums = torch.zeros(kernel**2, BLOCK * blocks_of(out), dtype=torch.int32)
        signs = self.filters.signs(torch.float32)
        sums[:, :out] = signs.sum(1).permute(1, 2, 0).reshape(kernel**2, out).int()
        return sums

    def geometry(self, height: int, width: int) -> tuple[tuple[int, int, int, int], int, int]:
        """Border (rows before and after, columns before and after), and the result's H and W."""
        kernel = self.filters.kernel
        if self.padding == "same":
            rows, columns = (same_padding(side, kernel, self.stride) for side in (height, width))
        else:
            side = 0 if self.padding == "valid" else int(self.padding)
            rows = columns = (side, side)
        out = [
            (side + sum(added) - kernel) // self.stride + 1
            for side, added in ((height, rows), (width, columns))
        ]
        return (*rows, *columns), out[0], out[1]

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """x: [N, C, H, W]; returns [N, O, H', W'], plus `before` where that is given."""
        estimator = current_image_estimator() or self.estimator
        if x.device.type != "cpu":
            border, _, _ = self.geometry(*x.shape[-2:])
            out = self.filters.channels_out
            plain: Tensor = PlainConvolution.apply(  # type: ignore[no-untyped-call]
                x,
                self.levels,
                self._signs_on(x.device),
                self.scale[:out],
                self.offset[:out],
                before,
                self.rectified,
                (border, self.pad_value, self.stride),
                estimator,
                self.precision,
            )
            return plain
        result: Tensor = _Convolution.apply(x, before, self, estimator)  # type: ignore[no-untyped-call]
        return result

    def _signs_on(self, device: torch.device) -> Tensor:
        if device not in self._on_device:
            self._on_device[device] = self.filters.signs().to(device)
        return self._on_device[device]

    @property
    def how(self) -> str:
        bits = "1" if self.planes == 1 else f"{self.planes}"
        tail = " + relu + norm" if self.rectified else ""
        if in_tiles(self.filters, self.stride, self.planes):
            return f"packed: 8-bit tiles of {bits} × 1 bit{tail}"
        return f"packed: popcount of {bits} × 1 bit{tail}"

    def extra_repr(self) -> str:
        f = self.filters
        return f"{f.channels_in}, {f.channels_out}, kernel={f.kernel}, stride={self.stride}"


class _Convolution(torch.autograd.Function):
    """A packed convolution, and the way back from it to its input."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, before: Tensor | None, layer: PackedConv2d, estimator: Estimator
    ) -> Tensor:
        x = x.float().contiguous(memory_format=torch.channels_last)
        images, channels, height, width = x.shape
        border, out_height, out_width = layer.geometry(height, width)
        packed = PackedMap.empty(
            (images, channels, height, width), border, layer.pad_value, layer.planes
        )
        learning = ctx.needs_input_grad[0]
        kind = factor_of(estimator, layer.precision == "float32")
        factors = kind.room(images * height * width, channels) if learning else None
        affine = (2.0, -1.0) if layer.levels else (1.0, 0.0)
        pack_map(x, packed, kind, factors, layer.levels, affine)
        fill_exact(kind, factors, estimator, affine[0] * x + affine[1] if layer.levels else x)
        filters = layer.filters
        result = empty_map((images, filters.channels_out, out_height, out_width))
        passed = None
        if layer.rectified:
            if learning:
                words = (images * out_height * out_width, blocks_of(filters.channels_out))
                passed = empty(words, torch.int64)
            added = None if before is None else _flat(before)
            add_residual(
                packed, filters, layer.stride, layer.base, layer.sum_scale, layer.offset,
                added, result, passed,
            )  # fmt: skip
        else:
            convolve(
                packed, filters, layer.stride, layer.base, layer.sum_scale, layer.offset,
                result, layer.border_sums,
            )  # fmt: skip
            if before is not None:
                result += before
        ctx.layer, ctx.kind, ctx.added = layer, kind, before is not None
        ctx.kept = (factors, passed, border, (images, channels, height, width))
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        factors, passed, border, shape = ctx.kept
        layer: PackedConv2d = ctx.layer
        gradient = _flat(gradients[0].float())
        before = gradients[0] if ctx.added else None
        result = empty_map(shape)
        way = layer.transposed.in_one_pass(layer.precision, border)
        if way is not None:
            around = Surroundings(layer.slope, passed, ctx.kind, factors)
            way.add_gradient(gradient, result, around)
            return result, before, None, None
        precision = without_octets(layer.precision)
        half = torch.bfloat16 if precision == "bf16" else torch.float32
        scaled = empty_map(gradient.shape, half)
        pass_gradient(
            gradient, fresh=True, tap=gradient, passed=passed, scale=layer.slope, result=scaled
        )
        arrived = layer.transposed(scaled, shape[2:], border, precision)
        pass_gradient(
            result, running=result, fresh=True, arrived=arrived, factor=ctx.kind, factors=factors
        )
        return result, before, None, None


def _flat(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class PackedLinear(nn.Module):
    """A fully connected layer: a 1x1 convolution of one pixel."""

    def __init__(self, convolution: PackedConv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, features_in]; returns [N, features_out]."""
        result: Tensor = self.convolution(x[:, :, None, None])
        return result[:, :, 0, 0]

    @property
    def how(self) -> str:
        return self.convolution.how


class PackedStage(nn.Module):
    """Residual blocks of one stage, in place where nobody looks.

    Args:
        blocks: their convolutions, rectified, which keep the size of the map.
    """

    def __init__(self, blocks: Sequence[PackedConv2d]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.links = [
            Rectified(
                block.filters,
                block.base,
                block.scale,
                block.offset,
                block.transposed,
                (block.filters.kernel - 1) // 2,
                block.pad_value,
                block.estimator,
            )
            for block in blocks
        ]

    def __len__(self) -> int:
        return len(self.links)

    def chain(self, length: int) -> Chain:
        """The first blocks."""
        return Chain(self.links[:length], self.blocks[0].precision)  # type: ignore[arg-type]

    def forward(
        self, x: Tensor, wanted: Collection[int], whole: bool, owned: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """As `networks.sections.Stage`; of the maps that nobody wants, only the last is given."""
        last = len(self.links) - 1 if whole else max(wanted, default=-1)
        if last < 0:
            return
        indices = sorted({*wanted, last})
        if x.device.type != "cpu":
            for index in range(last + 1):
                x = self.blocks[index](x, x)
                yield index, x
            return
        # A map that has a gradient function may be one that it keeps; only its maker knows.
        maps = ResidualChain.apply(x, self.chain(last + 1), indices, owned)  # type: ignore[no-untyped-call]
        yield from zip(indices, maps, strict=True)


class PackedResidual(nn.Module):
    """x + norm(relu(one-bit convolution of sign(x))), alone."""

    def __init__(self, block: PackedConv2d) -> None:
        super().__init__()
        self.stage = PackedStage([block])

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor
        ((_, result),) = self.stage(x, [0], True, False)
        return result


class PackedGated(nn.Module):
    """A rectified one-bit convolution, times a factor for each channel."""

    def __init__(self, block: PackedConv2d, gate: nn.Module | None) -> None:
        super().__init__()
        self.block = block
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y if self.gate is None else y * self.gate(x)

    @property
    def how(self) -> str:
        return self.block.how


class PackedShortcut(nn.Module):
    """A one-bit convolution with its norm folded in, plus the shortcut around it.

    Args:
        shortcut: of the map that comes in; None adds that map itself.
    """

    def __init__(self, block: PackedConv2d, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.block = block
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x, x if self.shortcut is None else self.shortcut(x))
        return result

    @property
    def how(self) -> str:
        return f"{self.block.how} + norm + residual"


class PackedDilated(nn.Module):
    """A one-bit convolution whose kernel's cells lie `dilation` apart, at stride 1, 'same'.

    The cells at equal places of a grid of that spacing see none but each other, so each such part
    of the map is convolved by itself, with a kernel whose cells are neighbours.
    """

    def __init__(self, convolution: PackedConv2d, dilation: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; returns [N, O, H, W]."""
        step = self.dilation
        rows = []
        for top in range(min(step, x.shape[2])):
            places = range(min(step, x.shape[3]))
            parts = [self.convolution(x[:, :, top::step, left::step]) for left in places]
            rows.append(_interleaved(parts, 3, x.shape[3]))
        return _interleaved(rows, 2, x.shape[2])

    @property
    def how(self) -> str:
        return f"{self.convolution.how}, {self.dilation**2} interleaved parts"


def _interleaved(parts: Sequence[Tensor], dim: int, size: int) -> Tensor:
    """Part i at the places i, i + n, i + 2 n, … of a dimension, for n parts of it."""
    longest = parts[0].shape[dim]
    padded = [
        torch.cat((part, part.narrow(dim, 0, 1)), dim) if part.shape[dim] < longest else part
        for part in parts
    ]
    whole = torch.stack(padded, dim + 1).flatten(dim, dim + 1)
    return whole.narrow(dim, 0, size)


class Affine(nn.Module):
    """scale x + offset for each channel: a batch norm whose statistics are settled.

    Nothing of x is kept for the gradient.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.detach().float(), persistent=False)
        self.register_buffer("offset", offset.detach().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C] or [N, C, H, W]."""
        shape = (-1,) + (1,) * (x.dim() - 2)
        return torch.addcmul(self.offset.view(shape), x, self.scale.view(shape))

    @property
    def how(self) -> str:
        return "float32: a scale and an offset for each channel"
