"""A forward pass that has been noted, and is run again without Python between its kernels.

At 224 px Python takes nearly as long as the kernels do. So a pass that comes a second time at the
same size is noted (`notes`), and from then on its kernels are shown the new picture. Only passes
without gradients, and only small ones: what is noted keeps its memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .buffers import Slots
from .notes import Notes, may_note, taking
from .tape import Tape, can_play

ROOM = 2**24
"""Bytes of memory that a program may keep."""

PIXELS = 2**16
"""Of a picture, at most; for larger ones Python's share is small."""

PROGRAMS = 2
"""Those that are kept for a network."""

Walk = Callable[[Tensor], Sequence[Tensor]]

Result = TypeVar("Result")

Use = Callable[[Sequence[Tensor], bool], Result]
"""Makes of maps what is wanted; where they are lent, they will be written over soon."""


class Program:
    """The kernels of one pass.

    Args:
        walk: gives a picture's maps, by kernels alone.
        image: like the pictures that will come.
    Raises:
        MemoryError: it needs more memory than `ROOM`.
    """

    def __init__(self, walk: Walk, image: Tensor) -> None:
        self._running = threading.Lock()
        self._notes = Notes(Slots(ROOM))
        with taking(self._notes):
            self._maps = list(walk(image.float().contiguous()))
        if not self._notes.usable:
            raise MemoryError
        self._tape = Tape(self._notes.kernels)

    def run(self, image: Tensor, use: Use[Result]) -> Result | None:
        """What is made of a picture's maps, or None while another Python thread is at it."""
        if not self._running.acquire(blocking=False):
            return None
        try:
            shown = image.float().contiguous()
            self._tape.show(shown.data_ptr())
            self._tape.play()
            return use(self._maps, True)
        finally:
            self._running.release()


class _Programs:
    """The programs of a network, the latest last; None for a pass that came once."""

    def __init__(self) -> None:
        self.found: OrderedDict[Hashable, Program | bool | None] = OrderedDict()
        self.lock = threading.Lock()


_of_networks: WeakKeyDictionary[nn.Module, _Programs] = WeakKeyDictionary()


def run(network: nn.Module, key: Hashable, image: Tensor, walk: Walk, use: Use[Result]) -> Result:
    """What is made of the maps that a walk gives for a picture, by a program where there is one.

    Args:
        network: whose walk it is.
        key: of what decides about it, beside the picture's shape and the threads.
        walk: by kernels alone, without gradients.
    """
    threads = torch.get_num_threads()
    if image[:, 0].numel() > PIXELS:
        # A painting has come to its large scales, where memory counts.
        _of_networks.pop(network, None)
        return use(walk(image), False)
    if not can_play(threads) or not may_note():
        return use(walk(image), False)
    programs = _of_networks.setdefault(network, _Programs())
    key = (key, tuple(image.shape), threads)
    with programs.lock:
        program = programs.found.get(key)
        if program is None:
            programs.found[key] = _made(walk, image) if key in programs.found else None
            programs.found.move_to_end(key)
            while len(programs.found) > PROGRAMS:
                programs.found.popitem(last=False)
    result = program.run(image, use) if isinstance(program, Program) else None
    return use(walk(image), False) if result is None else result


def _made(walk: Walk, image: Tensor) -> Program | bool:
    """A program, or False where it would be too large."""
    try:
        return Program(walk, image)
    except MemoryError:
        return False
