"""Instructions of the CPUs that multiply matrices in bfloat16 and in 8-bit integers (Intel's AMX).

Eight registers hold a tile each: 16 rows of 64 bytes. Where the CPU has none, nobody calls these,
and they are compiled to nothing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..precision import cpu_features
from ..sizes import BLOCK, FLOATS, LANES, LINE, ROW, TILE_BYTES
from . import llvm
from .llvm import ADDRESS, F32, I8, I16, I64
from .products_simd import to_half

HALVES, OCTETS = "tdpbf16ps", "tdpbssd"
"""Sums of products of bfloat16, in float32, and of signed 8-bit integers, in 32-bit ones."""

THERE = {HALVES: "amx-bf16" in cpu_features(), OCTETS: "amx-int8" in cpu_features()}

AHEAD = 4
"""Tiles of weights that are asked for before they are needed."""

LEFT, RIGHT = 6, 7
"""Registers behind those of up to six sums."""


def _call(builder: Any, name: str, *arguments: Any) -> None:
    kinds = [argument.type for argument in arguments]
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), kinds), f"llvm.x86.{name}"
    )
    builder.call(function, arguments)


def _register(number: int) -> Any:
    return ir.Constant(I8, number)


def _with_shapes(name: str) -> Any:
    """An instruction that is given 64 bytes of shapes."""

    @intrinsic
    def run(typing: Any, shapes: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            if THERE[HALVES]:
                _call(builder, name, llvm.pointer(builder, arguments[0], I8))
            return context.get_dummy_value()

        return types.void(ADDRESS), emit

    return run


save_shapes, set_shapes = _with_shapes("sttilecfg"), _with_shapes("ldtilecfg")
"""Writes the shapes that the thread's registers have; gives them such shapes."""


def _multiply_tiles(tiles: int, products: str) -> Any:
    """What `_multiplier` is made of, for so many tiles of rows."""

    @intrinsic
    def multiply(
        typing: Any,
        left: Any,
        row_step: Any,
        offsets: Any,
        count: Any,
        pieces: Any,
        right: Any,
        sums: Any,
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            if THERE[products]:
                _multiply(builder, tiles, products, *arguments)
            return context.get_dummy_value()

        return types.void(*[ADDRESS] * 7), emit

    return multiply


def _multiplier(products: str) -> Any:
    one, two, four, six = (_multiply_tiles(tiles, products) for tiles in (1, 2, 4, 6))

    @njit
    def multiply(
        rows: int,
        left: int,
        row_step: int,
        offsets: int,
        count: int,
        pieces: int,
        right: int,
        sums: int,
    ) -> None:
        """Sums of products of up to 96 rows and 16 columns.

        Args:
            rows: more may be read and written, to a multiple of 16 or, beyond 32, of 32.
            left: `row_step` bytes from one row to the next.
            offsets: int64 [count], bytes from `left` to where the rows begin that are multiplied.
            pieces: of 64 bytes that each row has from there on.
            right: [pieces, count], tiles of 16 columns.
            sums: [96, 64], of which 16 columns are written.
        """
        if rows > 4 * LANES:
            six(left, row_step, offsets, count, pieces, right, sums)
        elif rows > 2 * LANES:
            four(left, row_step, offsets, count, pieces, right, sums)
        elif rows > LANES:
            two(left, row_step, offsets, count, pieces, right, sums)
        else:
            one(left, row_step, offsets, count, pieces, right, sums)

    return multiply


multiply_halves = _multiplier(HALVES)
"""Of bfloat16, with right [pieces, count, 16, 16, 2]: pairs of rows of 16 columns; sums float32."""

multiply_octets = _multiplier(OCTETS)
"""Of int8, with right [pieces, count, 16, 16, 4]: four rows of 16 columns; sums int32."""


@intrinsic
def wake(typing: Any, sums: Any) -> Any:
    """Writes a tile over the sums, which are yet to be written: see `_multiply`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if THERE[HALVES]:
            _store(builder, RIGHT, arguments[0])
        return context.get_dummy_value()

    return types.void(ADDRESS), emit


def _multiply(
    builder: Any,
    tiles: int,
    products: str,
    left: Any,
    row_step: Any,
    offsets: Any,
    count: Any,
    pieces: Any,
    right: Any,
    sums: Any,
) -> None:
    for register in range(tiles):
        _call(builder, "tilezero", _register(register))
    tile_step = builder.mul(row_step, ir.Constant(I64, LANES))
    dense = ir.Constant(I64, ROW)
    place = cgutils.alloca_once_value(builder, right)
    several = builder.icmp_signed(">", count, ir.Constant(I64, 1))
    # The same piece of all cells after one another: they see nearly the same rows.
    with cgutils.for_range(builder, pieces) as outer:
        # Whatever stores tiles falls asleep after half a microsecond, and takes 0.3 to wake up.
        with builder.if_then(several):
            _store(builder, RIGHT, sums)
        piece = builder.add(left, _times(builder, outer.index, ROW))
        with cgutils.for_range(builder, count) as inner:
            at = builder.add(offsets, _times(builder, inner.index, 8))
            rows = builder.add(piece, llvm.load(builder, at, I64))
            columns = builder.load(place)
            pointer = llvm.pointer(builder, columns, I8)
            _call(builder, "tileloadd64", _register(RIGHT), pointer, dense)
            for line in range(0, TILE_BYTES, LINE):
                _prefetch(builder, llvm.offset(builder, columns, AHEAD * TILE_BYTES + line))
            for register in range(tiles):
                pointer = llvm.pointer(builder, rows, I8)
                _call(builder, "tileloadd64", _register(LEFT), pointer, row_step)
                _call(builder, products, *map(_register, (register, LEFT, RIGHT)))
                rows = builder.add(rows, tile_step)
            builder.store(llvm.offset(builder, columns, TILE_BYTES), place)
    for register in range(tiles):
        _store(builder, register, llvm.offset(builder, sums, LANES * FLOATS * register))


def _store(builder: Any, register: int, sums: Any) -> None:
    """Writes a tile as 16 columns of 64."""
    step = ir.Constant(I64, FLOATS)
    _call(builder, "tilestored64", _register(register), llvm.pointer(builder, sums, I8), step)


def _prefetch(builder: Any, address: Any) -> None:
    pointer = llvm.pointer(builder, address, I8)
    hints = [ir.Constant(llvm.I32, hint) for hint in (0, 3, 1)]
    kinds = [pointer.type, *[llvm.I32] * 3]
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
    )
    builder.call(function, [pointer, *hints])


def _times(builder: Any, value: Any, factor: int) -> Any:
    return builder.mul(value, ir.Constant(I64, factor))


@intrinsic
def scale_to_half(typing: Any, values: Any, word: Any, scale: Any, halves: Any) -> Any:
    """halves = scale values where the word's bit is set, else 0, for 64 channels."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, word, scale, halves = arguments
        for at in range(0, BLOCK, LANES):
            value, factor = (
                llvm.load(builder, llvm.offset(builder, start, 4 * at), llvm.row(F32))
                for start in (values, scale)
            )
            bits = builder.trunc(builder.lshr(word, ir.Constant(I64, at)), I16)
            passed = builder.bitcast(bits, llvm.row(llvm.I1))
            zero = llvm.constant(F32, 0.0, LANES)
            kept = builder.select(passed, builder.fmul(value, factor), zero)
            llvm.store(builder, to_half(builder, kept), llvm.offset(builder, halves, 2 * at))
        return context.get_dummy_value()

    return types.void(ADDRESS, types.int64, ADDRESS, ADDRESS), emit


def _spread(kind: Any, sign: int, one: int) -> Any:
    """The functions below, for numbers of which one bit is the sign."""
    lanes = 8 * ROW // kind.width
    numbers_kind, word_kind = llvm.vector(kind, lanes), ir.IntType(lanes)

    @intrinsic
    def spread(typing: Any, words: Any, word_step: Any, count: Any, numbers: Any, step: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            words, word_step, count, numbers, step = arguments
            with cgutils.for_range(builder, count) as each:
                place = builder.add(words, builder.mul(each.index, word_step))
                word = llvm.load(builder, place, word_kind)
                bits = builder.bitcast(word, llvm.vector(llvm.I1, lanes))
                ones = builder.sext(bits, numbers_kind)
                signs = builder.and_(ones, llvm.constant(kind, sign, lanes))
                signed = builder.or_(signs, llvm.constant(kind, one, lanes))
                far = builder.mul(each.index, step)
                llvm.store(builder, signed, builder.add(numbers, far))
            return context.get_dummy_value()

        return types.void(*[ADDRESS] * 5), emit

    return spread


spread_octets = _spread(I8, -1, 1)
"""The 64 bits of each word as 64 bytes: -1 where a bit is set, else +1.

Args:
    words: `word_step` bytes from one to the next.
    numbers: `step` bytes from one word's to the next one's.
"""

spread_halves = _spread(I16, -(2**15), 0x3F80)
"""The 32 bits of each word as 32 bfloat16, in the same way."""
