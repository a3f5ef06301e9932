"""What is counted of pieces of work when the process is stopped within one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bitbrush.train import stopwatch
from bitbrush.train.stopwatch import REMEMBERED, Stopwatch


def counted(monkeypatch: pytest.MonkeyPatch, pieces: Sequence[float]) -> list[float]:
    """What each of pieces that take so long by the clock adds to the seconds."""
    watch, now, found = Stopwatch(), 0.0, []
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: now)
    for took in pieces:
        before = watch.seconds
        with watch.piece():
            now += took
        found.append(watch.seconds - before)
    return found


def test_pieces_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counted(monkeypatch, [8.0, 1.0, 2.0, 16.0]) == [8.0, 1.0, 2.0, 16.0]


def test_a_stop_counts_as_a_usual_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counted(monkeypatch, [1.0, 2.0, 4.0, 3600.0, 2.0]) == [1.0, 2.0, 4.0, 2.0, 2.0]


def test_what_is_slow_for_long_is_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(monkeypatch, [1.0] * REMEMBERED + [16.0] * REMEMBERED)
    slow = found[REMEMBERED:]
    assert slow == [1.0] * (REMEMBERED // 2 + 1) + [16.0] * (REMEMBERED // 2)


def test_what_fails_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, clock = Stopwatch(), iter([0.0, 1.0])
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: next(clock))
    with pytest.raises(ValueError, match="failed"), watch.piece():
        raise ValueError("failed")
    assert watch.seconds == 0
