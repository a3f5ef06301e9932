"""Vector instructions for the kernels, as Numba intrinsics on raw addresses.

LLVM's vectoriser takes half a register by choice on AVX-512, and does not see that comparing and
packing bits are one instruction. Here vectors are written as such: LLVM splits them into whatever
registers the CPU has (zmm, ymm, NEON's q), so one source serves all.

A block is 64 channels of one pixel: 64 floats, or the 64 bits of one word, lowest bit first.
Addresses are integers; vectors need not be aligned.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..sizes import COLOURS, LANES
from . import llvm
from .llvm import ADDRESS, COUNT, F32, I1, I8, I16, I32, I64

QUAD = 4
"""Floats that are added up together where there are three."""


def _lanes_of(builder: Any, word: Any) -> Any:
    """The 64 bits of a word as conditions."""
    return builder.bitcast(word, llvm.vector(I1))


def _word_of(builder: Any, conditions: Any) -> Any:
    return builder.bitcast(conditions, I64)


@intrinsic
def raise_count(typing: Any, counter: Any) -> Any:
    """The count at an address (int64), which is raised by one for whoever comes next."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = llvm.pointer(builder, arguments[0], I64)
        return builder.atomic_rmw("add", pointer, ir.Constant(I64, 1), "monotonic")

    return COUNT(ADDRESS), emit


@intrinsic
def thread_number(typing: Any, function: Any) -> Any:
    """What the C function `int (void)` at an address returns."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(I32, [])
        number = builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [])
        return builder.sext(number, I64)

    return COUNT(ADDRESS), emit


def _loader(number: Any, kind: Any) -> Any:
    @intrinsic
    def load(typing: Any, address: Any) -> Any:
        return number(ADDRESS), lambda c, b, s, a: llvm.load(b, a[0], kind)

    load.__doc__ = f"The {number} at an address."
    return load


def _storer(number: Any, kind: Any) -> Any:
    @intrinsic
    def store(typing: Any, address: Any, value: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            llvm.store(builder, arguments[1], arguments[0])
            return context.get_dummy_value()

        return types.void(ADDRESS, number), emit

    store.__doc__ = f"Writes a {number} at an address."
    return store


load_float, store_float = _loader(types.float32, F32), _storer(types.float32, F32)
load_half, store_half = _loader(types.uint16, I16), _storer(types.uint16, I16)
load_byte, store_byte = _loader(types.uint8, I8), _storer(types.uint8, I8)
load_int, store_int = _loader(types.int32, I32), _storer(types.int32, I32)
load_word, store_word = _loader(types.int64, I64), _storer(types.int64, I64)


@intrinsic(prefer_literal=True)
def stack(typing: Any, size: Any) -> Any:
    """The address of so many bytes (a literal) of the caller's own stack."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = cgutils.alloca_once(builder, ir.ArrayType(I8, size.literal_value))
        place.align = 64
        return builder.ptrtoint(place, I64)

    return ADDRESS(size), emit


@intrinsic
def signs(typing: Any, values: Any) -> Any:
    """The word whose bits are set where 64 floats are not below 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = llvm.load(builder, arguments[0], llvm.vector(F32))
        return _word_of(builder, builder.fcmp_unordered(">=", value, llvm.constant(F32, 0.0)))

    return types.int64(ADDRESS), emit


@intrinsic
def within(typing: Any, values: Any, width: Any) -> Any:
    """The word whose bits are set where 64 floats have a magnitude of at most the width."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = llvm.magnitude(builder, llvm.load(builder, arguments[0], llvm.vector(F32)))
        return _word_of(
            builder, builder.fcmp_ordered("<=", value, llvm.splat(builder, arguments[1]))
        )

    return types.int64(ADDRESS, types.float32), emit


def _rescale(products: bool) -> Any:
    @intrinsic
    def rescale(typing: Any, sums: Any, base: Any, scale: Any, offset: Any, after: Any) -> Any:
        """after = scale dot + offset, for 64 channels: int32 [64] to float32 [64]."""

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums, base, scale, offset, after = arguments
            sums, base = (llvm.load(builder, place, llvm.vector(I32)) for place in (sums, base))
            real = builder.sitofp(llvm.dot(builder, sums, base, products), llvm.vector(F32))
            scaled = builder.fmul(real, llvm.load(builder, scale, llvm.vector(F32)))
            shifted = builder.fadd(scaled, llvm.load(builder, offset, llvm.vector(F32)))
            llvm.store(builder, shifted, after)
            return context.get_dummy_value()

        return types.void(*[ADDRESS] * 5), emit

    return rescale


rescale, rescale_products = _rescale(False), _rescale(True)


@intrinsic
def wide(typing: Any, halves: Any, values: Any) -> Any:
    """64 bfloat16 to float32."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        halves, values = arguments
        llvm.store(
            builder, llvm.wide(builder, llvm.load(builder, halves, llvm.vector(I16))), values
        )
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def narrow(typing: Any, values: Any, halves: Any) -> Any:
    """64 float32 to the nearest bfloat16."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, halves = arguments
        llvm.store(
            builder, llvm.narrow(builder, llvm.load(builder, values, llvm.vector(F32))), halves
        )
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def keep(typing: Any, values: Any, word: Any) -> Any:
    """Sets those of 64 floats to 0 whose bit of the word is not set."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, word = arguments
        value = llvm.load(builder, address, llvm.vector(F32))
        kept = builder.select(_lanes_of(builder, word), value, llvm.constant(F32, 0.0))
        llvm.store(builder, kept, address)
        return context.get_dummy_value()

    return types.void(ADDRESS, types.int64), emit


@intrinsic
def keep_scaled(typing: Any, values: Any, word: Any, scale: Any, result: Any) -> Any:
    """result = scale values where the word's bit is set, else 0, for 64 channels."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, word, scale, result = arguments
        scaled = builder.fmul(
            llvm.load(builder, values, llvm.vector(F32)),
            llvm.load(builder, scale, llvm.vector(F32)),
        )
        kept = builder.select(_lanes_of(builder, word), scaled, llvm.constant(F32, 0.0))
        llvm.store(builder, kept, result)
        return context.get_dummy_value()

    return types.void(ADDRESS, types.int64, ADDRESS, ADDRESS), emit


@intrinsic
def add(typing: Any, values: Any, more: Any) -> Any:
    """values += more, for 64 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, more = arguments
        total = builder.fadd(
            llvm.load(builder, values, llvm.vector(F32)), llvm.load(builder, more, llvm.vector(F32))
        )
        llvm.store(builder, total, values)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def subtract(typing: Any, values: Any, less: Any) -> Any:
    """values -= less, for 64 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, less = arguments
        left = builder.fsub(
            llvm.load(builder, values, llvm.vector(F32)), llvm.load(builder, less, llvm.vector(F32))
        )
        llvm.store(builder, left, values)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def multiply(typing: Any, values: Any, factors: Any) -> Any:
    """values *= factors, for 64 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, factors = arguments
        total = builder.fmul(
            llvm.load(builder, values, llvm.vector(F32)),
            llvm.load(builder, factors, llvm.vector(F32)),
        )
        llvm.store(builder, total, values)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def multiply_bytes(typing: Any, values: Any, factors: Any, unit: Any, base: Any) -> Any:
    """values *= unit factors + base, for 64 floats and 64 unsigned bytes."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, factors, unit, base = arguments
        real = builder.uitofp(
            builder.zext(llvm.load(builder, factors, llvm.vector(I8)), llvm.vector(I32)),
            llvm.vector(F32),
        )
        factor = builder.fadd(
            builder.fmul(real, llvm.splat(builder, unit)), llvm.splat(builder, base)
        )
        total = builder.fmul(llvm.load(builder, values, llvm.vector(F32)), factor)
        llvm.store(builder, total, values)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, types.float32, types.float32), emit


@intrinsic
def tent(typing: Any, values: Any, inverse: Any, levels: Any) -> Any:
    """Unsigned bytes of 64 floats: 254 at 0, falling evenly to 0 where inverse x value is +-1."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, inverse, levels = arguments
        value = llvm.magnitude(builder, llvm.load(builder, values, llvm.vector(F32)))
        far = builder.fmul(value, llvm.splat(builder, inverse))
        height = builder.fsub(llvm.constant(F32, 1.0), far)
        top = builder.fmul(height, llvm.constant(F32, 254.0))
        # With the half that rounding wants; what is no number counts as far out.
        raised = builder.fadd(top, llvm.constant(F32, 0.5))
        inside = builder.fcmp_ordered(">", raised, llvm.constant(F32, 0.0))
        level = builder.select(inside, raised, llvm.constant(F32, 0.0))
        whole = builder.fptosi(level, llvm.vector(I32))
        llvm.store(builder, builder.trunc(whole, llvm.vector(I8)), levels)
        return context.get_dummy_value()

    return types.void(ADDRESS, types.float32, ADDRESS), emit


@intrinsic
def copy(typing: Any, source: Any, target: Any) -> Any:
    """64 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = arguments
        llvm.store(builder, llvm.load(builder, source, llvm.vector(F32)), target)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def clear(typing: Any, values: Any) -> Any:
    """Sets 64 floats to 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        llvm.store(builder, llvm.constant(F32, 0.0), arguments[0])
        return context.get_dummy_value()

    return types.void(ADDRESS), emit


@intrinsic
def multiply_add(typing: Any, total: Any, values: Any, weight: Any) -> Any:
    """total += weight values, for 64 floats and one weight."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, values, weight = arguments
        product = builder.fmul(
            llvm.load(builder, values, llvm.vector(F32)), llvm.splat(builder, weight)
        )
        llvm.store(
            builder, builder.fadd(llvm.load(builder, total, llvm.vector(F32)), product), total
        )
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, types.float32), emit


@intrinsic
def rectify_lanes(typing: Any, values: Any, result: Any) -> Any:
    """result = max(0, values), for 16 floats; returns the bits of those above 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, result = arguments
        value, positive = _rectified(builder, llvm.load(builder, values, llvm.row(F32)))
        llvm.store(builder, value, result)
        return builder.bitcast(positive, I16)

    return types.uint16(ADDRESS, ADDRESS), emit


def _rectified(builder: Any, value: Any) -> tuple[Any, Any]:
    """max(0, value) of 16 floats, and whether they are above 0."""
    zero = llvm.constant(F32, 0.0, LANES)
    positive = builder.fcmp_ordered(">", value, zero)
    return builder.select(positive, value, zero), positive


@intrinsic
def largest_lanes(
    typing: Any, first: Any, second: Any, third: Any, fourth: Any, result: Any
) -> Any:
    """result = max(0, four times 16 floats).

    Returns:
        three words: the two bits of the first that is largest, and whether that is above 0.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *sources, result = arguments
        best = llvm.load(builder, sources[0], llvm.row(F32))
        low = high = llvm.constant(I1, 0, LANES)
        for index, source in enumerate(sources[1:], 1):
            value = llvm.load(builder, source, llvm.row(F32))
            better = builder.fcmp_ordered(">", value, best)
            best = builder.select(better, value, best)
            low = builder.select(better, llvm.constant(I1, index & 1, LANES), low)
            high = builder.select(better, llvm.constant(I1, index >> 1, LANES), high)
        best, positive = _rectified(builder, best)
        llvm.store(builder, best, result)
        words = [builder.bitcast(bits, I16) for bits in (low, high, positive)]
        return context.make_tuple(builder, signature.return_type, words)

    return types.UniTuple(types.uint16, 3)(*[ADDRESS] * 5), emit


@intrinsic
def mean_lanes(typing: Any, first: Any, second: Any, third: Any, fourth: Any, result: Any) -> Any:
    """result = the mean of max(0, four times 16 floats); returns the bits of those above 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *sources, result = arguments
        total, words = llvm.constant(F32, 0.0, LANES), []
        for source in sources:
            value, positive = _rectified(builder, llvm.load(builder, source, llvm.row(F32)))
            total = builder.fadd(total, value)
            words.append(builder.bitcast(positive, I16))
        mean = builder.fmul(total, llvm.constant(F32, 0.25, LANES))
        llvm.store(builder, mean, result)
        return context.make_tuple(builder, signature.return_type, words)

    return types.UniTuple(types.uint16, 4)(*[ADDRESS] * 5), emit


def _blend(terms: int) -> Any:
    @intrinsic
    def two(
        typing: Any, result: Any, a: Any, weight_a: Any, b: Any, weight_b: Any, count: Any
    ) -> Any:
        return types.void(ADDRESS, *[ADDRESS, types.float32] * 2, ADDRESS), _emit_blend

    @intrinsic
    def three(
        typing: Any,
        result: Any,
        a: Any,
        weight_a: Any,
        b: Any,
        weight_b: Any,
        c: Any,
        weight_c: Any,
        count: Any,
    ) -> Any:
        return types.void(ADDRESS, *[ADDRESS, types.float32] * 3, ADDRESS), _emit_blend

    blend = two if terms == 2 else three
    blend.__doc__ = f"The weighted sum of {terms} stretches of 16 count floats."
    return blend


def _emit_blend(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    result, *terms, count = arguments
    weights = [llvm.splat(builder, weight, LANES) for weight in terms[1::2]]
    with cgutils.for_range(builder, count) as index:
        far = builder.shl(index.index, ir.Constant(I64, 6))
        total = None
        for source, weight in zip(terms[::2], weights, strict=True):
            value = llvm.load(builder, builder.add(source, far), llvm.row(F32))
            if total is None:
                total = builder.fmul(value, weight)
            else:
                total = llvm.multiply_add(builder, value, weight, total)
        llvm.store(builder, total, builder.add(result, far))
    return context.get_dummy_value()


blend_two, blend_three = _blend(2), _blend(3)


@intrinsic
def keep_lanes(typing: Any, values: Any, bits: Any, before: Any, result: Any) -> Any:
    """result = before (nothing, if 0) + those of 16 values whose bit is set."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, bits, before, result = arguments
        value = llvm.load(builder, values, llvm.row(F32))
        conditions = builder.bitcast(builder.trunc(bits, I16), llvm.row(I1))
        kept = builder.select(conditions, value, llvm.constant(F32, 0.0, LANES))
        none = builder.icmp_unsigned("==", before, ir.Constant(I64, 0))
        # What is read in vain is the values themselves.
        more = llvm.load(builder, builder.select(none, values, before), llvm.row(F32))
        total = builder.select(none, kept, builder.fadd(kept, more))
        llvm.store(builder, total, result)
        return context.get_dummy_value()

    return types.void(ADDRESS, types.int64, ADDRESS, ADDRESS), emit


@intrinsic
def add_kept_lanes(typing: Any, total: Any, values: Any, bits: Any, weight: Any) -> Any:
    """total += weight times those of 16 values whose bit is set."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, values, bits, weight = arguments
        value = llvm.load(builder, values, llvm.row(F32))
        conditions = builder.bitcast(bits, llvm.row(I1))
        kept = builder.select(conditions, value, llvm.constant(F32, 0.0, LANES))
        before = llvm.load(builder, total, llvm.row(F32))
        factor = llvm.splat(builder, weight, LANES)
        llvm.store(builder, llvm.multiply_add(builder, kept, factor, before), total)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, types.uint16, types.float32), emit


@intrinsic
def normalise_row(typing: Any, source: Any, target: Any, mean: Any, inverse: Any) -> Any:
    """target = (source - mean) inverse, for 16 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target, mean, inverse = arguments
        apart = builder.fsub(
            llvm.load(builder, source, llvm.row(F32)), llvm.splat(builder, mean, LANES)
        )
        llvm.store(builder, builder.fmul(apart, llvm.splat(builder, inverse, LANES)), target)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, types.float32, types.float32), emit


@intrinsic
def keep_scaled_row(typing: Any, values: Any, bits: Any, scale: Any, result: Any) -> Any:
    """result = scale values where the bit is set, else 0, for 16 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, bits, scale, result = arguments
        scaled = builder.fmul(
            llvm.load(builder, values, llvm.row(F32)), llvm.load(builder, scale, llvm.row(F32))
        )
        kept = builder.bitcast(bits, llvm.row(I1))
        zero = llvm.constant(F32, 0.0, LANES)
        llvm.store(builder, builder.select(kept, scaled, zero), result)
        return context.get_dummy_value()

    return types.void(ADDRESS, types.uint16, ADDRESS, ADDRESS), emit


@intrinsic
def clear_row(typing: Any, values: Any) -> Any:
    """Sets 16 floats to 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        llvm.store(builder, llvm.constant(F32, 0.0, LANES), arguments[0])
        return context.get_dummy_value()

    return types.void(ADDRESS), emit


@intrinsic
def sums_of_quads(
    typing: Any,
    bases: Any,
    rows: Any,
    offsets: Any,
    columns: Any,
    scale: Any,
    target: Any,
    step: Any,
) -> Any:
    """Of four pixels: adds up the three floats at every base + offset, and scales each of them.

    Args:
        bases: int64 [rows], addresses; behind the three floats one more can be read.
        offsets: int64 [4, columns].
        scale: float32 [3].
        target: float32 [3] rows of 4 pixels, `step` bytes apart, written.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bases, rows, offsets, columns, scale, target, step = arguments
        kind, eight = llvm.vector(F32, QUAD), ir.Constant(I64, 3)
        totals = [
            cgutils.alloca_once_value(builder, llvm.constant(F32, 0.0, QUAD)) for _ in range(QUAD)
        ]
        with cgutils.for_range(builder, rows) as row:
            base = llvm.load(builder, builder.add(bases, builder.shl(row.index, eight)), I64)
            with cgutils.for_range(builder, columns) as column:
                for pixel, total in enumerate(totals):
                    index = builder.mul(columns, ir.Constant(I64, pixel))
                    place = builder.shl(builder.add(index, column.index), eight)
                    offset = llvm.load(builder, builder.add(offsets, place), I64)
                    more = llvm.load(builder, builder.add(base, offset), kind)
                    builder.store(builder.fadd(builder.load(total), more), total)
        pixels = [builder.load(total) for total in totals]
        for colour in range(COLOURS):
            order = ir.Constant(llvm.vector(I32, 2), [colour, QUAD + colour])
            pairs = [builder.shuffle_vector(*pixels[at : at + 2], order) for at in (0, 2)]
            together = ir.Constant(llvm.vector(I32, QUAD), [0, 1, 2, 3])
            values = builder.shuffle_vector(*pairs, together)
            factor = llvm.load(builder, llvm.offset(builder, scale, 4 * colour), F32)
            scaled = builder.fmul(values, llvm.splat(builder, factor, QUAD))
            far = builder.mul(step, ir.Constant(I64, colour))
            llvm.store(builder, scaled, builder.add(target, far))
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 7), emit


@intrinsic
def weigh_each(typing: Any, total: Any, values: Any, weights: Any) -> Any:
    """total += values weights, for 16 floats each."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, values, weights = arguments
        product = builder.fmul(
            llvm.load(builder, values, llvm.row(F32)), llvm.load(builder, weights, llvm.row(F32))
        )
        llvm.store(builder, builder.fadd(llvm.load(builder, total, llvm.row(F32)), product), total)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, ADDRESS), emit


@intrinsic
def rectify_row(typing: Any, sums: Any, scale: Any, offset: Any, result: Any) -> Any:
    """result = scale max(0, sums) + offset, for 16 floats; returns the bits of those above 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, scale, offset, result = arguments
        value = llvm.load(builder, sums, llvm.row(F32))
        zero = llvm.constant(F32, 0.0, LANES)
        positive = builder.fcmp_ordered(">", value, zero)
        kept = builder.select(positive, value, zero)
        scaled = builder.fmul(kept, llvm.load(builder, scale, llvm.row(F32)))
        llvm.store(builder, builder.fadd(scaled, llvm.load(builder, offset, llvm.row(F32))), result)
        return builder.bitcast(positive, I16)

    return types.uint16(*[ADDRESS] * 4), emit


@intrinsic
def copy_row(typing: Any, source: Any, target: Any) -> Any:
    """16 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = arguments
        llvm.store(builder, llvm.load(builder, source, llvm.row(F32)), target)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit
