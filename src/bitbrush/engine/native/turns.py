"""Kernels that run one after the other, without Python between them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from . import simd
from .llvm import ADDRESS, I8, I32


@intrinsic
def _run(typing: Any, function: Any, record: Any) -> Any:
    """Calls a kernel's function with its record."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function, record = arguments
        pointer = I8.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer])
        builder.call(
            builder.inttoptr(function, kind.as_pointer()), [builder.inttoptr(record, pointer)]
        )
        return context.get_dummy_value()

    return types.void(ADDRESS, ADDRESS), emit


@intrinsic
def _run_on_threads(typing: Any, entry: Any, function: Any, record: Any, threads: Any) -> Any:
    """Calls OpenMP's `void (void function(void *), void *record, unsigned threads, unsigned)`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        entry, function, record, threads = arguments
        pointer = I8.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, I32, I32])
        builder.call(
            builder.inttoptr(entry, kind.as_pointer()),
            [
                builder.inttoptr(function, pointer),
                builder.inttoptr(record, pointer),
                builder.trunc(threads, I32),
                ir.Constant(I32, 0),
            ],
        )
        return context.get_dummy_value()

    return types.void(*[ADDRESS] * 4), emit


def in_turn(arguments: Any) -> None:
    """Runs kernels whose functions and records are at the addresses in two lists.

    On `team` threads; with none of OpenMP's (`entry` 0) on the caller's.
    """
    record = carray(arguments, 1)[0]
    for index in range(record.count):
        function = simd.load_word(record.functions + 8 * index)
        own = simd.load_word(record.records + 8 * index)
        if record.entry == 0:
            _run(function, own)
        else:
            _run_on_threads(record.entry, function, own, record.team)
