"""A forward pass and the way back from it that have been noted, and are run again.

In a step of painting Python takes a quarter of the time, since it finds its own memory gone from
the caches after every kernel. So where one pass after another is of the same shape, one is noted
(`notes`), there and back. A map's gradient has to come back in the place of that map, which is how
losses of painting write it. Whoever comes otherwise, or too early, goes the plain way, which what a
noted pass keeps is good for, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from .buffers import Slots, arena, as_tensor, empty
from .notes import Notes, may_note, taking
from .tape import Tape, can_play

ROOM = 2**25
"""Bytes of memory that a step may need for a trip to be made of it, which takes up to twice as many
for its slots, and nobody else can use them meanwhile. Where more is needed, Python's share of a
step is small."""

PIXELS = 2**18
"""Of a picture, at most: of larger ones no network takes so little."""

IN_A_ROW = 3
"""Passes of one shape before one is noted."""

Walked = list[Any]
Forth = Callable[[Tensor], tuple[tuple[Tensor, ...], Walked]]
Back = Callable[[Walked, dict[str, Tensor]], Tensor | None]


class Ticket:
    """Of whoever is on a trip; a trip is free again when it is gone."""


@dataclass(frozen=True)
class _Map:
    """A map that a trip gives.

    Attributes:
        place: in the trip's arena.
        address: of its first value.
    """

    place: int
    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class RoundTrip:
    """The kernels of one pass and of the way back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ticket: ReferenceType[Ticket] | None = None
        self._useless = False
        self._begin()

    def _begin(self) -> None:
        self._notes = Notes(Slots(2 * ROOM))
        self._there: Tape | None = None
        self._home: Tape | None = None
        self._shape: tuple[int, ...] = ()
        self._walked: Walked = []
        self._maps: dict[str, _Map] = {}

    def go(
        self, x: Tensor, taps: Sequence[str], forth: Forth
    ) -> tuple[tuple[Tensor, ...], Walked, Ticket | None]:
        """The maps of a picture, what the plain way back wants, and a ticket for `come_back`.

        Without a ticket there is only the plain way back.

        Args:
            taps: whose maps they are, in their order.
            forth: gives maps and what the plain way back wants.
        """
        with self._lock:
            if self._useless or (self._ticket is not None and self._ticket() is not None):
                return (*forth(x), None)
            ticket = Ticket()
            self._ticket = ref(ticket)
        if self._home is None:
            return (*self._first(x, taps, forth), ticket)
        maps = self._lent()
        if maps is None:
            return (*forth(x), None)
        assert self._there is not None
        shown = _as_shown(x)
        self._there.show(shown.data_ptr())
        self._there.play()
        return maps, list(self._walked), ticket

    def _first(
        self, x: Tensor, taps: Sequence[str], forth: Forth
    ) -> tuple[tuple[Tensor, ...], Walked]:
        """Notes the way there."""
        if self._notes.kernels:
            # Nobody came back from the one before.
            self._begin()
        with taking(self._notes):
            maps, walked = forth(_as_shown(x))
        self._walked = list(walked)
        lender = self._notes.arena
        if not self._notes.usable or not all(lender.holds(map_) for map_ in maps):
            self._give_up()
        else:
            for tap, map_ in zip(taps, maps, strict=True):
                place = lender.place_of(map_)
                self._maps[tap] = _Map(place, map_.data_ptr(), tuple(map_.shape), map_.stride())
        return maps, walked

    def _lent(self) -> tuple[Tensor, ...] | None:
        """The maps, yet to be written; None while somebody has one of them."""
        lent = []
        for map_ in self._maps.values():
            size = 4 * torch.Size(map_.shape).numel()
            memory = self._notes.arena.take_at(map_.place, size)
            if memory is None:
                return None
            lent.append(as_tensor(memory, map_.shape, torch.float32, map_.strides))
        return tuple(lent)

    def come_back(self, arrived: dict[str, Tensor], walked: Walked, back: Back) -> Tensor | None:
        """The gradient to the picture.

        Args:
            arrived: the gradients of maps, by tap.
            walked: what `go` gave.
            back: the plain way.
        """
        if self._useless or not self._in_place(arrived):
            if self._home is None:
                self._give_up()
            return back(walked, arrived)
        if self._home is not None:
            # In memory of its own, because the caller may keep it.
            result = empty(self._shape)
            self._home.show(result.data_ptr())
            self._home.play()
            return result
        kernels = len(self._notes.kernels)
        with taking(self._notes):
            noted = back(walked, arrived)
        if noted is None:
            self._give_up()
            return None
        there, home = Tape(self._notes.kernels[:kernels]), Tape(self._notes.kernels[kernels:])
        if self._notes.usable and home.looks_at == {noted.data_ptr()}:
            self._there, self._home, self._shape = there, home, tuple(noted.shape)
        else:
            self._give_up()
        return noted.clone()

    def _in_place(self, arrived: Mapping[str, Tensor]) -> bool:
        """Whether every map's gradient lies where the map was."""
        return arrived.keys() == self._maps.keys() and all(
            (tensor.data_ptr(), tensor.stride()) == (map_.address, map_.strides)
            for tensor, map_ in zip(arrived.values(), self._maps.values(), strict=True)
        )

    def _give_up(self) -> None:
        """From now on everybody goes the plain way."""
        self._useless = True
        # What is on its way holds what it needs.
        self._begin()


class Trips:
    """The trip of a network, and what came last.

    Attributes:
        latest, times: a pass, and how often it has come in a row.
        need: bytes that its last step took, once it has come back.
        key, trip: the pass that was noted; no trip where it needs too much.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.latest: Hashable = None
        self.times = 0
        self.need: int | None = None
        self.key: Hashable = None
        self.trip: RoundTrip | None = None
        self._before = 0

    def trip_for(self, key: Hashable) -> RoundTrip | None:
        """The trip of a pass that begins now; None: it goes the plain way."""
        with self.lock:
            if key == self.key:
                return self.trip
            if key != self.latest:
                self.latest, self.times, self.need = key, 0, None
            self.times += 1
            if self.times >= IN_A_ROW and self.need is not None:
                self.key = key
                self.trip = RoundTrip() if self.need <= ROOM else None
                # What steps like this had lies there, and they will not come back to it.
                arena.clear()
            else:
                self._before = arena.most = arena.lent
            return self.trip if key == self.key else None

    def came_back(self) -> None:
        """A pass has come back the plain way."""
        self.need = arena.most - self._before


def _as_shown(x: Tensor) -> Tensor:
    """A picture as kernels look at it."""
    return x.detach().float().contiguous()


_of_networks: WeakKeyDictionary[nn.Module, Trips] = WeakKeyDictionary()


def trips_of(network: nn.Module, image: Tensor) -> Trips | None:
    """The trips of a network; None where a picture with a gradient always goes the plain way."""
    if image[:, 0].numel() > PIXELS:
        _of_networks.pop(network, None)
        return None
    threads = torch.get_num_threads()
    if not may_note() or torch._C._autograd._profiler_enabled() or not can_play(threads):
        return None
    return _of_networks.setdefault(network, Trips())
