"""Vector instructions for positions around one that is taken away from all."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..sizes import BLOCK, LANES, ROW
from . import llvm
from .llvm import ADDRESS, COUNT, F32, I64


@intrinsic
def centre(typing: Any, source: Any, shift: Any, target: Any, rows: Any) -> Any:
    """target = source - shift, for so many times 16 floats."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *places, target, rows = arguments
        with cgutils.for_range(builder, rows) as row:
            far = builder.mul(row.index, ir.Constant(I64, ROW))
            values = [
                llvm.load(builder, builder.add(place, far), llvm.row(F32)) for place in places
            ]
            llvm.store(builder, builder.fsub(*values), builder.add(target, far))
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, ADDRESS, COUNT), emit


@intrinsic
def add_up(typing: Any, total: Any, values: Any, step: Any, count: Any) -> Any:
    """total += values, of 64 floats, so many of which lie `step` bytes apart."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, values, step, count = arguments
        places = [4 * LANES * part for part in range(BLOCK // LANES)]
        sums = [
            cgutils.alloca_once_value(
                builder, llvm.load(builder, llvm.offset(builder, total, place), llvm.row(F32))
            )
            for place in places
        ]
        with cgutils.for_range(builder, count) as index:
            line = builder.add(values, builder.mul(index.index, step))
            for own, place in zip(sums, places, strict=True):
                value = llvm.load(builder, llvm.offset(builder, line, place), llvm.row(F32))
                builder.store(builder.fadd(builder.load(own), value), own)
        for own, place in zip(sums, places, strict=True):
            llvm.store(builder, builder.load(own), llvm.offset(builder, total, place))
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS, COUNT, COUNT), emit
