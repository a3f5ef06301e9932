"""Small dense algebra on one thread.

LAPACK parts an eigenvalue problem in hundreds of steps, after each of which its threads meet. Where
another program has one of the cores, each meeting waits until the system gives that core back, some
milliseconds: 120 eigenvalues then take 0.4 s on two threads, and 1.3 ms on one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch


@contextmanager
def on_one_thread() -> Iterator[None]:
    """MKL computes on the calling thread alone inside, as before outside.

    No other thread of the process is concerned, and torch's own count stays what it is. Where
    torch was built with another library, nothing changes.
    """
    limit = _limit()
    if limit is None:
        yield
        return
    torch.get_num_threads()  # A thread's first use of torch would take MKL's count for its own.
    before = limit(1)
    try:
        yield
    finally:
        limit(before)


@cache
def _limit() -> Any:
    """MKL's function that takes this thread's count, 0 for the usual, and returns the last one."""
    folder = Path(torch.__file__).parent / "lib"
    for path in (*folder.glob("libtorch_cpu.*"), *folder.glob("torch_cpu.dll")):
        try:
            found = ctypes.CDLL(str(path)).MKL_Set_Num_Threads_Local
        except (OSError, AttributeError):
            continue
        found.argtypes, found.restype = (ctypes.c_int,), ctypes.c_int
        return found
    return None
