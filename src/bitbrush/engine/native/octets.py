"""Maps as 8-bit integers, for the gradient of weights, which is a product over all positions.

Signs lie in a grid, [1 + (N (H + 1) + 1) (W + 1), C]: a row of cells before each picture and one
behind the last, and a cell behind each row, which is the one before the next row, too. Its channels
are filled up to whole blocks.

The gradient of 3x3 weights is summed over tiles of 2x2 gradients, each with the 4x4 signs that it
meets, as a polynomial's coefficients are found from its values at 0, 1, -1 and infinity (Winograd
1980): a linear map makes 16 values of either, of which those of one place are multiplied, and the
sums of their products over all tiles give the 3x3 sums by another such map. So a tile takes 16
multiplications where it took 36. Values are kept in 16 matrices, [tiles, C] each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from ..sizes import BLOCK, FLOATS, LANES, ROW
from . import llvm, simd
from .llvm import ADDRESS, F32, I8, I32, I64
from .pixels import load_block
from .sharing import next_chunk, take_seat

MIDDLE = 128
"""What makes an 8-bit integer positive, so that cutting off its fraction rounds it down."""

QUAD = 4 * FLOATS
"""Bytes of a tile's gradients, a block of channels each."""


@intrinsic
def _signs(typing: Any, values: Any, octets: Any) -> Any:
    """64 times 1 or -1, of floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, octets = arguments
        value = llvm.load(builder, values, llvm.vector(F32))
        positive = builder.fcmp_unordered(">=", value, llvm.constant(F32, 0.0))
        one, other = llvm.constant(I8, 1), llvm.constant(I8, -1)
        llvm.store(builder, builder.select(positive, one, other), octets)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


def _of_signs(builder: Any, line: Sequence[Any]) -> list[Any]:
    """Of four signs: a - c, b + c, c - b, d - b."""
    a, b, c, d = line
    return [builder.sub(a, c), builder.add(b, c), builder.sub(c, b), builder.sub(d, b)]


def _of_gradients(builder: Any, line: Sequence[Any]) -> list[Any]:
    """Of two gradients: a, (a + b) / 2, (a - b) / 2, b."""
    a, b = line
    half = llvm.constant(F32, 0.5, LANES)
    return [
        a,
        builder.fmul(builder.fadd(a, b), half),
        builder.fmul(builder.fsub(a, b), half),
        b,
    ]


def _both_ways(builder: Any, cells: Sequence[Sequence[Any]], of: Any) -> list[Any]:
    """A map of lines, along them and then across: 16 values, line by line."""
    along = [of(builder, line) for line in cells]
    across = [of(builder, column) for column in zip(*along, strict=True)]
    return [column[place] for place in range(4) for column in across]


@intrinsic
def _sign_values(typing: Any, corner: Any, line: Any, cell: Any, target: Any, apart: Any) -> Any:
    """Of 4x4 signs of 64 channels.

    Args:
        corner: of the cells; line, cell: bytes from one to the next.
        target: of the first value; apart: bytes from one to the next.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        corner, line, cell, target, apart = arguments

        def at(down: int, across: int) -> Any:
            step = builder.add(
                builder.mul(line, ir.Constant(I64, down)),
                builder.mul(cell, ir.Constant(I64, across)),
            )
            return llvm.load(builder, builder.add(corner, step), llvm.vector(I8))

        cells = [[at(down, across) for across in range(4)] for down in range(4)]
        for place, value in enumerate(_both_ways(builder, cells, _of_signs)):
            step = builder.mul(apart, ir.Constant(I64, place))
            llvm.store(builder, value, builder.add(target, step))
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 5), emit


@intrinsic
def _gradient_values(
    typing: Any,
    first: Any,
    second: Any,
    third: Any,
    fourth: Any,
    inverse: Any,
    number: Any,
    seed: Any,
    target: Any,
    apart: Any,
) -> Any:
    """Of 2x2 gradients of 16 channels, times their inverse units, rounded by chance.

    Args:
        first, second, third, fourth: floats of each cell.
        number: of the first value, int32; a value's chance follows from its number and the seed.
        target: of the first value; apart: bytes from one to the next.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *places, inverse, number, seed, target, apart = arguments
        a, b, c, d = (llvm.load(builder, place, llvm.row(F32)) for place in places)
        units = llvm.load(builder, inverse, llvm.row(F32))
        lanes = ir.Constant(llvm.row(I32), list(range(LANES)))
        numbers = builder.add(llvm.splat(builder, number, LANES), lanes)
        seeds = llvm.splat(builder, seed, LANES)
        chances: list[Any] = []
        for place, value in enumerate(_both_ways(builder, [[a, b], [c, d]], _of_gradients)):
            if not chances:
                own = builder.add(numbers, llvm.constant(I32, place * LANES, LANES))
                chances = _chances(builder, builder.xor(own, seeds))
            octets = _rounded(builder, value, units, chances.pop())
            step = builder.mul(apart, ir.Constant(I64, place))
            llvm.store(builder, octets, builder.add(target, step))
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 5, types.int32, types.int32, ADDRESS, ADDRESS), emit


def _chances(builder: Any, mixed: Any) -> list[Any]:
    """Twice sixteen floats in [0, 1), of 16 bits each, which follow from sixteen numbers."""
    # Wellons' lowbias32 spreads every bit of a number over all.
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        mixed = builder.xor(mixed, builder.lshr(mixed, llvm.constant(I32, shift, LANES)))
        mixed = builder.mul(mixed, llvm.constant(I32, factor, LANES))
    halves = [
        builder.lshr(mixed, llvm.constant(I32, 16, LANES)),
        builder.and_(mixed, llvm.constant(I32, 0xFFFF, LANES)),
    ]
    scale = llvm.constant(F32, 2.0**-16, LANES)
    return [builder.fmul(builder.sitofp(half, llvm.row(F32)), scale) for half in halves]


def _rounded(builder: Any, value: Any, units: Any, chance: Any) -> Any:
    """Sixteen floats times units, to one of the two next integers."""
    raised = builder.fadd(chance, llvm.constant(F32, float(MIDDLE), LANES))
    level = builder.fptosi(llvm.multiply_add(builder, value, units, raised), llvm.row(I32))
    return builder.trunc(builder.sub(level, llvm.constant(I32, MIDDLE, LANES)), llvm.row(I8))


@njit
def _fill(place: int, count: int, word: int) -> None:
    """So many bytes, a multiple of eight, that are all the same: eight of them are the word."""
    for index in range(0, count, 8):
        simd.store_word(place + index, word)


def spread(arguments: Any) -> None:
    """The signs of a map, in a grid."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    scratch = simd.stack(FLOATS)
    channels, width, height = record.channels, record.width, record.height
    whole, border = record.cell_bytes, record.border
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            target = record.grid + (1 + row * (width + 1)) * whole
            if row == 0:
                _fill(target - whole, whole, border)
            image, line = row // (height + 1), row % (height + 1) - 1
            if line < 0:
                _fill(target, (width + 1) * whole, border)
                continue
            for column in range(width):
                first = ((image * height + line) * width + column) * channels
                for start in range(0, channels, BLOCK):
                    source = record.values + 4 * (first + start)
                    if channels - start < BLOCK:
                        load_block(source, scratch, channels - start)
                        source = scratch
                    _signs(source, target + column * whole + start)
            _fill(target + width * whole, whole, border)


def sign_values(arguments: Any) -> None:
    """The values of every tile of a grid of signs."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    rows, columns, whole = record.tile_rows, record.tile_columns, record.cell_bytes
    line = (record.width + 1) * whole
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, down = row // rows, row % rows
            corner = record.grid + (image * (record.height + 1) + 2 * down) * line
            target = record.result + row * columns * whole
            for column in range(columns):
                for start in range(0, whole, BLOCK):
                    place = column * whole + start
                    _sign_values(
                        corner + column * whole + place,
                        line,
                        whole,
                        target + place,
                        record.matrix_bytes,
                    )


def gradient_values(arguments: Any) -> None:
    """The values of every tile of a gradient, rounded by chance."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    scratch, zeros = simd.stack(QUAD), simd.stack(FLOATS)
    channels, width, height = record.channels, record.width, record.height
    rows, columns, whole = record.tile_rows, record.tile_columns, record.cell_bytes
    seed = np.int32(np.uint32(record.seed))
    simd.clear(zeros)
    for cell in range(4):
        simd.clear(scratch + cell * FLOATS)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, top = row // rows, 2 * (row % rows)
            first = record.values + 4 * (image * height + top) * width * channels
            for column in range(columns):
                left = 2 * column
                corner = first + 4 * left * channels
                right, below = 4 * channels, 4 * width * channels
                for start in range(0, channels, BLOCK):
                    valid = min(BLOCK, channels - start)
                    own = corner + 4 * start
                    a = own
                    b = own + right if left + 1 < width else zeros
                    c = own + below if top + 1 < height else zeros
                    d = own + below + right if left + 1 < width and top + 1 < height else zeros
                    if valid < BLOCK:
                        a = _whole(a, scratch, valid, zeros)
                        b = _whole(b, scratch + FLOATS, valid, zeros)
                        c = _whole(c, scratch + 2 * FLOATS, valid, zeros)
                        d = _whole(d, scratch + 3 * FLOATS, valid, zeros)
                    place = (row * columns + column) * whole + start
                    for part in range(0, BLOCK // LANES):
                        more = part * ROW
                        _gradient_values(
                            a + more,
                            b + more,
                            c + more,
                            d + more,
                            record.inverse + 4 * start + more,
                            np.int32(16 * (place + part * LANES)),
                            seed,
                            record.result + place + part * LANES,
                            record.matrix_bytes,
                        )


@njit
def _whole(source: int, scratch: int, valid: int, zeros: int) -> int:
    """The address of a block that is filled up with zeros."""
    if source == zeros:
        return zeros
    load_block(source, scratch, valid)
    return scratch
