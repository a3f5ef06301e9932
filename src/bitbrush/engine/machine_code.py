"""Machine code of a kernel: how Numba makes it, how it is kept as bytes, and how it is loaded.

Loading takes llvmlite alone, and a millisecond. Importing Numba for that would take a second and
65 MB, as it brings its whole compiler along.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding

_MAGIC = b"bitbrush kernel 1"

_FAILURES = (
    *("numba_do_raise", "numba_gil_ensure", "numba_gil_release", "numba_unpickle"),
    *("numba_runtime_build_excinfo_struct", "NRT_Free", "NRT_MemInfo_call_dtor"),
    *("PyBytes_FromStringAndSize", "PyErr_Clear", "PyErr_SetNone", "PyErr_SetString"),
    *("PyErr_WriteUnraisable", "PyUnicode_FromString", "Py_DecRef"),
    *("PyExc_RuntimeError", "PyExc_StopIteration", "PyExc_SystemError"),
)
"""What Numba's code refers to where a Python function would raise an error. No kernel does."""


@dataclass(frozen=True)
class MachineCode:
    """A compiled kernel.

    Attributes:
        symbol: the name of its C function in the object file.
        object_file: for this CPU.
    """

    symbol: str
    object_file: bytes

    def to_bytes(self) -> bytes:
        """What `from_bytes` reads."""
        content = self.symbol.encode() + b"\n" + self.object_file
        return b"\n".join([_MAGIC, hashlib.sha256(content).hexdigest().encode(), content])

    @classmethod
    def from_bytes(cls, data: bytes) -> MachineCode | None:
        """None: damaged, or something else."""
        magic, _, rest = data.partition(b"\n")
        digest, _, content = rest.partition(b"\n")
        if magic != _MAGIC or hashlib.sha256(content).hexdigest().encode() != digest:
            return None
        symbol, _, object_file = content.partition(b"\n")
        return cls(symbol.decode(), object_file)


class Built:
    """What Numba made of a function.

    Attributes:
        address: of its C function, in this process.
    """

    def __init__(self, function: Callable[..., None], fields: Sequence[tuple[str, str]]) -> None:
        """Args:
        function: of a pointer to a record.
        fields: the record's, as names and types of NumPy.
        """
        import numba

        record = numba.from_dtype(np.dtype(list(fields)))
        with _uncollected():
            # Held as long as the address may be called.
            self._made: Any = numba.cfunc(numba.types.void(numba.types.CPointer(record)))(function)
        self.address = int(self._made.address)

    def machine_code(self) -> MachineCode:
        """The same, for other processes."""
        _, _, (object_file, *_) = self._made._library.serialize_using_object_code()
        return MachineCode(self._made.native_name, object_file)

    def assembly(self) -> str:
        """The same, for people to read."""
        return str(self._made._library.get_asm_str())


def load(code: MachineCode) -> int:
    """The address of the kernel's C function.

    Raises:
        RuntimeError: this is no object file for this CPU.
    """
    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code.object_file))
    engine.finalize_object()
    address = int(engine.get_function_address(code.symbol))
    if not address:
        raise RuntimeError(f"{code.symbol} is not in its object file")
    return address


@cache
def _engine() -> Any:
    """Where object files are loaded; they stay as long as it does."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    # Known to this engine alone: Numba, should the process import it, has its own.
    address = ctypes.cast(_give_up, ctypes.c_void_p).value
    call = f"call void inttoptr (i64 {address} to ptr)() unreachable"
    failures = "\n".join(f'define void @"{name}"() {{ {call} }}' for name in _FAILURES)
    return binding.create_mcjit_compiler(binding.parse_assembly(failures), machine)


@ctypes.CFUNCTYPE(None)
def _give_up() -> None:
    print("bitbrush: a kernel has failed", file=sys.stderr, flush=True)
    os.abort()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles, a tenth of a compiler's time that finds next to nothing."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
