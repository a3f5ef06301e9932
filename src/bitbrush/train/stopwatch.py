"""How long pieces of work took, without the time in which the process was stopped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

REMEMBERED = 51
"""Pieces that tell how long one takes. After half as many slower ones, slower is what is usual."""

FAR = 10
"""Times as long as usual: no piece takes so long, but one in which the process was stopped."""


class Stopwatch:
    """Adds up the time of pieces of work that are all of one kind.

    Every clock of the system that goes on while threads wait goes on while a process is stopped too
    (Ctrl-Z, SIGSTOP, a frozen container). So a piece that takes more than ten times the median of
    those before it counts as the median. The first one counts in full.

    Attributes:
        seconds: of all pieces.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._latest: deque[float] = deque(maxlen=REMEMBERED)

    @contextmanager
    def piece(self) -> Iterator[None]:
        """Times what is done within; nothing is counted of what fails."""
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        usual = median(self._latest or [took])
        self._latest.append(took)
        self.seconds += took if took <= FAR * usual else usual
