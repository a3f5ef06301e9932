"""Maps as 8-bit integers, for products of the one with the other over all positions.

They lie in a grid, [1 + (N (H + 1) + 1) (W + 1), C]: a row of cells before each picture and one
behind the last, and a cell behind each row, which is the one before the next row, too. So what is
next to a cell, across or down, is as far from it in memory everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from ..sizes import BLOCK, FLOATS
from . import llvm, simd
from .llvm import ADDRESS, F32, I8, I32
from .pixels import load_block
from .sharing import next_chunk, take_seat

MIDDLE = 128
"""What makes an 8-bit integer positive, so that cutting off its fraction rounds it down."""


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


@intrinsic
def _round(typing: Any, values: Any, inverse: Any, number: Any, seed: Any, octets: Any) -> Any:
    """64 floats times their inverse units, to one of the two next integers, by chance.

    Args:
        number: of the first value, int32; a value's chance follows from its number and the seed.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, inverse, number, seed, octets = arguments
        value = llvm.load(builder, values, llvm.vector(F32))
        units = llvm.load(builder, inverse, llvm.vector(F32))
        lanes = ir.Constant(llvm.vector(I32), list(range(BLOCK)))
        mixed = builder.xor(
            builder.add(llvm.splat(builder, number), lanes), llvm.splat(builder, seed)
        )
        # Wellons' lowbias32 spreads every bit of a number over all.
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
            mixed = builder.xor(mixed, builder.lshr(mixed, llvm.constant(I32, shift)))
            mixed = builder.mul(mixed, llvm.constant(I32, factor))
        chance = builder.uitofp(builder.lshr(mixed, llvm.constant(I32, 8)), llvm.vector(F32))
        raised = builder.fadd(
            builder.fmul(chance, llvm.constant(F32, 2.0**-24)), llvm.constant(F32, float(MIDDLE))
        )
        level = builder.fptosi(llvm.multiply_add(builder, value, units, raised), llvm.vector(I32))
        whole = builder.sub(level, llvm.constant(I32, MIDDLE))
        llvm.store(builder, builder.trunc(whole, llvm.vector(I8)), octets)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, types.int32, types.int32, ADDRESS), emit


@njit
def _fill(place: int, count: int, word: int) -> None:
    """So many bytes that are all the same, eight of them being the word."""
    whole = count // 8 * 8
    for index in range(0, whole, 8):
        simd.store_word(place + index, word)
    for index in range(whole, count):
        simd.store_byte(place + index, np.uint8(word & 0xFF))


def spread(arguments: Any) -> None:
    """The signs of a map or, where there are inverse units, its values, rounded by chance."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    scratch, units, octets = simd.stack(FLOATS), simd.stack(FLOATS), simd.stack(BLOCK)
    channels, width, height = record.channels, record.width, record.height
    blocks, border = (channels + BLOCK - 1) // BLOCK, record.border
    seed = np.int32(np.uint32(record.seed))
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            target = record.grid + (1 + row * (width + 1)) * channels
            if row == 0:
                _fill(target - channels, channels, border)
            image, line = row // (height + 1), row % (height + 1) - 1
            if line < 0:
                _fill(target, (width + 1) * channels, border)
                continue
            for column in range(width):
                first = ((image * height + line) * width + column) * channels
                for block in range(blocks):
                    start = BLOCK * block
                    valid = min(BLOCK, channels - start)
                    source, place = record.values + 4 * (first + start), octets
                    own = record.inverse + 4 * start
                    if valid < BLOCK:
                        load_block(source, scratch, valid)
                        source = scratch
                        if record.inverse != 0:
                            load_block(own, units, valid)
                            own = units
                    else:
                        place = target + column * channels + start
                    if record.inverse != 0:
                        _round(source, own, np.int32(first + start), seed, place)
                    else:
                        _signs(source, place)
                    if valid < BLOCK:
                        for index in range(valid):
                            octet = simd.load_byte(octets + index)
                            simd.store_byte(target + column * channels + start + index, octet)
            _fill(target + width * channels, channels, border)
