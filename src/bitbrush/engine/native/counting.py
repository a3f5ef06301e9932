"""Counting the bits in which windows and filters differ, the innermost part of a convolution.

Some CPUs count the bits of every 32-bit word of a vector. Elsewhere bits are counted byte by byte:
by an instruction for that, or, on x86, without counting. There half a byte of a filter chooses one
of 16 numbers in a register: of the bits in which each possible half of a byte differs from half a
byte of the window.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..arranging import counts_words
from ..precision import cpu_features
from ..sizes import BLOCK, LANES, TILE
from . import llvm
from .llvm import ADDRESS, I8, I32, I64

REGISTER = 32
"""Bytes that are counted together: a register, or two."""

LONGEST = 7
"""Words after which counts in bytes are added up elsewhere: 8 more would not fit into a byte."""

ENTRY = 32
"""Bytes of the table for each byte of a window: 16 for its lower half, 16 for its upper half."""


@intrinsic
def differing_bits(
    typing: Any,
    sums: Any,
    pixel0: Any,
    pixel1: Any,
    pixel2: Any,
    pixel3: Any,
    rows: Any,
    row_bytes: Any,
    run: Any,
    weights: Any,
) -> Any:
    """Counts, for four pixels and 64 filters, the bits in which window and filter differ.

    Args:
        sums: int32 [4, 64], written.
        pixel0 … pixel3: the first word under each pixel's window.
        rows: of the window.
        row_bytes: from one row of the packed map to the next.
        run: 32-bit words in a row of the window.
        weights: uint32 [rows x run, 64], `arranged`.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, *pixels, rows, row_bytes, run, weights = arguments
        count = _count_words if counts_words() else _count_octets
        count(builder, sums, pixels, rows, row_bytes, run, weights)
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 9), emit


def _count_words(
    builder: Any, sums: Any, pixels: Any, rows: Any, row_bytes: Any, run: Any, weights: Any
) -> None:
    vector, registers = llvm.row(I32), BLOCK // LANES
    count_bits = _bit_counter(builder, vector, f"v{LANES}i32")
    zero = llvm.constant(I32, 0, LANES)
    totals = [[cgutils.alloca_once_value(builder, zero) for _ in range(registers)] for _ in pixels]
    with cgutils.for_range(builder, rows) as row:
        below = builder.mul(row.index, row_bytes)
        starts = [builder.add(pixel, below) for pixel in pixels]
        first = builder.mul(row.index, run)
        with cgutils.for_range(builder, run) as word:
            address = _line(builder, weights, builder.add(first, word.index))
            filters = [
                llvm.load(builder, llvm.offset(builder, address, 4 * LANES * part), vector)
                for part in range(registers)
            ]
            step = builder.shl(word.index, ir.Constant(I64, 2))
            for start, total in zip(starts, totals, strict=True):
                seen = llvm.load(builder, builder.add(start, step), I32)
                seen = llvm.splat(builder, seen, LANES)
                for part in range(registers):
                    bits = builder.call(count_bits, [builder.xor(seen, filters[part])])
                    builder.store(builder.add(builder.load(total[part]), bits), total[part])
    for pixel, total in enumerate(totals):
        for part in range(registers):
            place = llvm.offset(builder, sums, 4 * (BLOCK * pixel + LANES * part))
            llvm.store(builder, builder.load(total[part]), place)


def _count_octets(
    builder: Any, sums: Any, pixels: Any, rows: Any, row_bytes: Any, run: Any, weights: Any
) -> None:
    chosen = "avx2" in cpu_features()
    differing = _chosen_from_table if chosen else _counted
    vector, registers = llvm.vector(I8, REGISTER), BLOCK // REGISTER
    zero, none = llvm.constant(I8, 0, REGISTER), llvm.constant(I32, 0)
    totals = [[cgutils.alloca_once(builder, vector) for _ in range(registers)] for _ in range(TILE)]
    for pixel in range(TILE):
        llvm.store(builder, none, llvm.offset(builder, sums, 4 * BLOCK * pixel))
    longest = ir.Constant(I64, LONGEST)
    stretches = builder.udiv(builder.add(run, ir.Constant(I64, LONGEST - 1)), longest)
    with cgutils.for_range(builder, rows) as row:
        below = builder.mul(row.index, row_bytes)
        starts = [builder.add(pixel, below) for pixel in pixels]
        line = builder.mul(row.index, run)
        with cgutils.for_range(builder, stretches) as stretch:
            first = builder.mul(stretch.index, longest)
            left = builder.sub(run, first)
            shorter = builder.icmp_signed("<", left, longest)
            for total in totals:
                for own in total:
                    builder.store(zero, own)
            count = builder.shl(builder.select(shorter, left, longest), ir.Constant(I64, 2))
            words = builder.shl(first, ir.Constant(I64, 2))
            seen = [builder.add(start, words) for start in starts]
            lines = _line(builder, weights, builder.add(line, first))
            with cgutils.for_range(builder, count) as octet:
                place = builder.add(lines, builder.shl(octet.index, ir.Constant(I64, 6)))
                filters = [
                    llvm.load(builder, llvm.offset(builder, place, REGISTER * part), vector)
                    for part in range(registers)
                ]
                octets = [llvm.load(builder, builder.add(pixel, octet.index), I8) for pixel in seen]
                for own, counts in zip(totals, differing(builder, octets, filters), strict=True):
                    for total, count in zip(own, counts, strict=True):
                        builder.store(builder.add(builder.load(total), count), total)
            for pixel, total in enumerate(totals):
                for part, own in enumerate(total):
                    place = llvm.offset(builder, sums, 4 * (BLOCK * pixel + REGISTER * part))
                    more = builder.zext(builder.load(own), llvm.vector(I32, REGISTER))
                    before = llvm.load(builder, place, llvm.vector(I32, REGISTER))
                    llvm.store(builder, builder.add(before, more), place)


def _counted(builder: Any, octets: list[Any], filters: list[Any]) -> list[list[Any]]:
    """How many bits of each byte of the filters differ from each of the four bytes."""
    count_bits = _bit_counter(builder, llvm.vector(I8, REGISTER), f"v{REGISTER}i8")
    seen = [llvm.splat(builder, octet, REGISTER) for octet in octets]
    return [
        [builder.call(count_bits, [builder.xor(each, filter_)]) for filter_ in filters]
        for each in seen
    ]


def _chosen_from_table(builder: Any, octets: list[Any], filters: list[Any]) -> list[list[Any]]:
    """The same, where bytes of a register choose among 16."""
    vector = llvm.vector(I8, REGISTER)
    kind = ir.FunctionType(vector, [vector] * 2)
    choose = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.pshuf.b")
    table = builder.ptrtoint(cgutils.global_constant(builder, "differing", _table()), I64)
    low, four = llvm.constant(I8, 15, REGISTER), llvm.constant(I8, 4, REGISTER)
    halves = [(builder.and_(each, low), builder.lshr(each, four)) for each in filters]
    results = []
    for octet in octets:
        entry = builder.shl(builder.zext(octet, I64), ir.Constant(I64, ENTRY.bit_length() - 1))
        entry = builder.add(table, entry)
        lower, upper = (_twice(builder, llvm.offset(builder, entry, at)) for at in (0, 16))
        results.append(
            [
                builder.add(
                    builder.call(choose, [lower, one]), builder.call(choose, [upper, other])
                )
                for one, other in halves
            ]
        )
    return results


def _twice(builder: Any, address: Any) -> Any:
    """16 bytes, two times."""
    half = llvm.load(builder, address, llvm.vector(I8, 16))
    order = ir.Constant(llvm.vector(I32, REGISTER), [*range(16)] * 2)
    return builder.shuffle_vector(half, ir.Constant(half.type, ir.Undefined), order)


def _table() -> Any:
    entries = [
        (half ^ other).bit_count()
        for octet in range(256)
        for half in (octet & 15, octet >> 4)
        for other in range(16)
    ]
    return ir.Constant(ir.ArrayType(I8, len(entries)), bytearray(entries))


def _bit_counter(builder: Any, vector: Any, name: str) -> Any:
    kind = ir.FunctionType(vector, [vector])
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.{name}")


def _line(builder: Any, weights: Any, index: Any) -> Any:
    """Where a word of 64 filters begins."""
    return builder.add(weights, builder.shl(index, ir.Constant(I64, 8)))
