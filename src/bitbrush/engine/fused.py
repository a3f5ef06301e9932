"""Float layers of a frozen network, each done in as few passes as it needs: stems, transitions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Padding, PoolKind, same_padding
from .buffers import empty
from .kernels import BLUR, BLUR_BACK, DEPTHWISE, STEM, STEM_BACK
from .launch import CHUNKS, address, channels_last, empty_map, workspace
from .notes import hold, spoil
from .precision import Precision
from .products import Matrix
from .sizes import (
    AVERAGE,
    COLOURS,
    LANES,
    MAXIMUM,
    NONE,
    ROW,
    SEEN,
    STEM_VECTORS,
    TILE,
    WINDOW,
)
from .steps import Sequence, StepModule

POOLS = {None: NONE, "max": MAXIMUM, "average": AVERAGE}
PLANES = {NONE: 1, MAXIMUM: 3, AVERAGE: 4}
"""Bits that are kept of a pooled cell."""


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


@lru_cache(maxsize=256)
def blur_windows(size: int, padding: Padding, replicate: bool, back: bool) -> Tensor:
    """The same for the blur, as its kernels want it: (index of the other, weight in quarters).

    Returns:
        int32 [results, 3, 2] or [cells, 2, 2].
    """
    plain = windows(size, 3, 2, padding, replicate, back).tolist()
    rows = []
    for entries in plain:
        weights: dict[int, int] = {}
        for other, place in entries:
            if other >= 0:
                weights[other] = weights.get(other, 0) + (2 if place == 1 else 1)
        row = sorted(weights.items())
        nothing = (row[-1][0] if row else 0, 0)
        rows.append(row + [nothing] * ((SEEN if back else WINDOW) - len(row)))
    return torch.tensor(rows, dtype=torch.int32)


def added(result: Tensor, onto: Tensor) -> Tensor:
    """onto += result, by torch."""
    spoil()
    return onto.add_(result)


class _Tables:
    """The tables of both axes; to be held for as long as a kernel reads them."""

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self.rows, self.columns = rows, columns
        hold(rows, columns)

    def arguments(self) -> dict[str, int]:
        return {
            "table_rows": self.rows.data_ptr(),
            "table_columns": self.columns.data_ptr(),
            "row_entries": self.rows.shape[1],
            "column_entries": self.columns.shape[1],
        }


class PictureConv2d(StepModule):
    """scale relu(convolution of a normalised picture + bias) + offset.

    The result has channels to a multiple of 16; those behind the last are 0. For the gradient one
    bit of each result is kept.
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
        self.weight_back = rows_of(self.weight.flatten(0, 2).T)
        self.scale, self.offset = rows_of(scale), rows_of(offset)
        self.normal = torch.cat([mean.flatten(), 1 / std.flatten()]).float()

    @property
    def window(self) -> tuple[int, int, Padding]:
        """Kernel, stride and padding."""
        return self.kernel, self.stride, self.padding

    def run(self, x: Tensor, learning: bool) -> tuple[Tensor, Any]:
        """x: [N, 3, H, W]."""
        x = x.float().contiguous()
        images, _, height, width = x.shape
        (top, out_height), (left, out_width) = (
            borders(side, *self.window) for side in (height, width)
        )
        channels, kernel = len(self.bias), self.kernel
        result = empty_map((images, channels, out_height, out_width))
        passed = None
        if learning:
            words = images * out_height * out_width * channels // LANES
            passed = empty((words,), torch.int16)
        # Of a tile of pixels at the end, those behind the last one look further.
        line = left + max(width, (out_width + TILE) * self.stride + kernel)
        taps = kernel * kernel * COLOURS
        work = workspace(8 * taps + 4 * (kernel * COLOURS * line + TILE * STEM_VECTORS * LANES))
        STEM(
            torch.get_num_threads(),
            **_chunks(images * out_height),
            **self._geometry(x.shape, result.shape),
            passed=address(passed),
            stride=self.stride,
            top=top,
            left=left,
            replicate=self.replicate,
            picture=x.data_ptr(),
            weights=self.weight.data_ptr(),
            bias=self.bias.data_ptr(),
            offset=self.offset.data_ptr(),
            result=result.data_ptr(),
            **work.arguments(),
            line_floats=line,
        )
        return result, (x.shape, passed)

    def back(self, kept: Any, gradient: Tensor, onto: Tensor | None = None) -> Tensor:
        shape, passed = kept
        result = empty(tuple(shape))
        images, _, height, width = shape
        tables = _Tables(
            *(windows(side, *self.window, self.replicate, True) for side in (height, width))
        )
        columns, slots = self.weight_back.shape[1], self.kernel
        row = 4 * columns * (gradient.shape[3] + TILE + 1)
        lists = 8 * (slots + tables.rows.shape[1] + (width + TILE) * tables.columns.shape[1])
        work = workspace(lists + 4 * TILE * len(self.bias) + slots * row + ROW)
        STEM_BACK(
            torch.get_num_threads(),
            **_chunks(images * height),
            **self._geometry(shape, gradient.shape),
            **tables.arguments(),
            passed=address(passed),
            weights=self.weight_back.data_ptr(),
            picture=result.data_ptr(),
            gradient=gradient.data_ptr(),
            **work.arguments(),
            columns=columns,
            slots=slots,
        )
        return result if onto is None else added(result, onto)

    def _geometry(self, shape: torch.Size, result: torch.Size) -> dict[str, int]:
        height, width = shape[2:]
        return {
            "plane_bytes": 4 * height * width,
            "height": height,
            "width": width,
            "out_height": result[2],
            "out_width": result[3],
            "kernel": self.kernel,
            "channels": len(self.bias),
            "normal": self.normal.data_ptr(),
            "scale": self.scale.data_ptr(),
        }


class DepthwiseConv2d(StepModule):
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

    def run(self, x: Tensor, learning: bool) -> tuple[Tensor, Any]:
        x = channels_last(x)
        images, channels, height, width = x.shape
        window = (self.kernel, self.stride, self.padding)
        out = tuple(borders(side, *window)[1] for side in (height, width))
        result = empty_map((images, channels, *out))
        self._filter(x, result, self.bias, (height, width), False)
        return result, x.shape

    def back(self, kept: Any, gradient: Tensor, onto: Tensor | None = None) -> Tensor:
        result = empty_map(kept)
        self._filter(gradient, result, self.nothing, kept[2:], True)
        return result if onto is None else added(result, onto)

    def _filter(
        self, values: Tensor, result: Tensor, bias: Tensor, size: tuple[int, int], back: bool
    ) -> None:
        """Args:
        size: H and W of what the convolution looks at.
        """
        images, channels, height, width = values.shape
        window = (self.kernel, self.stride, self.padding)
        tables = _Tables(*(windows(side, *window, False, back) for side in size))
        DEPTHWISE(
            torch.get_num_threads(),
            **_chunks(images * result.shape[2]),
            **tables.arguments(),
            values=values.data_ptr(),
            height=height,
            width=width,
            out_height=result.shape[2],
            out_width=result.shape[3],
            kernel=self.kernel,
            channels=channels,
            weights=self.weight.data_ptr(),
            bias=bias.data_ptr(),
            result=result.data_ptr(),
        )


class BlurredPool2d(StepModule):
    """relu, a 2x2 pool at stride 1, and the blur [1 2 1] x [1 2 1] / 16 at stride 2.

    Channels come in multiples of 16. For the gradient bits of each pooled cell are kept.

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

    def run(self, x: Tensor, learning: bool) -> tuple[Tensor, Any]:
        x = channels_last(x)
        pooled = self._pooled(x.shape)
        tables = self._tables(pooled, False)
        out_height, out_width = (len(table) for table in (tables.rows, tables.columns))
        result = empty_map((*x.shape[:2], out_height, out_width))
        winners = None
        if learning and self.rectified:
            words = x.shape[0] * pooled[0] * pooled[1] * x.shape[1] // LANES
            winners = empty((words * PLANES[self.pool],), torch.int16)
        self._launch(BLUR, x.shape[0] * out_height, x.shape, x, result, winners, tables)
        return result, (x.shape, winners)

    def back(self, kept: Any, gradient: Tensor, onto: Tensor | None = None) -> Tensor:
        shape, winners = kept
        result = empty_map(shape) if onto is None else onto
        tables = self._tables(self._pooled(shape), True)
        rows = shape[0] * shape[2]
        self._launch(BLUR_BACK, rows, shape, result, gradient, winners, tables, onto)
        return result

    def _pooled(self, shape: torch.Size) -> tuple[int, int]:
        """H and W of the pooled cells."""
        lost = 0 if self.pool == NONE else 1
        return shape[2] - lost, shape[3] - lost

    def _tables(self, pooled: tuple[int, int], back: bool) -> _Tables:
        padding: Padding = 1 if self.replicate else "same"
        return _Tables(*(blur_windows(side, padding, self.replicate, back) for side in pooled))

    def _launch(
        self,
        kernel: Any,
        rows: int,
        shape: torch.Size,
        values: Tensor,
        result: Tensor,
        winners: Tensor | None,
        tables: _Tables,
        onto: Tensor | None = None,
    ) -> None:
        channels, height, width = shape[1:]
        pooled_height, pooled_width = self._pooled(shape)
        work = workspace(4 * (WINDOW + 1) * pooled_width * channels + 8 * WINDOW)
        kernel(
            torch.get_num_threads(),
            **_chunks(rows),
            values=values.data_ptr(),
            onto=address(onto),
            height=height,
            width=width,
            channels=channels,
            rectified=self.rectified,
            pool=self.pool,
            pooled_height=pooled_height,
            pooled_width=pooled_width,
            planes=PLANES[self.pool],
            table_rows=tables.rows.data_ptr(),
            table_columns=tables.columns.data_ptr(),
            out_height=result.shape[2],
            out_width=result.shape[3],
            result=result.data_ptr(),
            winners=address(winners),
            **work.arguments(),
        )


class Pointwise(StepModule):
    """A 1x1 convolution + bias."""

    def __init__(self, weight: Tensor, bias: Tensor, precision: Precision) -> None:
        """Args:
        weight: [O, C, 1, 1]; bias: [O].
        precision: of the gradient; in any but float32 it may be computed in bfloat16.
        """
        super().__init__()
        plain = weight[:, :, 0, 0].detach().float()
        self.there = Matrix.of(plain.T, bias.detach().float())
        self.home = Matrix.of(plain, half=precision != "float32")

    def run(self, x: Tensor, learning: bool) -> tuple[Tensor, Any]:
        x = channels_last(x)
        result = empty_map((x.shape[0], self.there.filters, *x.shape[2:]))
        self.there.apply(x, result)
        return result, None

    def back(self, kept: Any, gradient: Tensor, onto: Tensor | None = None) -> Tensor:
        result = onto
        if result is None:
            result = empty_map((gradient.shape[0], self.home.filters, *gradient.shape[2:]))
        self.home.apply(gradient, result, onto)
        return result


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


class Fused(nn.Module):
    """Layers that take the place of a module, one after the other on the CPU.

    Args:
        steps: the layers.
        plain: the module itself (with its norms settled), for other devices.
        how: what runs, for people to read.
        channels: of the result, where the steps give more (multiples of 16).
    """

    def __init__(
        self, steps: list[StepModule], plain: nn.Module, how: str, channels: int | None = None
    ) -> None:
        super().__init__()
        self.steps = Sequence(steps)
        self.plain = plain
        self.how = how
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            moved: Tensor = self.plain(x)
            return moved
        result: Tensor = self.steps(x)
        return result if self.channels in (None, result.shape[1]) else result[:, : self.channels]
