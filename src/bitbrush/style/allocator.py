"""Memory that is freed goes back to the system, where the C library can be told so."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

MAPPED = 2**21
"""Bytes from which on a block is mapped by itself, and unmapped when it is freed."""

_M_MMAP_THRESHOLD = -3


def return_freed_memory() -> None:
    """Has glibc give back large blocks as soon as they are freed; elsewhere nothing happens.

    By itself it raises the limit to 32 MiB as blocks come and go, keeps smaller ones in a heap
    that never shrinks, and so holds hundreds of megabytes that no tensor uses.
    """
    with _glibc() as library:
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED)
        library.malloc_trim(0)


def trim() -> None:
    """Has glibc give back what is free now, and only now: sizes are about to change."""
    with _glibc() as library:
        library.malloc_trim(0)


@contextmanager
def _glibc() -> Iterator[Any]:
    # Another C library lacks these functions; some systems have none to load.
    with suppress(OSError, AttributeError, TypeError):
        yield ctypes.CDLL(None)
