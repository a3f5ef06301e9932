"""Compiles the kernels for this CPU, once, and runs them on torch's own threads.

A kernel is a function of one pointer, to a record of its arguments. Several threads call it with
the same record and share its work (`sharing`). That works with any pool of threads, and here it is
the one that torch has: its OpenMP runtime is in the process already. Two pools would wait for each
other actively, and Numba's own layers want a system library or abort when two Python threads use
them.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from .first_use import tell_of_compiling
from .kernel_cache import compiled, is_kept, keep_text, kept_text
from .sharing import HEADER, LINE

_compiling = threading.Lock()

EVERY_KERNEL: list[Kernel] = []
"""All that have been defined, in that order; `compiling.every_kernel` has all defined first."""


class Kernel:
    """A function of a record, compiled when it is first called.

    Attributes:
        name: of the function.
        fields: of its record, each a 64-bit integer (numbers and addresses) or, where the name
            ends in "_real", a 64-bit float.
    """

    def __init__(self, body: Callable[..., None], fields: str) -> None:
        """Args:
        fields: their names, separated by spaces.
        """
        self.name = body.__name__
        self.fields = (*HEADER, *fields.split())
        self._body = body
        self._compiled: Any = None
        names = [(name, ctypes.c_double if _real(name) else ctypes.c_int64) for name in self.fields]
        EVERY_KERNEL.append(self)
        self._record = type(f"_{self.name}", (ctypes.Structure,), {"_fields_": names})

    def __call__(self, threads: int, **values: float) -> None:
        """Runs it to the end, on so many threads.

        Args:
            values: for every field but those of `sharing`.
        """
        function = self._compiled or self.compile()
        counters = _counters(threads)()
        arrivals = ctypes.addressof(counters)
        record = self._record(threads, seats_of(threads), arrivals, arrivals + LINE, **values)
        run_on_threads(function, ctypes.addressof(record), threads)

    def compile(self) -> Any:
        """Compiles the kernel, or loads it from the cache; returns its C function."""
        if not self.is_ready:
            tell_of_compiling()
        with _compiling:
            if self._compiled is None:
                self._kept = compiled(self._made, self.name)
                address = self._kept.address
                self._compiled = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
        return self._compiled

    def assembly(self) -> str:
        """The machine instructions that it was compiled to.

        A kernel from the cache has none to show, so it is compiled anew, and they are kept.
        """
        text = kept_text(self.name)
        if text is None:
            self.compile()
            with _compiling:
                made = self._made(False) if self._kept.cache_hits else self._kept
                text = str(made._library.get_asm_str())
            keep_text(self.name, text)
        return text

    @property
    def is_ready(self) -> bool:
        """Whether calling it takes no compiling."""
        return self._compiled is not None or is_kept(self.name)

    def _made(self, cache: bool) -> Any:
        return numba.cfunc(_signature(self.fields), cache=cache)(self._body)


@cache
def _counters(threads: int) -> Any:
    """The type of a count of arrivals and one for each thread, a cache line apart."""
    return ctypes.c_int64 * (LINE // 8 * (threads + 1))


def _real(field: str) -> bool:
    return field.endswith("_real")


def _signature(fields: Sequence[str]) -> Any:
    record = np.dtype([(name, np.float64 if _real(name) else np.int64) for name in fields])
    return numba.types.void(numba.types.CPointer(numba.from_dtype(record)))


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
