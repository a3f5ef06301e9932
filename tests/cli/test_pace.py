"""How long something will take yet, for what gets done steadily, in fits, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bitbrush.cli import pace as pace_module
from bitbrush.cli.pace import Pace

Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """wait(seconds), on a clock that stands still otherwise."""
    now = 1000.0
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: now)

    def later(seconds: float) -> None:
        nonlocal now
        now += seconds

    return later


def test_two_that_finish_together_are_not_a_pace(wait: Wait) -> None:
    pace = Pace()
    pace.update(0)
    for done in range(0, 20, 2):
        wait(60)
        pace.update(done + 1)
        wait(0.5)
        pace.update(done + 2)
        left = pace.left(50)
        assert left is not None and left == pytest.approx((48 - done) * 30, rel=0.2)
    # Between two of them time goes on.
    before = pace.left(50)
    wait(20)
    pace.update(20)
    after = pace.left(50)
    assert before is not None and after is not None and before - after == pytest.approx(20)
    wait(1e6)
    assert pace.left(50) == 0


def test_steps_that_slow_down_are_counted_as_they_are_now(wait: Wait) -> None:
    pace = Pace()
    for step in range(1000):
        pace.update(step)
        wait(0.01)
    for step in range(1000, 1400):
        pace.update(step)
        wait(0.2)
    left = pace.left(2000)
    assert left is not None and left == pytest.approx(600 * 0.2, rel=0.02)


def test_what_was_there_before_is_no_pace(wait: Wait) -> None:
    pace = Pace()
    assert pace.left(10) is None
    pace.update(8)
    wait(5)
    pace.update(8)
    assert pace.left(10) is None
    wait(5)
    pace.update(9)
    assert pace.left(10) == 10 and pace.left(None) is None
