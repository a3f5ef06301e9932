"""Vector instructions for convolutions of 2x2 or 3x3 results at a time in 8-bit integers.

A tile is so many results of one channel, see `winograd`. It takes cells of the map, two more along
each axis, which a linear map turns into as many values; each of them meets weights made in the same
way, and another such map turns the products into the results (Lavin and Gray 2016). Along one axis
two results are those of polynomials at 0, 1, -1 and infinity, three at 0, -1, 2, 1/2 and infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..precision import cpu_features, octet_units
from ..sizes import BLOCK, LANES, ROW, TILE
from . import llvm
from .llvm import ADDRESS, F32, I1, I8, I16, I32, I64

ROUNDED = 1.5 * 2.0**23
"""Added to a float32 of smaller magnitude, it leaves the nearest integer in the lowest bits."""

OVER_FOUR = -sum(0x4B400000 << place for place in range(0, 32, 8)) % 2**32
"""Added to four such numbers, each 8 bits above the one before, it leaves nothing but the integers;
the number is the bits of `ROUNDED`."""


PAIRS = 7
"""Sums of two products of an octet and a weight, of at most 9 as 2x2 results have them, that surely
fit into 16 bits."""


def _steps(builder: Any, start: Any, step: Any, count: int) -> list[Any]:
    return [builder.add(start, builder.mul(step, ir.Constant(I64, n))) for n in range(count)]


def _before_two(builder: Any, line: Sequence[Any]) -> list[Any]:
    """Of four cells: a - c, b + c, c - b, b - d."""
    a, b, c, d = line
    return [builder.fsub(a, c), builder.fadd(b, c), builder.fsub(c, b), builder.fsub(b, d)]


def _before_three(builder: Any, line: Sequence[Any]) -> list[Any]:
    """Of five cells: a + d - 1.5 (b + c), b + d - 2.5 c, c - b + 2 d, d - c - 2 b, and
    b + e - 1.5 (c + d)."""
    a, b, c, d, e = line

    def plus(value: Any, factor: float, other: Any) -> Any:
        constant = llvm.constant(F32, factor, value.type.count)
        return llvm.multiply_add(builder, other, constant, value)

    return [
        plus(builder.fadd(a, d), -1.5, builder.fadd(b, c)),
        plus(builder.fadd(b, d), -2.5, c),
        plus(builder.fsub(c, b), 2.0, d),
        plus(builder.fsub(d, c), -2.0, b),
        plus(builder.fadd(b, e), -1.5, builder.fadd(c, d)),
    ]


def _after_two(builder: Any, line: Sequence[Any]) -> list[Any]:
    """Of four products: a + b + c, b - c - d."""
    a, b, c, d = line
    return [
        builder.fadd(builder.fadd(a, b), c),
        builder.fsub(builder.fsub(b, c), d),
    ]


def _after_three(builder: Any, line: Sequence[Any]) -> list[Any]:
    """Of five products, with b, c and d in units of -2/9, 1/18 and -2/9: a + b + c + d,
    2 c - b + d / 2, and 4 c + b + d / 4 + e."""
    a, b, c, d, e = line

    def total(*terms: tuple[float, Any]) -> Any:
        (factor, value), *others = terms
        found = builder.fmul(value, llvm.constant(F32, factor, value.type.count))
        for factor, value in others:
            constant = llvm.constant(F32, factor, value.type.count)
            found = llvm.multiply_add(builder, value, constant, found)
        return found

    ninth = 1 / 9
    return [
        builder.fadd(a, total((-2 * ninth, builder.fadd(b, d)), (ninth / 2, c))),
        total((2 * ninth, b), (ninth, c), (-ninth, d)),
        builder.fadd(e, total((-2 * ninth, b), (2 * ninth, c), (-ninth / 2, d))),
    ]


LINES = {2: (_before_two, _after_two), 3: (_before_three, _after_three)}
"""By the results along an axis: from a line of cells to values, and from products to results."""


def _square(
    builder: Any, change: Callable[[Any, Sequence[Any]], list[Any]], values: Sequence[Any]
) -> list[Any]:
    """Changes the lines and then the columns of a square of values, given line by line."""
    side = math.isqrt(len(values))
    lines = [change(builder, values[n : n + side]) for n in range(0, len(values), side)]
    columns = [change(builder, column) for column in zip(*lines, strict=True)]
    return [value for line in zip(*columns, strict=True) for value in line]


def _spread_by(results: int) -> Any:
    """The function below, for so many results along an axis."""
    count = (results + 2) ** 2

    @intrinsic
    def spread(
        typing: Any, cells: Any, words: Any, rows: Any, scale: Any, values: Any, step: Any
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            cells, words, rows, scale, values, step = arguments
            # A narrower CPU has no registers for the cells of 16 channels.
            lanes = LANES if "avx512f" in cpu_features() else LANES // 2
            floats, conditions = llvm.vector(F32, lanes), llvm.vector(I1, lanes)
            zero = llvm.constant(F32, 0.0, lanes)
            targets = _steps(builder, values, step, count)
            addresses, masks = (
                [llvm.load(builder, llvm.offset(builder, start, 8 * n), I64) for n in range(count)]
                for start in (cells, words)
            )
            pieces = builder.mul(rows, ir.Constant(I64, LANES // lanes))
            with cgutils.for_range(builder, pieces) as index:
                far = builder.mul(index.index, ir.Constant(I64, 4 * lanes))
                near = builder.mul(index.index, ir.Constant(I64, lanes // 8))
                factor = llvm.load(builder, builder.add(scale, far), floats)
                seen = []
                for address, mask in zip(addresses, masks, strict=True):
                    word = llvm.load(builder, builder.add(mask, near), ir.IntType(lanes))
                    bits = builder.bitcast(word, conditions)
                    value = llvm.load(builder, builder.add(address, far), floats)
                    seen.append(builder.select(bits, builder.fmul(value, factor), zero))
                changed = _square(builder, LINES[results][0], seen)
                for value, target in zip(changed, targets, strict=True):
                    llvm.store(builder, value, builder.add(target, far))
            return context.get_dummy_value()

        return types.void(*[ADDRESS] * 6), emit

    return spread


spread_twos, spread_threes = _spread_by(2), _spread_by(3)
"""The values of each channel of a tile.

Args:
    cells: the addresses of the cells, float32 [16 rows] each.
    words: the addresses of their bits; cells whose bit is not set count as 0.
    rows: sixteenths of the channels.
    scale: float32 [16 rows], of each channel.
    values: float32, written; those of one kind lie together.
    step: bytes from one kind of values to the next.
"""


@intrinsic
def largest(typing: Any, values: Any, blocks: Any) -> Any:
    """The largest magnitude of so many times 64 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, blocks = arguments
        lanes = BLOCK
        found = cgutils.alloca_once_value(builder, llvm.constant(I32, 0, lanes))
        with cgutils.for_range(builder, blocks) as block:
            far = builder.mul(block.index, ir.Constant(I64, 4 * lanes))
            bits = llvm.load(builder, builder.add(values, far), llvm.vector(I32))
            magnitude = builder.and_(bits, llvm.constant(I32, 0x7FFFFFFF))
            builder.store(_larger(builder, magnitude, builder.load(found)), found)
        most = builder.load(found)
        while lanes > 1:
            lanes //= 2
            empty = ir.Constant(most.type, ir.Undefined)
            halves = [
                builder.shuffle_vector(
                    most, empty, ir.Constant(llvm.vector(I32, lanes), list(range(at, at + lanes)))
                )
                for at in (0, lanes)
            ]
            most = _larger(builder, *halves)
        return builder.bitcast(builder.extract_element(most, ir.Constant(I32, 0)), F32)

    return types.float32(ADDRESS, ADDRESS), emit


def _larger(builder: Any, one: Any, other: Any) -> Any:
    """Magnitudes as integers: they have the order of the floats, and one instruction."""
    return builder.select(builder.icmp_unsigned(">", one, other), one, other)


@intrinsic
def round_octets(typing: Any, values: Any, inverse: Any, octets: Any) -> Any:
    """octets = values inverse + 128, to the nearest, for 64 floats.

    Octet 4 n + k is of value 16 k + n: so nothing moves from lane to lane.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, inverse, octets = arguments
        factor = llvm.splat(builder, inverse, LANES)
        shifted = llvm.constant(F32, ROUNDED + 128.0, LANES)
        words = llvm.constant(I32, OVER_FOUR, LANES)
        for octet in range(4):
            value = llvm.load(builder, llvm.offset(builder, values, ROW * octet), llvm.row(F32))
            bits = builder.bitcast(
                llvm.multiply_add(builder, value, factor, shifted), llvm.row(I32)
            )
            place = llvm.constant(I32, 8 * octet, LANES)
            words = builder.add(words, builder.shl(bits, place))
        llvm.store(builder, words, octets)
        return context.get_dummy_value()

    return types.void(ADDRESS, types.float32, ADDRESS), emit


def _dot(builder: Any, total: Any, octets: Any, weights: Any) -> Any:
    """total + four unsigned octets times four signed ones, for 16 sums (all as 32-bit words)."""
    words = llvm.row(I32)
    if "avx512vnni" in octet_units(cpu_features()):
        kind = ir.FunctionType(words, [words] * 3)
        function = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.x86.avx512.vpdpbusd.512"
        )
        return builder.call(function, [total, octets, weights])
    for place in range(0, 32, 8):
        value = builder.and_(
            builder.lshr(octets, llvm.constant(I32, place, LANES)), llvm.constant(I32, 255, LANES)
        )
        weight = builder.ashr(
            builder.shl(weights, llvm.constant(I32, 24 - place, LANES)),
            llvm.constant(I32, 24, LANES),
        )
        total = builder.add(total, builder.mul(value, weight))
    return total


@intrinsic
def multiply_octets(
    typing: Any,
    sums: Any,
    octets: Any,
    room: Any,
    weights: Any,
    base: Any,
) -> Any:
    """Sums of octets times weights, for one kind of value, four tiles and 64 filters.

    Args:
        sums: int32 [4, 64], written.
        octets: uint8 [4, room].
        room: channels, a multiple of 64.
        weights: int8 [room / 4, 64, 4].
        base: int32 [64], to begin with.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = octet_units(cpu_features())[:1] == ["avx2"]
        (_sum_in_pairs if pairs else _sum_in_fours)(builder, *arguments)
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 5), emit


def _sum_in_fours(builder: Any, sums: Any, octets: Any, room: Any, weights: Any, base: Any) -> None:
    words, registers = llvm.row(I32), BLOCK // LANES
    tiles = _steps(builder, octets, room, TILE)
    first = [
        llvm.load(builder, llvm.offset(builder, base, 4 * LANES * part), words)
        for part in range(registers)
    ]
    totals = [
        [cgutils.alloca_once_value(builder, first[part]) for part in range(registers)]
        for _ in tiles
    ]
    with cgutils.for_range(builder, builder.lshr(room, ir.Constant(I64, 2))) as four:
        address = builder.add(weights, builder.shl(four.index, ir.Constant(I64, 8)))
        filters = [
            llvm.load(builder, llvm.offset(builder, address, 4 * LANES * part), words)
            for part in range(registers)
        ]
        step = builder.shl(four.index, ir.Constant(I64, 2))
        for tile, total in zip(tiles, totals, strict=True):
            seen = llvm.splat(builder, llvm.load(builder, builder.add(tile, step), I32), LANES)
            for part in range(registers):
                more = _dot(builder, builder.load(total[part]), seen, filters[part])
                builder.store(more, total[part])
    for tile, total in enumerate(totals):
        for part in range(registers):
            place = llvm.offset(builder, sums, 4 * (BLOCK * tile + LANES * part))
            llvm.store(builder, builder.load(total[part]), place)


def _sum_in_pairs(builder: Any, sums: Any, octets: Any, room: Any, weights: Any, base: Any) -> None:
    """By AVX2: pairs of products are added up in 16 bits, which hold PAIRS such sums."""
    vector, wide, words = llvm.vector(I8, 32), llvm.vector(I16, 16), llvm.vector(I32, 8)
    products, fold = (
        cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(result, [kind] * 2), f"llvm.x86.avx2.pmadd.{name}"
        )
        for name, kind, result in (("ub.sw", vector, wide), ("wd", wide, words))
    )
    tiles = _steps(builder, octets, room, TILE)
    ones, zero = llvm.constant(I16, 1, 16), llvm.constant(I16, 0, 16)
    pairs = ir.Constant(I64, PAIRS)
    fours = builder.lshr(room, ir.Constant(I64, 2))
    stretches = builder.udiv(builder.add(fours, ir.Constant(I64, PAIRS - 1)), pairs)
    totals = [[cgutils.alloca_once(builder, wide) for _ in range(2)] for _ in tiles]
    with cgutils.for_range(builder, ir.Constant(I64, BLOCK // LANES)) as part:
        far = builder.shl(part.index, ir.Constant(I64, 6))
        for place in (0, 32):
            at = llvm.offset(builder, far, place)
            start = llvm.load(builder, builder.add(base, at), words)
            for tile in range(TILE):
                address = llvm.offset(builder, builder.add(sums, at), 4 * BLOCK * tile)
                llvm.store(builder, start, address)
        with cgutils.for_range(builder, stretches) as stretch:
            first = builder.mul(stretch.index, pairs)
            left = builder.sub(fours, first)
            shorter = builder.icmp_signed("<", left, pairs)
            for total in totals:
                for own in total:
                    builder.store(zero, own)
            with cgutils.for_range(builder, builder.select(shorter, left, pairs)) as more:
                four = builder.add(first, more.index)
                line = builder.add(weights, builder.shl(four, ir.Constant(I64, 8)))
                filters = [
                    llvm.load(builder, llvm.offset(builder, builder.add(line, far), at), vector)
                    for at in (0, 32)
                ]
                step = builder.shl(four, ir.Constant(I64, 2))
                for tile, total in zip(tiles, totals, strict=True):
                    seen = llvm.load(builder, builder.add(tile, step), I32)
                    seen = builder.bitcast(llvm.splat(builder, seen, 8), vector)
                    for filter_, own in zip(filters, total, strict=True):
                        product = builder.call(products, [seen, filter_])
                        builder.store(builder.add(builder.load(own), product), own)
            for tile, total in enumerate(totals):
                for place, own in enumerate(total):
                    folded = builder.call(fold, [builder.load(own), ones])
                    at = llvm.offset(builder, far, 4 * BLOCK * tile + 32 * place)
                    address = builder.add(sums, at)
                    before = llvm.load(builder, address, words)
                    llvm.store(builder, builder.add(before, folded), address)


def _collect(builder: Any, results: int, values: Sequence[Any], target: Any) -> None:
    for index, value in enumerate(_square(builder, LINES[results][1], values)):
        llvm.store(builder, value, llvm.offset(builder, target, 4 * BLOCK * index))


def _collect_by(results: int) -> Any:
    """The function below, for so many results along an axis."""

    @intrinsic
    def collect(typing: Any, sums: Any, step: Any, units: Any, target: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums, step, units, target = arguments
            values = []
            for index, address in enumerate(_steps(builder, sums, step, (results + 2) ** 2)):
                value = builder.sitofp(llvm.load(builder, address, llvm.row(I32)), llvm.row(F32))
                unit = llvm.load(builder, llvm.offset(builder, units, 4 * index), F32)
                values.append(builder.fmul(value, llvm.splat(builder, unit, LANES)))
            _collect(builder, results, values, target)
            return context.get_dummy_value()

        return types.void(*[ADDRESS] * 4), emit

    return collect


collect_twos, collect_threes = _collect_by(2), _collect_by(3)
"""The results of a tile, for 16 filters.

Args:
    sums: int32 [16] of each kind of value.
    step: bytes from one kind to the next.
    units: float32, what a sum of 1 counts, of each kind.
    target: float32 [results, 64], of which 16 columns are written.
"""


@intrinsic
def collect_floats(typing: Any, sums: Any, step: Any, target: Any) -> Any:
    """The same, of sums in float32 that count as they are, for 2x2 results."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, step, target = arguments
        values = [
            llvm.load(builder, address, llvm.row(F32))
            for address in _steps(builder, sums, step, 16)
        ]
        _collect(builder, 2, values, target)
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 3), emit
