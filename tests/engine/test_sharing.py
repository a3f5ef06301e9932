"""Every chunk is taken by one thread, its own share first."""

from __future__ import annotations

import numpy as np
import pytest
from numba import carray

from bitbrush.engine import runtime
from bitbrush.engine.kernel import Kernel
from bitbrush.engine.native import simd
from bitbrush.engine.native.sharing import next_chunk, take_seat

TAKEN = 1000


def note_takers(arguments: object) -> None:
    """Adds TAKEN + the thread's number to each chunk's cell; threads from `busy` on take none."""
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    while seat < record.busy:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        place = record.cells + 8 * chunk
        simd.store_word(place, simd.load_word(place) + TAKEN + seat)


@pytest.fixture(params=["OpenMP", "Python"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "Python":
        monkeypatch.setattr(runtime, "openmp", lambda: None)
    elif runtime.openmp() is None:
        pytest.skip("this process has no OpenMP runtime")
    return str(request.param)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(__name__, "note_takers", "cells chunks busy")


def takers(kernel: Kernel, threads: int, chunks: int, busy: int) -> np.ndarray:
    cells = np.zeros(chunks + 1, np.int64)
    kernel(threads, cells=cells.ctypes.data, chunks=chunks, busy=busy)
    assert cells[chunks] == 0
    return cells[:chunks]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("chunks", [1, 3, 40])
def test_each_chunk_is_taken_once(kernel: Kernel, pool: str, threads: int, chunks: int) -> None:
    found = takers(kernel, threads, chunks, threads)
    assert (found // TAKEN == 1).all() and (found % TAKEN < threads).all()


def test_whoever_is_held_up_is_helped(kernel: Kernel, pool: str) -> None:
    assert (takers(kernel, 3, 11, busy=1) == TAKEN).all()
