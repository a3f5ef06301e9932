"""Kernels of the float layers around the one-bit ones: stems, blurs and pools.

Maps are as in `kernels`; pictures are [N, 3, H, W]. Every kernel gathers: a thread writes only what
belongs to its own rows, so that nothing depends on who comes first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from . import simd
from .kernels import FLOATS, load_block, store_block
from .runtime import Kernel
from .simd import BLOCK, LANES

ROW = 4 * LANES
"""Bytes of 16 floats."""

BLUR_SCRATCH = 4 * FLOATS
"""Bytes of four cells."""

NONE, MAXIMUM, AVERAGE = 0, 1, 2
"""What 2x2 cells are pooled to before a blur."""


@njit
def _clamped(index: int, size: int) -> int:
    return min(max(index, 0), size - 1)


STEM_FIELDS = (
    "chunks rows picture plane_floats height width out_height out_width kernel stride top left "
    "replicate channels weights bias scale offset result passed"
)


def stem(arguments: Any) -> None:
    """scale relu(convolution of a picture + bias) + offset: [N, H', W', channels].

    channels are a multiple of 16. weights: [k, k, 3, channels]. Outside the picture is 0, or the
    nearest pixel where `replicate`. passed: uint16 [N H' W', channels / 16], or 0.
    """
    record = carray(arguments, 1)[0]
    sums = simd.stack(ROW)
    height, width, channels = record.height, record.width, record.channels
    kernel, stride, replicate = record.kernel, record.stride, record.replicate
    plane = 4 * record.plane_floats
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.out_height, row % record.out_height
            picture = record.picture + 3 * plane * image
            for x in range(record.out_width):
                pixel = row * record.out_width + x
                for first in range(0, channels, LANES):
                    simd.copy_row(record.bias + 4 * first, sums)
                    for ky in range(kernel):
                        at_y = y * stride - record.top + ky
                        if replicate:
                            at_y = _clamped(at_y, height)
                        elif not 0 <= at_y < height:
                            continue
                        for kx in range(kernel):
                            at_x = x * stride - record.left + kx
                            if replicate:
                                at_x = _clamped(at_x, width)
                            elif not 0 <= at_x < width:
                                continue
                            source = picture + 4 * (at_y * width + at_x)
                            tap = record.weights + 4 * ((ky * kernel + kx) * 3 * channels + first)
                            for colour in range(3):
                                value = simd.load_float(source + colour * plane)
                                simd.weigh(sums, value, tap + 4 * colour * channels)
                    bits = simd.rectify_row(
                        sums,
                        record.scale + 4 * first,
                        record.offset + 4 * first,
                        record.result + 4 * (pixel * channels + first),
                    )
                    if record.passed != 0:
                        word = pixel * (channels // LANES) + first // LANES
                        simd.store_half(record.passed + 2 * word, bits)


STEM_BACK_FIELDS = (
    "chunks rows picture plane_floats height width out_height out_width kernel stride top left "
    "replicate channels weights scale passed gradient"
)


@njit
def _reach(at: int, before: int, stride: int, kernel: int, size: int, out: int) -> Any:
    """First and last result whose window may hold a cell, with the cells that repeat the border."""
    low = (at + before - kernel + stride) // stride
    high = (at + before) // stride
    if at == 0:
        low = 0
    if at == size - 1:
        high = out - 1
    return max(low, 0), min(high, out - 1)


def stem_back(arguments: Any) -> None:
    """The gradient of `stem` with respect to the picture."""
    record = carray(arguments, 1)[0]
    sums, scaled = simd.stack(FLOATS), simd.stack(ROW)
    height, width, channels = record.height, record.width, record.channels
    kernel, stride, replicate = record.kernel, record.stride, record.replicate
    out_height, out_width = record.out_height, record.out_width
    plane = 4 * record.plane_floats
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // height, row % height
            picture = record.picture + 3 * plane * image + 4 * y * width
            first_y, last_y = _reach(y, record.top, stride, kernel, height, out_height)
            for x in range(width):
                first_x, last_x = _reach(x, record.left, stride, kernel, width, out_width)
                simd.clear(sums)
                for out_y in range(first_y, last_y + 1):
                    for out_x in range(first_x, last_x + 1):
                        pixel = (image * out_height + out_y) * out_width + out_x
                        for first in range(0, channels, LANES):
                            word = pixel * (channels // LANES) + first // LANES
                            simd.keep_row(
                                record.gradient + 4 * (pixel * channels + first),
                                simd.load_half(record.passed + 2 * word),
                                record.scale + 4 * first,
                                scaled,
                            )
                            for ky in range(kernel):
                                at_y = out_y * stride - record.top + ky
                                if (_clamped(at_y, height) if replicate else at_y) != y:
                                    continue
                                for kx in range(kernel):
                                    at_x = out_x * stride - record.left + kx
                                    if (_clamped(at_x, width) if replicate else at_x) != x:
                                        continue
                                    tap = (ky * kernel + kx) * 3 * channels + first
                                    for colour in range(3):
                                        weights = record.weights + 4 * (tap + colour * channels)
                                        simd.weigh_each(sums + ROW * colour, scaled, weights)
                for colour in range(3):
                    value = simd.total(sums + ROW * colour)
                    simd.store_float(picture + colour * plane + 4 * x, value)


DEPTHWISE_FIELDS = (
    "chunks rows values height width out_height out_width kernel stride top left channels weights "
    "bias result"
)


def depthwise(arguments: Any) -> None:
    """A convolution of each channel by itself, + bias, zeros outside: [N, H', W', channels].

    channels are a multiple of 16. weights: [k, k, channels].
    """
    record = carray(arguments, 1)[0]
    sums = simd.stack(ROW)
    channels, kernel, stride = record.channels, record.kernel, record.stride
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.out_height, row % record.out_height
            for x in range(record.out_width):
                for first in range(0, channels, LANES):
                    simd.copy_row(record.bias + 4 * first, sums)
                    for ky in range(kernel):
                        at_y = y * stride - record.top + ky
                        if not 0 <= at_y < record.height:
                            continue
                        for kx in range(kernel):
                            at_x = x * stride - record.left + kx
                            if 0 <= at_x < record.width:
                                cell = (image * record.height + at_y) * record.width + at_x
                                tap = (ky * kernel + kx) * channels + first
                                simd.weigh_each(
                                    sums,
                                    record.values + 4 * (cell * channels + first),
                                    record.weights + 4 * tap,
                                )
                    place = (row * record.out_width + x) * channels + first
                    simd.copy_row(sums, record.result + 4 * place)


def depthwise_back(arguments: Any) -> None:
    """The gradient of `depthwise`: result [N, H', W', …] is read, values are written."""
    record = carray(arguments, 1)[0]
    sums = simd.stack(ROW)
    channels, kernel, stride = record.channels, record.kernel, record.stride
    out_height, out_width = record.out_height, record.out_width
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.height, row % record.height
            for x in range(record.width):
                for first in range(0, channels, LANES):
                    simd.copy_row(record.bias + 4 * first, sums)
                    for ky in range((y + record.top) % stride, kernel, stride):
                        out_y = (y + record.top - ky) // stride
                        if not 0 <= out_y < out_height:
                            continue
                        for kx in range((x + record.left) % stride, kernel, stride):
                            out_x = (x + record.left - kx) // stride
                            if 0 <= out_x < out_width:
                                cell = (image * out_height + out_y) * out_width + out_x
                                tap = (ky * kernel + kx) * channels + first
                                simd.weigh_each(
                                    sums,
                                    record.result + 4 * (cell * channels + first),
                                    record.weights + 4 * tap,
                                )
                    place = (row * record.width + x) * channels + first
                    simd.copy_row(sums, record.values + 4 * place)


BLUR_FIELDS = (
    "chunks rows values height width channels rectified pool pooled_height pooled_width top left "
    "replicate out_height out_width result winners"
)


@njit
def _blur_weight(at: int, before: int, out: int, size: int, replicate: int) -> float:
    """What a cell counts in a result along one axis: [1 2 1] / 4 at stride 2."""
    weight = np.float32(0)
    for index in range(3):
        cell = 2 * out - before + index
        if (_clamped(cell, size) if replicate else cell) == at:
            weight += np.float32(0.5) if index == 1 else np.float32(0.25)
    return weight


@njit
def _pool_cell(
    record: Any,
    image: int,
    y: int,
    x: int,
    block: int,
    valid: int,
    scratch: int,
    cell: int,
    winners: int,
) -> None:
    """Writes 64 channels of a pooled cell, rectified where asked for, and its bits to `winners`."""
    width, channels = record.width, record.channels
    blocks = (channels + BLOCK - 1) // BLOCK
    place = record.values + 4 * (
        ((image * record.height + y) * width + x) * channels + BLOCK * block
    )
    word = ((image * record.pooled_height + y) * record.pooled_width + x) * blocks + block
    right, below = 4 * channels, 4 * channels * width
    if record.pool == NONE:
        load_block(place, scratch, valid)
        if record.rectified:
            bits = simd.rectify(scratch, cell)
            if winners != 0:
                simd.store_word(winners + 8 * word, bits)
        else:
            simd.copy(scratch, cell)
        return
    load_block(place, scratch, valid)
    load_block(place + right, scratch + FLOATS, valid)
    load_block(place + below, scratch + 2 * FLOATS, valid)
    load_block(place + right + below, scratch + 3 * FLOATS, valid)
    if record.pool == MAXIMUM:
        low, high, positive = simd.rectified_maximum(
            scratch, scratch + FLOATS, scratch + 2 * FLOATS, scratch + 3 * FLOATS, cell
        )
        if winners != 0:
            simd.store_word(winners + 24 * word, low)
            simd.store_word(winners + 24 * word + 8, high)
            simd.store_word(winners + 24 * word + 16, positive)
        return
    simd.clear(cell)
    for index in range(4):
        part = scratch + index * FLOATS
        bits = simd.rectify(part, part)
        if winners != 0:
            simd.store_word(winners + 32 * word + 8 * index, bits)
        simd.multiply_add(cell, part, np.float32(0.25))


def blur(arguments: Any) -> None:
    """A 2x2 pool at stride 1 of the relu, then the blur [1 2 1] x [1 2 1] / 16 at stride 2.

    Kept for the way back, for each 64 channels of a pooled cell: its sign (no pool), the two bits
    of the largest and its sign (maximum), or four signs (average). Each row of results computes
    the three rows of cells that it needs; the first two, and the last of all, are its own.
    """
    record = carray(arguments, 1)[0]
    scratch, cell, sums = simd.stack(BLUR_SCRATCH), simd.stack(FLOATS), simd.stack(FLOATS)
    channels = record.channels
    blocks = (channels + BLOCK - 1) // BLOCK
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, out_y = row // record.out_height, row % record.out_height
            for out_x in range(record.out_width):
                for block in range(blocks):
                    valid = min(BLOCK, channels - BLOCK * block)
                    simd.clear(sums)
                    for ky in range(3):
                        own = ky < 2 or out_y == record.out_height - 1
                        winners = record.winners if own else 0
                        y = 2 * out_y - record.top + ky
                        if record.replicate:
                            y = _clamped(y, record.pooled_height)
                        elif not 0 <= y < record.pooled_height:
                            continue
                        for kx in range(3):
                            x = 2 * out_x - record.left + kx
                            if record.replicate:
                                x = _clamped(x, record.pooled_width)
                            elif not 0 <= x < record.pooled_width:
                                continue
                            _pool_cell(record, image, y, x, block, valid, scratch, cell, winners)
                            weight = np.float32((2 - abs(ky - 1)) * (2 - abs(kx - 1))) / 16
                            simd.multiply_add(sums, cell, weight)
                    place = (row * record.out_width + out_x) * channels + BLOCK * block
                    store_block(sums, record.result + 4 * place, valid)


@njit
def _cell_gradient(
    record: Any, image: int, y: int, x: int, block: int, valid: int, scratch: int, cell: int
) -> None:
    """Writes the gradient of 64 channels of a pooled cell."""
    simd.clear(cell)
    height, width, channels = record.out_height, record.out_width, record.channels
    first_y, last_y = _reach(y, record.top, 2, 3, record.pooled_height, height)
    first_x, last_x = _reach(x, record.left, 2, 3, record.pooled_width, width)
    for out_y in range(first_y, last_y + 1):
        across = _blur_weight(y, record.top, out_y, record.pooled_height, record.replicate)
        if across == 0:
            continue
        for out_x in range(first_x, last_x + 1):
            weight = across * _blur_weight(
                x, record.left, out_x, record.pooled_width, record.replicate
            )
            if weight != 0:
                place = ((image * height + out_y) * width + out_x) * channels + BLOCK * block
                load_block(record.result + 4 * place, scratch, valid)
                simd.multiply_add(cell, scratch, weight)


def blur_back(arguments: Any) -> None:
    """The gradient of `blur`: result is read, values are written."""
    record = carray(arguments, 1)[0]
    scratch, cell, sums = simd.stack(FLOATS), simd.stack(FLOATS), simd.stack(FLOATS)
    channels, pool, winners = record.channels, record.pool, record.winners
    blocks = (channels + BLOCK - 1) // BLOCK
    reach = 1 if pool == NONE else 2
    while True:
        chunk = simd.next_chunk(record.counter_address)
        if chunk >= record.chunks:
            break
        for row in range(
            record.rows * chunk // record.chunks, record.rows * (chunk + 1) // record.chunks
        ):
            image, y = row // record.height, row % record.height
            for x in range(record.width):
                for block in range(blocks):
                    valid = min(BLOCK, channels - BLOCK * block)
                    simd.clear(sums)
                    for dy in range(reach):
                        if not 0 <= y - dy < record.pooled_height:
                            continue
                        for dx in range(reach):
                            if not 0 <= x - dx < record.pooled_width:
                                continue
                            _cell_gradient(
                                record, image, y - dy, x - dx, block, valid, scratch, cell
                            )
                            word = (image * record.pooled_height + y - dy) * record.pooled_width
                            word = (word + x - dx) * blocks + block
                            index = 2 * dy + dx
                            if pool == NONE:
                                if record.rectified:
                                    simd.keep(cell, simd.load_word(winners + 8 * word))
                            elif pool == MAXIMUM:
                                low = simd.load_word(winners + 24 * word)
                                high = simd.load_word(winners + 24 * word + 8)
                                own = simd.load_word(winners + 24 * word + 16)
                                own &= low if index & 1 else ~low
                                own &= high if index >> 1 else ~high
                                simd.keep(cell, own)
                            else:
                                own = simd.load_word(winners + 32 * word + 8 * index)
                                simd.keep(cell, own)
                            share = np.float32(0.25) if pool == AVERAGE else np.float32(1)
                            simd.multiply_add(sums, cell, share)
                    place = (row * record.width + x) * channels + BLOCK * block
                    store_block(sums, record.values + 4 * place, valid)


STEM = Kernel(stem, STEM_FIELDS)
STEM_BACK = Kernel(stem_back, STEM_BACK_FIELDS)
DEPTHWISE = Kernel(depthwise, DEPTHWISE_FIELDS)
DEPTHWISE_BACK = Kernel(depthwise_back, DEPTHWISE_FIELDS)
BLUR = Kernel(blur, BLUR_FIELDS)
BLUR_BACK = Kernel(blur_back, BLUR_FIELDS)

FILTERING = (STEM, STEM_BACK, DEPTHWISE, DEPTHWISE_BACK, BLUR, BLUR_BACK)
"""All of them."""
