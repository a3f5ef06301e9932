"""A matrix for every position of a map: 1x1 convolutions, and the gradients of statistics.

With matrices in float32 or, for gradients on CPUs that multiply in it, in bfloat16.
"""

from __future__ import annotations

from typing import Any

from numba import carray, njit

from ..sizes import BLOCK, FLOATS, GAP, LANES, MAKE_PAIRS, TILE, WHOLE
from . import products_simd, simd
from .pixels import SUMS, load_block, store_block
from .sharing import next_chunk, take_seat


@njit
def _make_pairs(matrix: int, pairs: int, channels: int, room: int) -> None:
    """Pairs of bfloat16 [channels / 2, room] of floats [channels, room]; channels are even."""
    for row in range(0, channels, 2):
        for column in range(0, room, LANES):
            first = matrix + 4 * (row * room + column)
            target = pairs + 4 * (row // 2 * room + column)
            products_simd.pair_rows(first, first + 4 * room, target)


def map_positions(arguments: Any) -> None:
    """result = x matrix + constant + onto at each position x [channels], with as many filters.

    result may lie where x does, if there are as many filters as channels, or where onto does, which
    may be absent (0). matrix: float32 [channels, room], or pairs of bfloat16 [channels / 2, room],
    which every thread makes for itself of floats if asked to.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    channels, filters, room = record.channels, record.filters, record.room
    whole = (channels + LANES - 1) // LANES * LANES
    step = 4 * whole + GAP
    sums, term = simd.stack(SUMS), simd.stack(FLOATS)
    rows = record.workspace + seat * record.workspace_bytes
    halves = rows + TILE * step
    matrix = record.matrix
    if record.form == MAKE_PAIRS:
        matrix = halves + TILE * step
        _make_pairs(record.matrix, matrix, channels, room)
    tiles = (record.positions + TILE - 1) // TILE
    for index in range(TILE * step // 4):
        simd.store_float(rows + 4 * index, 0.0)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        last = min(tiles * (chunk + 1) // record.chunks * TILE, record.positions)
        for start in range(tiles * chunk // record.chunks * TILE, last, TILE):
            count = min(TILE, last - start)
            for index in range(count):
                source = record.values + 4 * (start + index) * channels
                for first in range(0, channels, BLOCK):
                    valid = min(BLOCK, channels - first)
                    load_block(source + 4 * first, rows + index * step + 4 * first, valid)
                if record.form != WHOLE:
                    for lane in range(0, whole, LANES):
                        place = index * step
                        products_simd.round_to_half(
                            rows + place + 4 * lane, halves + place + 2 * lane
                        )
            for first in range(0, filters, BLOCK):
                valid = min(BLOCK, filters - first)
                for index in range(TILE):
                    simd.copy(record.constant + 4 * first, sums + FLOATS * index)
                if record.form != WHOLE:
                    products_simd.add_half_products(
                        (valid + LANES - 1) // LANES,
                        halves,
                        step,
                        4,
                        matrix + 4 * first,
                        4 * room,
                        (channels + 1) // 2,
                        sums,
                        FLOATS,
                    )
                else:
                    products_simd.add_products(
                        (valid + LANES - 1) // LANES,
                        rows,
                        step,
                        4,
                        matrix + 4 * first,
                        4 * room,
                        channels,
                        sums,
                        FLOATS,
                    )
                for index in range(count):
                    place = 4 * ((start + index) * filters + first)
                    if record.onto != 0:
                        load_block(record.onto + place, term, valid)
                        simd.add(sums + FLOATS * index, term)
                    store_block(sums + FLOATS * index, record.result + place, valid)
