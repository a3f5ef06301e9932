"""One-bit convolutions of stride 1 for CPUs with tiles of 8-bit integers (AMX).

Bits stay bits in memory. Those of a strip of rows, and those of 64 filters, become bytes of -1 and
+1 where they are multiplied, in the second cache: there a tile multiplies 16 positions with 16
filters in fewer turns than it takes to count the bits in which they differ. Positions are counted
as in `amx`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import carray, njit

from ..sizes import BLOCK, CELLS, FLOATS, LANES, POSITIONS_AT_ONCE, RESULTS, ROW, TILE_BYTES
from . import amx_simd, simd
from .amx import COLUMNS, SHAPES, set_whole_shapes
from .pixels import border_base, store_block
from .residuals import SCRATCH, finish_products
from .sharing import next_chunk, take_seat

OFFSETS = 8 * CELLS
"""Bytes of the kernel's distances."""


@njit
def _finish_sums(
    record: Any,
    image: int,
    row: int,
    first: int,
    run: int,
    block: int,
    sums: int,
    base: int,
    scratch: int,
) -> None:
    """result = scale (base + sums) + offset, for pixels of a row.

    Args:
        first: column of the first of `run` pixels.
        sums: int32 [run, 64].
        base: int32 [64].
        scratch: SCRATCH bytes.
    """
    channels = record.channels
    valid = min(BLOCK, channels - BLOCK * block)
    scale, offset = record.scale + FLOATS * block, record.offset + FLOATS * block
    for index in range(run):
        pixel = (image * record.height + row) * record.width + first + index
        if record.border != 0:
            base = scratch
            border_base(record, block, pixel, base)
            _less_terms(record, base)
        result = record.result + 4 * (pixel * channels + BLOCK * block)
        own = sums + FLOATS * index
        if valid == BLOCK:
            simd.rescale_products(own, base, scale, offset, result)
        else:
            simd.rescale_products(own, base, scale, offset, scratch + FLOATS)
            store_block(scratch + FLOATS, result, valid)


@njit
def _less_terms(record: Any, base: int) -> None:
    """Makes of a base for counted bits one for products, which add up to terms - 2 differing."""
    terms = record.kernel * record.kernel * record.blocks_in * BLOCK
    for index in range(BLOCK):
        simd.store_int(base + 4 * index, simd.load_int(base + 4 * index) - terms)


def _convolution(finish: Callable[..., None]) -> Callable[[Any], None]:
    """A kernel that convolves, and does this with the sums."""

    def convolve(arguments: Any) -> None:
        record = carray(arguments, 1)[0]
        seat = take_seat(record)
        before, shapes = simd.stack(SHAPES), simd.stack(SHAPES)
        offsets, base = simd.stack(OFFSETS), simd.stack(FLOATS)
        scratch = simd.stack(SCRATCH)
        width, kernel, blocks_in = record.width, record.kernel, record.blocks_in
        blocks, cells = (record.channels + BLOCK - 1) // BLOCK, kernel * kernel
        line = width + kernel - 1
        # Positions lie an odd number of cache lines apart: powers of 2 would push one another out.
        step = ROW * (blocks_in | 1)
        for cell in range(cells):
            simd.store_word(offsets + 8 * cell, (cell // kernel * line + cell % kernel) * step)
        sums = record.workspace + seat * record.workspace_bytes
        weights = sums + RESULTS
        column_bytes = TILE_BYTES * cells * blocks_in
        strip = weights + COLUMNS * column_bytes
        # Whoever else multiplies on this thread finds its own shapes again.
        amx_simd.save_shapes(before)
        set_whole_shapes(shapes)
        while True:
            chunk = next_chunk(record, seat, record.chunks)
            if chunk < 0:
                break
            part, band = chunk % record.parts, chunk // record.parts
            image, first = band // record.bands, band % record.bands * record.rows
            rows = min(record.rows, record.height - first)
            for row in range(rows + kernel - 1):
                source = record.packed + image * record.image_bytes
                source += (first + row) * record.row_bytes
                for block in range(blocks_in):
                    amx_simd.spread_octets(
                        source + 8 * block,
                        8 * blocks_in,
                        line,
                        strip + row * line * step + ROW * block,
                        step,
                    )
            positions = rows * line - (kernel - 1)
            for block in range(blocks * part // record.parts, blocks * (part + 1) // record.parts):
                simd.copy(record.base + FLOATS * block, base)
                _less_terms(record, base)
                words = COLUMNS * LANES * cells * blocks_in
                amx_simd.spread_octets(record.weights + 8 * words * block, 8, words, weights, ROW)
                for start in range(0, positions, POSITIONS_AT_ONCE):
                    count = min(POSITIONS_AT_ONCE, positions - start)
                    amx_simd.wake(sums)
                    for column in range(COLUMNS):
                        amx_simd.multiply_octets(
                            count,
                            strip + start * step,
                            step,
                            offsets,
                            cells,
                            blocks_in,
                            weights + column * column_bytes,
                            sums + column * ROW,
                        )
                    row, x, index = start // line, start % line, 0
                    while index < count:
                        run = min(width - x, count - index)
                        if run > 0:
                            finish(
                                record, image, first + row, x, run, block,
                                sums + FLOATS * index, base, scratch,
                            )  # fmt: skip
                        index += line - x
                        x, row = 0, row + 1
        amx_simd.set_shapes(before)

    return convolve


convolve_tiles = _convolution(_finish_sums)
"""`pixels.convolve`."""

residual_tiles = _convolution(finish_products)
"""`residuals.add_residual`."""
