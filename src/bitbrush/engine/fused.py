"""Float layers of a frozen network, each done in as few passes as it needs: stems, transitions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Padding, PoolKind, same_padding
from .buffers import empty
from .filtering import (
    AVERAGE,
    BLUR,
    BLUR_BACK,
    DEPTHWISE,
    MAXIMUM,
    NONE,
    ROW,
)
from .launch import CHUNKS, address, channels_last, empty_map, workspace
from .llvm import LANES, TILE
from .stem import COLOURS, STEM, STEM_BACK, VECTORS

POOLS = {None: NONE, "max": MAXIMUM, "average": AVERAGE}
WINNERS = {NONE: 1, MAXIMUM: 3, AVERAGE: 4}
"""Words that are kept of 64 channels of a pooled cell."""


def rows_of(values: Tensor) -> Tensor:
    """A vector [C] (or the last axis) with zeros behind, to a multiple of 16."""
    return functional.pad(values.detach().float(), (0, -values.shape[-1] % LANES)).contiguous()


def _chunks(rows: int) -> dict[str, int]:
    return {"chunks": min(CHUNKS * torch.get_num_threads(), rows), "rows": rows}


def borders(size: int, kernel: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Cells before one axis, and results along it."""
    if padding == "same":
        before, after = same_padding(size, kernel, stride)
    else:
        before = after = 0 if padding == "valid" else int(padding)
    return before, (size + before + after - kernel) // stride + 1


@lru_cache(maxsize=256)
def windows(
    size: int, kernel: int, stride: int, padding: Padding, replicate: bool, back: bool
) -> Tensor:
    """Which cells each result looks at along one axis, or which results look at each cell.

    Args:
        size: cells.
        replicate: cells outside are the nearest ones; else they are left out.
        back: results of each cell instead.
    Returns:
        int32 [results (or cells), most entries, 2] of (index of the other, place in the kernel);
        -1 where there are no more.
    """
    before, results = borders(size, kernel, stride, padding)
    entries: list[list[tuple[int, int]]] = [[] for _ in range(size if back else results)]
    for result in range(results):
        for place in range(kernel):
            cell = result * stride - before + place
            if replicate:
                cell = min(max(cell, 0), size - 1)
            if 0 <= cell < size:
                pair = (result, place) if back else (cell, place)
                entries[cell if back else result].append(pair)
            elif not back:
                entries[result].append((-1, place))
    most = max(map(len, entries))
    padded = [row + [(-1, 0)] * (most - len(row)) for row in entries]
    return torch.tensor(padded, dtype=torch.int32)


class _Tables:
    """The tables of both axes; to be held for as long as a kernel reads them."""

    def __init__(
        self, size: tuple[int, int], window: tuple[int, int, Padding], replicate: bool, back: bool
    ) -> None:
        """Args:
        size: height and width of the cells.
        window: kernel, stride and padding.
        """
        self.rows, self.columns = (windows(s, *window, replicate, back) for s in size)

    def arguments(self) -> dict[str, int]:
        return {
            "table_rows": self.rows.data_ptr(),
            "table_columns": self.columns.data_ptr(),
            "row_entries": self.rows.shape[1],
            "column_entries": self.columns.shape[1],
        }


class PictureConv2d(nn.Module):
    """scale relu(convolution of a normalised picture + bias) + offset.

    For the gradient one bit of each result is kept.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        scale: Tensor,
        offset: Tensor,
        *,
        stride: int,
        padding: Padding,
        replicate: bool,
        mean: Tensor,
        std: Tensor,
    ) -> None:
        """Args:
        weight: [O, 3, k, k]; bias, scale, offset: [O].
        replicate: outside the picture is its nearest pixel; else 0, once it is normalised.
        mean, std: three values each; the picture enters as (picture - mean) / std.
        """
        super().__init__()
        self.channels = len(weight)
        self.kernel, self.stride = weight.shape[-1], stride
        self.padding: Padding = padding
        self.replicate = replicate
        self.weight, self.bias = rows_of(weight.permute(2, 3, 1, 0)), rows_of(bias)
        self.back = rows_of(self.weight.flatten(0, 2).T)
        self.scale, self.offset = rows_of(scale), rows_of(offset)
        self.normal = torch.cat([mean.flatten(), 1 / std.flatten()]).float()

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, 3, H, W]; returns [N, O to a multiple of 16, H', W'] in channels_last."""
        result: Tensor = _PictureConvolution.apply(x, self)  # type: ignore[no-untyped-call]
        return result


class _PictureConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: PictureConv2d) -> Tensor:
        x = x.float().contiguous()
        images, _, height, width = x.shape
        window = (layer.kernel, layer.stride, layer.padding)
        (top, out_height), (left, out_width) = (borders(side, *window) for side in (height, width))
        channels, kernel = len(layer.bias), layer.kernel
        result = empty_map((images, channels, out_height, out_width))
        ctx.layer, ctx.shape, ctx.window = layer, x.shape, window
        ctx.passed = None
        if ctx.needs_input_grad[0]:
            words = images * out_height * out_width * channels // LANES
            ctx.passed = empty((words,), torch.int16)
        ctx.geometry = {
            "plane_bytes": 4 * height * width,
            "height": height,
            "width": width,
            "out_height": out_height,
            "out_width": out_width,
            "kernel": kernel,
            "channels": channels,
            "normal": layer.normal.data_ptr(),
            "scale": layer.scale.data_ptr(),
            "passed": address(ctx.passed),
        }
        # Of a tile of pixels at the end, those behind the last one look further.
        line = left + max(width, (out_width + TILE) * layer.stride + kernel)
        taps = kernel * kernel * COLOURS
        work = workspace(8 * taps + 4 * (kernel * COLOURS * line + TILE * VECTORS * LANES))
        STEM(
            torch.get_num_threads(),
            **_chunks(images * out_height),
            **ctx.geometry,
            stride=layer.stride,
            top=top,
            left=left,
            replicate=layer.replicate,
            picture=x.data_ptr(),
            weights=layer.weight.data_ptr(),
            bias=layer.bias.data_ptr(),
            offset=layer.offset.data_ptr(),
            result=result.data_ptr(),
            **work.arguments(),
            line_floats=line,
        )
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        layer: PictureConv2d = ctx.layer
        gradient = channels_last(gradients[0])
        result = empty(ctx.shape)
        images, _, height, width = ctx.shape
        tables = _Tables((height, width), ctx.window, layer.replicate, True)
        columns, slots = layer.back.shape[1], layer.kernel
        row = 4 * columns * (ctx.geometry["out_width"] + TILE)
        work = workspace(8 * slots + 4 * TILE * len(layer.bias) + slots * row + ROW)
        STEM_BACK(
            torch.get_num_threads(),
            **_chunks(images * height),
            **ctx.geometry,
            **tables.arguments(),
            weights=layer.back.data_ptr(),
            picture=result.data_ptr(),
            gradient=gradient.data_ptr(),
            **work.arguments(),
            columns=columns,
            slots=slots,
        )
        return result, None


class DepthwiseConv2d(nn.Module):
    """A convolution of each channel by itself, + bias; channels in multiples of 16."""

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int, padding: Padding) -> None:
        """Args:
        weight: [C, 1, k, k]; bias: [C].
        """
        super().__init__()
        self.kernel, self.stride = weight.shape[-1], stride
        self.padding: Padding = padding
        self.weight, self.bias = rows_of(weight[:, 0].permute(1, 2, 0)), rows_of(bias)
        self.nothing = torch.zeros_like(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; returns [N, C, H', W'] in channels_last."""
        result: Tensor = _Depthwise.apply(x, self)  # type: ignore[no-untyped-call]
        return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: DepthwiseConv2d) -> Tensor:
        x = channels_last(x)
        images, channels, height, width = x.shape
        window = (layer.kernel, layer.stride, layer.padding)
        out = tuple(borders(side, *window)[1] for side in (height, width))
        result = empty_map((images, channels, *out))
        ctx.layer, ctx.shape = layer, x.shape
        _filter_channels(
            layer, x, result, layer.bias, _Tables((height, width), window, False, False)
        )
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        layer: DepthwiseConv2d = ctx.layer
        gradient = channels_last(gradients[0])
        result = empty_map(ctx.shape)
        window = (layer.kernel, layer.stride, layer.padding)
        tables = _Tables(ctx.shape[2:], window, False, True)
        _filter_channels(layer, gradient, result, layer.nothing, tables)
        return result, None


def _filter_channels(
    layer: DepthwiseConv2d, values: Tensor, result: Tensor, bias: Tensor, tables: _Tables
) -> None:
    images, channels, height, width = values.shape
    DEPTHWISE(
        torch.get_num_threads(),
        **_chunks(images * result.shape[2]),
        **tables.arguments(),
        values=values.data_ptr(),
        height=height,
        width=width,
        out_height=result.shape[2],
        out_width=result.shape[3],
        kernel=layer.kernel,
        channels=channels,
        weights=layer.weight.data_ptr(),
        bias=bias.data_ptr(),
        result=result.data_ptr(),
    )


class BlurredPool2d(nn.Module):
    """relu, a 2x2 pool at stride 1, and the blur [1 2 1] x [1 2 1] / 16 at stride 2.

    Args:
        rectified: with the relu; a pool always has it.
        pool: "max", "average", or None for no pool.
        replicate: the blur's border repeats the nearest cell and is one wide; else it is 0 and as
            wide as TensorFlow's 'same'.
    """

    def __init__(self, *, rectified: bool, pool: PoolKind | None, replicate: bool) -> None:
        super().__init__()
        self.rectified = rectified
        self.pool = POOLS[pool]
        self.replicate = replicate

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; returns half of it (of what is left by the pool), in channels_last."""
        result: Tensor = _BlurredPool.apply(x, self)  # type: ignore[no-untyped-call]
        return result


class _BlurredPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: BlurredPool2d) -> Tensor:
        x = channels_last(x)
        images, channels, height, width = x.shape
        lost = 0 if layer.pool == NONE else 1
        pooled = (height - lost, width - lost)
        ctx.window = (3, 2, 1 if layer.replicate else "same")
        out_height, out_width = (borders(side, *ctx.window)[1] for side in pooled)
        result = empty_map((images, channels, out_height, out_width))
        ctx.layer, ctx.shape, ctx.pooled, ctx.winners = layer, x.shape, pooled, None
        if ctx.needs_input_grad[0] and (layer.pool != NONE or layer.rectified):
            words = images * pooled[0] * pooled[1] * -(-channels // 64) * WINNERS[layer.pool]
            ctx.winners = empty((words,), torch.int64)
        ctx.geometry = {
            "height": height,
            "width": width,
            "channels": channels,
            "rectified": layer.rectified,
            "pool": layer.pool,
            "pooled_height": pooled[0],
            "pooled_width": pooled[1],
            "out_height": out_height,
            "out_width": out_width,
            "winners": address(ctx.winners),
        }
        tables = _Tables(pooled, ctx.window, layer.replicate, False)
        BLUR(
            torch.get_num_threads(),
            **_chunks(images * out_height),
            **ctx.geometry,
            **tables.arguments(),
            values=x.data_ptr(),
            result=result.data_ptr(),
        )
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = channels_last(gradients[0])
        result = empty_map(ctx.shape)
        tables = _Tables(ctx.pooled, ctx.window, ctx.layer.replicate, True)
        BLUR_BACK(
            torch.get_num_threads(),
            **_chunks(ctx.shape[0] * ctx.shape[2]),
            **ctx.geometry,
            **tables.arguments(),
            values=result.data_ptr(),
            result=gradient.data_ptr(),
        )
        return result, None


class Pointwise(nn.Module):
    """A 1x1 convolution + bias, as a product of matrices."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """Args:
        weight: [O, C, 1, 1]; bias: [O].
        """
        super().__init__()
        self.register_buffer("weight", weight[:, :, 0, 0].detach().float().contiguous(), False)
        self.register_buffer("bias", bias.detach().float(), False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; returns [N, O, H, W] in channels_last."""
        product = functional.linear(x.permute(0, 2, 3, 1), self.weight, self.bias)
        return product.permute(0, 3, 1, 2)


class Normalised(nn.Module):
    """(picture - mean) / std."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.detach(), False)
        self.register_buffer("std", std.detach(), False)

    def forward(self, picture: Tensor) -> Tensor:
        return (picture - self.mean) / self.std


class Crop(nn.Module):
    """The first channels of a map; the same tensor where these are all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]."""
        return x if x.shape[1] == self.channels else x[:, : self.channels]


class Fused(nn.Module):
    """Layers that take the place of a module, one after the other on the CPU.

    Args:
        steps: the layers.
        plain: the module itself (with its norms settled), for other devices.
        how: what runs, for people to read.
    """

    def __init__(self, steps: list[nn.Module], plain: nn.Module, how: str) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.plain = plain
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            moved: Tensor = self.plain(x)
            return moved
        for step in self.steps:
            x = step(x)
        return x
