"""A kernel: compiled once for this CPU, and run on torch's own threads.

It is a function of one pointer, to a record of its arguments. Several threads call it with the same
record and share its work (`native.sharing`).
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

from .building import build
from .first_use import tell_of_compiling
from .kernel_cache import is_kept, keep, keep_text, kept, kept_text
from .machine_code import Built, load
from .notes import Note, notes
from .runtime import run_on_threads, seats_of
from .sizes import LINE

HEADER = ("threads", "seats", "arrivals", "shares")
"""The first fields of every record: how many threads there are; the address of the function that
numbers them (0: there is none); the addresses of an int64 that counts arrivals, and of one for each
thread, a cache line apart, that counts the chunks taken of its share. All counters begin at 0."""

_compiling = threading.Lock()


class Kernel:
    """A function of a record, compiled when it is first called.

    Attributes:
        module: that has the function; with a dot before it, in `native`. It is imported only to
            compile.
        name: of the function.
        fields: of its record, each a 64-bit integer (numbers and addresses) or, where the name
            ends in "_real", a 64-bit float.
    """

    def __init__(self, module: str, name: str, fields: str) -> None:
        """Args:
        fields: names separated by spaces, without those of `HEADER`.
        """
        self.name = name
        self.module = module
        self.fields = (*HEADER, *fields.split())
        self._function: Any = None
        self._built: Built | None = None
        names = [(name, ctypes.c_double if _real(name) else ctypes.c_int64) for name in self.fields]
        self._record = type(f"_{name}", (ctypes.Structure,), {"_fields_": names})

    def __call__(self, threads: int, **values: float) -> None:
        """Runs it to the end, on so many threads.

        Args:
            values: for every field but those of `HEADER`.
        """
        function = self._function or self.compile()
        counters = counters_of(threads)()
        arrivals = ctypes.addressof(counters)
        record = self._record(threads, seats_of(threads), arrivals, arrivals + LINE, **values)
        run_on_threads(function, ctypes.addressof(record), threads)
        taken = notes()
        if taken is not None:
            taken.kernels.append(Note(function, record, threads))

    def compile(self) -> Any:
        """Compiles the kernel, or loads it from the cache; returns its C function."""
        if not self.is_ready:
            tell_of_compiling()
        with _compiling:
            if self._function is None:
                address = self._loaded() or self._compiled()
                self._function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
        return self._function

    def assembly(self) -> str:
        """The machine instructions that it was compiled to.

        Only a compiler can tell, so they are kept for whoever asks next.
        """
        text = kept_text(self.name)
        if text is None:
            self.compile()
            with _compiling:
                text = (self._built or self._build()).assembly()
            keep_text(self.name, text)
        return text

    @property
    def record(self) -> list[tuple[str, str]]:
        """Names and types, in NumPy's words, of the fields."""
        return [(name, "float64" if _real(name) else "int64") for name in self.fields]

    @property
    def is_ready(self) -> bool:
        """Whether calling it takes no compiling."""
        return self._function is not None or is_kept(self.name)

    def _loaded(self) -> int | None:
        """Its address, from the cache; None if it is not there."""
        code = kept(self.name)
        try:
            return None if code is None else load(code)
        except RuntimeError:
            return None

    def _compiled(self) -> int:
        self._built = self._build()
        keep(self.name, self._built.machine_code())
        return self._built.address

    def _build(self) -> Built:
        return build(self.module, self.name, self.record)


@cache
def counters_of(threads: int) -> Any:
    """The type of a count of arrivals and one for each thread, a cache line apart."""
    return ctypes.c_int64 * (LINE // 8 * (threads + 1))


def _real(field: str) -> bool:
    return field.endswith("_real")
