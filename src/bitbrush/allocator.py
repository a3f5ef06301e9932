"""Whether memory that is freed goes back to the system, where the C library can be told."""

from __future__ import annotations

import ctypes

MAPPED = 2**21
"""Bytes from which on a block is mapped by itself, and unmapped when it is freed."""

MAPS = 2**16
"""Most such blocks, as in the beginning."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4

AT_ONCE = 2**26
"""Bytes by which memory grows, where it is kept."""


def return_freed_memory() -> None:
    """Has glibc give back large blocks as soon as they are freed; elsewhere nothing happens.

    By itself it raises the limit to 32 MiB as blocks come and go, keeps smaller ones in a heap
    that never shrinks, and so holds hundreds of megabytes that no tensor uses.
    """
    _tell_glibc("mallopt", _M_MMAP_MAX, MAPS)
    _tell_glibc("mallopt", _M_MMAP_THRESHOLD, MAPPED)
    trim()


def keep_freed_memory() -> None:
    """Has glibc keep what is freed for what comes next, for the rest of the process.

    A step of training needs the same memory as the one before; to get large blocks from the system
    each time, page by page, takes a tenth of it and more.
    """
    _tell_glibc("mallopt", _M_MMAP_MAX, 0)
    _tell_glibc("mallopt", _M_TRIM_THRESHOLD, 2**31 - 1)
    _tell_glibc("mallopt", _M_TOP_PAD, AT_ONCE)


def trim() -> None:
    """Has glibc give back what is free now, and only now: sizes are about to change."""
    _tell_glibc("malloc_trim", 0)


def _tell_glibc(function: str, *values: int) -> None:
    try:
        getattr(ctypes.CDLL(None), function)(*values)
    except (OSError, AttributeError, TypeError):
        return  # another C library, or none that can be loaded
