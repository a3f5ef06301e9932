"""Memory that maps are lent from, and give back."""

from __future__ import annotations

import gc

import pytest
import torch

from bitbrush.engine.buffers import ALIGNED, SPACIOUS, Arena, Slots, arena, empty

BIG = (256, 256)


def test_what_comes_back_is_lent_again() -> None:
    own = Arena()
    first, second = own.take(2 * ALIGNED), own.take(ALIGNED)
    assert first is not None and second is not None
    assert own.lent == own.most == 3 * ALIGNED
    place = first.data_ptr()
    first.fill_(1)
    second.fill_(2)
    assert own.holds(first) and not own.holds(torch.zeros(3))
    del first
    assert own.lent == ALIGNED and own.most == 3 * ALIGNED
    again = own.take(100)
    assert again is not None and again.data_ptr() == place and again.shape == (100,)
    assert bool((second == 2).all())


def test_neighbours_that_come_back_become_one_stretch() -> None:
    own = Arena()
    parts = [own.take(ALIGNED) for _ in range(3)]
    last = own.take(ALIGNED)
    place = parts[0].data_ptr()  # type: ignore[union-attr]
    for index in (0, 2, 1):
        parts[index] = None
    whole = own.take(3 * ALIGNED)
    assert whole is not None and whole.data_ptr() == place
    assert last is not None


@pytest.mark.parametrize("allocations", range(24))
def test_what_the_garbage_collector_returns_meanwhile_is_lent_once(allocations: int) -> None:
    own = Arena()
    parts = [own.take(ALIGNED * (1 + index % 2)) for index in range(12)]
    # What is free lies behind what will come back, which is too small for what is taken.
    for index in (3, 5, 7):
        parts[index] = None
    threshold = gc.get_threshold()
    gc.collect()
    cycle: list[object] = [parts[0]]
    cycle.append(cycle)
    parts[0] = None
    del cycle
    try:
        gc.set_threshold(gc.get_count()[0] + allocations)
        taken = own.take(2 * ALIGNED)
    finally:
        gc.set_threshold(*threshold)
    parts.append(taken)
    held = [part for part in parts if part is not None]
    for index, part in enumerate(held):
        part.fill_(index)
    assert all(bool((part == index).all()) for index, part in enumerate(held))
    gc.collect()
    assert own.lent == sum(part.numel() for part in held)
    assert own.most == 18 * ALIGNED


def test_a_view_keeps_what_it_is_of() -> None:
    own = Arena()
    memory = own.take(ALIGNED)
    assert memory is not None
    view = memory[10:20].view(2, 5)
    del memory
    assert own.lent == ALIGNED
    del view
    assert own.lent == 0


def test_what_is_given_back_to_the_system_is_nobody_s() -> None:
    own = Arena()
    kept, gone = own.take(ALIGNED), own.take(ALIGNED)
    assert kept is not None and gone is not None
    kept.fill_(7)
    gone.fill_(7)
    del gone
    own.clear()
    assert bool((kept == 7).all())


def test_without_room_there_is_none(monkeypatch) -> None:
    monkeypatch.setattr("bitbrush.engine.buffers._memory", lambda: 2**20)
    own = Arena()
    assert own.take(2**21) is None
    assert own.take(2**19) is not None


def test_large_tensors_lie_in_it_and_small_ones_do_not() -> None:
    large, small = empty(BIG), empty((3, 5), torch.int64)
    assert arena.holds(large) and not arena.holds(small)
    assert large.shape == BIG and large.is_contiguous() and large._base is None
    assert small.dtype == torch.int64 and small.stride() == (5, 1)
    turned = empty(BIG, torch.bfloat16, (1, 256))
    assert turned.stride() == (1, 256) and turned.dtype == torch.bfloat16


def test_parts_lie_in_the_middle_of_their_slots() -> None:
    own = Slots(2**20)
    wide = own.take(8 * ALIGNED)
    assert wide is not None
    first = own.place_of(wide)
    del wide
    narrow = own.take(4 * ALIGNED)
    assert narrow is not None and own.place_of(narrow) == first + 2 * ALIGNED
    assert own.lent == 4 * ALIGNED and own.most == 8 * ALIGNED
    # A slot is one part's, however much of it is left.
    other = own.take(ALIGNED)
    assert other is not None and own.place_of(other) == first + 8 * ALIGNED


def test_a_slot_that_is_much_too_large_is_left_alone() -> None:
    own = Slots(2**20)
    wide = own.take((SPACIOUS + 1) * ALIGNED)
    del wide
    small = own.take(ALIGNED)
    assert small is not None and own.place_of(small) == (SPACIOUS + 1) * ALIGNED


def test_a_slot_is_lent_again_where_it_was() -> None:
    own = Slots(2**20)
    kept, part = own.take(2 * ALIGNED), own.take(2 * ALIGNED)
    assert kept is not None and part is not None
    place = own.place_of(part)
    assert own.take_at(place, 2 * ALIGNED) is None
    del part
    again = own.take_at(place, 2 * ALIGNED)
    assert again is not None and own.place_of(again) == place
    kept.fill_(1)
    again.fill_(2)
    assert bool((kept == 1).all())


def test_slots_come_to_an_end() -> None:
    own = Slots(2**18)
    assert own.take(2**18 + 1) is None and own.lacking
    assert own.take(2**18) is not None
