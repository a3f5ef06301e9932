"""The threads that kernels run on: torch's own.

Its OpenMP runtime is in the process already. Two pools would wait for each other actively, and
Numba's own layers want a system library or abort when two Python threads use them.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch


@cache
def openmp() -> Any:
    """The entry of torch's OpenMP runtime that runs a function on several threads, or None."""
    found = _openmp()
    return None if found is None else found[1].GOMP_parallel


@cache
def _thread_numbers() -> int:
    """The address of that runtime's function which numbers its threads; 0 if there is none."""
    found = _openmp()
    if found is None:
        return 0
    return ctypes.cast(found[1].omp_get_thread_num, ctypes.c_void_p).value or 0


def seats_of(threads: int) -> int:
    """The address of the function that numbers so many threads; 0: they count themselves."""
    return 0 if threads <= 1 or openmp() is None else _thread_numbers()


def openmp_library() -> str | None:
    """The path of that runtime, or None."""
    found = _openmp()
    return None if found is None else found[0]


@cache
def _openmp() -> tuple[str, Any] | None:
    for path in _openmp_libraries():
        try:
            library = ctypes.CDLL(path, mode=getattr(os, "RTLD_NOLOAD", 0))
            entry, _ = library.GOMP_parallel, library.omp_get_thread_num
        except (OSError, AttributeError):
            continue
        entry.restype = None
        entry.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        return path, library
    return None


def _openmp_libraries() -> list[str]:
    """OpenMP runtimes that this process has loaded, torch's first."""
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[5] for line in maps if line.count("/") > 1}
    names = ("libgomp", "libiomp5", "libomp")
    found = [path for path in paths if Path(path).name.startswith(names)]
    home = str(Path(torch.__file__).parent)
    return sorted(found, key=lambda path: (not path.startswith(home), path))


def threading_layer() -> str:
    """Who runs the kernels' threads, for people to read."""
    return "torch's OpenMP threads" if openmp() is not None else "threads of Python"


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="bitbrush")


def run_on_threads(function: Any, record: int, threads: int) -> None:
    """Calls a C function with a record's address on so many threads at once, and waits."""
    if threads <= 1:
        function(record)
        return
    entry = openmp()
    if entry is not None:
        entry(function, record, threads, 0)
        return
    others = [_pool(threads - 1).submit(function, record) for _ in range(threads - 1)]
    function(record)
    _wait(others)


def _wait(others: Sequence[Future[None]]) -> None:
    """Waits for all of them even if it is interrupted: they write to memory of the caller's."""
    interruption: KeyboardInterrupt | None = None
    for other in others:
        while not other.cancel():
            try:
                other.result()
                break
            except KeyboardInterrupt as error:
                interruption = error
    if interruption is not None:
        raise interruption
