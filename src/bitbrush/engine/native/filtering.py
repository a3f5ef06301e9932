"""The kernel of depthwise convolutions, there and back.

Maps are as in `kernels`. A thread writes only what belongs to its own rows, so that nothing depends
on who comes first. Which cells a result looks at, and which results look at a cell, stands in
tables for each axis (`windows`): int32 [size, width, 2] of (other index, place in the kernel),
padded with (-1, 0).
"""

from __future__ import annotations

from typing import Any

from numba import carray, njit

from ..sizes import LANES, ROW
from . import simd
from .sharing import next_chunk, take_seat


@njit
def entry(table: int, row: int, width: int, column: int, part: int) -> int:
    return int(simd.load_int(table + 8 * (row * width + column) + 4 * part))


def depthwise(arguments: Any) -> None:
    """A convolution of each channel by itself, + bias: [N, H', W', channels].

    channels are a multiple of 16. weights: [k, k, channels]. With the tables of the way back, and
    results and values exchanged, it is its own gradient.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    sums = simd.stack(ROW)
    width, out_width, channels = record.width, record.out_width, record.channels
    kernel = record.kernel
    rows, columns = record.row_entries, record.column_entries
    table_rows, table_columns = record.table_rows, record.table_columns
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.out_height, row % record.out_height
            for x in range(out_width):
                for first in range(0, channels, LANES):
                    simd.copy_row(record.bias + 4 * first, sums)
                    for i in range(rows):
                        at_y = entry(table_rows, y, rows, i, 0)
                        if at_y < 0:
                            continue
                        ky = entry(table_rows, y, rows, i, 1)
                        line = (image * record.height + at_y) * width
                        for j in range(columns):
                            at_x = entry(table_columns, x, columns, j, 0)
                            if at_x < 0:
                                continue
                            kx = entry(table_columns, x, columns, j, 1)
                            simd.weigh_each(
                                sums,
                                record.values + 4 * ((line + at_x) * channels + first),
                                record.weights + 4 * ((ky * kernel + kx) * channels + first),
                            )
                    place = (row * out_width + x) * channels + first
                    simd.copy_row(sums, record.result + 4 * place)
