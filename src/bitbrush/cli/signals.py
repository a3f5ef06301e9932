"""Ctrl-C and SIGTERM, held back until a step is complete."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from .app import Terminated


class Interruptions:
    """Within this context the first signal only sets `waiting`; a second one acts at once.

    In the middle of a step a painting's state is in pieces, so it must end before it is saved.
    """

    def __init__(self) -> None:
        self.waiting: type[KeyboardInterrupt] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruptions:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if self.waiting is not None:
            raise kind
        self.waiting = kind

    def deliver(self, advice: str) -> None:
        """Raises what was held back.

        Args:
            advice: how to go on, for the user to read.
        """
        if self.waiting is not None:
            raise self.waiting(advice)
