"""What kernels a Python thread runs, written down so that they can be run again.

A record of arguments holds addresses. So while notes are taken, memory comes from a place of its
own, and whatever else an address may point to is held.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .buffers import Slots


@dataclass(frozen=True)
class Note:
    """A kernel that was run.

    Attributes:
        function: its C function.
        record: its arguments.
        threads: that it ran on.
    """

    function: Any
    record: Any
    threads: int


class Notes:
    """All kernels since notes are taken.

    Attributes:
        kernels: in the order in which they ran.
        arena: lends the memory of maps; places that are given back are lent again, as there is
            nobody else to write to them.
        workspace: of the kernels.
        spoiled: whether something was computed by no kernel, and so is not in them.
    """

    def __init__(self, arena: Slots) -> None:
        """Args:
        arena: that nobody else borrows from.
        """
        self.kernels: list[Note] = []
        self.arena = arena
        self.workspace: Any = None
        self.spoiled = False
        self._held: list[object] = []

    @property
    def usable(self) -> bool:
        """Whether everything is in them, and all memory is the arena's."""
        return not (self.spoiled or self.arena.lacking)

    def hold(self, *what: object) -> None:
        """Keeps what kernels look at alive for as long as the notes."""
        self._held.extend(what)


class _Taken(threading.local):
    notes: Notes | None = None
    plainly: bool = False


_taken = _Taken()


def notes() -> Notes | None:
    """Those that this Python thread takes, or None."""
    return _taken.notes


def may_note() -> bool:
    """Whether passes may be noted, and run from notes, by this Python thread."""
    return _taken.notes is None and not _taken.plainly


@contextmanager
def plainly() -> Iterator[None]:
    """Here every pass takes its memory from where all do, so that it can be counted."""
    before, _taken.plainly = _taken.plainly, True
    try:
        yield
    finally:
        _taken.plainly = before


def hold(*what: object) -> None:
    """Keeps what a kernel is given the address of, if notes are taken."""
    if _taken.notes is not None:
        _taken.notes.hold(*what)


def spoil() -> None:
    """To be called where no kernel computes: notes that are taken will not do."""
    if _taken.notes is not None:
        _taken.notes.spoiled = True


@contextmanager
def taking(own: Notes) -> Iterator[None]:
    """Notes what this Python thread runs."""
    assert _taken.notes is None
    _taken.notes = own
    try:
        yield
    finally:
        _taken.notes = None
