"""The kernels: what is done to packed bits and to maps, pixel by pixel.

Maps are [N, H, W, C] float32, channels last. Packed maps hold the sign bits of 64 channels in each
64-bit word, lowest bit first, [N, H', W', blocks], with their border; several bit planes of one map
lie one after the other. Bits beyond the last channel are 0 in maps and filters alike, and so never
differ. Arrays are addresses; the functions here are compiled and called by `Kernel`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from ..sizes import BITS, BLOCK, BYTES, FLOATS, LANES, REALS, TABLE, TILE
from . import counting, simd
from .sharing import next_chunk, take_seat

SUMS = TILE * FLOATS
"""Bytes of the sums of a tile."""

STARTS = 8 * TILE
"""Bytes of the addresses where its windows begin."""


@njit
def load_block(source: int, block: int, valid: int) -> None:
    """Copies the floats of a block, of which the last may be missing, to where 64 have room."""
    if valid == BLOCK:
        simd.copy(source, block)
    elif valid % LANES == 0:
        for index in range(0, valid, LANES):
            simd.copy_row(source + 4 * index, block + 4 * index)
    else:
        for index in range(valid):
            simd.store_float(block + 4 * index, simd.load_float(source + 4 * index))


@njit
def store_block(block: int, target: int, valid: int) -> None:
    load_block(block, target, valid)


@njit
def _load_halves(source: int, block: int, valid: int) -> None:
    """The same from bfloat16 to float32."""
    if valid == BLOCK:
        simd.wide(source, block)
    else:
        for index in range(valid):
            simd.store_half(block + 4 * index, 0)
            simd.store_half(block + 4 * index + 2, simd.load_half(source + 2 * index))


@njit
def _store_halves(block: int, target: int, valid: int) -> None:
    for index in range(valid):
        simd.store_half(target + 2 * index, simd.load_half(block + 2 * index))


@njit
def load_bytes(source: int, block: int, valid: int) -> int:
    """Where the bytes of a block are: at the source, or copied to where 64 have room."""
    if valid == BLOCK:
        return source
    for index in range(valid):
        simd.store_byte(block + index, simd.load_byte(source + index))
    return block


@njit
def first_bits(count: int) -> int:
    """A word whose first `count` bits (1 … 64) are set."""
    return -1 if count == BLOCK else (1 << count) - 1


@njit
def keep_factor(
    mode: int, values: int, valid: int, bits: int, bytes_: int, width: float, table: int
) -> None:
    """Keeps what the gradient of 64 activations (or the valid ones of them) is multiplied by."""
    if mode == BITS:
        simd.store_word(bits, simd.within(values, width) & first_bits(valid))
    elif mode == BYTES and table == 0:
        if valid == BLOCK:
            simd.tent(values, np.float32(1) / np.float32(width), bytes_)
        else:
            for index in range(valid):
                far = abs(simd.load_float(values + 4 * index)) / np.float32(width)
                simd.store_byte(bytes_ + index, int(max(254.5 - 254 * far, np.float32(0))))
    elif mode == BYTES:
        for index in range(valid):
            place = simd.load_float(values + 4 * index) / width + np.float32(TABLE // 2)
            entry = min(max(int(place), 0), TABLE - 1)
            simd.store_byte(bytes_ + index, simd.load_byte(table + entry))


def pack(arguments: Any) -> None:
    """Signs of a map, or the bit planes of its levels, with the factors of the gradient.

    With one plane and levels of 0 a bit is a sign; else value x becomes the integer
    round(levels clip(x, 0, 1)), whose bits go to the planes. Factors are those of gain x + shift.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    scratch, shifted = simd.stack(FLOATS), simd.stack(FLOATS)
    channels, blocks, width = record.channels, record.blocks, record.width
    mode, factors, table = record.factor_mode, record.factors, record.table
    gain, shift = np.float32(record.gain_real), np.float32(record.shift_real)
    window, levels = np.float32(record.window_real), np.float32(record.levels_real)
    planes, plane_bytes = record.planes, record.plane_bytes
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            target = record.packed + (row // record.height) * record.image_bytes
            target += (row % record.height) * record.row_bytes
            for column in range(width):
                pixel = row * width + column
                for block in range(blocks):
                    valid = min(BLOCK, channels - BLOCK * block)
                    source = record.values + 4 * (pixel * channels + BLOCK * block)
                    if valid < BLOCK:
                        load_block(source, scratch, valid)
                        source = scratch
                    place = target + 8 * (column * blocks + block)
                    if levels == 0:
                        simd.store_word(place, simd.signs(source) & first_bits(valid))
                    else:
                        for plane in range(planes):
                            for index in range(valid):
                                value = simd.load_float(source + 4 * index)
                                value = min(max(value, np.float32(0)), np.float32(1))
                                level = int(np.rint(value * levels))
                                bit = np.float32((level >> plane) & 1) - np.float32(0.5)
                                simd.store_float(shifted + 4 * index, bit)
                            word = simd.signs(shifted) & first_bits(valid)
                            simd.store_word(place + plane * plane_bytes, word)
                    if gain != 1:
                        for index in range(valid):
                            value = simd.load_float(source + 4 * index)
                            simd.store_float(shifted + 4 * index, gain * value + shift)
                        source = shifted
                    keep_factor(
                        mode,
                        source,
                        valid,
                        factors + 8 * (pixel * blocks + block),
                        factors + pixel * channels + BLOCK * block,
                        window,
                        table,
                    )


@njit
def _tile_addresses(
    pixel: int,
    width: int,
    height: int,
    packed: int,
    step: int,
    row_step: int,
    image_bytes: int,
    windows: int,
) -> None:
    """Writes where the windows of four pixels in a row begin."""
    column, row = pixel % width, pixel // width
    image, row = row // height, row % height
    for index in range(TILE):
        address = packed + image * image_bytes + row * row_step + column * step
        simd.store_word(windows + 8 * index, address)
        column += 1
        if column == width:
            column, row = 0, row + 1
            if row == height:
                row, image = 0, image + 1


@njit
def differing(
    record: Any, block: int, pixel: int, last: int, sums: int, plane_sums: int, windows: int
) -> None:
    """Differing bits of four pixels (fewer at the end) and 64 filters, over all bit planes.

    Args:
        sums, plane_sums: SUMS bytes.
        windows: STARTS bytes.
    """
    _tile_addresses(
        pixel,
        record.width,
        record.height,
        record.packed,
        record.step_bytes,
        record.row_step_bytes,
        record.image_bytes,
        windows,
    )
    weights = record.weights + block * record.kernel * record.run * FLOATS
    start = simd.load_word(windows)
    addresses = (
        start,
        simd.load_word(windows + 8) if pixel + 1 < last else start,
        simd.load_word(windows + 16) if pixel + 2 < last else start,
        simd.load_word(windows + 24) if pixel + 3 < last else start,
    )
    for plane in range(record.planes):
        shift = plane * record.plane_bytes
        counting.differing_bits(
            sums if plane == 0 else plane_sums,
            addresses[0] + shift,
            addresses[1] + shift,
            addresses[2] + shift,
            addresses[3] + shift,
            record.kernel,
            record.row_bytes,
            record.run,
            weights,
        )
        if plane:
            for index in range(TILE * BLOCK):
                more = simd.load_int(plane_sums + 4 * index) << plane
                simd.store_int(sums + 4 * index, np.int32(simd.load_int(sums + 4 * index) + more))


@njit
def border_base(record: Any, block: int, pixel: int, base: int) -> None:
    """Writes the base of a pixel whose window reaches beyond the picture, where cells count as 0.

    Their unset bits have counted as -1, which has taken the filters' own sum away.
    """
    simd.copy(record.base + FLOATS * block, base)
    column, row = pixel % record.width, (pixel // record.width) % record.height
    for y in range(record.kernel):
        inside = 0 <= row * record.stride - record.top + y < record.height_in
        for x in range(record.kernel):
            across = column * record.stride - record.left + x
            if not (inside and 0 <= across < record.width_in):
                tap = y * record.kernel + x
                filters = record.border + 4 * (tap * record.filters + BLOCK * block)
                for index in range(BLOCK):
                    more = simd.load_int(base + 4 * index) + simd.load_int(filters + 4 * index)
                    simd.store_int(base + 4 * index, np.int32(more))


def convolve(arguments: Any) -> None:
    """scale (base - 2 differing bits) + offset, for every pixel and filter: [N, H, W, filters]."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    sums, plane_sums = simd.stack(SUMS), simd.stack(SUMS)
    windows, scratch, own_base = simd.stack(STARTS), simd.stack(FLOATS), simd.stack(FLOATS)
    parts, channels = record.parts, record.channels
    blocks, tiles = (channels + BLOCK - 1) // BLOCK, (record.pixels + TILE - 1) // TILE
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        part, block = chunk // blocks, chunk % blocks
        valid = min(BLOCK, channels - BLOCK * block)
        base = own_base if record.border != 0 else record.base + FLOATS * block
        scale, offset = record.scale + FLOATS * block, record.offset + FLOATS * block
        last = min(tiles * (part + 1) // parts * TILE, record.pixels)
        for first in range(tiles * part // parts * TILE, last, TILE):
            differing(record, block, first, last, sums, plane_sums, windows)
            for pixel in range(first, min(first + TILE, last)):
                own = sums + (pixel - first) * FLOATS
                if record.border != 0:
                    border_base(record, block, pixel, own_base)
                result = record.result + 4 * (pixel * channels + BLOCK * block)
                if valid == BLOCK:
                    simd.rescale(own, base, scale, offset, result)
                else:
                    simd.rescale(own, base, scale, offset, scratch)
                    store_block(scratch, result, valid)


def pass_gradient(arguments: Any) -> None:
    """What happens to a gradient between two transposed convolutions.

    running (0 if fresh) + factor arrived + tap becomes the new running gradient; scale times it,
    where the relu let through, is the result: what the next transposed convolution gets. Each of
    arrived, tap, passed, result may be absent (0); arrived and result are float32 or bfloat16.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    total, term, other = simd.stack(FLOATS), simd.stack(FLOATS), simd.stack(FLOATS)
    channels, mode = record.channels, record.factor_mode
    running, arrived, tap = record.running, record.arrived, record.tap
    passed, result, factors = record.passed, record.result, record.factors
    unit, zero = np.float32(record.unit_real), np.float32(record.zero_real)
    blocks = (channels + BLOCK - 1) // BLOCK
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for pixel in range(
            record.pixels * chunk // record.chunks, record.pixels * (chunk + 1) // record.chunks
        ):
            for block in range(blocks):
                valid = min(BLOCK, channels - BLOCK * block)
                place = pixel * channels + BLOCK * block
                word = 8 * (pixel * blocks + block)
                if record.fresh:
                    simd.clear(total)
                else:
                    load_block(running + 4 * place, total, valid)
                if arrived != 0:
                    if record.arrived_half:
                        _load_halves(arrived + 2 * place, term, valid)
                    else:
                        load_block(arrived + 4 * place, term, valid)
                    if mode == BITS:
                        simd.keep(term, simd.load_word(factors + word))
                    elif mode == BYTES:
                        levels = load_bytes(factors + place, other, valid)
                        simd.multiply_bytes(term, levels, unit, zero)
                    elif mode == REALS:
                        load_block(factors + 4 * place, other, valid)
                        simd.multiply(term, other)
                    simd.add(total, term)
                if tap != 0:
                    load_block(tap + 4 * place, term, valid)
                    simd.add(total, term)
                if running != 0:
                    store_block(total, running + 4 * place, valid)
                if result != 0:
                    bits = simd.load_word(passed + word) if passed != 0 else -1
                    simd.keep_scaled(total, bits, record.scale + FLOATS * block, term)
                    if not record.result_half:
                        store_block(term, result + 4 * place, valid)
                    elif valid == BLOCK:
                        simd.narrow(term, result + 2 * place)
                    else:
                        simd.narrow(term, other)
                        _store_halves(other, result + 2 * place, valid)


@njit
def _mixed(value: int) -> int:
    """A hash of a 32-bit integer (Wellons' lowbias32), which spreads every bit over all."""
    value = (value ^ (value >> 16)) * 0x7FEB352D & 0xFFFFFFFF
    value = (value ^ (value >> 15)) * 0x846CA68B & 0xFFFFFFFF
    return value ^ (value >> 16)


def round_planes(arguments: Any) -> None:
    """Rounds each value at random to one of its two neighbouring integers, in bit planes.

    The nearer one is the likelier, so that the mean over many seeds is the value itself.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    scratch, bits = simd.stack(FLOATS), simd.stack(FLOATS)
    channels, blocks, width = record.channels, record.blocks, record.width
    inverse, half = np.float32(record.inverse_real), np.float32(1 << (record.planes - 1))
    seed = _mixed(record.seed & 0xFFFFFFFF)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            target = record.packed + (row // record.height) * record.image_bytes
            target += (row % record.height) * record.row_bytes
            for column in range(width):
                pixel = row * width + column
                for block in range(blocks):
                    valid = min(BLOCK, channels - BLOCK * block)
                    first = pixel * channels + BLOCK * block
                    load_block(record.values + 4 * first, scratch, valid)
                    for index in range(valid):
                        random = _mixed((first + index ^ seed) & 0xFFFFFFFF)
                        part = np.float32(random >> 8) * np.float32(2**-24)
                        value = simd.load_float(scratch + 4 * index) * inverse + half
                        simd.store_int(scratch + 4 * index, np.int32(np.floor(value + part)))
                    place = target + column * record.pixel_bytes + 8 * block
                    for plane in range(record.planes):
                        for index in range(valid):
                            bit = (simd.load_int(scratch + 4 * index) >> plane) & 1
                            simd.store_float(bits + 4 * index, np.float32(bit) - np.float32(0.5))
                        word = simd.signs(bits) & first_bits(valid)
                        simd.store_word(place + plane * record.plane_bytes, word)


"""All of them."""
