"""Means of the channels of a map, and means of their products.

A library copies a map before it centres it, and multiplies what is symmetric twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from ..sizes import BLOCK, FLOATS, GAP, LANES, POSITIONS, TILE
from . import centring, products_simd, simd
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


BAND = LANES * FLOATS
"""Bytes of the 64 columns of a band."""


def finish_moments(arguments: Any) -> None:
    """From sums and products to mean [C] and the whole covariance [C, C], in bands of 16 rows."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    channels, room, parts = record.channels, record.room, record.parts
    share = np.float32(record.share_real)
    band_rows, apart = simd.stack(BAND), simd.stack(FLOATS)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for band in range(
            record.bands * chunk // record.chunks, record.bands * (chunk + 1) // record.chunks
        ):
            rows = range(LANES * band, min(LANES * (band + 1), channels))
            for block in range(LANES * band // BLOCK, room // BLOCK):
                valid = min(BLOCK, channels - BLOCK * block)
                simd.clear(apart)
                for part in range(parts):
                    sums = record.sums + 4 * room * part + FLOATS * block
                    simd.multiply_add(apart, sums, share)
                for row in rows:
                    total = band_rows + FLOATS * (row - LANES * band)
                    own = np.float32(0)
                    for part in range(parts):
                        own += simd.load_float(record.sums + 4 * (room * part + row))
                    own *= share
                    simd.clear(total)
                    for part in range(parts):
                        line = record.products + 4 * room * (room * part + row)
                        simd.multiply_add(total, line + FLOATS * block, share)
                    simd.multiply_add(total, apart, -own)
                    if block == row // BLOCK:
                        simd.store_float(
                            record.mean + 4 * row, simd.load_float(record.shift + 4 * row) + own
                        )
                    first = max(BLOCK * block, row)
                    for column in range(first, BLOCK * block + valid):
                        simd.store_float(
                            record.matrix + 4 * (channels * row + column),
                            simd.load_float(total + 4 * (column - BLOCK * block)),
                        )
                # What lies beyond the diagonal, along its own rows.
                for column in range(BLOCK * block, BLOCK * block + valid):
                    source = band_rows + 4 * (column - BLOCK * block)
                    target = record.matrix + 4 * channels * column
                    for row in range(LANES * band, min(rows.stop, column)):
                        value = simd.load_float(source + FLOATS * (row - LANES * band))
                        simd.store_float(target + 4 * row, value)
