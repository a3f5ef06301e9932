"""The way back through a one-bit 3x3 convolution, 2x2 or 3x3 results at a time (`winograd_simd`).

There are 16 products for what takes 36 otherwise, or 25 for what takes 81. The weights are small
integers and so exact. The values of each kind in a tile are rounded to 8 bits, in units of the
largest of them, for CPUs that multiply those, or are floats. What precedes and follows is done
along the way: the scale and the mask of the relu before, the factors of sign's gradient, the sum
with the gradient around the block, and the tap's own gradient behind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from ..sizes import (
    BLOCK,
    FLOATS,
    GROUP,
    LANES,
    LARGEST,
    MOST_VALUES,
    TILE,
)
from . import products_simd, simd, winograd_simd
from .finishing import finish_gradients
from .pixels import load_block
from .sharing import next_chunk, take_seat

CELL_BYTES = 8 * MOST_VALUES
RESULTS = 9 * FLOATS
"""Bytes of the addresses of a tile's cells, and of its results of 64 filters, at most."""


@njit
def _prepare(record: Any, workspace: int) -> None:
    """Writes what all tiles look at in a thread's workspace: no bits, all bits, no channels."""
    blocks = (record.channels + BLOCK - 1) // BLOCK
    for block in range(blocks):
        simd.store_word(workspace + record.none + 8 * block, 0)
        simd.store_word(workspace + record.whole + 8 * block, -1)
        for cell in range((record.results + 2) ** 2):
            copy = workspace + record.copies + cell * FLOATS * blocks
            simd.clear(copy + FLOATS * block)


@njit
def _spread(
    record: Any, workspace: int, tile: int, cells: int, words: int, values: int, step: int
) -> None:
    """The values of each channel of a tile.

    Args:
        cells, words: room for an address of each cell.
        values, step: as `winograd_simd.spread` has them.
    """
    height, width, channels = record.height, record.width, record.channels
    down, across, results = record.down, record.across, record.results
    blocks, side = (channels + BLOCK - 1) // BLOCK, results + 2
    image, top = tile // (down * across), results * (tile // across % down) - 1
    left = results * (tile % across) - 1
    for cell in range(side**2):
        y, x = top + cell // side, left + cell % side
        source, bits = record.gradient, workspace + record.none
        if 0 <= y < height and 0 <= x < width:
            pixel = (image * height + y) * width + x
            source = record.gradient + 4 * pixel * channels
            bits = workspace + record.whole
            if record.passed != 0:
                bits = record.passed + 8 * pixel * blocks
        if channels % LANES:
            # A row of the last channels would end behind the map.
            copy = workspace + record.copies + cell * FLOATS * blocks
            for block in range(blocks):
                valid = min(BLOCK, channels - BLOCK * block)
                load_block(source + FLOATS * block, copy + FLOATS * block, valid)
            source = copy
        simd.store_word(cells + 8 * cell, source)
        simd.store_word(words + 8 * cell, bits)
    rows = (channels + LANES - 1) // LANES
    if results == 3:
        winograd_simd.spread_threes(cells, words, rows, record.scale, values, step)
    else:
        winograd_simd.spread_twos(cells, words, rows, record.scale, values, step)


@njit
def _finish(record: Any, tile: int, block: int, found: int, term: int) -> None:
    """Hands on the results of a tile."""
    height, width, down, across = record.height, record.width, record.down, record.across
    results = record.results
    image, top = tile // (down * across), results * (tile // across % down)
    left = results * (tile % across)
    valid = min(BLOCK, record.filters - BLOCK * block)
    for line in range(min(results, height - top)):
        pixel = (image * height + top + line) * width + left
        own = found + line * results * FLOATS
        finish_gradients(record, pixel, min(results, width - left), block, valid, own, term)


@njit
def _next_tiles(record: Any, seat: int, current: int, end: int) -> tuple[int, int]:
    """The next chunk, and where its run ends; -1 for both if there is none.

    Neighbours come one after the other: half of what a tile sees, the one above it saw.
    """
    if current + 1 < end:
        return current + 1, end
    run = next_chunk(record, seat, record.runs)
    if run < 0:
        return -1, -1
    return record.chunks * run // record.runs, record.chunks * (run + 1) // record.runs


@njit
def _round(values: int, step: int, octets: int, octets_step: int, units: int, record: Any) -> None:
    """The octets of a tile's values, and what a sum of 1 counts, of each kind.

    Args:
        values: float32 [channels] of each kind, `step` bytes apart.
        octets: uint8 [channels] of each kind, `octets_step` bytes apart.
        units: float32 of each kind.
    """
    blocks = (record.channels + BLOCK - 1) // BLOCK
    for kind in range((record.results + 2) ** 2):
        source, target = values + kind * step, octets + kind * octets_step
        most = winograd_simd.largest(source, blocks)
        inverse = np.float32(LARGEST) / most if most > 0 else np.float32(0)
        simd.store_float(units + 4 * kind, most * np.float32(record.sum_real))
        for block in range(blocks):
            winograd_simd.round_octets(source + FLOATS * block, inverse, target + BLOCK * block)


def winograd(arguments: Any) -> None:
    """result = running + factors (convolution of scale gradient, where passed) + tap.

    gradient is float32 [N, H, W, channels], the others [N, H, W, filters]. Each of passed, running
    and tap may be absent (0). A tile has 2x2 or 3x3 results.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    cells, words = simd.stack(CELL_BYTES), simd.stack(CELL_BYTES)
    found, term = simd.stack(RESULTS), simd.stack(FLOATS)
    blocks = (record.channels + BLOCK - 1) // BLOCK
    filter_blocks, room = (record.filters + BLOCK - 1) // BLOCK, BLOCK * blocks
    kinds, step = (record.results + 2) ** 2, record.values_step
    values = record.workspace + seat * record.workspace_bytes
    octets, sums, units = values + record.octets, values + record.sums, values + record.units
    _prepare(record, values)
    for kind in range(kinds):
        for block in range(blocks):
            simd.clear(values + kind * step + FLOATS * block)
    current, end = 0, 0
    while True:
        current, end = _next_tiles(record, seat, current, end)
        if current < 0:
            break
        group, part = current // record.parts, current % record.parts
        first, last = group * GROUP, min((group + 1) * GROUP, record.tiles)
        for tile in range(first, last):
            index = tile - first
            _spread(record, values, tile, cells, words, values, step)
            place, unit = octets + index * room, units + 4 * kinds * index
            _round(values, step, place, record.octets_step, unit, record)
        for block in range(
            filter_blocks * part // record.parts, filter_blocks * (part + 1) // record.parts
        ):
            for kind in range(kinds):
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
                unit = units + 4 * kinds * index
                for lane in range(0, FLOATS, 4 * LANES):
                    source = sums + index * FLOATS + lane
                    if record.results == 3:
                        winograd_simd.collect_threes(source, record.sums_step, unit, found + lane)
                    else:
                        winograd_simd.collect_twos(source, record.sums_step, unit, found + lane)
                _finish(record, tile, block, found, term)


def winograd_floats(arguments: Any) -> None:
    """The same with values and weights in float32; a tile has 2x2 results."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    cells, words = simd.stack(CELL_BYTES), simd.stack(CELL_BYTES)
    found, term = simd.stack(RESULTS), simd.stack(FLOATS)
    blocks = (record.channels + BLOCK - 1) // BLOCK
    filter_blocks, room = (record.filters + BLOCK - 1) // BLOCK, BLOCK * blocks
    whole = (record.channels + LANES - 1) // LANES * LANES
    values = record.workspace + seat * record.workspace_bytes
    sums, row = values + record.sums, FLOATS * blocks
    _prepare(record, values)
    current, end = 0, 0
    while True:
        current, end = _next_tiles(record, seat, current, end)
        if current < 0:
            break
        group, part = current // record.parts, current % record.parts
        first, last = group * GROUP, min((group + 1) * GROUP, record.tiles)
        for tile in range(first, last):
            place = values + row * (tile - first)
            _spread(record, values, tile, cells, words, place, record.values_step)
        for block in range(
            filter_blocks * part // record.parts, filter_blocks * (part + 1) // record.parts
        ):
            valid = min(BLOCK, record.filters - BLOCK * block)
            for kind in range((record.results + 2) ** 2):
                totals = sums + kind * record.sums_step
                weights = record.weights + (kind * filter_blocks + block) * room * FLOATS
                for index in range((last - first + TILE - 1) // TILE * TILE):
                    simd.clear(totals + FLOATS * index)
                for index in range(0, last - first, TILE):
                    products_simd.add_products(
                        (valid + LANES - 1) // LANES,
                        values + kind * record.values_step + row * index,
                        row,
                        4,
                        weights,
                        FLOATS,
                        whole,
                        totals + FLOATS * index,
                        FLOATS,
                    )
            for tile in range(first, last):
                for lane in range(0, FLOATS, 4 * LANES):
                    winograd_simd.collect_floats(
                        sums + (tile - first) * FLOATS + lane, record.sums_step, found + lane
                    )
                _finish(record, tile, block, found, term)
