"""One-bit convolutions whose rectified sums are added to a map: residual blocks, forward.

What follows the convolution is done while its sums are at hand: relu, scale, offset, the sum with
the map, the signs of that for the next block, and what the way back needs of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..sizes import BITS, BLOCK, BYTES, FLOATS, TILE
from . import llvm, simd
from .llvm import ADDRESS, F32, I32, I64
from .pixels import STARTS, SUMS, differing, first_bits, keep_factor, load_block, store_block
from .sharing import next_chunk, take_seat

SCRATCH = 3 * FLOATS
"""Bytes that `finish_residuals` needs: two blocks, and words that nobody asked for."""


def _rectifier(products: bool) -> Any:
    @intrinsic
    def rectify(
        typing: Any,
        sums: Any,
        base: Any,
        scale: Any,
        offset: Any,
        before: Any,
        after: Any,
        step: Any,
        passed: Any,
        passed_step: Any,
        signs: Any,
        signs_step: Any,
        inside: Any,
        inside_step: Any,
        width: Any,
        count: Any,
    ) -> Any:
        """after = before + scale relu(dot) + offset, for 64 channels of some pixels, and words.

        Args:
            sums: int32 [count, 64]: products (dot is base + sums), or differing bits (base - 2
                sums).
            base: int32 [64].
            scale, offset: float32 [64].
            before, after: float32, `step` bytes from one pixel to the next.
            passed: words, whose bits are set where the relu lets through.
            signs: where the result is not below 0.
            inside: where its magnitude is at most `width`.
        """

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums, base, scale, offset, before, after, step = arguments[:7]
            *places, width, count = arguments[7:]
            base = llvm.load(builder, base, llvm.vector(I32))
            scale, offset = (
                llvm.load(builder, place, llvm.vector(F32)) for place in (scale, offset)
            )
            widest, zero = llvm.splat(builder, width), llvm.constant(I32, 0)
            with cgutils.for_range(builder, count) as pixel:

                def at(start: Any, far: Any, index: Any = pixel.index) -> Any:
                    return builder.add(start, builder.mul(index, far))

                own = llvm.load(builder, at(sums, ir.Constant(I64, FLOATS)), llvm.vector(I32))
                dot = llvm.dot(builder, own, base, products)
                positive = builder.icmp_signed(">", dot, zero)
                real = builder.sitofp(builder.select(positive, dot, zero), llvm.vector(F32))
                shifted = builder.fadd(builder.fmul(real, scale), offset)
                old = llvm.load(builder, at(before, step), llvm.vector(F32))
                total = builder.fadd(old, shifted)
                llvm.store(builder, total, at(after, step))
                raised = builder.fcmp_unordered(">=", total, llvm.constant(F32, 0.0))
                near = builder.fcmp_ordered("<=", llvm.magnitude(builder, total), widest)
                found = positive, raised, near
                for place, far, conditions in zip(places[::2], places[1::2], found, strict=True):
                    llvm.store(builder, builder.bitcast(conditions, I64), at(place, far))
            return context.get_dummy_value()

        return types.void(*[ADDRESS] * 13, types.float32, ADDRESS), emit

    return rectify


def _finisher(products: bool) -> Any:
    rectify = _rectifier(products)

    @njit
    def finish(
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
        """before + scale relu(dot) + offset, the signs of that, and what the way back needs.

        Args:
            record: of the kernel; before, passed and next_packed may be absent (0).
            image, row, first: of the first of `run` pixels of a row.
            sums: int32 [run, 64]: products, or differing bits.
            base: int32 [64].
            scratch: SCRATCH bytes.
        """
        channels, mode = record.channels, record.factor_mode
        blocks, valid = (channels + BLOCK - 1) // BLOCK, min(BLOCK, channels - BLOCK * block)
        scale, offset = record.scale + FLOATS * block, record.offset + FLOATS * block
        width, table = np.float32(record.window_real), record.table
        pixel = (image * record.height + row) * record.width + first
        place, word = pixel * channels + BLOCK * block, 8 * (pixel * blocks + block)
        signs = record.next_packed + image * record.next_image_bytes + row * record.next_row_bytes
        signs += 8 * (first * blocks + block)
        step, words = 4 * channels, 8 * blocks
        old, new, unasked = scratch, scratch + FLOATS, scratch + 2 * FLOATS
        following = record.next_packed != 0
        if valid == BLOCK and record.before != 0:
            result = record.result + 4 * place
            passed, passed_step = unasked, 0
            if record.passed != 0:
                passed, passed_step = record.passed + word, words
            raised, raised_step, inside, inside_step = unasked, 0, unasked, 0
            if following:
                raised, raised_step = signs, words
                if mode == BITS:
                    inside, inside_step = record.factors + word, words
            rectify(
                sums, base, scale, offset, record.before + 4 * place, result, step,
                passed, passed_step, raised, raised_step, inside, inside_step, width, run,
            )  # fmt: skip
            if following and mode == BYTES:
                levels = record.factors + place
                for index in range(run):
                    after = result + step * index
                    keep_factor(mode, after, valid, 0, levels + channels * index, width, table)
            return
        for index in range(run):
            before, after = record.before + step * index + 4 * place, new
            if record.before == 0:
                simd.clear(old)
                before = old
            elif valid < BLOCK:
                load_block(before, old, valid)
                before = old
            if valid == BLOCK:
                after = record.result + step * index + 4 * place
            rectify(
                sums + FLOATS * index, base, scale, offset, before, after, 0,
                unasked, 0, unasked + 8, 0, unasked + 16, 0, width, 1,
            )  # fmt: skip
            far = words * index
            if record.passed != 0:
                passed = simd.load_word(unasked) & first_bits(valid)
                simd.store_word(record.passed + word + far, passed)
            if valid < BLOCK:
                store_block(new, record.result + step * index + 4 * place, valid)
            if following:
                raised = simd.load_word(unasked + 8) & first_bits(valid)
                simd.store_word(signs + far, raised)
                keep_factor(
                    mode,
                    after,
                    valid,
                    record.factors + word + far,
                    record.factors + place + channels * index,
                    width,
                    table,
                )

    return finish


_finish_counts = _finisher(False)
finish_products = _finisher(True)


def add_residual(arguments: Any) -> None:
    """before + scale relu(base - 2 differing bits) + offset, and the signs of that.

    Also kept: where the relu lets through (one bit), and the factors of the gradient for the next
    layer's signs. Without a next layer (`next_packed` 0) neither signs nor factors are written.
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    sums, plane_sums = simd.stack(SUMS), simd.stack(SUMS)
    windows, scratch = simd.stack(STARTS), simd.stack(SCRATCH)
    parts, channels = record.parts, record.channels
    height, width = record.height, record.width
    blocks = (channels + BLOCK - 1) // BLOCK
    tiles = (record.pixels + TILE - 1) // TILE
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        part, block = chunk // blocks, chunk % blocks
        base = record.base + FLOATS * block
        last = min(tiles * (part + 1) // parts * TILE, record.pixels)
        for first in range(tiles * part // parts * TILE, last, TILE):
            differing(record, block, first, last, sums, plane_sums, windows)
            start, end = first, min(first + TILE, last)
            while start < end:
                column, row = start % width, start // width
                image, row = row // height, row % height
                run = min(end - start, width - column)
                own = sums + FLOATS * (start - first)
                _finish_counts(record, image, row, column, run, block, own, base, scratch)
                start += run
