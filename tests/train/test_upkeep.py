"""When saving and drawing are due."""

from __future__ import annotations

import pytest

from bitbrush.train import upkeep
from bitbrush.train.upkeep import LEAST, MOST, SHARE, Upkeep


@pytest.mark.parametrize(
    ("took", "wait"),
    [(0.0, LEAST), (0.5 * LEAST * SHARE, LEAST), (3.0, 3.0 / SHARE), (3600.0, MOST)],
)
def test_a_piece_is_due_after_a_multiple_of_what_the_last_one_took(
    monkeypatch: pytest.MonkeyPatch, took: float, wait: float
) -> None:
    now = 5.0
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now)
    work = Upkeep()
    assert work.is_due()
    with work.piece():
        now += took
    now += wait - 0.01
    assert not work.is_due()
    now += 0.02
    assert work.is_due()
