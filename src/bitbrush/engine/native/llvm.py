"""Short words for building LLVM's instructions.

Addresses are integers; vectors need not be aligned.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..sizes import BLOCK, LANES

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32 = ir.FloatType()
ADDRESS, COUNT = types.intp, types.intp


def vector(kind: Any, lanes: int = BLOCK) -> Any:
    return ir.VectorType(kind, lanes)


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def load(builder: Any, address: Any, kind: Any) -> Any:
    scalar = kind.element if isinstance(kind, ir.VectorType) else kind
    align = scalar.width // 8 if isinstance(scalar, ir.IntType) else 4
    return builder.load(pointer(builder, address, kind), align=align)


def store(builder: Any, value: Any, address: Any) -> None:
    kind = value.type
    scalar = kind.element if isinstance(kind, ir.VectorType) else kind
    align = scalar.width // 8 if isinstance(scalar, ir.IntType) else 4
    builder.store(value, pointer(builder, address, kind), align=align)


def splat(builder: Any, value: Any, lanes: int = BLOCK) -> Any:
    empty = ir.Constant(vector(value.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(vector(I32, lanes), [0] * lanes))


def constant(kind: Any, value: Any, lanes: int = BLOCK) -> Any:
    return ir.Constant(vector(kind, lanes), [value] * lanes)


def offset(builder: Any, address: Any, count: int) -> Any:
    return builder.add(address, ir.Constant(I64, count))


def row(kind: Any) -> Any:
    return vector(kind, LANES)


def multiply_add(builder: Any, one: Any, other: Any, more: Any) -> Any:
    """one other + more, rounded once, for vectors of float32."""
    kind = more.type
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{kind.count}f32"
    )
    return builder.call(function, [one, other, more])


def wide(builder: Any, halves: Any) -> Any:
    """bfloat16 (as integers of 16 bits) to float32."""
    lanes = halves.type.count
    bits = builder.shl(builder.zext(halves, vector(I32, lanes)), constant(I32, 16, lanes))
    return builder.bitcast(bits, vector(F32, lanes))


def narrow(builder: Any, value: Any) -> Any:
    """float32 to bfloat16, to the nearest, ties to even."""
    lanes = value.type.count
    bits = builder.bitcast(value, vector(I32, lanes))
    sixteen = constant(I32, 16, lanes)
    odd = builder.and_(builder.lshr(bits, sixteen), constant(I32, 1, lanes))
    rounded = builder.add(bits, builder.add(odd, constant(I32, 0x7FFF, lanes)))
    return builder.trunc(builder.lshr(rounded, sixteen), vector(I16, lanes))


def dot(builder: Any, sums: Any, base: Any, products: bool) -> Any:
    """base + sums, of products; or, of differing bits, base - 2 sums: each counts -1 for +1.

    Args:
        sums, base: int32 [64].
    """
    if products:
        return builder.add(base, sums)
    return builder.sub(base, builder.shl(sums, constant(I32, 1)))


def magnitude(builder: Any, value: Any) -> Any:
    """Of 64 floats."""
    bits = builder.bitcast(value, vector(I32))
    return builder.bitcast(builder.and_(bits, constant(I32, 0x7FFFFFFF)), vector(F32))
