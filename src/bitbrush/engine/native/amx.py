"""The way back through a one-bit 3x3 convolution in bfloat16, for CPUs with tiles of it (AMX).

A chunk is a strip of rows. Its gradient, scaled and masked, is rounded to bfloat16 once, with a
border of zeros; positions are counted along whole rows of that, border included, so that each of
the nine cells of the kernel is one distance, and 16 positions are a tile. What follows the
convolution is done while its results are at hand: the factors of sign's gradient, the sum with the
gradient around the block, and the tap's own gradient behind.
"""

from __future__ import annotations

from typing import Any

from numba import carray, njit

from ..sizes import AROUND, BLOCK, FLOATS, GAP, LANES, POSITIONS_AT_ONCE, RESULTS, ROW, TILE_BYTES
from . import amx_simd, products_simd, simd
from .finishing import finish_gradients
from .pixels import load_block, store_block
from .sharing import next_chunk, take_seat

SHAPES = 64
CELLS = 9
OFFSETS = 8 * CELLS
"""Bytes of the kernel's distances."""

COLUMNS = BLOCK // LANES
"""Sixteenths of a block of filters, as many as a tile has."""


@njit
def set_whole_shapes(shapes: int) -> None:
    """Gives all of the thread's registers 16 rows of 64 bytes.

    Args:
        shapes: 64 bytes to write them down in, in the CPU's own form.
    """
    for at in range(0, SHAPES, 8):
        simd.store_word(shapes + at, 0)
    simd.store_byte(shapes, 1)
    for register in range(8):
        simd.store_half(shapes + 16 + 2 * register, ROW)
        simd.store_byte(shapes + 48 + register, LANES)
    amx_simd.set_shapes(shapes)


def amx(arguments: Any) -> None:
    """result = running + factors (convolution of scale gradient, where passed) + tap.

    gradient is float32 [N, H, W, channels], the others [N, H, W, filters]. Each of passed, running
    and tap may be absent (0).
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    before, shapes = simd.stack(SHAPES), simd.stack(SHAPES)
    offsets = simd.stack(OFFSETS)
    copy, term = simd.stack(FLOATS), simd.stack(FLOATS)
    height, width = record.height, record.width
    channels, filters = record.channels, record.filters
    blocks, filter_blocks = (channels + BLOCK - 1) // BLOCK, (filters + BLOCK - 1) // BLOCK
    sums = record.workspace + seat * record.workspace_bytes
    column_bytes = CELLS * 2 * blocks * TILE_BYTES
    weights = sums + RESULTS
    strip = weights + COLUMNS * column_bytes
    # Between rows a little is left free: at powers of 2 they would push one another out.
    step = 2 * BLOCK * blocks + GAP
    line = width + 2 * AROUND
    for cell in range(CELLS):
        simd.store_word(offsets + 8 * cell, (cell // 3 * line + cell % 3) * step)
    # Whoever else multiplies on this thread finds its own shapes again.
    amx_simd.save_shapes(before)
    set_whole_shapes(shapes)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        part, band = chunk % record.parts, chunk // record.parts
        image, first = band // record.bands, band % record.bands * record.rows
        rows = min(record.rows, height - first)
        for row in range(rows + 2 * AROUND):
            y = first + row - AROUND
            target = strip + row * line * step
            inside = 0 <= y < height
            for column in range(line):
                x = column - AROUND
                if inside and 0 <= x < width:
                    pixel = (image * height + y) * width + x
                    for block in range(blocks):
                        valid = min(BLOCK, channels - BLOCK * block)
                        source = record.gradient + 4 * (pixel * channels + BLOCK * block)
                        if valid < BLOCK:
                            simd.clear(copy)
                            load_block(source, copy, valid)
                            source = copy
                        word = -1
                        if record.passed != 0:
                            word = simd.load_word(record.passed + 8 * (pixel * blocks + block))
                        scale = record.scale + FLOATS * block
                        amx_simd.scale_to_half(source, word, scale, target + 2 * BLOCK * block)
                else:
                    for block in range(blocks):
                        # 64 halves.
                        for at in range(0, 2 * BLOCK, 4 * LANES):
                            simd.clear_row(target + 2 * BLOCK * block + at)
                target += step
        positions = rows * line - 2 * AROUND
        for block in range(
            filter_blocks * part // record.parts, filter_blocks * (part + 1) // record.parts
        ):
            valid = min(BLOCK, filters - BLOCK * block)
            lines = COLUMNS * column_bytes // ROW
            amx_simd.spread_halves(record.weights + 4 * lines * block, 4, lines, weights, ROW)
            for start in range(0, positions, POSITIONS_AT_ONCE):
                count = min(POSITIONS_AT_ONCE, positions - start)
                amx_simd.wake(sums)
                for column in range(COLUMNS):
                    amx_simd.multiply_halves(
                        count,
                        strip + start * step,
                        step,
                        offsets,
                        CELLS,
                        2 * blocks,
                        weights + column * column_bytes,
                        sums + column * ROW,
                    )
                row, x, index = start // line, start % line, 0
                while index < count:
                    # To the end of a row; the two cells behind it are its border.
                    run = min(width - x, count - index)
                    if run > 0:
                        pixel = (image * height + first + row) * width + x
                        own = sums + FLOATS * index
                        finish_gradients(record, pixel, run, block, valid, own, term)
                    index += line - x
                    x, row = 0, row + 1
    amx_simd.set_shapes(before)


def map_tiles(arguments: Any) -> None:
    """`products.map_positions`, its matrix bfloat16 [filters / 16, C / 32, 16, 16, 2]."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    before, shapes, offset = simd.stack(SHAPES), simd.stack(SHAPES), simd.stack(OFFSETS)
    term = simd.stack(FLOATS)
    channels, filters = record.channels, record.filters
    pieces = (channels + 2 * LANES - 1) // (2 * LANES)
    step = pieces * ROW + GAP
    sums = record.workspace + seat * record.workspace_bytes
    strip = sums + RESULTS
    for at in range(0, POSITIONS_AT_ONCE * step, ROW):
        simd.clear_row(strip + at)
    simd.store_word(offset, 0)
    amx_simd.save_shapes(before)
    set_whole_shapes(shapes)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        last = record.positions * (chunk + 1) // record.chunks
        for start in range(record.positions * chunk // record.chunks, last, POSITIONS_AT_ONCE):
            count = min(POSITIONS_AT_ONCE, last - start)
            for index in range(count):
                source = record.values + 4 * (start + index) * channels
                for first in range(0, channels, LANES):
                    place = source + 4 * first
                    if channels - first < LANES:
                        simd.clear(term)
                        load_block(place, term, channels - first)
                        place = term
                    products_simd.round_to_half(place, strip + index * step + 2 * first)
            for block in range((filters + BLOCK - 1) // BLOCK):
                valid = min(BLOCK, filters - BLOCK * block)
                for column in range((valid + LANES - 1) // LANES):
                    amx_simd.multiply_halves(
                        count,
                        strip,
                        step,
                        offset,
                        1,
                        pieces,
                        record.matrix + (COLUMNS * block + column) * pieces * TILE_BYTES,
                        sums + column * ROW,
                    )
                for index in range(count):
                    own = sums + FLOATS * index
                    simd.add(own, record.constant + FLOATS * block)
                    place = 4 * ((start + index) * filters + BLOCK * block)
                    if record.onto != 0:
                        load_block(record.onto + place, term, valid)
                        simd.add(own, term)
                    store_block(own, record.result + place, valid)
    amx_simd.set_shapes(before)
