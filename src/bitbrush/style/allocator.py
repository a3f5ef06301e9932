"""Memory that is freed goes back to the system, where the C library can be told so."""

from __future__ import annotations

import ctypes

MAPPED = 2**21
"""Bytes from which on a block is mapped by itself, and unmapped when it is freed."""

_M_MMAP_THRESHOLD = -3


def return_freed_memory() -> None:
    """Has glibc give back large blocks as soon as they are freed; elsewhere nothing happens.

    By itself it raises the limit to 32 MiB as blocks come and go, keeps smaller ones in a heap
    that never shrinks, and so holds hundreds of megabytes that no tensor uses.
    """
    _tell_glibc("mallopt", _M_MMAP_THRESHOLD, MAPPED)
    trim()


def trim() -> None:
    """Has glibc give back what is free now, and only now: sizes are about to change."""
    _tell_glibc("malloc_trim", 0)


def _tell_glibc(function: str, *values: int) -> None:
    try:
        getattr(ctypes.CDLL(None), function)(*values)
    except (OSError, AttributeError, TypeError):
        return  # another C library, or none that can be loaded
