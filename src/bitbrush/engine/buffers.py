"""Memory for maps, which is used again.

A step needs the same maps as the one before. To get fresh memory from the system for each, page by
page and cleared, takes longer than many a kernel. So maps lie in one arena, each at the lowest
place that is free, and what they leave behind is there for the next ones, in large pages where the
system has them.
"""

from __future__ import annotations

import bisect
import contextlib
import math
import mmap
import os
import sys
import threading
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .notes import notes

SMALLEST = 2**17
"""Bytes of a tensor below which the C library's own memory does as well."""

ALIGNED = 2**12
"""Places are multiples of this."""

ROOM = 2**36
"""Bytes of addresses that are set aside, where the machine has no less memory."""


class Arena:
    """One stretch of addresses, parts of which are lent to tensors and come back with their end.

    Attributes:
        lent: bytes that are.
        most: the most that were at a time; may be set.
        lacking: whether there once was no room.
    """

    def __init__(self, room: int = ROOM) -> None:
        """Args:
        room: bytes of addresses that are set aside, where the machine has no less memory.
        """
        self._room = room
        self._lock = threading.RLock()
        self._block: Any = None
        self._free: list[tuple[int, int]] = []
        """Stretches that are free, (first, behind the last), in order."""
        self._used = 0
        """Behind the highest byte that was ever lent."""
        self.lent = self.most = 0
        self.lacking = False

    def take(self, size: int) -> Tensor | None:
        """uint8 [size], yet to be written; None where there is no room for it."""
        whole = _whole(size)
        with self._lock:
            if self._block is None:
                self._open()
            fitting = [
                (stop - start, index)
                for index, (start, stop) in enumerate(self._free)
                if stop - start >= whole
            ]
            if not fitting:
                self.lacking = True
                return None
            _, index = min(fitting)
            start = self._free[index][0]
            return self._lend(index, start, size)

    def take_at(self, start: int, size: int) -> Tensor | None:
        """The same at a place where it once was; None while somebody has a part of that."""
        with self._lock:
            index = bisect.bisect_right(self._free, (start, sys.maxsize)) - 1
            if index < 0 or self._free[index][1] < start + _whole(size):
                return None
            return self._lend(index, start, size)

    def _lend(self, index: int, start: int, size: int) -> Tensor:
        """A part of a free stretch."""
        first, stop = self._free[index]
        end = start + _whole(size)
        left = [(first, start), (end, stop)]
        self._free[index : index + 1] = [each for each in left if each[0] < each[1]]
        self._used = max(self._used, end)
        self.lent += end - start
        self.most = max(self.most, self.lent)
        array = np.frombuffer(self._block, np.uint8, size, start)
        weakref.finalize(array, self._return, start, end).atexit = False
        return torch.from_numpy(array)

    def place_of(self, tensor: Tensor) -> int:
        """Where a tensor begins whose memory is lent from here."""
        assert self.holds(tensor)
        return tensor.data_ptr() - np.frombuffer(self._block, np.uint8, 1).ctypes.data

    def _return(self, start: int, stop: int) -> None:
        with self._lock:
            self.lent -= stop - start
            index = bisect.bisect(self._free, (start, stop))
            if index < len(self._free) and self._free[index][0] == stop:
                stop = self._free.pop(index)[1]
            if index and self._free[index - 1][1] == start:
                start = self._free.pop(index - 1)[0]
                index -= 1
            self._free.insert(index, (start, stop))

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor's memory is lent from here."""
        if self._block is None:
            return False
        start = np.frombuffer(self._block, np.uint8, 1).ctypes.data
        return 0 <= tensor.data_ptr() - start < len(self._block)

    def clear(self) -> None:
        """Gives the memory behind what is lent back to the system: sizes are about to change."""
        with self._lock:
            if self._block is None or not hasattr(mmap, "MADV_DONTNEED"):
                return
            for start, stop in self._free:
                end = min(stop, self._used)
                if start < end:
                    self._block.madvise(mmap.MADV_DONTNEED, start, end - start)
            self._used = self._free[-1][0] if self._free else self._used

    def _open(self) -> None:
        size = min(self._room, _memory())
        while self._block is None and size >= SMALLEST:
            with contextlib.suppress(AttributeError, OSError, ValueError):
                self._block = _mapped(size)
                self._free = [(0, size)]
            size //= 2


def _whole(size: int) -> int:
    """Bytes that are lent for so many."""
    return -(-size // ALIGNED) * ALIGNED


def _memory() -> int:
    """Bytes of the machine's memory: systems refuse to set aside more than that at a time."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0  # no such question can be asked


def _mapped(size: int) -> Any:
    """Addresses whose memory the system gives when it is written to."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    block = mmap.mmap(-1, size, flags=flags)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without large pages
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


arena = Arena()
"""That of this process."""


def empty(
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    strides: tuple[int, ...] | None = None,
) -> Tensor:
    """A tensor yet to be written.

    Args:
        strides: as torch's, without gaps; contiguous ones if there are none.
    """
    if strides is None:
        strides = tuple(math.prod(shape[index + 1 :]) for index in range(len(shape)))
    size = math.prod(shape) * dtype.itemsize
    taken = notes()
    if taken is not None and size:
        memory = taken.arena.take(size)
    else:
        memory = arena.take(size) if size >= SMALLEST else None
    if memory is None:
        return torch.empty_strided(shape, strides, dtype=dtype)
    return as_tensor(memory, shape, dtype, strides)


def as_tensor(
    memory: Tensor, shape: tuple[int, ...], dtype: torch.dtype, strides: tuple[int, ...]
) -> Tensor:
    """Memory that was lent, as a tensor."""
    # No view, which would keep what it is a view of.
    return torch.empty(0, dtype=dtype).set_(memory.untyped_storage(), 0, shape, strides)
