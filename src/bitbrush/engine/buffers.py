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
import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .notes import notes

SMALLEST = 2**17
"""Bytes of a tensor below which the C library's own memory does as well."""

ALIGNED = 2**12
"""Places are multiples of this."""

SPACIOUS = 8
"""So many times as large as what it is for a slot is, at most."""

ROOM = 2**36
"""Bytes of addresses that are set aside, where the machine has no less memory."""


class Lender(ABC):
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
        self._used = 0
        """Behind the highest byte that was ever lent."""
        self.lent = self.most = 0
        self.lacking = False

    def place_of(self, tensor: Tensor) -> int:
        """Where a tensor begins whose memory is lent from here."""
        assert self.holds(tensor)
        return tensor.data_ptr() - np.frombuffer(self._block, np.uint8, 1).ctypes.data

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor's memory is lent from here."""
        if self._block is None:
            return False
        start = np.frombuffer(self._block, np.uint8, 1).ctypes.data
        return 0 <= tensor.data_ptr() - start < len(self._block)

    def _hand(self, start: int, size: int) -> Tensor:
        """uint8 [size] from a place on that nobody has."""
        end = start + _whole(size)
        self._used = max(self._used, end)
        self.lent += end - start
        self.most = max(self.most, self.lent)
        array = np.frombuffer(self._block, np.uint8, size, start)
        weakref.finalize(array, self._return, start, end).atexit = False
        return torch.from_numpy(array)

    @abstractmethod
    def _return(self, start: int, stop: int) -> None:
        """What lay there is nobody's any more."""

    def _open(self) -> None:
        size = min(self._room, _memory())
        while self._block is None and size >= SMALLEST:
            with contextlib.suppress(AttributeError, OSError, ValueError):
                self._block = _mapped(size)
            size //= 2


class Arena(Lender):
    """Each part lies at the lowest place where there is room for it and not much more."""

    def __init__(self, room: int = ROOM) -> None:
        super().__init__(room)
        self._free: list[tuple[int, int]] = []
        """Stretches that are free, (first, behind the last), in order."""
        self._back: deque[tuple[int, int]] = deque()
        """Those that have come back, and are yet to be put among them."""

    def take(self, size: int) -> Tensor | None:
        """uint8 [size], yet to be written; None where there is no room for it."""
        whole = _whole(size)
        with self._lock:
            if self._block is None:
                self._open()
                self._free = [] if self._block is None else [(0, len(self._block))]
            self._put_back()
            fitting = [
                (stop - start, index)
                for index, (start, stop) in enumerate(self._free)
                if stop - start >= whole
            ]
            if not fitting:
                self.lacking = True
                return None
            _, index = min(fitting)
            first, stop = self._free[index]
            end = first + whole
            self._free[index : index + 1] = [(end, stop)] if end < stop else []
            return self._hand(first, size)

    def _return(self, start: int, stop: int) -> None:
        # The garbage collector may call this in the middle of `take`, on the thread that has the
        # lock. So what is free stays as it is until the next time.
        with self._lock:
            self.lent -= stop - start
            self._back.append((start, stop))

    def _put_back(self) -> None:
        """Joins what has come back with what is free."""
        while self._back:
            start, stop = self._back.popleft()
            index = bisect.bisect(self._free, (start, stop))
            if index < len(self._free) and self._free[index][0] == stop:
                stop = self._free.pop(index)[1]
            if index and self._free[index - 1][1] == start:
                start = self._free.pop(index - 1)[0]
                index -= 1
            self._free.insert(index, (start, stop))

    def clear(self) -> None:
        """Gives the memory behind what is lent back to the system: sizes are about to change."""
        with self._lock:
            if self._block is None or not hasattr(mmap, "MADV_DONTNEED"):
                return
            self._put_back()
            for start, stop in self._free:
                end = min(stop, self._used)
                if start < end:
                    self._block.madvise(mmap.MADV_DONTNEED, start, end - start)
            self._used = self._free[-1][0] if self._free else self._used


@dataclass
class _Slot:
    """A place for one tensor at a time.

    Attributes:
        first, stop: where it begins, and where it has ended.
    """

    first: int
    stop: int
    taken: bool = True


class Slots(Lender):
    """Each part lies in the middle of a slot of its own.

    Of any two maps that have had a slot, the first halves then lie on one side of its middle and
    the second halves on the other. A thread that computes the same share of every map so writes
    where it has written before, and not where another one has, from whose cache, on another part
    of the chip, the memory would have to be fetched first.
    """

    def __init__(self, room: int) -> None:
        super().__init__(room)
        self._slots: list[_Slot] = []

    def take(self, size: int) -> Tensor | None:
        """uint8 [size], yet to be written; None where there is no room for it."""
        whole = _whole(size)
        with self._lock:
            if self._block is None:
                self._open()
            fitting = [
                each
                for each in self._slots
                if not each.taken and whole <= each.stop - each.first <= SPACIOUS * whole
            ]
            if fitting:
                slot = min(fitting, key=lambda each: each.stop - each.first)
                slot.taken = True
            else:
                end = self._used + whole
                if self._block is None or end > len(self._block):
                    self.lacking = True
                    return None
                slot = _Slot(self._used, end)
                self._slots.append(slot)
            spare = (slot.stop - slot.first - whole) // 2
            return self._hand(slot.first + spare // ALIGNED * ALIGNED, size)

    def take_at(self, start: int, size: int) -> Tensor | None:
        """The same at a place where it once was; None while somebody has that slot."""
        with self._lock:
            slot = self._slot_of(start)
            if slot.taken:
                return None
            slot.taken = True
            return self._hand(start, size)

    def _return(self, start: int, stop: int) -> None:
        with self._lock:
            self.lent -= stop - start
            self._slot_of(start).taken = False

    def _slot_of(self, start: int) -> _Slot:
        index = bisect.bisect_right(self._slots, start, key=lambda each: each.first)
        return self._slots[index - 1]


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
