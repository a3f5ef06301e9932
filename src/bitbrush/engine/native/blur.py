"""Kernels of transitions: relu, 2x2 pool at stride 1, blur [1 2 1] x [1 2 1] / 16 at stride 2.

A row of a map is one stretch of floats, a position's channels together, so that a sum of rows needs
no thought of positions. Channels are multiples of 16; bits lie beside them, 16 in a word, in planes
of a row each. What a result looks at along an axis, and what looks at a cell, stands in tables:
int32 [size, entries, 2] of (index of the other, weight in quarters), where the border is no special
case: what is repeated weighs more, what is missing weighs 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from ..sizes import AVERAGE, LANES, MAXIMUM, NONE, ROW, SEEN, WINDOW
from . import simd
from .sharing import next_chunk, take_seat

BITS = 2
"""Bytes of the bits of 16 floats."""


@njit
def _entry(table: int, row: int, entries: int, column: int) -> int:
    return int(simd.load_int(table + 8 * (row * entries + column)))


@njit
def _weight(table: int, row: int, entries: int, column: int) -> Any:
    return np.float32(0.25) * np.float32(simd.load_int(table + 8 * (row * entries + column) + 4))


@njit
def _pool_row(record: Any, image: int, y: int, cells: int, winners: int) -> None:
    """Writes a row of pooled cells, rectified, and its bits to `winners` (0: nowhere)."""
    floats = record.pooled_width * record.channels
    line = record.values + 4 * (image * record.height + y) * record.width * record.channels
    right, below = 4 * record.channels, 4 * record.channels * record.width
    plane = BITS * (floats // LANES)
    for index in range(floats // LANES):
        source, cell, word = line + ROW * index, cells + ROW * index, winners + BITS * index
        if record.pool == NONE:
            bits = simd.rectify_lanes(source, cell)
            if winners != 0:
                simd.store_half(word, bits)
        elif record.pool == MAXIMUM:
            low, high, positive = simd.largest_lanes(
                source, source + right, source + below, source + below + right, cell
            )
            if winners != 0:
                simd.store_half(word, low)
                simd.store_half(word + plane, high)
                simd.store_half(word + 2 * plane, positive)
        else:
            first = simd.mean_lanes(
                source, source + right, source + below, source + below + right, cell
            )
            if winners != 0:
                for number in range(4):
                    simd.store_half(word + number * plane, first[number])


def blur(arguments: Any) -> None:
    """The pool of the relu, then the blur.

    Kept for the way back, bits for each pooled cell: its sign (no pool), two of the number of the
    largest and its sign (maximum), or four signs (average).
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    channels, floats = record.channels, record.pooled_width * record.channels
    vectors = channels // LANES
    own = record.workspace + seat * record.workspace_bytes
    mixed, cells = own, own + 4 * floats
    held = cells + 4 * WINDOW * floats
    line_bits = record.planes * BITS * (floats // LANES)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for slot in range(WINDOW):
            simd.store_word(held + 8 * slot, -1)
        last = record.rows * (chunk + 1) // record.chunks
        for row in range(record.rows * chunk // record.chunks, last):
            image, out_y = row // record.out_height, row % record.out_height
            for i in range(WINDOW):
                y = _entry(record.table_rows, out_y, WINDOW, i)
                line = image * record.pooled_height + y
                slot = y % WINDOW
                if not record.rectified or simd.load_word(held + 8 * slot) == line:
                    continue
                simd.store_word(held + 8 * slot, line)
                # The next chunk, which looks at this row too, keeps its bits.
                others = i == WINDOW - 1 and row == last - 1 and out_y < record.out_height - 1
                winners = 0
                if record.winners != 0 and not others:
                    winners = record.winners + line * line_bits
                _pool_row(record, image, y, cells + 4 * slot * floats, winners)
            first = _row_of(record, image, out_y, 0, cells)
            second = _row_of(record, image, out_y, 1, cells)
            third = _row_of(record, image, out_y, 2, cells)
            simd.blend_three(
                mixed,
                first,
                _weight(record.table_rows, out_y, WINDOW, 0),
                second,
                _weight(record.table_rows, out_y, WINDOW, 1),
                third,
                _weight(record.table_rows, out_y, WINDOW, 2),
                floats // LANES,
            )
            for out_x in range(record.out_width):
                simd.blend_three(
                    record.result + 4 * channels * (row * record.out_width + out_x),
                    mixed + 4 * channels * _entry(record.table_columns, out_x, WINDOW, 0),
                    _weight(record.table_columns, out_x, WINDOW, 0),
                    mixed + 4 * channels * _entry(record.table_columns, out_x, WINDOW, 1),
                    _weight(record.table_columns, out_x, WINDOW, 1),
                    mixed + 4 * channels * _entry(record.table_columns, out_x, WINDOW, 2),
                    _weight(record.table_columns, out_x, WINDOW, 2),
                    vectors,
                )


@njit
def _row_of(record: Any, image: int, out_y: int, i: int, cells: int) -> int:
    """Where the cells lie that a row of results looks at."""
    y = _entry(record.table_rows, out_y, WINDOW, i)
    floats = record.pooled_width * record.channels
    if record.rectified:
        return cells + 4 * (y % WINDOW) * floats  # type: ignore[no-any-return]
    return record.values + 4 * (image * record.height + y) * floats  # type: ignore[no-any-return]


@njit
def _spread_row(record: Any, image: int, y: int, mixed: int, cells: int) -> None:
    """Writes the gradient of a row of pooled cells."""
    channels = record.channels
    out_floats = record.out_width * channels
    lines = record.result + 4 * image * record.out_height * out_floats
    simd.blend_two(
        mixed,
        lines + 4 * out_floats * _entry(record.table_rows, y, SEEN, 0),
        _weight(record.table_rows, y, SEEN, 0),
        lines + 4 * out_floats * _entry(record.table_rows, y, SEEN, 1),
        _weight(record.table_rows, y, SEEN, 1),
        out_floats // LANES,
    )
    for x in range(record.pooled_width):
        simd.blend_two(
            cells + 4 * channels * x,
            mixed + 4 * channels * _entry(record.table_columns, x, SEEN, 0),
            _weight(record.table_columns, x, SEEN, 0),
            mixed + 4 * channels * _entry(record.table_columns, x, SEEN, 1),
            _weight(record.table_columns, x, SEEN, 1),
            channels // LANES,
        )


@njit
def _chosen(record: Any, word: int, plane: int, number: int) -> int:
    """The bits of those of 16 cells whose gradient goes to their value of this number (0 … 3)."""
    if record.pool == AVERAGE:
        return int(simd.load_half(word + number * plane))
    low, high = simd.load_half(word), simd.load_half(word + plane)
    own = int(simd.load_half(word + 2 * plane))
    own &= int(low) if number & 1 else ~int(low)
    own &= int(high) if number >> 1 else ~int(high)
    return own


def blur_back(arguments: Any) -> None:
    """The gradient of `blur`, to which what lies at `onto` (or nothing, 0) is added.

    result is read, values are written; onto may be the values themselves.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    channels, floats = record.channels, record.pooled_width * record.channels
    vectors = channels // LANES
    own = record.workspace + seat * record.workspace_bytes
    mixed, cells = own, own + 4 * floats
    held, total = cells + 4 * WINDOW * floats, simd.stack(ROW)
    plane = BITS * (floats // LANES)
    share = np.float32(0.25) if record.pool == AVERAGE else np.float32(1)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for slot in range(SEEN):
            simd.store_word(held + 8 * slot, -1)
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.height, row % record.height
            target = 4 * row * record.width * channels
            if record.pool == NONE:
                _spread_row(record, image, y, mixed, cells)
                bits = record.winners + row * plane
                for index in range(floats // LANES):
                    kept = simd.load_half(bits + BITS * index) if record.rectified else 0xFFFF
                    place = target + ROW * index
                    before = 0 if record.onto == 0 else record.onto + place
                    simd.keep_lanes(cells + ROW * index, kept, before, record.values + place)
                continue
            for dy in range(2):
                line = image * record.pooled_height + y - dy
                slot = (y - dy) % SEEN
                outside = not 0 <= y - dy < record.pooled_height
                if outside or simd.load_word(held + 8 * slot) == line:
                    continue
                simd.store_word(held + 8 * slot, line)
                _spread_row(record, image, y - dy, mixed, cells + 4 * slot * floats)
            for x in range(record.width):
                for vector in range(vectors):
                    place = target + 4 * x * channels + ROW * vector
                    simd.clear_row(total)
                    if record.onto != 0:
                        simd.copy_row(record.onto + place, total)
                    for number in range(4):
                        cell_y, cell_x = y - number // 2, x - number % 2
                        if not (
                            0 <= cell_y < record.pooled_height and 0 <= cell_x < record.pooled_width
                        ):
                            continue
                        index = cell_x * vectors + vector
                        line = image * record.pooled_height + cell_y
                        word = record.winners + line * record.planes * plane + BITS * index
                        source = cells + 4 * (cell_y % SEEN) * floats + ROW * index
                        chosen = _chosen(record, word, plane, number)
                        simd.add_kept_lanes(total, source, np.uint16(chosen & 0xFFFF), share)
                    simd.copy_row(total, record.values + place)
