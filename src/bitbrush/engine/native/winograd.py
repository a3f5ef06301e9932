"""The way back through a one-bit 3x3 convolution in 8-bit integers, for CPUs that multiply those.

Results are computed four at a time (`winograd_simd`): 16 products for what takes 36 otherwise. The
16 weights are small integers and so exact; the 16 values of a tile are rounded to 8 bits, in units
of the tile's own largest. What precedes and follows is done along the way: the scale and the mask
of the relu before, the factors of sign's gradient, the sum with the gradient around the block, and
the tap's own gradient behind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from ..sizes import (
    BLOCK,
    FLOATS,
    GROUP,
    LANES,
    LARGEST,
    TILE,
    VALUES,
)
from . import simd, winograd_simd
from .pixels import finish_gradient, load_block
from .sharing import next_chunk, take_seat

UNIT = 1 / 4
"""Weights are doubled along each axis, to be integers."""

CELL_BYTES = 8 * VALUES
RESULTS = 4 * FLOATS
"""Bytes of 16 addresses, and of the four results of 64 filters."""


def winograd(arguments: Any) -> None:
    """result = running + factors (convolution of scale gradient, where passed) + tap.

    gradient is float32 [N, H, W, channels], the others [N, H, W, filters]. Each of passed, running
    and tap may be absent (0).
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    cells, words = simd.stack(CELL_BYTES), simd.stack(CELL_BYTES)
    results, term = simd.stack(RESULTS), simd.stack(FLOATS)
    tiles, parts, down, across = record.tiles, record.parts, record.down, record.across
    height, width = record.height, record.width
    channels, filters = record.channels, record.filters
    blocks, filter_blocks = (channels + BLOCK - 1) // BLOCK, (filters + BLOCK - 1) // BLOCK
    rows, room = (channels + LANES - 1) // LANES, BLOCK * blocks
    values = record.workspace + seat * record.workspace_bytes
    octets, sums, units = values + record.octets, values + record.sums, values + record.units
    none, whole, copies = values + record.none, values + record.whole, values + record.copies
    for block in range(blocks):
        simd.store_word(none + 8 * block, 0)
        simd.store_word(whole + 8 * block, -1)
        for kind in range(VALUES):
            simd.clear(values + kind * record.values_step + FLOATS * block)
            simd.clear(copies + kind * 4 * room + FLOATS * block)
    current, end = 0, 0
    while True:
        if current == end:
            # Neighbours one after the other: half of what a tile sees, the one above it saw.
            run = next_chunk(record, seat, record.runs)
            if run < 0:
                break
            current = record.chunks * run // record.runs
            end = record.chunks * (run + 1) // record.runs
        group, part = current // parts, current % parts
        current += 1
        first, last = group * GROUP, min((group + 1) * GROUP, tiles)
        for tile in range(first, last):
            image, top = tile // (down * across), 2 * (tile // across % down) - 1
            left = 2 * (tile % across) - 1
            for cell in range(VALUES):
                y, x = top + cell // 4, left + cell % 4
                source, bits = record.gradient, none
                if 0 <= y < height and 0 <= x < width:
                    pixel = (image * height + y) * width + x
                    source = record.gradient + 4 * pixel * channels
                    bits = whole
                    if record.passed != 0:
                        bits = record.passed + 8 * pixel * blocks
                if channels % LANES:
                    # A row of the last channels would end behind the map.
                    copy = copies + cell * 4 * room
                    for block in range(blocks):
                        valid = min(BLOCK, channels - BLOCK * block)
                        load_block(source + FLOATS * block, copy + FLOATS * block, valid)
                    source = copy
                simd.store_word(cells + 8 * cell, source)
                simd.store_word(words + 8 * cell, bits)
            most = winograd_simd.spread(
                cells, words, rows, record.scale, values, record.values_step
            )
            inverse = np.float32(LARGEST) / most if most > 0 else np.float32(0)
            index = tile - first
            simd.store_float(units + 4 * index, most * np.float32(UNIT / LARGEST))
            for kind in range(VALUES):
                source = values + kind * record.values_step
                target = octets + kind * record.octets_step + index * room
                for block in range(blocks):
                    winograd_simd.round_octets(
                        source + FLOATS * block, inverse, target + BLOCK * block
                    )
        for block in range(filter_blocks * part // parts, filter_blocks * (part + 1) // parts):
            valid = min(BLOCK, filters - BLOCK * block)
            for kind in range(VALUES):
                place = kind * filter_blocks + block
                for index in range(0, last - first, TILE):
                    winograd_simd.multiply_octets(
                        sums + kind * record.sums_step + index * FLOATS,
                        octets + kind * record.octets_step + index * room,
                        room,
                        record.weights + place * room * BLOCK,
                        record.base + place * FLOATS,
                    )
            for tile in range(first, last):
                index = tile - first
                for lane in range(0, FLOATS, 4 * LANES):
                    winograd_simd.collect(
                        sums + index * FLOATS + lane,
                        record.sums_step,
                        simd.load_float(units + 4 * index),
                        results + lane,
                    )
                image, top = tile // (down * across), 2 * (tile // across % down)
                left = 2 * (tile % across)
                for corner in range(4):
                    y, x = top + corner // 2, left + corner % 2
                    if y >= height or x >= width:
                        continue
                    pixel = (image * height + y) * width + x
                    finish_gradient(record, pixel, block, valid, results + corner * FLOATS, term)
