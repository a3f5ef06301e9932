"""How fast something gets done, and how long it will take yet."""

from __future__ import annotations

import time
from collections import deque

WINDOW = 30.0
"""Seconds that a pace is taken over: the parts of a painting are not equally fast."""

CHANGES = 8
"""Changes that it is taken over at least, where they are rarer than that: of several paintings at
once, each of a minute, two may be finished in the same second."""

APART = 0.1
"""Seconds between two changes that are remembered."""


class Pace:
    """Of what has been done since the first update: what an earlier run had done says nothing."""

    def __init__(self) -> None:
        self._changes: deque[tuple[float, float]] = deque()

    def update(self, done: float) -> None:
        """Notes how much is done by now."""
        now, changes = time.monotonic(), self._changes
        if changes and changes[-1][1] == done:
            return
        if len(changes) > 1 and now - changes[-2][0] < APART:
            changes.pop()
        changes.append((now, done))
        while len(changes) > CHANGES and changes[1][0] < now - WINDOW:
            changes.popleft()

    def left(self, total: float | None) -> float | None:
        """Seconds until so much is done; None where nothing tells."""
        if not total or len(self._changes) < 2:
            return None
        (began, first), (changed, done) = self._changes[0], self._changes[-1]
        if done <= first:
            return None
        left = (total - done) * (changed - began) / (done - first)
        return max(left - (time.monotonic() - changed), 0.0)
