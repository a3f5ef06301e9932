"""Kernels that were noted, run again in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from .kernel import counters_of
from .kernels import IN_TURN
from .notes import Note
from .runtime import openmp
from .sizes import LINE


def can_play(threads: int) -> bool:
    """Whether kernels on so many threads can be run that way."""
    return threads == 1 or openmp() is not None


class Tape:
    """Kernels in their order.

    Args:
        kernels: on the same number of threads, `can_play`.
    """

    def __init__(self, kernels: Sequence[Note]) -> None:
        (team,) = {kernel.threads for kernel in kernels}
        count, size = len(kernels), ctypes.sizeof(counters_of(team))
        self._kernels = tuple(kernels)
        records = [kernel.record for kernel in kernels]
        self._of_pictures = [record for record in records if hasattr(record, "picture")]
        self._counters = (ctypes.c_char * (size * count))()
        start = ctypes.addressof(self._counters)
        for index, kernel in enumerate(kernels):
            kernel.record.arrivals = start + size * index
            kernel.record.shares = start + size * index + LINE
        words = ctypes.c_int64 * count
        self._functions = words(*[_address(kernel.function) for kernel in kernels])
        self._records = words(*[ctypes.addressof(kernel.record) for kernel in kernels])
        self._arguments = {
            "count": count,
            "functions": ctypes.addressof(self._functions),
            "records": ctypes.addressof(self._records),
            "entry": 0 if team == 1 else _address(openmp()),
            "team": team,
        }

    @property
    def looks_at(self) -> set[int]:
        """The addresses of pictures that kernels read, or of gradients to them that they write."""
        return {record.picture for record in self._of_pictures}

    def show(self, picture: int) -> None:
        """Has these kernels look at this address."""
        for record in self._of_pictures:
            record.picture = picture

    def play(self) -> None:
        """Runs them; not by two Python threads at once."""
        ctypes.memset(self._counters, 0, ctypes.sizeof(self._counters))
        IN_TURN(1, **self._arguments)


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]
