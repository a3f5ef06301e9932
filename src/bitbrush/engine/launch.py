"""From tensors to kernels: addresses, sizes and threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .buffers import empty
from .factors import Factor
from .kernels import (
    CONVOLVE,
    CONVOLVE_TILES,
    GRADIENT,
    PACK,
    RESIDUAL,
    RESIDUAL_TILES,
    ROUND,
)
from .notes import hold, notes
from .packing import Filters, PackedMap, blocks_of
from .precision import has_sign_tiles
from .sizes import (
    BLOCK,
    CELLS,
    EVERYWHERE,
    LINE,
    POSITIONS_AT_ONCE,
    REALS,
    RESULTS,
    ROW,
)

CHUNKS = 8
"""Chunks of work for each thread: a thread that is held up leaves its share to the others."""

STRIP = 2**19
"""Bytes of a strip, at most: beside it in the second cache lie filters, and what comes and goes."""

STRIPS = 4
"""For each thread, where there are enough rows."""

WORTHWHILE = 250
"""Positions of a strip, at least, where there are so many."""

FEW = 100
"""Pixels of a map whose signs are not worth making bytes of 64 filters for."""


def address(tensor: Tensor | None) -> int:
    """Of the first value; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def empty_map(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """[N, C, H, W] in channels_last, yet to be written."""
    images, channels, height, width = shape
    row = channels * width
    return empty((images, channels, height, width), dtype, (row * height, 1, row, channels))


def channels_last(x: Tensor) -> Tensor:
    """The same in float32 and channels_last."""
    return x.float().contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Workspace:
    """Memory that each thread has a part of.

    Attributes:
        memory: to be held for as long as a kernel runs.
        size: bytes of a part.
    """

    memory: Tensor
    size: int

    def arguments(self) -> dict[str, int]:
        """The fields that a kernel knows it by."""
        return {"workspace": self.memory.data_ptr(), "workspace_bytes": self.size}


class _OfThread(threading.local):
    """The workspace of each Python thread: its kernels run one after the other."""

    workspace: Tensor | None = None


_of_thread = _OfThread()


def workspace(size: int) -> Workspace:
    """So many bytes for each thread."""
    size = -(-size // LINE) * LINE
    whole = torch.get_num_threads() * size
    owner = notes() or _of_thread
    memory = owner.workspace
    if memory is None or memory.numel() < whole:
        hold(memory)
        memory = owner.workspace = torch.empty(whole, dtype=torch.uint8)
    return Workspace(memory, size)


def pack_map(
    values: Tensor,
    packed: PackedMap,
    factor: Factor | None = None,
    factors: Tensor | None = None,
    levels: int = 0,
    affine: tuple[float, float] = (1.0, 0.0),
) -> None:
    """Writes the bits of a map into a packed one, and the factors of its gradient.

    Args:
        values: float32 [N, C, H, W] in channels_last.
        factor, factors: how factors are kept, and where; of gain x + shift.
        levels: 0 for signs; else of the integers whose bits go to the planes.
        affine: gain and shift.
    """
    images, channels, height, width = values.shape
    threads = torch.get_num_threads()
    rows = images * height
    kept = factor is not None and factors is not None and factor.mode != REALS
    PACK(
        threads,
        chunks=min(CHUNKS * threads, rows),
        rows=rows,
        values=values.data_ptr(),
        channels=channels,
        width=width,
        blocks=blocks_of(channels),
        packed=packed.origin,
        row_bytes=packed.row_bytes,
        image_bytes=packed.image_bytes,
        height=height,
        factor_mode=factor.mode if kept and factor is not None else EVERYWHERE,
        factors=address(factors),
        table=factor.table_address() if factor is not None else 0,
        gain_real=affine[0],
        shift_real=affine[1],
        window_real=factor.window if factor is not None else 1.0,
        levels_real=float(levels),
        planes=packed.words.shape[0],
        plane_bytes=packed.plane_bytes,
    )


def round_map(values: Tensor, packed: PackedMap, spacing: int, inverse: float, seed: int) -> None:
    """Rounds a map at random to integers and writes their bits into the planes of a packed map.

    Args:
        values: float32 [N, C, H, W] in channels_last.
        packed: with k planes; the map's cells lie `spacing` apart in it.
        inverse: of the unit; value v becomes floor(v inverse + 2^(k - 1) + r), r in [0, 1).
        seed: of r.
    """
    images, channels, height, width = values.shape
    threads = torch.get_num_threads()
    rows = images * height
    ROUND(
        threads,
        chunks=min(CHUNKS * threads, rows),
        rows=rows,
        values=values.data_ptr(),
        channels=channels,
        width=width,
        blocks=blocks_of(channels),
        packed=packed.origin,
        row_bytes=spacing * packed.row_bytes,
        image_bytes=packed.image_bytes,
        height=height,
        pixel_bytes=spacing * packed.pixel_bytes,
        planes=packed.words.shape[0],
        plane_bytes=packed.plane_bytes,
        inverse_real=inverse,
        seed=seed,
    )


def _windows(packed: PackedMap, filters: Filters, stride: int, result: Tensor) -> dict[str, float]:
    images, channels, height, width = result.shape
    threads = torch.get_num_threads()
    blocks = blocks_of(channels)
    parts = -(-CHUNKS * threads // blocks)
    return {
        "chunks": blocks * parts,
        "parts": parts,
        "pixels": images * height * width,
        "height": height,
        "width": width,
        "channels": channels,
        "packed": packed.words.data_ptr(),
        "row_bytes": packed.row_bytes,
        "image_bytes": packed.image_bytes,
        "step_bytes": stride * packed.pixel_bytes,
        "row_step_bytes": stride * packed.row_bytes,
        "planes": packed.words.shape[0],
        "plane_bytes": packed.plane_bytes,
        "kernel": filters.kernel,
        "run": filters.kernel * packed.pixel_bytes // 4,
        "weights": filters.words.data_ptr(),
        "result": result.data_ptr(),
    }


def in_tiles(filters: Filters, stride: int, planes: int) -> bool:
    """Whether signs are multiplied in tiles, and not counted: a matter of what the CPU has.

    Where a map is smaller than `FEW` pixels, they are counted all the same.
    """
    return stride == planes == 1 and filters.kernel**2 <= CELLS and has_sign_tiles()


def _are_in_tiles(packed: PackedMap, filters: Filters, stride: int) -> bool:
    planes, images, *_ = packed.words.shape
    many = images * packed.height * packed.width >= FEW
    return many and in_tiles(filters, stride, planes)


def rows_of_strips(
    images: int, height: int, line: int, row_bytes: int, edge: int, threads: int
) -> int:
    """How many rows of a map make a strip, for kernels that work on strips.

    Args:
        images, height: of the map.
        line: positions of a row.
        row_bytes: of a row in the strip, which has `edge` more of them.
    """
    most = max(1, STRIP // row_bytes - edge)
    # Fewer rows would not be worth the making of the weights that they meet.
    least = min(most, -(-WORTHWHILE // line))
    share = max(least, height * images // (STRIPS * threads))
    return -(-height // -(-height // min(share, most)))


def _signs(packed: PackedMap, filters: Filters, result: Tensor) -> dict[str, int]:
    images, channels, height, width = result.shape
    threads = torch.get_num_threads()
    blocks, blocks_in = blocks_of(channels), blocks_of(filters.channels_in)
    step, edge = ROW * (blocks_in | 1), filters.kernel - 1
    line = width + edge
    rows = rows_of_strips(images, height, line, line * step, edge, threads)
    bands = -(-height // rows)
    parts = min(blocks, -(-STRIPS * threads // (images * bands)))
    columns = filters.tiles.numel() // blocks * BLOCK
    places = (rows + edge) * line + POSITIONS_AT_ONCE
    return {
        "chunks": images * bands * parts,
        "parts": parts,
        "bands": bands,
        "rows": rows,
        "height": height,
        "width": width,
        "channels": channels,
        "packed": packed.words.data_ptr(),
        "row_bytes": packed.row_bytes,
        "image_bytes": packed.image_bytes,
        "kernel": filters.kernel,
        "blocks_in": blocks_in,
        "weights": filters.tiles.data_ptr(),
        "result": result.data_ptr(),
        **workspace(RESULTS + columns + places * step).arguments(),
    }


def convolve(
    packed: PackedMap,
    filters: Filters,
    stride: int,
    base: Tensor,
    scale: Tensor,
    offset: Tensor,
    result: Tensor,
    border: Tensor | None = None,
) -> None:
    """result = scale (base - 2 differing bits) + offset.

    Args:
        base: int32 [64 blocks].
        scale, offset: float32 [64 blocks].
        result: float32 [N, O, H', W'] in channels_last, written.
        border: int32 [k x k, 64 blocks], the sums of each cell's filters, where cells outside the
            picture are to count as 0; None: as what the packed map has there.
    """
    tiles = _are_in_tiles(packed, filters, stride)
    kernel = CONVOLVE_TILES if tiles else CONVOLVE
    kernel(
        torch.get_num_threads(),
        **(_signs(packed, filters, result) if tiles else _windows(packed, filters, stride, result)),
        base=base.data_ptr(),
        scale=scale.data_ptr(),
        offset=offset.data_ptr(),
        border=address(border),
        stride=stride,
        top=packed.top,
        left=packed.left,
        height_in=packed.height,
        width_in=packed.width,
        filters=0 if border is None else border.shape[1],
    )


def add_residual(
    packed: PackedMap,
    filters: Filters,
    stride: int,
    base: Tensor,
    scale: Tensor,
    offset: Tensor,
    before: Tensor | None,
    result: Tensor,
    passed: Tensor | None,
    following: PackedMap | None = None,
    factor: Factor | None = None,
    factors: Tensor | None = None,
) -> None:
    """result = before + scale relu(base - 2 differing bits) + offset, and the signs of that.

    Args:
        before: as result, which may be the same tensor; None counts as 0.
        result: float32 [N, O, H', W'] in channels_last, written.
        passed: int64 [N H' W', blocks], where the relu lets through, written; or None.
        following: gets the signs; or None.
        factor, factors: how the factors of their gradient are kept, and where.
    """
    kept = factor is not None and factors is not None and factor.mode != REALS
    tiles = _are_in_tiles(packed, filters, stride)
    kernel = RESIDUAL_TILES if tiles else RESIDUAL
    kernel(
        torch.get_num_threads(),
        **(_signs(packed, filters, result) if tiles else _windows(packed, filters, stride, result)),
        base=base.data_ptr(),
        scale=scale.data_ptr(),
        offset=offset.data_ptr(),
        before=address(before),
        passed=address(passed),
        next_packed=0 if following is None else following.origin,
        next_row_bytes=0 if following is None else following.row_bytes,
        next_image_bytes=0 if following is None else following.image_bytes,
        factor_mode=factor.mode if kept and factor is not None else EVERYWHERE,
        factors=address(factors),
        table=factor.table_address() if factor is not None else 0,
        window_real=factor.window if factor is not None else 1.0,
    )


def pass_gradient(
    like: Tensor,
    *,
    running: Tensor | None = None,
    fresh: bool = False,
    arrived: Tensor | None = None,
    factor: Factor | None = None,
    factors: Tensor | None = None,
    tap: Tensor | None = None,
    passed: Tensor | None = None,
    scale: Tensor | None = None,
    result: Tensor | None = None,
) -> None:
    """running += factors arrived + tap (from 0 if fresh); result = scale running, where passed.

    Args:
        like: a tensor [N, C, H, W] whose shape they all have, in channels_last.
        running, tap: float32.
        arrived, result: float32 or bfloat16.
        passed: int64 [N H W, blocks]; None: everywhere.
        scale: float32 [64 blocks].
    """
    images, channels, height, width = like.shape
    threads = torch.get_num_threads()
    pixels = images * height * width
    GRADIENT(
        threads,
        chunks=min(CHUNKS * threads, pixels),
        pixels=pixels,
        channels=channels,
        running=address(running),
        fresh=fresh,
        arrived=address(arrived),
        arrived_half=arrived is not None and arrived.dtype == torch.bfloat16,
        factor_mode=EVERYWHERE if factor is None or factors is None else factor.mode,
        factors=address(factors),
        unit_real=1.0 if factor is None else factor.unit,
        zero_real=0.0 if factor is None else factor.zero,
        tap=address(tap),
        passed=address(passed),
        scale=address(scale),
        result=address(result),
        result_half=result is not None and result.dtype == torch.bfloat16,
    )
