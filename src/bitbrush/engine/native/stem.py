"""Kernels of a network's first layer, a float convolution of the picture, and of its way back.

Pictures are [N, 3, H, W], maps as in `kernels`. The picture enters as (picture - mean) times the
inverse of its deviation, line by line, and what is beyond its border lies beside the lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from ..sizes import COLOURS, LANES, ROW, STEM_VECTORS, TILE
from . import products_simd, simd
from .filtering import entry
from .sharing import next_chunk, take_seat


@njit
def _fill_line(
    source: int, target: int, width: int, left: int, whole: int, mean: float, inverse: float
) -> None:
    """Writes a line with its border: repeated cells, or 0 where the source is 0.

    Args:
        whole: floats of the line with its border and what follows.
    """
    if source == 0:
        for index in range(whole):
            simd.store_float(target + 4 * index, np.float32(0))
        return
    inside = target + 4 * left
    for index in range(0, width // LANES * LANES, LANES):
        simd.normalise_row(source + 4 * index, inside + 4 * index, mean, inverse)
    for index in range(width // LANES * LANES, width):
        value = (simd.load_float(source + 4 * index) - mean) * inverse
        simd.store_float(inside + 4 * index, value)


@njit
def _fill_border(target: int, width: int, left: int, whole: int, replicate: int) -> None:
    first, last = np.float32(0), np.float32(0)
    if replicate:
        first = simd.load_float(target + 4 * left)
        last = simd.load_float(target + 4 * (left + width - 1))
    for index in range(left):
        simd.store_float(target + 4 * index, first)
    for index in range(left + width, whole):
        simd.store_float(target + 4 * index, last)


def stem(arguments: Any) -> None:
    """scale relu(convolution of a picture + bias) + offset: [N, H', W', channels].

    channels are a multiple of 16. weights: [k, k, 3, channels]. normal: the three means, then the
    three inverse deviations. passed: uint16 [N H' W', channels / 16], or 0.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    width, height, kernel = record.width, record.height, record.kernel
    out_width, channels, stride = record.out_width, record.channels, record.stride
    own = record.workspace + seat * record.workspace_bytes
    taps = kernel * kernel * COLOURS
    offsets, line_bytes = own, 4 * record.line_floats
    lines = own + 8 * taps
    sums = lines + kernel * COLOURS * line_bytes
    for tap in range(taps):
        place, colour = tap // COLOURS, tap % COLOURS
        line = place // kernel * COLOURS + colour
        simd.store_word(offsets + 8 * tap, line * line_bytes + 4 * (place % kernel))
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.out_height, row % record.out_height
            for line in range(kernel * COLOURS):
                colour, at = line % COLOURS, y * stride - record.top + line // COLOURS
                if record.replicate:
                    at = min(max(at, 0), height - 1)
                source = record.picture + (image * COLOURS + colour) * record.plane_bytes
                source = source + 4 * at * width if 0 <= at < height else 0
                mean = simd.load_float(record.normal + 4 * colour)
                inverse = simd.load_float(record.normal + 4 * (COLOURS + colour))
                target = lines + line * line_bytes
                _fill_line(source, target, width, record.left, record.line_floats, mean, inverse)
                if source != 0:
                    _fill_border(target, width, record.left, record.line_floats, record.replicate)
            for x in range(0, out_width, TILE):
                for first in range(0, channels, STEM_VECTORS * LANES):
                    vectors = min((channels - first) // LANES, STEM_VECTORS)
                    for index in range(TILE * vectors):
                        lane = first + LANES * (index % vectors)
                        simd.copy_row(record.bias + 4 * lane, sums + ROW * index)
                    products_simd.add_gathered(
                        vectors,
                        lines + 4 * stride * x,
                        4 * stride,
                        offsets,
                        record.weights + 4 * first,
                        4 * channels,
                        taps,
                        sums,
                        ROW * vectors,
                    )
                    for index in range(min(TILE, out_width - x) * vectors):
                        pixel = row * out_width + x + index // vectors
                        lane = first + LANES * (index % vectors)
                        bits = simd.rectify_row(
                            sums + ROW * index,
                            record.scale + 4 * lane,
                            record.offset + 4 * lane,
                            record.result + 4 * (pixel * channels + lane),
                        )
                        if record.passed != 0:
                            word = (pixel * channels + lane) // LANES
                            simd.store_half(record.passed + 2 * word, bits)


def stem_back(arguments: Any) -> None:
    """The gradient of `stem` with respect to the picture.

    The tables say which results each row and column of the picture takes part in. weights:
    [channels, columns], of which the first 3 k k count. A row of results is multiplied with them
    once, when the first row of the picture needs it, and kept while others may (`slots` rows). A
    pixel's gradient is the sum of three shares of each result that it takes part in.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    height, width, channels = record.height, record.width, record.channels
    out_width, kernel, columns = record.out_width, record.kernel, record.columns
    own = record.workspace + seat * record.workspace_bytes
    sums = simd.stack(ROW)
    held, bases = own, own + 8 * record.slots
    offsets = bases + 8 * record.row_entries
    places = (width + TILE - 1) // TILE * TILE * record.column_entries
    scaled = offsets + 8 * places
    shares = scaled + TILE * 4 * channels
    # Behind each row of shares is one of zeros, for what no result looks at.
    nothing = 4 * columns * (out_width + TILE)
    share_bytes = nothing + 4 * columns
    for slot in range(record.slots):
        for index in range(columns):
            simd.store_float(shares + slot * share_bytes + nothing + 4 * index, np.float32(0))
    for x in range(width):
        for j in range(record.column_entries):
            out_x = entry(record.table_columns, x, record.column_entries, j, 0)
            place = COLOURS * entry(record.table_columns, x, record.column_entries, j, 1)
            offset = 4 * (columns * out_x + place) if out_x >= 0 else nothing
            simd.store_word(offsets + 8 * (x * record.column_entries + j), offset)
    for place in range(width * record.column_entries, places):
        simd.store_word(offsets + 8 * place, nothing)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        for slot in range(record.slots):
            simd.store_word(held + 8 * slot, -1)
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // height, row % height
            for i in range(record.row_entries):
                out_y = entry(record.table_rows, y, record.row_entries, i, 0)
                line = image * record.out_height + out_y
                slot = line % record.slots
                if out_y < 0 or simd.load_word(held + 8 * slot) == line:
                    continue
                simd.store_word(held + 8 * slot, line)
                for x in range(0, out_width, TILE):
                    for index in range(TILE):
                        pixel = line * out_width + min(x + index, out_width - 1)
                        for lane in range(0, channels, LANES):
                            word = (pixel * channels + lane) // LANES
                            simd.keep_scaled_row(
                                record.gradient + 4 * (pixel * channels + lane),
                                simd.load_half(record.passed + 2 * word),
                                record.scale + 4 * lane,
                                scaled + 4 * (index * channels + lane),
                            )
                    target = shares + slot * share_bytes + 4 * columns * x
                    for first in range(0, columns, STEM_VECTORS * LANES):
                        vectors = min((columns - first) // LANES, STEM_VECTORS)
                        for index in range(TILE * vectors):
                            place = (index // vectors) * columns + LANES * (index % vectors)
                            simd.clear_row(target + 4 * (first + place))
                        products_simd.add_products(
                            vectors,
                            scaled,
                            4 * channels,
                            4,
                            record.weights + 4 * first,
                            4 * columns,
                            channels,
                            target + 4 * first,
                            4 * columns,
                        )
            rows = 0
            for i in range(record.row_entries):
                out_y = entry(record.table_rows, y, record.row_entries, i, 0)
                if out_y >= 0:
                    place = kernel * entry(record.table_rows, y, record.row_entries, i, 1)
                    slot = (image * record.out_height + out_y) % record.slots
                    base = shares + slot * share_bytes + 4 * COLOURS * place
                    simd.store_word(bases + 8 * rows, base)
                    rows += 1
            picture = record.picture + COLOURS * image * record.plane_bytes + 4 * y * width
            for x in range(0, width, TILE):
                whole = x + TILE <= width
                simd.sums_of_quads(
                    bases,
                    rows,
                    offsets + 8 * x * record.column_entries,
                    record.column_entries,
                    record.normal + 4 * COLOURS,
                    picture + 4 * x if whole else sums,
                    record.plane_bytes if whole else 4 * TILE,
                )
                if not whole:
                    for index in range(COLOURS * (width - x)):
                        colour, pixel = index % COLOURS, index // COLOURS
                        value = simd.load_float(sums + 4 * (TILE * colour + pixel))
                        place = picture + colour * record.plane_bytes + 4 * (x + pixel)
                        simd.store_float(place, value)
