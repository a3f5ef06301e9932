"""When to save and to draw: so seldom that a training loses little of its time by it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

LEAST, MOST = 30.0, 600.0
"""Seconds between two pieces. There is a most, since a piece in which the process was stopped
seems to have taken as long as that."""

SHARE = 0.03
"""Of all time, that pieces may take."""


class Upkeep:
    """Says when a piece of work is due that a training does for its files, not for itself.

    The first one is due at once, so that what cannot be written is told early.
    """

    def __init__(self) -> None:
        self._ended, self._took = -math.inf, 0.0

    def is_due(self) -> bool:
        """Whether the piece before is long enough ago for what it took."""
        wait = min(max(self._took / SHARE, LEAST), MOST)
        return time.monotonic() - self._ended >= wait

    @contextmanager
    def piece(self) -> Iterator[None]:
        """Times what is done within."""
        started = time.monotonic()
        yield
        self._ended = time.monotonic()
        self._took = self._ended - started
