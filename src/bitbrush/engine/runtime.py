"""Compiles the kernels for this CPU, once, and runs them on torch's own threads.

A kernel is a function of one pointer, to a record of its arguments. Several threads call it with
the same record; each takes the next chunk from a counter in it until none is left. That works with
any pool of threads, and here it is the one that torch has: its OpenMP runtime is in the process
already. Two pools would wait for each other actively, and Numba's own layers want a system library
or abort when two Python threads use them.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs
import torch
from filelock import FileLock, Timeout
from llvmlite import binding

COUNTER = ("counter", "counter_address")
"""The first fields of every record: where threads take their next chunk, and its address."""

WAIT = 60.0
"""Seconds to wait for another process that compiles the same kernels."""

_compiling = threading.Lock()


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
        self.fields = (*COUNTER, *fields.split())
        self._body = body
        self._compiled: Any = None
        names = [(name, ctypes.c_double if _real(name) else ctypes.c_int64) for name in self.fields]
        self._record = type(f"_{self.name}", (ctypes.Structure,), {"_fields_": names})

    def __call__(self, threads: int, **values: float) -> None:
        """Runs it to the end, on so many threads.

        Args:
            values: for every field but the counter.
        """
        function = self._compiled or self.compile()
        record = self._record(**values)
        address = record.counter_address = ctypes.addressof(record)
        run_on_threads(function, address, threads)

    def compile(self) -> Any:
        """Compiles the kernel, or loads it from the cache; returns its C function."""
        with _compiling:
            if self._compiled is None:
                self._kept = _compiled(self._body, self.fields)
                address = self._kept.address
                self._compiled = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
        return self._compiled

    def assembly(self) -> str:
        """The machine instructions that it was compiled to.

        A kernel from the cache has none to show, so this compiles anew.
        """
        with _compiling:
            made = numba.cfunc(_signature(self.fields))(self._body)
            return str(made._library.get_asm_str())


def _real(field: str) -> bool:
    return field.endswith("_real")


def _signature(fields: Sequence[str]) -> Any:
    record = np.dtype([(name, np.float64 if _real(name) else np.int64) for name in fields])
    return numba.types.void(numba.types.CPointer(numba.from_dtype(record)))


def _compiled(body: Callable[..., None], fields: Sequence[str]) -> Any:
    folder = cache_folder()
    if folder is None:
        return numba.cfunc(_signature(fields))(body)
    try:
        with FileLock(folder / "lock", timeout=WAIT), _numba_caches_in(folder):
            return numba.cfunc(_signature(fields), cache=True)(body)
    except (OSError, Timeout):
        return numba.cfunc(_signature(fields))(body)


@contextmanager
def _numba_caches_in(folder: Path) -> Iterator[None]:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels are kept for this CPU and these sources, or None: nowhere.

    What lies there is loaded as code, so nobody else may be able to write to it.
    """
    folder = Path(platformdirs.user_cache_dir("bitbrush")) / "kernels" / _identity()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in (folder, folder.parent):
            facts = place.stat()
            if hasattr(os, "getuid") and facts.st_uid != os.getuid():
                return None
            if facts.st_mode & 0o022:
                place.chmod(0o700)
        with open(folder / "lock", "a"):
            pass
    except OSError:
        return None
    return folder


def _identity() -> str:
    """A name for everything that compiled kernels depend on: CPU, compiler, sources."""
    digest = hashlib.sha256()
    features = binding.get_host_cpu_features().flatten()
    facts = (numba.__version__, binding.llvm_version_info, binding.get_host_cpu_name(), features)
    digest.update(repr((*facts, sys.version_info[:2])).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@cache
def openmp() -> Any:
    """The entry of torch's OpenMP runtime that runs a function on several threads, or None."""
    for path in _openmp_libraries():
        try:
            library = ctypes.CDLL(path, mode=getattr(os, "RTLD_NOLOAD", 0))
            entry = library.GOMP_parallel
        except (OSError, AttributeError):
            continue
        entry.restype = None
        entry.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        return entry
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
    for other in others:
        other.result()
