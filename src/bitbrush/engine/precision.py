"""What the gradient to the image is computed in, chosen by what the CPU has."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Literal

from llvmlite import binding

from ..choices import PRECISIONS
from ..errors import unknown_name

Precision = Literal["float32", "bf16", "int8", "low-bit"]

ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA = 158, 0x1023, 18
"""Of Linux on x86-64: a system call, one of its codes, and the registers that it is about."""

LOW_BITS = 5
"""Bit planes of a low-bit gradient: one for the sign, four for the magnitude."""


@cache
def cpu_features() -> frozenset[str]:
    """What kernels may use of the CPU, in LLVM's names, such as avx512vpopcntdq.

    Less than all, where Numba is told so: `NUMBA_CPU_FEATURES=+avx,+avx2`.
    """
    told = os.environ.get("NUMBA_CPU_FEATURES")
    if told is not None:
        return frozenset(name[1:] for name in told.split(",") if name.startswith("+"))
    features = binding.get_host_cpu_features()
    return frozenset(name for name, there in features.items() if there)


def octet_units(features: frozenset[str]) -> list[str]:
    """What a CPU multiplies and adds up 8-bit integers with, the fastest first."""
    return [name for name in ("avx512vnni", "avx2") if name in features]


def best_precision() -> Precision:
    """The fastest that the CPU has units for. Decided by flags, never by timing."""
    if has_tiles():
        return "bf16"
    return "int8" if octet_units(cpu_features()) else without_octets("int8")


def without_octets(precision: Precision) -> Precision:
    """The same, or what layers that int8 has no kernel for take in its place."""
    if precision != "int8":
        return precision
    return "bf16" if has_half_units() else "float32"


@cache
def has_tiles() -> bool:
    """Whether this process may multiply matrices in bfloat16 (AMX)."""
    return "amx-bf16" in cpu_features() and _tiles_are_allowed()


@cache
def has_sign_tiles() -> bool:
    """Whether this process may multiply matrices of 8-bit integers, too."""
    return "amx-int8" in cpu_features() and has_tiles()


def _tiles_are_allowed() -> bool:
    """Asks the system for the registers, which Linux gives a process that does."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return int(ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA)) == 0
    except (OSError, AttributeError):
        return False


def has_half_units() -> bool:
    """Whether the CPU multiplies in bfloat16."""
    return bool(cpu_features() & {"amx-bf16", "avx512bf16"})


def has_half_products() -> bool:
    """Whether the CPU multiplies pairs of bfloat16 and adds them up in float32."""
    return "avx512bf16" in cpu_features()


def resolve_precision(name: str) -> Precision:
    """What a name from PRECISIONS means on this machine.

    Raises:
        InputError: another name.
    """
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS)
    return best_precision() if name == "auto" else name  # type: ignore[return-value]
