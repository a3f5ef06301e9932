"""Means of the channels of a map, and means of their products.

A library copies a map before it centres it, and multiplies what is symmetric twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..sizes import BLOCK, FLOATS, GAP, LANES, POSITIONS, ROW, TILE
from . import centring, llvm, products_simd, simd
from .llvm import ADDRESS, F32, I32, I64
from .sharing import next_chunk, take_seat


def products_of_channels(arguments: Any) -> None:
    """Of centred values x - shift [positions, C]: sums [parts, C] and products [parts, C, C].

    Of the products those are written whose second channel lies in the block of the first or behind
    it, but for some within a block. Each part of the positions is summed up by itself, so that
    nothing depends on which thread does it.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    channels, room = record.channels, record.room
    blocks, step = room // BLOCK, 4 * room + GAP
    centred = record.workspace + seat * record.workspace_bytes
    total = simd.stack(FLOATS)
    for place in range(0, POSITIONS * step, FLOATS):
        simd.clear(centred + place)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        # The last block has most to do.
        part, column = chunk // blocks, blocks - 1 - chunk % blocks
        first = record.positions * part // record.parts
        last = record.positions * (part + 1) // record.parts
        matrix = record.products + part * 4 * room * room + FLOATS * column
        vectors = (min(BLOCK, channels - BLOCK * column) + LANES - 1) // LANES
        seen = min(BLOCK * (column + 1), channels)
        simd.clear(total)
        for row in range(0, seen, TILE):
            for index in range(TILE):
                simd.clear(matrix + 4 * room * (row + index))
        left = first % record.width
        source = record.values + first // record.width * record.row_bytes + 4 * channels * left
        for start in range(first, last, POSITIONS):
            count = min(POSITIONS, last - start)
            for position in range(count):
                target = centred + position * step
                centring.centre(source, record.shift, target, seen // LANES)
                for index in range(seen // LANES * LANES, seen):
                    value = simd.load_float(source + 4 * index)
                    value -= simd.load_float(record.shift + 4 * index)
                    simd.store_float(target + 4 * index, value)
                source += 4 * channels
                left += 1
                if left == record.width:
                    left = 0
                    source += record.row_bytes - 4 * channels * record.width
            right = centred + FLOATS * column
            centring.add_up(total, right, step, count)
            for row in range(0, seen, TILE):
                begin, result = centred + 4 * row, matrix + 4 * room * row
                # In the block of the diagonal, what lies before it is left out.
                skip = max(row - BLOCK * column, 0) // LANES
                far = 4 * LANES * skip
                products_simd.add_products(
                    vectors - skip,
                    begin,
                    4,
                    step,
                    right + far,
                    step,
                    count,
                    result + far,
                    4 * room,
                )
        simd.copy(total, record.sums + 4 * room * part + FLOATS * column)


SQUARE = LANES * ROW
"""Bytes of 16 x 16 floats."""


@intrinsic
def _average(
    typing: Any,
    products: Any,
    step: Any,
    parts: Any,
    share: Any,
    own: Any,
    others: Any,
    result: Any,
) -> Any:
    """result = share (sum of the parts' products) - own others, for 16 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        products, step, parts, share, own, others, result = arguments
        share, own = (llvm.splat(builder, value, LANES) for value in (share, own))
        total = cgutils.alloca_once_value(builder, llvm.constant(F32, 0.0, LANES))
        with cgutils.for_range(builder, parts) as part:
            place = builder.add(products, builder.mul(part.index, step))
            product = builder.fmul(llvm.load(builder, place, llvm.row(F32)), share)
            builder.store(builder.fadd(builder.load(total), product), total)
        less = builder.fmul(llvm.load(builder, others, llvm.row(F32)), own)
        llvm.store(builder, builder.fsub(builder.load(total), less), result)
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 3, *[types.float32] * 2, *[ADDRESS] * 2), emit


@intrinsic
def _store_both(typing: Any, square: Any, upper: Any, lower: Any, step: Any) -> Any:
    """Writes 16 x 16 floats where they belong, and turned over where that belongs.

    Args:
        upper, lower: `step` bytes from one row to the next.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        square, upper, lower, step = arguments
        rows = [
            llvm.load(builder, llvm.offset(builder, square, ROW * index), llvm.row(F32))
            for index in range(LANES)
        ]

        def store(start: Any) -> None:
            for index, row in enumerate(rows):
                far = builder.mul(step, ir.Constant(I64, index))
                llvm.store(builder, row, builder.add(start, far))

        store(upper)
        # Squares of half the side change places, then those within each of them.
        half = LANES // 2
        while half:
            for index in range(LANES):
                if not index & half:
                    pair = rows[index], rows[index + half]
                    rows[index], rows[index + half] = (
                        builder.shuffle_vector(*pair, ir.Constant(llvm.row(I32), order))
                        for order in _exchanged(half)
                    )
            half //= 2
        store(lower)
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 4), emit


def _exchanged(half: int) -> tuple[list[int], list[int]]:
    """Which of two rows' values, counted on, become the first row and the second."""
    first = [lane + LANES - half if lane & half else lane for lane in range(LANES)]
    second = [lane + LANES if lane & half else lane + half for lane in range(LANES)]
    return first, second


def finish_moments(arguments: Any) -> None:
    """From sums and products to mean [C] and the whole covariance [C, C], in bands of 16 rows."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    channels, room, parts = record.channels, record.room, record.parts
    matrix, sums, products = record.matrix, record.sums, record.products
    share = np.float32(record.share_real)
    square, own, others = simd.stack(SQUARE), simd.stack(ROW), simd.stack(ROW)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for band in range(
            record.bands * chunk // record.chunks, record.bands * (chunk + 1) // record.chunks
        ):
            first = LANES * band
            rows = min(LANES, channels - first)
            for row in range(rows):
                total = np.float32(0)
                for part in range(parts):
                    total += simd.load_float(sums + 4 * (room * part + first + row))
                total *= share
                simd.store_float(own + 4 * row, total)
                mean = simd.load_float(record.shift + 4 * (first + row)) + total
                simd.store_float(record.mean + 4 * (first + row), mean)
            for left in range(first, channels, LANES):
                simd.clear_row(others)
                _average(sums + 4 * left, 4 * room, parts, share, np.float32(0), others, others)
                for row in range(rows):
                    _average(
                        products + 4 * (room * (first + row) + left),
                        4 * room * room,
                        parts,
                        share,
                        simd.load_float(own + 4 * row),
                        others,
                        square + ROW * row,
                    )
                upper = matrix + 4 * (channels * first + left)
                lower = matrix + 4 * (channels * left + first)
                columns = min(LANES, channels - left)
                if left > first and rows == columns == LANES:
                    _store_both(square, upper, lower, 4 * channels)
                    continue
                for row in range(rows):
                    for column in range(row if left == first else 0, columns):
                        value = simd.load_float(square + ROW * row + 4 * column)
                        simd.store_float(upper + 4 * (channels * row + column), value)
                        simd.store_float(lower + 4 * (channels * column + row), value)
