"""A small product of float matrices, the innermost part of larger ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..precision import cpu_features, has_half_products
from ..sizes import LANES, TILE
from . import llvm
from .llvm import ADDRESS, F32, I16, I32, I64

WIDE = "avx512f" in cpu_features()
"""Whether registers hold the sums of four rows and 64 columns at once; others hold those of 16."""


def _add(builder: Any, value: Any, column: Any, total: Any, half: bool) -> Any:
    if not half:
        return llvm.multiply_add(builder, value, column, total)
    kind = ir.FunctionType(total.type, [total.type, *[llvm.row(I32)] * 2])
    function = cgutils.get_or_insert_function(
        builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512"
    )
    return builder.call(function, [total, value, column])


def to_half(builder: Any, value: Any) -> Any:
    """16 float32 to the nearest bfloat16, ties to even."""
    if not has_half_products():
        return llvm.narrow(builder, value)
    kind = ir.FunctionType(llvm.row(I16), [llvm.row(F32)])
    function = cgutils.get_or_insert_function(
        builder.module, kind, "llvm.x86.avx512bf16.cvtneps2bf16.512"
    )
    return builder.call(function, [value])


@intrinsic
def round_to_half(typing: Any, values: Any, halves: Any) -> Any:
    """16 float32 to the nearest bfloat16, ties to even."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, halves = arguments
        rounded = to_half(builder, llvm.load(builder, values, llvm.row(F32)))
        llvm.store(builder, rounded, halves)
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def pair_rows(typing: Any, first: Any, second: Any, pairs: Any) -> Any:
    """16 float32 of two rows to pairs of the nearest bfloat16."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second, pairs = arguments
        low, high = (
            builder.zext(to_half(builder, llvm.load(builder, place, llvm.row(F32))), llvm.row(I32))
            for place in (first, second)
        )
        high = builder.shl(high, llvm.constant(I32, 16, LANES))
        llvm.store(builder, builder.or_(low, high), pairs)
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 3), emit


def _add_products(vectors: int, gathered: bool = False, half: bool = False) -> Callable[..., Any]:
    """The innermost part of the functions below, for so many vectors of 16 columns."""

    @intrinsic
    def products(
        typing: Any,
        left: Any,
        row_step: Any,
        left_step: Any,
        right: Any,
        right_step: Any,
        count: Any,
        result: Any,
        result_step: Any,
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            left, row_step, left_step, right, right_step, count, result, result_step = arguments
            kind, entering = llvm.row(F32), llvm.row(I32 if half else F32)
            lines = [
                builder.add(left, builder.mul(row_step, ir.Constant(I64, n))) for n in range(TILE)
            ]
            places = [
                [
                    llvm.offset(
                        builder,
                        builder.add(result, builder.mul(result_step, ir.Constant(I64, n))),
                        4 * LANES * part,
                    )
                    for part in range(vectors)
                ]
                for n in range(TILE)
            ]
            totals = [
                [
                    cgutils.alloca_once_value(builder, llvm.load(builder, place, kind))
                    for place in line
                ]
                for line in places
            ]
            with cgutils.for_range(builder, count) as index:
                address = builder.add(right, builder.mul(index.index, right_step))
                columns = [
                    llvm.load(builder, llvm.offset(builder, address, 4 * LANES * part), entering)
                    for part in range(vectors)
                ]
                if gathered:
                    place = builder.shl(index.index, ir.Constant(I64, 3))
                    step = llvm.load(builder, builder.add(left_step, place), I64)
                else:
                    step = builder.mul(index.index, left_step)
                for line, total in zip(lines, totals, strict=True):
                    value = llvm.load(builder, builder.add(line, step), entering.element)
                    value = llvm.splat(builder, value, LANES)
                    for part, column in enumerate(columns):
                        more = _add(builder, value, column, builder.load(total[part]), half)
                        builder.store(more, total[part])
            for line, total in zip(places, totals, strict=True):
                for place, own in zip(line, total, strict=True):
                    llvm.store(builder, builder.load(own), place)
            return context.get_dummy_value()

        return types.void(*[ADDRESS] * 8), emit

    return products  # type: ignore[no-any-return]


def _by_width(**kind: bool) -> Any:
    """A function of as many vectors as are asked for."""
    one, two, three, four = (_add_products(vectors, **kind) for vectors in (1, 2, 3, 4))

    @njit
    def products(
        vectors: int,
        left: int,
        row_step: int,
        left_step: int,
        right: int,
        right_step: int,
        count: int,
        result: int,
        result_step: int,
    ) -> None:
        if not WIDE:
            for at in range(0, 4 * LANES * vectors, 4 * LANES):
                one(
                    left,
                    row_step,
                    left_step,
                    right + at,
                    right_step,
                    count,
                    result + at,
                    result_step,
                )
        elif vectors == 4:
            four(left, row_step, left_step, right, right_step, count, result, result_step)
        elif vectors == 3:
            three(left, row_step, left_step, right, right_step, count, result, result_step)
        elif vectors == 2:
            two(left, row_step, left_step, right, right_step, count, result, result_step)
        else:
            one(left, row_step, left_step, right, right_step, count, result, result_step)

    return products


add_products = _by_width()
"""result += left x right, of four rows and 16 to 64 columns.

Args:
    vectors: sixteenths of the columns.
    left: floats; from one row to the next `row_step` bytes, along a row `left_step`.
    right: floats, `right_step` bytes from one row to the next.
    count: columns of left, rows of right.
    result: floats, `result_step` bytes from one row to the next.
"""

add_gathered = _by_width(gathered=True)
"""The same, where a row of left lies anywhere: in the place of `left_step` comes the address of
int64, of each column of left from its row's address."""

add_half_products = _by_width(half=has_half_products())
"""As `add_products`, of pairs of bfloat16: of columns of left, and of rows of right."""
