"""Kernels of the float layers between the one-bit ones: blurs, pools, depthwise convolutions.

Maps are as in `kernels`. Every kernel gathers: a thread writes only what
belongs to its own rows, so that nothing depends on who comes first. Which cells a result looks at,
and which results look at a cell, stands in tables for each axis (`windows`): int32 [size, width, 2]
of (other index, place in the kernel), padded with (-1, 0).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from . import simd
from .kernels import FLOATS, load_block, store_block
from .llvm import BLOCK, LANES
from .runtime import Kernel

ROW = 4 * LANES
"""Bytes of 16 floats."""

BLUR_SCRATCH = 4 * FLOATS
"""Bytes of four cells."""

NONE, MAXIMUM, AVERAGE = 0, 1, 2
"""What 2x2 cells are pooled to before a blur."""


@njit
def entry(table: int, row: int, width: int, column: int, part: int) -> int:
    return int(simd.load_int(table + 8 * (row * width + column) + 4 * part))


DEPTHWISE_FIELDS = (
    "chunks rows values height width out_height out_width kernel table_rows table_columns "
    "row_entries column_entries channels weights bias result"
)


def depthwise(arguments: Any) -> None:
    """A convolution of each channel by itself, + bias: [N, H', W', channels].

    channels are a multiple of 16. weights: [k, k, channels]. With the tables of the way back, and
    results and values exchanged, it is its own gradient.
    """
    record = carray(arguments, 1)[0]
    sums = simd.stack(ROW)
    width, out_width, channels = record.width, record.out_width, record.channels
    kernel = record.kernel
    rows, columns = record.row_entries, record.column_entries
    table_rows, table_columns = record.table_rows, record.table_columns
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.out_height, row % record.out_height
            for x in range(out_width):
                for first in range(0, channels, LANES):
                    simd.copy_row(record.bias + 4 * first, sums)
                    for i in range(rows):
                        at_y = entry(table_rows, y, rows, i, 0)
                        if at_y < 0:
                            continue
                        ky = entry(table_rows, y, rows, i, 1)
                        line = (image * record.height + at_y) * width
                        for j in range(columns):
                            at_x = entry(table_columns, x, columns, j, 0)
                            if at_x < 0:
                                continue
                            kx = entry(table_columns, x, columns, j, 1)
                            simd.weigh_each(
                                sums,
                                record.values + 4 * ((line + at_x) * channels + first),
                                record.weights + 4 * ((ky * kernel + kx) * channels + first),
                            )
                    place = (row * out_width + x) * channels + first
                    simd.copy_row(sums, record.result + 4 * place)


BLUR_FIELDS = (
    "chunks rows values height width channels rectified pool pooled_height pooled_width table_rows "
    "table_columns row_entries column_entries out_height out_width result winners"
)


@njit
def _blur_weight(place: int) -> Any:
    """[1 2 1] / 4."""
    return np.float32(0.5) if place == 1 else np.float32(0.25)


@njit
def _pool_cell(
    record: Any,
    image: int,
    y: int,
    x: int,
    block: int,
    valid: int,
    scratch: int,
    cell: int,
    winners: int,
) -> None:
    """Writes 64 channels of a pooled cell, rectified where asked for, and its bits to `winners`."""
    width, channels = record.width, record.channels
    blocks = (channels + BLOCK - 1) // BLOCK
    place = record.values + 4 * (
        ((image * record.height + y) * width + x) * channels + BLOCK * block
    )
    word = ((image * record.pooled_height + y) * record.pooled_width + x) * blocks + block
    right, below = 4 * channels, 4 * channels * width
    if record.pool == NONE:
        load_block(place, scratch, valid)
        if record.rectified:
            bits = simd.rectify(scratch, cell)
            if winners != 0:
                simd.store_word(winners + 8 * word, bits)
        else:
            simd.copy(scratch, cell)
        return
    load_block(place, scratch, valid)
    load_block(place + right, scratch + FLOATS, valid)
    load_block(place + below, scratch + 2 * FLOATS, valid)
    load_block(place + right + below, scratch + 3 * FLOATS, valid)
    if record.pool == MAXIMUM:
        low, high, positive = simd.rectified_maximum(
            scratch, scratch + FLOATS, scratch + 2 * FLOATS, scratch + 3 * FLOATS, cell
        )
        if winners != 0:
            simd.store_word(winners + 24 * word, low)
            simd.store_word(winners + 24 * word + 8, high)
            simd.store_word(winners + 24 * word + 16, positive)
        return
    simd.clear(cell)
    for index in range(4):
        part = scratch + index * FLOATS
        bits = simd.rectify(part, part)
        if winners != 0:
            simd.store_word(winners + 32 * word + 8 * index, bits)
        simd.multiply_add(cell, part, np.float32(0.25))


def blur(arguments: Any) -> None:
    """A 2x2 pool at stride 1 of the relu, then the blur [1 2 1] x [1 2 1] / 16 at stride 2.

    Kept for the way back, for each 64 channels of a pooled cell: its sign (no pool), the two bits
    of the largest and its sign (maximum), or four signs (average). Each row of results computes
    the three rows of cells that it needs; the first two, and the last of all, are its own.
    """
    record = carray(arguments, 1)[0]
    scratch, cell, sums = simd.stack(BLUR_SCRATCH), simd.stack(FLOATS), simd.stack(FLOATS)
    channels = record.channels
    blocks = (channels + BLOCK - 1) // BLOCK
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, out_y = row // record.out_height, row % record.out_height
            for out_x in range(record.out_width):
                for block in range(blocks):
                    valid = min(BLOCK, channels - BLOCK * block)
                    simd.clear(sums)
                    for i in range(3):
                        y = entry(record.table_rows, out_y, 3, i, 0)
                        if y < 0:
                            continue
                        own = i < 2 or out_y == record.out_height - 1
                        winners = record.winners if own else 0
                        across = _blur_weight(entry(record.table_rows, out_y, 3, i, 1))
                        for j in range(3):
                            x = entry(record.table_columns, out_x, 3, j, 0)
                            if x < 0:
                                continue
                            _pool_cell(record, image, y, x, block, valid, scratch, cell, winners)
                            along = _blur_weight(entry(record.table_columns, out_x, 3, j, 1))
                            simd.multiply_add(sums, cell, across * along)
                    place = (row * record.out_width + out_x) * channels + BLOCK * block
                    store_block(sums, record.result + 4 * place, valid)


@njit
def _cell_gradient(
    record: Any, image: int, y: int, x: int, block: int, valid: int, scratch: int, cell: int
) -> None:
    """Writes the gradient of 64 channels of a pooled cell."""
    simd.clear(cell)
    height, width, channels = record.out_height, record.out_width, record.channels
    rows, columns = record.row_entries, record.column_entries
    for i in range(rows):
        out_y = entry(record.table_rows, y, rows, i, 0)
        if out_y < 0:
            continue
        across = _blur_weight(entry(record.table_rows, y, rows, i, 1))
        for j in range(columns):
            out_x = entry(record.table_columns, x, columns, j, 0)
            if out_x < 0:
                continue
            weight = across * _blur_weight(entry(record.table_columns, x, columns, j, 1))
            place = ((image * height + out_y) * width + out_x) * channels + BLOCK * block
            if valid == BLOCK:
                simd.multiply_add(cell, record.result + 4 * place, weight)
            else:
                load_block(record.result + 4 * place, scratch, valid)
                simd.multiply_add(cell, scratch, weight)


def blur_back(arguments: Any) -> None:
    """The gradient of `blur`: result is read, values are written."""
    record = carray(arguments, 1)[0]
    scratch, cell, sums = simd.stack(FLOATS), simd.stack(FLOATS), simd.stack(FLOATS)
    channels, pool, winners = record.channels, record.pool, record.winners
    blocks = (channels + BLOCK - 1) // BLOCK
    reach = 1 if pool == NONE else 2
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.height, row % record.height
            for x in range(record.width):
                for block in range(blocks):
                    valid = min(BLOCK, channels - BLOCK * block)
                    simd.clear(sums)
                    for dy in range(reach):
                        if not 0 <= y - dy < record.pooled_height:
                            continue
                        for dx in range(reach):
                            if not 0 <= x - dx < record.pooled_width:
                                continue
                            _cell_gradient(
                                record, image, y - dy, x - dx, block, valid, scratch, cell
                            )
                            word = (image * record.pooled_height + y - dy) * record.pooled_width
                            word = (word + x - dx) * blocks + block
                            index = 2 * dy + dx
                            if pool == NONE:
                                if record.rectified:
                                    simd.keep(cell, simd.load_word(winners + 8 * word))
                            elif pool == MAXIMUM:
                                low = simd.load_word(winners + 24 * word)
                                high = simd.load_word(winners + 24 * word + 8)
                                own = simd.load_word(winners + 24 * word + 16)
                                own &= low if index & 1 else ~low
                                own &= high if index >> 1 else ~high
                                simd.keep(cell, own)
                            else:
                                own = simd.load_word(winners + 32 * word + 8 * index)
                                simd.keep(cell, own)
                            share = np.float32(0.25) if pool == AVERAGE else np.float32(1)
                            simd.multiply_add(sums, cell, share)
                    place = (row * record.width + x) * channels + BLOCK * block
                    store_block(sums, record.values + 4 * place, valid)


DEPTHWISE = Kernel(depthwise, DEPTHWISE_FIELDS)
BLUR = Kernel(blur, BLUR_FIELDS)
BLUR_BACK = Kernel(blur_back, BLUR_FIELDS)

FILTERING = (DEPTHWISE, BLUR, BLUR_BACK)
"""All of them."""
