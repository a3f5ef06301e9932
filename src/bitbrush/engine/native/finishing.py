"""What becomes of a gradient behind the convolution that took it back through a one-bit layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..sizes import BITS, BLOCK, BYTES, FLOATS, REALS
from . import llvm, simd
from .llvm import ADDRESS, F32, I1, I8, I32, I64
from .pixels import load_block, load_bytes, store_block


@intrinsic
def _add_kept(
    typing: Any,
    own: Any,
    words: Any,
    word_step: Any,
    running: Any,
    result: Any,
    step: Any,
    count: Any,
) -> Any:
    """result = running + those of own whose bit is set, for 64 floats of some pixels.

    Args:
        own: float32 [count, 64].
        words: int64, `word_step` bytes from one to the next.
        running, result: float32, `step` bytes from one pixel to the next.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own, words, word_step, running, result, step, count = arguments
        with cgutils.for_range(builder, count) as pixel:
            word = llvm.load(builder, _far(builder, words, pixel.index, word_step), I64)
            value = _own(builder, own, pixel.index)
            conditions = builder.bitcast(word, llvm.vector(I1))
            kept = builder.select(conditions, value, llvm.constant(F32, 0.0))
            _add(builder, kept, running, result, builder.mul(pixel.index, step))
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 7), emit


@intrinsic
def _add_weighed(
    typing: Any,
    own: Any,
    levels: Any,
    level_step: Any,
    unit: Any,
    zero: Any,
    running: Any,
    result: Any,
    step: Any,
    count: Any,
) -> Any:
    """result = running + own (unit levels + zero), for 64 floats and 64 unsigned bytes."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own, levels, level_step, unit, zero, running, result, step, count = arguments
        units, zeros = llvm.splat(builder, unit), llvm.splat(builder, zero)
        with cgutils.for_range(builder, count) as pixel:
            place = _far(builder, levels, pixel.index, level_step)
            whole = builder.zext(llvm.load(builder, place, llvm.vector(I8)), llvm.vector(I32))
            real = builder.uitofp(whole, llvm.vector(F32))
            factor = builder.fadd(builder.fmul(real, units), zeros)
            value = builder.fmul(_own(builder, own, pixel.index), factor)
            _add(builder, value, running, result, builder.mul(pixel.index, step))
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 3, *[types.float32] * 2, *[ADDRESS] * 4), emit


def _far(builder: Any, start: Any, index: Any, step: Any) -> Any:
    return builder.add(start, builder.mul(index, step))


def _own(builder: Any, own: Any, index: Any) -> Any:
    return llvm.load(builder, _far(builder, own, index, ir.Constant(I64, FLOATS)), llvm.vector(F32))


def _add(builder: Any, value: Any, running: Any, result: Any, far: Any) -> None:
    before = llvm.load(builder, builder.add(running, far), llvm.vector(F32))
    llvm.store(builder, builder.fadd(value, before), builder.add(result, far))


@njit
def finish_gradients(
    record: Any, pixel: int, count: int, block: int, valid: int, own: int, term: int
) -> None:
    """result = running + factors own + tap, of 64 channels of pixels that follow one another.

    Args:
        record: of the kernel; running and tap may be absent (0).
        valid: channels of the block, the last of which may be missing.
        own: float32 [count, 64], overwritten.
        term: room for 64.
    """
    filters, mode = record.filters, record.factor_mode
    if valid < BLOCK or mode == REALS or record.running == 0:
        for index in range(count):
            _finish(record, pixel + index, block, valid, own + FLOATS * index, term)
        return
    place, step = pixel * filters + BLOCK * block, 4 * filters
    running, result = record.running + 4 * place, record.result + 4 * place
    words = 8 * ((filters + BLOCK - 1) // BLOCK)
    if mode == BYTES:
        unit, zero = np.float32(record.unit_real), np.float32(record.zero_real)
        levels = record.factors + place
        _add_weighed(own, levels, filters, unit, zero, running, result, step, count)
    elif mode == BITS:
        first = record.factors + words * pixel + 8 * block
        _add_kept(own, first, words, running, result, step, count)
    else:
        simd.store_word(term, -1)
        _add_kept(own, term, 0, running, result, step, count)
    if record.tap != 0:
        for index in range(count):
            simd.add(result + step * index, record.tap + 4 * place + step * index)


@njit
def _finish(record: Any, pixel: int, block: int, valid: int, own: int, term: int) -> None:
    """The same for one pixel, whatever is absent."""
    filters, mode = record.filters, record.factor_mode
    place = pixel * filters + BLOCK * block
    if mode == BITS:
        words = pixel * ((filters + BLOCK - 1) // BLOCK) + block
        simd.keep(own, simd.load_word(record.factors + 8 * words))
    elif mode == BYTES:
        unit, zero = np.float32(record.unit_real), np.float32(record.zero_real)
        simd.multiply_bytes(own, load_bytes(record.factors + place, term, valid), unit, zero)
    elif mode == REALS:
        load_block(record.factors + 4 * place, term, valid)
        simd.multiply(own, term)
    if record.running != 0:
        load_block(record.running + 4 * place, term, valid)
        simd.add(own, term)
    if record.tap != 0:
        load_block(record.tap + 4 * place, term, valid)
        simd.add(own, term)
    store_block(own, record.result + 4 * place, valid)
