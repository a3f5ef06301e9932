"""How the threads of a kernel share its work.

Every thread has a seat, the same one in every kernel, and begins with its own share of the chunks:
what it wrote in one kernel it reads in the next, from its own cache. Whoever has finished helps the
others, so that a thread that is held up holds up nobody. No result may depend on who takes a chunk.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from ..sizes import LINE
from . import simd


@njit
def take_seat(record: Any) -> int:
    """The number of the calling thread, from 0; to be asked for once in a call.

    Args:
        record: of the kernel.
    """
    if record.seats != 0:
        return int(simd.thread_number(record.seats))
    return int(simd.raise_count(record.arrivals))


@njit
def next_chunk(record: Any, seat: int, chunks: int) -> int:
    """A chunk that nobody has taken, the thread's own share first; -1 if there is none.

    Args:
        record: of the kernel.
        chunks: how many there are; neighbours are taken one after the other.
    """
    threads = record.threads
    for turn in range(threads):
        owner = (seat + turn) % threads
        first, last = chunks * owner // threads, chunks * (owner + 1) // threads
        chunk = first + simd.raise_count(record.shares + LINE * owner)
        if chunk < last:
            return int(chunk)
    return -1
