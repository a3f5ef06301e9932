"""The way back through a one-bit 3x3 convolution in 8-bit integers, for CPUs that multiply those.

Results are computed four at a time (`winograd_simd`): 16 products for what takes 36 otherwise. The
16 weights are small integers and so exact; the 16 values of a tile are rounded to 8 bits, in units
of the tile's own largest. What precedes and follows is done along the way: the scale and the mask
of the relu before, the factors of sign's gradient, the sum with the gradient around the block, and
the tap's own gradient behind.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from . import simd, winograd_simd
from .buffers import empty
from .factors import BITS, BYTES, EVERYWHERE, REALS, Factor
from .kernels import FLOATS, load_block, load_bytes, store_block
from .launch import CHUNKS, address, workspace
from .llvm import BLOCK, LANES, TILE
from .packing import Filters, blocks_of
from .runtime import Kernel
from .sharing import next_chunk, take_seat
from .winograd_simd import LARGEST, VALUES

KERNEL = 3
"""Side of the convolutions that this is for; their stride and their border are 1."""

GROUP = 32
"""Tiles whose values meet the weights while these are in the cache."""

GAP = 64
"""Bytes left between parts of the workspace, which at powers of 2 would push one another out."""

BEFORE = torch.tensor([[2.0, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
"""From three weights of a line to four; twice the usual, so that they are integers."""

UNIT = 1 / 4
"""What is left of that doubling in a product of both axes."""

CELL_BYTES = 8 * VALUES
RESULTS = 4 * FLOATS
"""Bytes of 16 addresses, and of the four results of 64 filters."""

FIELDS = (
    "chunks runs parts tiles down across height width channels filters gradient passed scale "
    "weights base factor_mode factors unit_real zero_real running tap result workspace "
    "workspace_bytes values_step octets_step sums_step octets sums units none whole copies"
)


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
    mode, factors = record.factor_mode, record.factors
    unit, zero = np.float32(record.unit_real), np.float32(record.zero_real)
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
                    place = pixel * filters + BLOCK * block
                    own = results + corner * FLOATS
                    if mode == BITS:
                        word = factors + 8 * (pixel * filter_blocks + block)
                        simd.keep(own, simd.load_word(word))
                    elif mode == BYTES:
                        levels = load_bytes(factors + place, term, valid)
                        simd.multiply_bytes(own, levels, unit, zero)
                    elif mode == REALS:
                        load_block(factors + 4 * place, term, valid)
                        simd.multiply(own, term)
                    if record.running != 0:
                        load_block(record.running + 4 * place, term, valid)
                        simd.add(own, term)
                    if record.tap != 0:
                        load_block(record.tap + 4 * place, term, valid)
                        simd.add(own, term)
                    store_block(own, record.result + 4 * place, valid)


WINOGRAD = Kernel(winograd, FIELDS)


class WinogradFilters:
    """The filters of a convolution seen from its output, in the form that the kernel takes.

    Attributes:
        weights: int8 [16, blocks of C, O / 4, 64, 4], with O up to a multiple of 64.
        base: int32 [16, blocks of C, 64], what takes the added 128 of every value away again.
        channels_in, channels_out: C and O of the convolution.
    """

    def __init__(self, filters: Filters) -> None:
        self.channels_in, self.channels_out = filters.channels_in, filters.channels_out
        # Back, the kernel is turned by half a circle, and inputs and outputs change places.
        kernel = filters.signs().flip(2, 3).transpose(0, 1)
        spread = torch.einsum("ia,coab,jb->ijco", BEFORE, kernel, BEFORE)
        blocks, room = blocks_of(self.channels_in), BLOCK * blocks_of(self.channels_out)
        whole = torch.zeros(VALUES, BLOCK * blocks, room)
        whole[:, : self.channels_in, : self.channels_out] = spread.flatten(0, 1)
        self.base = (-(LARGEST + 1) * whole.sum(2)).int()
        arranged = whole.to(torch.int8).view(VALUES, blocks, BLOCK, room // 4, 4)
        self.weights = empty((VALUES, blocks, room // 4, BLOCK, 4), torch.int8)
        self.weights.copy_(arranged.transpose(2, 3))

    def add_gradient(
        self,
        gradient: Tensor,
        result: Tensor,
        *,
        scale: Tensor,
        passed: Tensor | None = None,
        factor: Factor | None = None,
        factors: Tensor | None = None,
        running: Tensor | None = None,
        tap: Tensor | None = None,
    ) -> None:
        """result = running + factors (convolution of scale gradient, where passed) + tap.

        Args:
            gradient: float32 [N, O, H, W] in channels_last.
            result: the same with C channels, written; neither gradient nor running.
            scale: float32 [64 blocks of O].
            passed: int64 [N H W, blocks of O]; None: everywhere.
            factor, factors: how factors are kept, and where; None: 1 everywhere.
            running, tap: as result; None counts as 0.
        """
        images, channels, height, width = gradient.shape
        threads = torch.get_num_threads()
        down, across = -(-height // 2), -(-width // 2)
        tiles = images * down * across
        groups = -(-tiles // GROUP)
        parts = min(blocks_of(self.channels_in), -(-threads // groups))
        room = BLOCK * blocks_of(channels)
        steps, places, size = _layout(room)
        work = workspace(size)
        WINOGRAD(
            threads,
            chunks=groups * parts,
            runs=min(groups * parts, CHUNKS * threads),
            parts=parts,
            tiles=tiles,
            down=down,
            across=across,
            height=height,
            width=width,
            channels=channels,
            filters=self.channels_in,
            gradient=address(gradient),
            passed=address(passed),
            scale=address(scale),
            weights=address(self.weights),
            base=address(self.base),
            factor_mode=EVERYWHERE if factor is None or factors is None else factor.mode,
            factors=address(factors),
            unit_real=1.0 if factor is None else factor.unit,
            zero_real=0.0 if factor is None else factor.zero,
            running=address(running),
            tap=address(tap),
            result=address(result),
            **work.arguments(),
            **steps,
            **places,
        )


@cache
def _layout(room: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Steps between kinds of value, where the parts of a thread's workspace begin, and its size.

    Args:
        room: channels, up to a multiple of 64.
    """
    steps = {
        "values_step": 4 * room + GAP,
        "octets_step": GROUP * room + GAP,
        "sums_step": GROUP * FLOATS + 2 * GAP,
    }
    words = 8 * (room // BLOCK)
    sizes = {
        "octets": VALUES * steps["octets_step"],
        "sums": VALUES * steps["sums_step"],
        "units": 4 * GROUP,
        "none": words,
        "whole": words,
        "copies": VALUES * 4 * room,
    }
    end = VALUES * steps["values_step"]
    places = {}
    for name, size in sizes.items():
        places[name] = end
        end += -(-size // GAP) * GAP
    return steps, places, end
